// Blocks that cannot be read where the log would go on: what they may hide is lost, with no silence about it, and counts
// for nothing should the disk read again; unless nobody could give it back: then the start is refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "log/recovery.h"
#include "log_harness.h"
#include "shard/log_segments.h"

namespace ringfort::test {
namespace {

using DiskImage = std::map<std::string, MemoryDisk::Content>;

// Where its batches lie that count, by sequence.
std::vector<log::BatchPlace> places_in(const DiskImage& image) {
    std::vector<log::SegmentScan> scans;
    for (const auto& [name, content] : image) {
        scans.emplace_back(log::SegmentIdentity{77, 0, shard::SegmentSet::parse_name(name, "shard-0")}, 0);
        while (!scans.back().step(content, content.size(), SIZE_MAX)) {
        }
    }
    std::vector<log::BatchPlace> out;
    for (const log::JudgedBatch& batch : log::judge(scans).batches) {
        out.push_back(batch.place);
    }
    return out;
}

void make_unreadable(LogHarness& h, const std::string& file, std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t at = begin; at < end; at += limits::block_bytes) {
        h.disk.unreadable.insert({file, at / limits::block_bytes});
    }
}

// A log whose last batch overwrote what the one before had written, in equal number.
struct Overwritten {
    DiskImage image;
    std::string file;
    log::BatchPlace last;
};

Overwritten overwritten_log(std::uint64_t voters) {
    LogHarness h;
    h.start();
    h.create(1, voters);
    h.append(1, 1, 2, "two");
    h.append(1, 1, 3, "three");
    h.settle();
    h.log->append_truncate(RangeId(1), LogIndex(2));
    h.vote(1, 5, 2);
    h.append(1, 5, 2, "new two");
    h.append(1, 5, 3, "new three");
    h.settle();
    Overwritten out{h.disk.image(), {}, {}};
    out.last = places_in(out.image).back();
    out.file = shard::SegmentSet::name("shard-0", out.last.segment);
    return out;
}

TEST(LogReadErrors, a_batch_hidden_at_the_end_puts_in_doubt_and_counts_for_nothing_when_the_disk_reads_again) {
    const Overwritten log = overwritten_log(3);
    LogHarness h;
    make_unreadable(h, log.file, log.last.offset, log.last.offset + log.last.bytes);
    h.restart_from(log.image);
    ASSERT_TRUE(h.recovered) << h.failure;
    EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
    EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"two", "three"}));
    h.vote(1, 6, 0, 2, true);
    h.append(1, 6, 4, "four");
    h.settle();

    h.disk.unreadable.clear();
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(6));
    EXPECT_TRUE(h.replica(1)->replica.hard_state.in_doubt);
    EXPECT_EQ(h.read(1, 2, 4), (std::vector<std::string>{"two", "three", "four"}));
}

// Each start finds the segment of the one before hidden, as its renaming for another use was not durable; then all are
// read.
TEST(LogReadErrors, no_epoch_is_used_twice_whatever_was_hidden_when_it_was_opened) {
    const Overwritten log = overwritten_log(3);
    LogHarness h;
    DiskImage image = log.image;
    for (std::uint64_t term = 6; term <= 8; term++) {
        h.restart_from(image);
        ASSERT_TRUE(h.recovered) << h.failure;
        EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(5));
        h.vote(1, term, 0, term, true);
        h.append(1, term, 4, "of term " + std::to_string(term));
        h.settle();
        image.merge(h.disk.image());   // what it has stays
        h.disk.unreadable.clear();
        for (const auto& [name, content] : image) {
            if (name != log.file && term < 8) {
                make_unreadable(h, name, 0, content.size());
            }
        }
    }
    h.restart_from(image);
    EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(8));
    EXPECT_EQ(h.read(1, 4, 4), std::vector<std::string>{"of term 8"});
}

// A batch lost in the middle was skipped, and the log that went on without it is the one that counts.
TEST(LogReadErrors, records_that_can_be_read_again_put_in_doubt_a_log_that_went_on_without_them) {
    const Overwritten log = overwritten_log(3);
    LogHarness h;
    h.restart_from(log.image);
    h.vote(1, 7, 0);
    h.settle();
    const DiskImage image = h.disk.image();
    // Both places of its directory: the epoch's opening has the copy.
    const auto places = places_in(image);
    const auto opening = std::ranges::find(places, log.last.sequence + 1, &log::BatchPlace::sequence);
    ASSERT_NE(opening, places.end());
    make_unreadable(h, shard::SegmentSet::name("shard-0", opening->segment), opening->offset,
                    opening->offset + opening->bytes);
    make_unreadable(h, log.file, log.last.offset, log.last.offset + log.last.bytes);
    h.restart_from(image);
    ASSERT_TRUE(h.recovered) << h.failure;
    ASSERT_TRUE(h.replica(1)->replica.promises_in_doubt);
    EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"two", "three"}));
    h.vote(1, 8, 0, 2, true);
    h.append(1, 8, 4, "four");
    h.settle();

    h.disk.unreadable.clear();
    h.crash_and_start();
    EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
}

TEST(LogReadErrors, what_no_quorum_of_peers_could_give_back_is_refused_with_nothing_written) {
    for (const auto& [voters, all] : {std::pair(1U, false), {1U, true}, {2U, false}, {2U, true}}) {
        const Overwritten log = overwritten_log(voters);
        LogHarness h;
        for (const auto& [name, content] : log.image) {
            make_unreadable(h, name, all ? 0 : log.last.offset, all ? content.size() : log.last.offset + log.last.bytes);
        }
        h.restart_from(log.image);
        EXPECT_FALSE(h.recovered);
        EXPECT_EQ(h.log->failed_as(), env::Halt::refused);
        EXPECT_NE(h.failure.find(" blocks of " + log.file), std::string::npos) << h.failure;
        EXPECT_EQ(h.failure.starts_with("range 1: "), !all) << h.failure;
        EXPECT_NE(h.failure.find("nothing was changed"), std::string::npos) << h.failure;
        EXPECT_EQ(h.disk.image(), log.image);

        h.disk.unreadable.clear();
        h.restart_from(log.image);
        ASSERT_TRUE(h.recovered) << h.failure;
        EXPECT_FALSE(h.replica(1)->replica.promises_in_doubt);
        EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(5));
        EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"new two", "new three"}));
    }
}

// What says which replicas there are, and of which voters, is hidden; the log behind it is not.
TEST(LogReadErrors, a_start_that_is_hidden_is_refused_where_no_quorum_of_peers_could_give_it_back) {
    for (const auto& [members, refused] : {std::pair(1U, true), {2U, true}, {3U, false}}) {
        const Overwritten log = overwritten_log(1);
        LogHarness h;
        h.options.members = members;
        const auto places = places_in(log.image);
        ASSERT_GT(places.size(), 2U);
        for (const log::BatchPlace& place : std::span(places).first(2)) {
            ASSERT_EQ(place.segment, places.back().segment);
            make_unreadable(h, log.file, place.offset, place.offset + place.bytes);
        }
        h.restart_from(log.image);
        EXPECT_EQ(h.recovered, !refused) << members;
        if (refused) {
            EXPECT_EQ(h.log->failed_as(), env::Halt::refused);
            EXPECT_EQ(h.disk.image(), log.image);
        }
    }
}

// A lone voter could never apply it, nor what comes behind it.
TEST(LogReadErrors, an_entry_that_cannot_be_read_is_refused_where_no_peer_has_it) {
    for (const std::uint64_t voters : {1U, 2U}) {
        LogHarness h;
        h.start();
        h.create(1, voters);
        h.append(1, 1, 2, std::string(4 * limits::block_bytes, 'x'));
        h.settle();
        h.append(1, 1, 3, "behind it");
        h.settle();
        const DiskImage image = h.disk.image();
        for (const log::BatchPlace& place : places_in(image)) {
            if (place.bytes > 4 * limits::block_bytes) {
                make_unreadable(h, shard::SegmentSet::name("shard-0", place.segment),
                                place.offset + 2 * limits::block_bytes, place.offset + 3 * limits::block_bytes);
            }
        }
        h.restart_from(image);
        EXPECT_EQ(h.recovered, voters == 2) << h.failure;
        EXPECT_EQ(h.failure.starts_with("range 1: the disk cannot read 1 blocks"), voters == 1) << h.failure;
    }
}

// Nothing tells what a log held of which nothing can be read, whoever the peers are.
TEST(LogReadErrors, a_log_of_which_nothing_can_be_read_is_not_missing_and_not_fresh) {
    const Overwritten log = overwritten_log(3);
    LogHarness h;
    for (const auto& [name, content] : log.image) {
        make_unreadable(h, name, 0, content.size());
    }
    h.restart_from(log.image);
    EXPECT_FALSE(h.recovered);
    EXPECT_NE(h.failure.find("the disk cannot read"), std::string::npos) << h.failure;
    EXPECT_EQ(h.disk.image(), log.image);
}

// A start that did not know of the last checkpoint has removed its file.
TEST(LogReadErrors, a_checkpoint_hidden_from_an_epoch_is_not_the_one_that_counts_when_the_disk_reads_again) {
    LogHarness h;
    h.start();
    h.create(1);
    h.append(1, 1, 2, "two");
    h.append(1, 1, 3, "three");
    h.create(2);
    h.append(2, 1, 2, "keeps the segment");
    h.settle();
    const shard::BatchSequence named = h.log->open_batch();
    h.checkpoint(1, 1, 3);
    h.settle();
    h.crash_and_start();
    h.vote(1, 4, 0);
    h.settle();
    const shard::BatchSequence last = h.log->open_batch();
    h.vote(1, 5, 0);
    h.settle();
    const DiskImage image = h.disk.image();
    // All that names it: what the next epoch began with, too, and the copies.
    for (const log::BatchPlace& place : places_in(image)) {
        if (place.sequence >= named && place.sequence < last) {
            make_unreadable(h, shard::SegmentSet::name("shard-0", place.segment), place.offset,
                            place.offset + place.bytes);
        }
    }
    h.restart_from(image);
    ASSERT_TRUE(h.recovered) << h.failure;
    ASSERT_EQ(h.replica(1)->replica.checkpoint->applied.index, LogIndex(1));
    ASSERT_TRUE(h.replica(1)->replica.promises_in_doubt);
    h.vote(1, 6, 0, 2, true);
    h.settle();

    h.disk.unreadable.clear();
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.checkpoint->applied.index, LogIndex(1));
    EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
}

// A file left out of the list would be one that never was: what it promised would be forgotten in silence.
TEST(LogReadErrors, a_segment_that_cannot_be_looked_at_refuses_the_start_by_name) {
    const Overwritten log = overwritten_log(3);
    LogHarness h;
    h.disk.unlistable = log.file;
    const Instant before = h.clock.at;
    h.restart_from(log.image);
    EXPECT_FALSE(h.recovered);
    EXPECT_NE(h.failure.find(log.file), std::string::npos) << h.failure;
    EXPECT_EQ(h.disk.image(), log.image);
    EXPECT_GE(h.clock.at, before + 4s);

    h.disk.unlistable.clear();
    h.restart_from(log.image);
    EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"new two", "new three"}));
}

TEST(LogReadErrors, a_list_that_fails_for_a_moment_is_asked_for_again) {
    const Overwritten log = overwritten_log(3);
    LogHarness h;
    h.disk.unlistable = log.file;
    h.disk.unlistable_for = 3;
    h.restart_from(log.image);
    ASSERT_TRUE(h.recovered) << h.failure;
    EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"new two", "new three"}));
}

// Of the whole log, or of blocks of it, for some seconds: nothing is lost, nobody in doubt.
TEST(LogReadErrors, blocks_that_cannot_be_read_for_a_moment_are_read_a_moment_later) {
    const Overwritten log = overwritten_log(3);
    const std::uint64_t blocks = log.image.at(log.file).size() / limits::block_bytes;
    for (const bool all : {false, true}) {
        LogHarness h;
        for (const auto& [name, content] : log.image) {
            make_unreadable(h, name, all ? 0 : log.last.offset, all ? content.size() : log.last.offset + log.last.bytes);
        }
        // As if three tries of all of it failed.
        h.disk.unreadable_for = all ? 3 * blocks : 3;
        h.restart_from(log.image);
        ASSERT_TRUE(h.recovered) << h.failure;
        EXPECT_FALSE(h.replica(1)->replica.promises_in_doubt);
        EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(5));
        EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"new two", "new three"}));
        EXPECT_TRUE(std::ranges::any_of(h.notes, [](const std::string& note) {
            return note.find("at a later try only") != std::string::npos;
        }));
    }
}

// However much of a disk does not read, a start believes it in a bounded time.
TEST(LogReadErrors, patience_with_a_disk_that_reads_nothing_ends) {
    const Overwritten log = overwritten_log(3);
    DiskImage image = log.image;
    const MemoryDisk::Content segment = log.image.at(log.file);
    for (std::uint64_t number = 100; number < 110; number++) {
        image[shard::SegmentSet::name("shard-0", number)] = segment;
    }
    LogHarness h;
    for (const auto& [name, content] : image) {
        make_unreadable(h, name, 0, content.size());
    }
    const Instant before = h.clock.at;
    h.restart_from(image);
    EXPECT_NE(h.failure.find("the disk cannot read"), std::string::npos) << h.failure;
    EXPECT_LE(h.clock.at, before + 6s);
    EXPECT_GE(h.clock.at, before + 5s);
}

}  // namespace
}  // namespace ringfort::test
