// Rot: any one flipped byte, any one lost sector of a log is healed, or named with the right ids; and where it cannot
// be, the replica says that its promises are in doubt. Never is anything durable silently gone.
#include <gtest/gtest.h>

#include "log/replay.h"
#include "log_model.h"

namespace ringfort::test {
namespace {

using Image = std::map<std::string, MemoryDisk::Content>;

// The pure part of recovery over an image.
struct Recovered {
    std::vector<log::SegmentScan> scans;
    log::Judgement judgement;
    std::unique_ptr<log::Replay> replay;
    std::vector<std::vector<log::EntryItem>> items;   // of each replica's runs

    explicit Recovered(const Image& image) {
        for (const auto& [name, content] : image) {
            const std::uint64_t number = std::stoull(name.substr(name.size() - 16), nullptr, 16);
            scans.emplace_back(log::SegmentIdentity{77, 0, number}, 0);
            while (!scans.back().step(content, content.size(), SIZE_MAX)) {
            }
        }
        judgement = log::judge(scans);
        for (std::size_t i = 0; i < judgement.batches.size(); i++) {
            const log::JudgedBatch& batch = judgement.batches[i];
            if (!batch.payloads_judged) {
                const auto at = std::find_if(image.begin(), image.end(), [&](const auto& file) {
                    return std::stoull(file.first.substr(file.first.size() - 16), nullptr, 16) == batch.place.segment;
                });
                log::judge_payloads(judgement, i, Bytes(at->second).subspan(batch.place.offset, batch.place.bytes), 0);
            }
        }
        replay = std::make_unique<log::Replay>(judgement);
        while (!replay->step(1000)) {
        }
    }
    log::ReplayedReplica* find(std::uint64_t range) {
        for (log::ReplayedReplica& replica : replay->replicas()) {
            if (replica.range == range) {
                return &replica;
            }
        }
        return nullptr;
    }
    // (term, checksum) by index.
    std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> entries(const log::ReplayedReplica& replica) {
        std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> out;
        for (const log::EntryRun& run : replica.runs) {
            std::uint64_t index = run.first;
            for (const log::EntryItem& item : replay->items_of(run)) {
                out[index++] = {run.term, item.checksum};
            }
        }
        return out;
    }
};

// A log of two segments, three ranges, two epochs, with everything that can stand in it; sealed.
Image sealed_log() {
    LogHarness h;
    h.options.segment_bytes = 64 * kib;
    h.options.window_bytes = 256 * kib;
    h.start();
    for (std::uint64_t range = 1; range <= 3; range++) {
        h.create(range);
    }
    h.settle();
    std::uint64_t next[4] = {0, 2, 2, 2};
    for (int batch = 0; batch < 7; batch++) {
        for (std::uint64_t range = 1; range <= 3; range++) {
            for (std::uint64_t n = 0; n < range; n++) {
                h.append(range, 1, next[range]++, std::string(100 + 37 * range + n, static_cast<char>('a' + batch)));
            }
        }
        h.vote(2, static_cast<std::uint64_t>(2 + batch), 3);
        if (batch == 3) {
            h.checkpoint(3, 1, 5);
            h.append(1, 1, next[1]++, std::string(7000, 'L'));
        }
        h.settle();
        if (batch == 4) {
            h.crash_and_start();
        }
    }
    h.wait(20ms);
    h.settle();
    return h.disk.image();
}

// Compares with the undamaged log. Returns whether something was named as damaged.
bool check(Image& image, const std::string& file, std::uint64_t begin, std::uint64_t end, Recovered& whole) {
    Recovered found(image);
    bool named = false;
    EXPECT_EQ(found.replay->replicas().size(), whole.replay->replicas().size());
    for (const log::ReplayedReplica& before : whole.replay->replicas()) {
        const log::ReplayedReplica* after = found.find(before.range);
        EXPECT_NE(after, nullptr);
        EXPECT_FALSE(after->in_doubt) << file << " " << begin;
        EXPECT_EQ(after->hard_state, before.hard_state);
        EXPECT_EQ(after->last_sequence, before.last_sequence);
        EXPECT_EQ(after->checkpoint->body.applied_index, before.checkpoint->body.applied_index);
        EXPECT_EQ(found.entries(*after), whole.entries(before)) << file << " " << begin;
        // The damaged entries are those whose payload the damage touches, or lies in the segment before a lost batch.
        std::vector<std::uint64_t> expected;
        const std::uint64_t number = std::stoull(file.substr(file.size() - 16), nullptr, 16);
        for (const log::EntryRun& run : before.runs) {
            std::uint64_t index = run.first;
            for (const log::EntryItem& item : whole.replay->items_of(run)) {
                const std::uint64_t at = run.place.offset + item.offset;
                if (run.place.segment == number && at < end && begin < at + item.length()) {
                    expected.push_back(index);
                }
                index++;
            }
        }
        EXPECT_EQ(after->damaged, expected) << file << " " << begin << " range " << before.range;
        named |= !expected.empty();
    }
    return named;
}

TEST(LogDamage, any_flipped_byte_of_a_sealed_log_is_healed_or_named) {
    Image image = sealed_log();
    Recovered whole(image);
    ASSERT_EQ(whole.replay->replicas().size(), 3U);
    ASSERT_FALSE(whole.judgement.start_lost);
    std::size_t named = 0;
    std::size_t flips = 0;
    for (auto& [name, content] : image) {
        std::size_t used = content.size();
        while (used > 0 && content[used - 1] == std::byte{}) {
            used--;
        }
        for (std::size_t at = 0; at < used; at += 1 + at % 3) {  // dense enough to meet every field
            content[at] ^= std::byte{0x10};
            named += check(image, name, at, at + 1, whole) ? 1U : 0U;
            content[at] ^= std::byte{0x10};
            flips++;
            if (::testing::Test::HasFailure()) {
                return;
            }
        }
    }
    EXPECT_GT(flips, 10'000U);
    EXPECT_GT(named, flips / 10);
}

TEST(LogDamage, any_lost_sector_or_block_of_a_sealed_log_is_healed_or_named) {
    for (const std::size_t size : {std::size_t{512}, limits::block_bytes}) {
        Image image = sealed_log();
        Recovered whole(image);
        for (auto& [name, content] : image) {
            for (std::size_t at = 0; at < content.size(); at += size) {
                const MemoryDisk::Content saved(content.begin() + static_cast<std::ptrdiff_t>(at),
                                                content.begin() + static_cast<std::ptrdiff_t>(at + size));
                std::memset(content.data() + at, 0, size);
                check(image, name, at, at + size, whole);
                std::copy(saved.begin(), saved.end(), content.begin() + static_cast<std::ptrdiff_t>(at));
                if (::testing::Test::HasFailure()) {
                    return;
                }
            }
        }
    }
}

// What a whole LogStore makes of a lost block: it is read as unreadable, too; the log goes on, and the next start finds
// the same.
TEST(LogDamage, a_log_with_an_unreadable_block_starts_twice_with_the_same_findings) {
    const Image image = sealed_log();
    const log::BatchPlace last = Recovered(image).judgement.batches.back().place;
    std::size_t ends_hidden = 0;
    std::size_t damaged_seen = 0;
    for (const auto& [name, content] : image) {
        for (std::uint64_t block = 0; block < content.size() / limits::block_bytes; block++) {
            LogHarness h;
            h.options.segment_bytes = 64 * kib;
            h.options.window_bytes = 256 * kib;
            h.disk.unreadable.insert({name, block});
            h.restart_from(image);
            ASSERT_TRUE(h.recovered) << h.failure;
            ASSERT_EQ(h.found.size(), 3U);
            const std::uint64_t number = std::stoull(name.substr(name.size() - 16), nullptr, 16);
            const std::uint64_t at = block * limits::block_bytes;
            const bool may_hide_the_end = number > last.segment ? block == 0
                                                                : number == last.segment && at >= last.offset &&
                                                                      at <= last.offset + last.bytes;
            if (may_hide_the_end) {
                ends_hidden++;
                for (const FoundReplica& f : h.found) {
                    EXPECT_TRUE(f.replica.promises_in_doubt) << name << " block " << block;
                }
                h.crash_and_start();
                EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
                continue;
            }
            std::vector<std::vector<LogIndex>> damaged;
            for (const FoundReplica& f : h.found) {
                EXPECT_FALSE(f.replica.promises_in_doubt);
                damaged.push_back(f.replica.damaged);
                damaged_seen += f.replica.damaged.size();
                // What is not damaged can be read; what is says so.
                for (const raft::Entry& entry : f.replica.entries) {
                    bool bad = false;
                    const auto texts = h.read(f.replica.range.value, entry.id.index.value, entry.id.index.value, 1, &bad);
                    const bool named = std::find(f.replica.damaged.begin(), f.replica.damaged.end(), entry.id.index) !=
                                       f.replica.damaged.end();
                    EXPECT_EQ(bad, named) << name << " block " << block << " index " << entry.id.index.value;
                    EXPECT_EQ(texts.size(), named ? 0U : 1U);
                }
            }
            h.vote(1, 99, 2);
            h.settle();
            h.crash_and_start();
            ASSERT_EQ(h.found.size(), 3U);
            EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(99));
            for (std::size_t i = 0; i < 3; i++) {
                EXPECT_EQ(h.found[i].replica.damaged, damaged[i]);
            }
            if (::testing::Test::HasFailure()) {
                return;
            }
        }
    }
    EXPECT_GT(damaged_seen, 10U);
    EXPECT_GE(ends_hidden, 3U);
}

TEST(LogDamage, a_repaired_entry_is_whole_again_also_after_a_restart) {
    LogHarness h;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 9; i++) {
        h.append(1, 1, i, "payload " + std::to_string(i));
    }
    h.settle();
    h.wait(20ms);
    h.settle();
    Image image = h.disk.image();
    auto& content = image.begin()->second;
    const std::string_view text = as_text(content);
    const std::size_t at = text.find("payload 5");
    ASSERT_NE(at, std::string_view::npos);
    content[at] = std::byte{'x'};
    h.restart_from(image);
    ASSERT_EQ(h.replica(1)->replica.damaged, std::vector<LogIndex>{LogIndex(5)});
    ASSERT_EQ(h.replica(1)->replica.entries.size(), 8U);
    bool damaged = false;
    EXPECT_EQ(h.read(1, 4, 7, mib, &damaged), std::vector<std::string>{"payload 4"});
    EXPECT_TRUE(damaged);

    const std::string payload = "payload 5";
    h.log->append_repaired(RangeId(1), {{Term(1), LogIndex(5)}, raft::EntryKind::command,
                                        checksum(as_bytes(payload)), as_bytes(payload)});
    EXPECT_EQ(h.in_memory(1, 5), "payload 5");
    h.settle();
    EXPECT_EQ(h.read(1, 2, 9).size(), 8U);
    h.crash_and_start();
    EXPECT_TRUE(h.replica(1)->replica.damaged.empty());
    EXPECT_EQ(h.replica(1)->replica.entries.size(), 8U);
    EXPECT_EQ(h.read(1, 2, 9)[3], "payload 5");
}

// Both directories of a batch lost: what it held is unknown. Ranges whose next record follows on are untouched.
// Both directories of the batch. It and the next lie in the first file.
void lose_records(Image& image, std::uint64_t lost) {
    auto& content = image.begin()->second;
    Recovered whole(image);
    for (const log::JudgedBatch& batch : whole.judgement.batches) {
        if (batch.place.sequence == lost || batch.place.sequence == lost + 1) {
            const auto header = load<log::BatchHeader>(content.data() + batch.place.offset);
            content[batch.place.offset + (batch.place.sequence == lost ? header.directory_offset()
                                                                       : header.copy_offset())] ^= std::byte{1};
        }
    }
}

TEST(LogDamage, lost_records_put_in_doubt_whom_they_may_concern_and_nobody_else) {
    LogHarness h;
    h.start();
    h.create(1);
    h.create(2);
    h.create(3);
    h.append(1, 1, 2, "one");
    h.settle();
    const std::uint64_t lost = h.log->open_batch();
    h.vote(1, 5, 2);           // in the batch that will be lost
    h.append(1, 5, 3, "gone");
    h.settle();
    h.append(1, 5, 4, "behind the loss");
    h.settle();
    h.vote(2, 7, 3);           // proves that range 2 had nothing in it; range 3 proves nothing
    h.settle();
    Image image = h.disk.image();
    lose_records(image, lost);
    h.restart_from(image);
    EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
    EXPECT_FALSE(h.replica(2)->replica.promises_in_doubt);
    EXPECT_TRUE(h.replica(3)->replica.promises_in_doubt);
    ASSERT_EQ(h.replica(1)->replica.entries.size(), 1U);   // the log as it was before the loss
    EXPECT_FALSE(h.notes.empty());

    // The doubt outlives a restart, and ends with a new incarnation.
    h.crash_and_start();
    EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
    EXPECT_FALSE(h.replica(2)->replica.promises_in_doubt);
    h.vote(1, 8, 0, 2, true);
    h.append(1, 8, 3, "new");
    h.settle();
    h.crash_and_start();
    EXPECT_FALSE(h.replica(1)->replica.promises_in_doubt);
    EXPECT_TRUE(h.replica(1)->replica.hard_state.in_doubt);
    EXPECT_EQ(h.replica(1)->replica.hard_state.incarnation, Incarnation(2));
    ASSERT_EQ(h.replica(1)->replica.entries.size(), 2U);
    EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"one", "new"}));
    EXPECT_TRUE(h.replica(3)->replica.promises_in_doubt);
}

// A start that still knew them wrote that all was well. What it knew is gone, and what they overwrote is not.
TEST(LogDamage, records_lost_after_a_start_that_knew_them_put_in_doubt_what_they_had_overwritten) {
    for (const bool doubt_since : {false, true}) {
        LogHarness h;
        h.start();
        h.create(1);
        for (std::uint64_t i = 2; i <= 4; i++) {
            h.append(1, 3, i, "old");
        }
        h.settle();
        const std::uint64_t lost = h.log->open_batch();
        h.log->append_truncate(RangeId(1), LogIndex(3));
        h.append(1, 5, 3, "new");
        h.append(1, 5, 4, "new");
        h.settle();
        h.wait(20ms);
        h.settle();
        h.crash_and_start();
        ASSERT_FALSE(h.replica(1)->replica.promises_in_doubt);
        if (doubt_since) {
            h.vote(1, 5, 0, 2, true);   // of another reason, and over: it says nothing of what is lost now
            h.vote(1, 5, 0, 2, false);
        }
        h.append(1, 5, 5, "newer");
        h.settle();
        EXPECT_EQ(h.read(1, 2, 5), (std::vector<std::string>{"old", "new", "new", "newer"}));
        Image image = h.disk.image();
        lose_records(image, lost);
        h.restart_from(image);
        EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
        EXPECT_EQ(h.replica(1)->replica.entries.back().id, (raft::EntryId{Term(3), LogIndex(4)}));

        h.crash_and_start();
        EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
        h.vote(1, 6, 0, 3, true);
        h.log->append_truncate(RangeId(1), LogIndex(3));
        h.append(1, 6, 3, "found again");
        h.settle();
        h.crash_and_start();
        EXPECT_FALSE(h.replica(1)->replica.promises_in_doubt);
        EXPECT_EQ(h.read(1, 2, 3), (std::vector<std::string>{"old", "found again"}));
    }
}

// The last batch before a crash, never named durable by another, is cut if it rots: the risk stated at the format.
TEST(LogDamage, only_the_unsealed_last_batch_can_be_cut_by_rot) {
    LogHarness h;
    h.start();
    h.create(1);
    h.append(1, 1, 2, "first");
    h.settle();
    h.append(1, 1, 3, "second");
    h.settle();
    Image unsealed = h.disk.image();
    h.wait(10ms);
    h.settle();
    Image sealed = h.disk.image();
    for (Image* image : {&unsealed, &sealed}) {
        auto& content = image->begin()->second;
        const std::size_t at = as_text(content).find("second");
        ASSERT_NE(at, std::string_view::npos);
        content[at] = std::byte{'?'};
    }
    h.restart_from(unsealed);
    EXPECT_EQ(h.replica(1)->replica.entries.size(), 1U);
    h.restart_from(sealed);
    EXPECT_EQ(h.replica(1)->replica.entries.size(), 2U);
    EXPECT_EQ(h.replica(1)->replica.damaged, std::vector<LogIndex>{LogIndex(3)});
}

TEST(LogDamage, a_segment_that_vanished_is_a_loss_and_not_an_end) {
    LogHarness h;
    h.options.segment_bytes = 64 * kib;
    h.options.window_bytes = 256 * kib;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 40; i++) {
        h.append(1, 1, i, std::string(5000, 'x'));
        h.settle();
    }
    Image image = h.disk.image();
    ASSERT_GE(image.size(), 5U);
    image.erase(std::next(image.begin()));
    h.restart_from(image);
    ASSERT_TRUE(h.recovered) << h.failure;
    EXPECT_TRUE(h.replica(1)->replica.promises_in_doubt);
    EXPECT_LT(h.replica(1)->replica.entries.size(), 39U);
    EXPECT_GT(h.replica(1)->replica.entries.size(), 2U);
}

// The file that holds the payload, and where in it.
std::pair<std::string, std::size_t> place_on_disk(const LogHarness& h, const std::string& payload) {
    for (const auto& [name, file] : h.disk.files) {
        const auto at = std::search(file->durable.begin(), file->durable.end(), as_bytes(payload).begin(),
                                    as_bytes(payload).end());
        if (at != file->durable.end()) {
            return {name, static_cast<std::size_t>(at - file->durable.begin())};
        }
    }
    ADD_FAILURE() << "the payload is in no file";
    return {h.disk.files.begin()->first, 0};
}

// Rot while the log runs: the reader says which entry it is, so that a peer can be asked for it.
TEST(LogDamage, a_read_names_the_entry_it_cannot_give) {
    LogHarness h;
    h.options.segment_bytes = 64 * kib;
    h.options.window_bytes = 128 * kib;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 60; i++) {
        h.append(1, 1, i, std::string(5000, static_cast<char>('A' + i)));
        h.settle();
    }
    ASSERT_GT(h.log->first_in_memory(RangeId(1)), LogIndex(4));
    const std::string payload(5000, 'A' + 3);
    const auto [name, begin] = place_on_disk(h, payload);
    h.disk.files[name]->durable[begin + 100] ^= std::byte{1};
    shard::EntryRead read;
    read.callback = [](shard::EntryRead&) {};
    h.log->read(RangeId(1), LogIndex(2), LogIndex(5), 1 * mib, read);
    while (read.in_flight) {
        h.turn();
    }
    ASSERT_EQ(read.entries.size(), 1U);
    EXPECT_TRUE(read.damaged);
    ASSERT_TRUE(read.damaged_entry.has_value());
    EXPECT_EQ(read.damaged_id, (raft::EntryId{Term(1), LogIndex(3)}));
    EXPECT_EQ(read.damaged_through, LogIndex(3));
    EXPECT_EQ(read.damaged_entry->id, read.damaged_id);
    EXPECT_EQ(read.damaged_entry->checksum, checksum(as_bytes(payload)));
    EXPECT_EQ(read.damaged_entry->kind, raft::EntryKind::command);
    EXPECT_EQ(read.damaged_bytes, 5000U);
    EXPECT_EQ(h.read(1, 4, 5).size(), 2U) << "what lies behind it is whole";
}

// Rot while the log runs, in what says where a batch's entries are: the next batch knows it too.
TEST(LogDamage, entries_of_a_batch_without_its_header_or_directory_are_read_by_the_copy_in_the_next) {
    for (const bool unreadable : {false, true}) {
        for (const bool header : {true, false}) {
            LogHarness h;
            h.options.segment_bytes = 64 * kib;
            h.options.window_bytes = 128 * kib;
            h.start();
            h.create(1);
            for (std::uint64_t i = 2; i <= 60; i++) {
                h.append(1, 1, i, std::string(5000, static_cast<char>('A' + i)),
                         i % 7 == 0 ? raft::EntryKind::noop : raft::EntryKind::command);
                h.settle();
            }
            ASSERT_GT(h.log->first_in_memory(RangeId(1)), LogIndex(30));
            // Every second batch of two blocks: some have their copy in the next segment.
            std::size_t spoiled = 0;
            for (auto& [name, file] : h.disk.files) {
                for (std::size_t at = 0; at + 2 * limits::block_bytes <= file->durable.size(); at += limits::block_bytes) {
                    log::BatchHeader found;
                    const log::SegmentIdentity identity{77, 0, std::stoull(name.substr(name.size() - 16), nullptr, 16)};
                    if (log::read_header(Bytes(file->durable).subspan(at, limits::block_bytes), identity, at,
                                         file->durable.size(), found) != log::HeaderState::valid ||
                        found.sequence % 2 != 0 || found.payload_bytes == 0) {
                        continue;
                    }
                    const std::size_t block = (header ? 0 : found.directory_offset()) / limits::block_bytes;
                    if (unreadable) {
                        h.disk.unreadable.insert({name, (at / limits::block_bytes) + block});
                    } else {
                        file->durable[at + (header ? 70 : found.directory_offset() + 40)] ^= std::byte{4};
                    }
                    spoiled++;
                }
            }
            ASSERT_GT(spoiled, 20U);
            bool damaged = false;
            std::size_t read = 0;
            for (std::uint64_t i = 2; i <= 30; i++) {
                const auto found = h.read(1, i, i, 1 * mib, &damaged);
                if (!unreadable) {
                    ASSERT_EQ(found.size(), 1U) << i << " " << header;
                    EXPECT_EQ(found[0], std::string(5000, static_cast<char>('A' + i)));
                } else if (found.empty()) {
                    // The block holds a part of the payload as well: at least it has a name.
                    shard::EntryRead named;
                    named.callback = [](shard::EntryRead&) {};
                    h.log->read(RangeId(1), LogIndex(i), LogIndex(i), 1 * mib, named);
                    while (named.in_flight) {
                        h.turn();
                    }
                    ASSERT_TRUE(named.damaged && named.damaged_entry.has_value()) << i << " " << header;
                    EXPECT_EQ(named.damaged_entry->id, (raft::EntryId{Term(1), LogIndex(i)}));
                    EXPECT_EQ(named.damaged_entry->kind,
                              i % 7 == 0 ? raft::EntryKind::noop : raft::EntryKind::command);
                }
                read += found.size();
            }
            EXPECT_GT(read, 10U);
        }
    }
}

// Batches are read many at once; one that cannot be read takes no other with it.
TEST(LogDamage, an_unreadable_block_costs_no_entry_but_its_own) {
    for (std::uint64_t lost = 4; lost <= 20; lost += 4) {
        LogHarness h;
        h.options.segment_bytes = 128 * kib;
        h.options.window_bytes = 128 * kib;
        h.start();
        h.create(1);
        for (std::uint64_t i = 2; i <= 60; i++) {
            h.append(1, 1, i, std::string(5000, static_cast<char>('A' + i)));
            h.settle();
        }
        ASSERT_GT(h.log->first_in_memory(RangeId(1)), LogIndex(22));
        const std::string payload(5000, static_cast<char>('A' + lost));
        const auto [name, begin] = place_on_disk(h, payload);
        h.disk.unreadable.insert({name, (begin + payload.size() - 1) / limits::block_bytes});
        bool damaged = false;
        const auto before = h.read(1, 2, 22, 1 * mib, &damaged);
        EXPECT_TRUE(damaged);
        ASSERT_EQ(before.size(), lost - 2);
        const auto behind = h.read(1, lost + 1, 22, 1 * mib, &damaged);
        EXPECT_FALSE(damaged);
        ASSERT_EQ(behind.size(), 22 - lost);
        for (std::uint64_t i = 2; i <= 22; i++) {
            if (i != lost) {
                EXPECT_EQ(i < lost ? before[i - 2] : behind[i - lost - 1], std::string(5000, static_cast<char>('A' + i)));
            }
        }
    }
}

// Rot while the log runs, of a batch and of what the next one knows of it.
TEST(LogDamage, entries_of_a_batch_whose_directory_is_lost_twice_are_named_by_id_as_far_as_they_were_asked_for) {
    LogHarness h;
    h.options.segment_bytes = 64 * kib;
    h.options.window_bytes = 128 * kib;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 100; i += 3) {
        for (std::uint64_t in_batch = i; in_batch < i + 3; in_batch++) {
            h.append(1, 1, in_batch, std::string(2000, 'x'));
        }
        h.settle();
    }
    ASSERT_GT(h.log->first_in_memory(RangeId(1)), LogIndex(20));
    for (const auto& [name, file] : h.disk.files) {
        for (std::size_t block = 0; block * limits::block_bytes < file->durable.size(); block++) {
            h.disk.unreadable.insert({name, block});
        }
    }
    for (const std::uint64_t last : {6u, 20u}) {
        shard::EntryRead read;
        read.callback = [](shard::EntryRead&) {};
        h.log->read(RangeId(1), LogIndex(6), LogIndex(last), 1 * mib, read);
        while (read.in_flight) {
            h.turn();
        }
        EXPECT_TRUE(read.damaged);
        EXPECT_TRUE(read.entries.empty());
        EXPECT_FALSE(read.damaged_entry.has_value());
        EXPECT_EQ(read.damaged_id, (raft::EntryId{Term(1), LogIndex(6)}));
        EXPECT_EQ(read.damaged_through, LogIndex(std::min<std::uint64_t>(last, 7)));
    }
}

// A repair of the file system, or a copy cut short: the end of a segment is gone, and its successor tells what lay there.
TEST(LogDamage, entries_beyond_the_end_of_a_shortened_segment_are_damaged_and_all_others_are_read) {
    LogHarness h;
    h.options.segment_bytes = 64 * kib;
    h.options.window_bytes = 128 * kib;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 61; i += 3) {
        for (std::uint64_t in_batch = i; in_batch < i + 3; in_batch++) {
            h.append(1, 1, in_batch, std::string(4000, 'x'));
        }
        h.settle();
    }
    const Image image = h.disk.image();
    Recovered whole(image);
    log::BatchPlace last{};   // of the first segment
    for (const log::JudgedBatch& batch : whole.judgement.batches) {
        if (batch.place.segment == whole.judgement.batches.front().place.segment) {
            last = batch.place;
        }
    }
    ASSERT_GE(last.bytes, 4 * limits::block_bytes);
    std::size_t lost = 0;
    for (std::uint64_t left = 0; left < last.bytes; left += limits::block_bytes) {
        Image shortened = image;
        shortened.begin()->second.resize(last.offset + left);
        h.restart_from(shortened);
        ASSERT_TRUE(h.recovered) << h.failure;
        const shard::RecoveredReplica& found = h.replica(1)->replica;
        ASSERT_FALSE(found.promises_in_doubt);
        ASSERT_EQ(found.entries.size(), 60U);
        EXPECT_FALSE(found.damaged.empty()) << left;
        std::uint64_t first_lost = 62;
        for (std::uint64_t i = 2; i <= 61; i++) {
            bool damaged = false;
            const auto texts = h.read(1, i, i, 1, &damaged);
            EXPECT_EQ(texts.size(), damaged ? 0U : 1U);
            if (damaged) {
                EXPECT_EQ(std::ranges::count(found.damaged, LogIndex(i)), 1) << left << " index " << i;
                first_lost = std::min(first_lost, i);
                lost++;
            }
        }
        bool damaged = false;   // in one read, with what lies before
        EXPECT_EQ(h.read(1, 2, 61, 1 * mib, &damaged).size(), first_lost - 2) << left;
        EXPECT_EQ(damaged, first_lost < 62);
    }
    EXPECT_GE(lost, 3U);
}

// An entry without a payload has the place of the next one's, and none of its damage.
TEST(LogDamage, an_empty_entry_is_never_damaged) {
    LogHarness h;
    h.start();
    h.create(1);
    h.append(1, 1, 2, "");
    h.append(1, 1, 3, std::string(500, 'Q'));
    h.settle();
    h.wait(20ms);
    h.settle();
    Image image = h.disk.image();
    for (auto& [name, content] : image) {
        const auto at = std::search_n(content.begin(), content.end(), 500, std::byte{'Q'});
        if (at != content.end()) {
            *at = std::byte{'q'};
        }
    }
    h.restart_from(image);
    EXPECT_EQ(h.replica(1)->replica.damaged, std::vector<LogIndex>{LogIndex(3)});
}

}  // namespace
}  // namespace ringfort::test
