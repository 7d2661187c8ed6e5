#include "sim/checkers/media_log.h"

#include <gtest/gtest.h>

#include <functional>

#include "log_on_disk.h"

namespace ringfort::sim {

using MediaLogTest = LogOnDisk;

TEST_F(MediaLogTest, a_batch_counts_from_when_it_is_durable_and_all_before_it) {
    const BatchBuilder first = begun();
    BatchBuilder plain = first.next();
    entries(plain, 1, 2, "a");
    ASSERT_EQ(write(plain, env::Durability::none), "");
    EXPECT_EQ(judge_->poll(), "");
    EXPECT_EQ(judge_->durable(), 1u) << "it has not arrived";
    settle();
    BatchBuilder durable = plain.next();
    entries(durable, 1, 3, "b");
    ASSERT_EQ(write_durably(durable), "");
    EXPECT_EQ(judge_->durable(), 1u) << "the one before it may still be lost";
    EXPECT_NE(entries_->on_commit(judged_range, {Term(1), LogIndex(2)}), "");
    env::DiskOperation sync([](env::DiskOperation&) {}, nullptr);
    disk_->sync(sync, file_);
    settle();
    EXPECT_EQ(judge_->poll(), "");
    EXPECT_EQ(judge_->durable(), 3u);
    EXPECT_EQ(entries_->on_commit(judged_range, {Term(1), LogIndex(3)}), "");
    EXPECT_EQ(judge_->find(judged_range)->last(), (raft::EntryId{Term(1), LogIndex(3)}));
}

TEST_F(MediaLogTest, takes_a_start_that_counts_what_is_durable_and_states_what_the_log_says) {
    const BatchBuilder first = begun();
    BatchBuilder second = first.next();
    promises(second, 2, 9);
    entries(second, 2, 2, "a");
    ASSERT_EQ(write_durably(second), "");
    BatchBuilder again = opening(second);
    state(again, {.term = 2, .vote = 9}, 2, 2);
    EXPECT_EQ(write_durably(again), "");
    EXPECT_EQ(judge_->durable(), 3u);
}

TEST_F(MediaLogTest, flags_a_start_that_counts_what_is_not_durable) {
    const BatchBuilder first = begun();
    const BatchBuilder second = with_entry(first, env::Durability::none);
    BatchBuilder again = opening(second);
    state(again, {.term = 1}, 1, 2);
    EXPECT_NE(write_durably(again), "");
}

TEST_F(MediaLogTest, takes_a_start_that_counts_a_batch_of_which_only_the_rest_is_missing) {
    const BatchBuilder first = begun();
    const BatchBuilder second = with_entry(first, env::Durability::none);
    DiskFile& file = *media_.file(segment);
    const std::vector<std::byte> older(sector_bytes, std::byte{1});
    const std::uint64_t end = second.header.offset + second.header.bytes;
    file.write_durable(end - sector_bytes, DiskContent(older));
    EXPECT_EQ(judge_->poll(), "");
    EXPECT_EQ(judge_->durable(), 1u);
    file.sync(UINT64_MAX);
    BatchBuilder again = opening(second);
    state(again, {.term = 1}, 1, 2);
    EXPECT_EQ(write_durably(again), "");
}

TEST_F(MediaLogTest, takes_a_start_that_cuts_what_was_not_durable_and_flags_one_that_cuts_more) {
    const BatchBuilder first = begun();
    const BatchBuilder second = with_entry(first, env::Durability::none);
    number_--;
    BatchBuilder again = opening(first);
    again.header.offset = second.header.offset + second.header.bytes;
    state(again, {.term = 1}, 1, 1);
    EXPECT_EQ(write_durably(again), "");
    BatchBuilder third = again.next();
    entries(third, 1, 2, "b");
    ASSERT_EQ(write_durably(third), "");
    BatchBuilder worse = opening(again);
    worse.header.epoch++;
    worse.header.offset = third.header.offset + third.header.bytes;
    EXPECT_NE(write_durably(worse), "");
}

TEST_F(MediaLogTest, takes_an_epoch_that_is_opened_again_because_its_opening_was_lost) {
    const BatchBuilder first = begun();
    BatchBuilder lost = opening(first);
    state(lost, {.term = 1}, 1, 1);
    ASSERT_EQ(write(lost, env::Durability::none), "");
    settle();
    BatchBuilder again = opening(first);
    again.header.offset = lost.header.offset + lost.header.bytes;
    state(again, {.term = 1}, 1, 1);
    EXPECT_EQ(write_durably(again), "");
    BatchBuilder third = opening(again);
    state(third, {.term = 1}, 1, 1);
    EXPECT_EQ(write_durably(third), "") << "the lost one is taken for one that counts";
}

TEST_F(MediaLogTest, flags_a_start_that_states_other_than_the_log_says) {
    struct Case {
        log::HardStateBody body;
        std::uint64_t term, index;
    };
    for (const Case& c : {Case{{.term = 2, .vote = 9}, 1, 1}, Case{{.term = 1}, 2, 2}, Case{{.term = 2, .vote = 8}, 2, 2},
                          Case{{.term = 2, .vote = 9, .in_doubt = log::doubt_found}, 2, 2}}) {
        begin_anew();
        const BatchBuilder first = begun();
        BatchBuilder second = first.next();
        promises(second, 2, 9);
        entries(second, 2, 2, "a");
        ASSERT_EQ(write_durably(second), "");
        BatchBuilder again = opening(second);
        state(again, c.body, c.term, c.index);
        EXPECT_NE(write_durably(again), "");
    }
}

TEST_F(MediaLogTest, flags_a_committed_entry_that_leaves_the_log) {
    const BatchBuilder first = begun();
    BatchBuilder second = first.next();
    entries(second, 1, 2, "a");
    entries(second, 1, 3, "b");
    ASSERT_EQ(write_durably(second), "");
    ASSERT_EQ(entries_->on_commit(judged_range, {Term(1), LogIndex(2)}), "");
    BatchBuilder third = second.next();
    truncate(third, 3);
    EXPECT_EQ(write_durably(third), "") << "not committed";
    BatchBuilder fourth = third.next();
    truncate(fourth, 2);
    EXPECT_NE(write_durably(fourth), "");
}

TEST_F(MediaLogTest, a_checkpoint_takes_committed_entries_only_and_a_snapshot_drops_none) {
    const BatchBuilder first = begun();
    BatchBuilder second = first.next();
    for (const std::uint64_t index : {2u, 3u, 4u}) {
        entries(second, 1, index, "a");
    }
    ASSERT_EQ(write_durably(second), "");
    ASSERT_EQ(entries_->on_commit(judged_range, {Term(1), LogIndex(3)}), "");
    BatchBuilder third = second.next();
    third.directory.checkpoint(BatchBuilder::head(RecordType::checkpoint, judged_range.value, ++number_),
                               checkpoint(1, 2, "shard-0/checkpoint-1"));
    EXPECT_EQ(write_durably(third), "");
    EXPECT_EQ(judge_->find(judged_range)->entries.size(), 2u);
    BatchBuilder fourth = third.next();
    fourth.directory.checkpoint(BatchBuilder::head(RecordType::checkpoint, judged_range.value, ++number_),
                                checkpoint(1, 4, "shard-0/checkpoint-2"));
    EXPECT_NE(write_durably(fourth), "") << "not committed";
    BatchBuilder fifth = fourth.next();
    entries(fifth, 1, 5, "b");
    ASSERT_EQ(write_durably(fifth), "");
    ASSERT_EQ(entries_->on_commit(judged_range, {Term(1), LogIndex(5)}), "");
    BatchBuilder sixth = fifth.next();
    sixth.directory.checkpoint(BatchBuilder::head(RecordType::snapshot_installed, judged_range.value, ++number_),
                               checkpoint(1, 4, "shard-0/checkpoint-3"));
    EXPECT_NE(write_durably(sixth), "") << "it drops what was committed behind it";
}

TEST_F(MediaLogTest, flags_a_checkpoint_and_a_truncation_that_contradict_the_log) {
    const BatchBuilder first = begun();
    BatchBuilder second = first.next();
    entries(second, 2, 2, "a");
    ASSERT_EQ(write_durably(second), "");
    BatchBuilder third = second.next();
    third.directory.checkpoint(BatchBuilder::head(RecordType::checkpoint, judged_range.value, ++number_),
                               checkpoint(1, 2, "shard-0/checkpoint-1"));
    EXPECT_PRED2(says, write_durably(third), "a checkpoint stands for 1/2, the log has term 2");
    BatchBuilder fourth = third.next();
    truncate(fourth, 1);
    EXPECT_PRED2(says, write_durably(fourth), "entries from 1 on are void, and a checkpoint stands for 1/1");
}

TEST_F(MediaLogTest, flags_a_copy_of_an_entry_that_is_another) {
    const BatchBuilder first = begun();
    const BatchBuilder second = with_entry(first);
    const auto copy = [&](BatchBuilder& batch, std::string_view payload) {
        batch.directory.begin_entries(BatchBuilder::head(RecordType::copies, judged_range.value, number_), 2, 1);
        batch.entry(payload);
    };
    BatchBuilder third = second.next();
    copy(third, "a");
    EXPECT_EQ(write_durably(third), "");
    BatchBuilder fourth = third.next();
    copy(fourth, "b");
    EXPECT_PRED2(says, write_durably(fourth), "the copy of entry 2 is another");
}

TEST_F(MediaLogTest, flags_a_directory_that_cannot_be_read) {
    const BatchBuilder first = begun();
    BatchBuilder second = first.next();
    second.directory.assign(std::vector<std::byte>(log::record_header_bytes, std::byte{0xff}));
    EXPECT_PRED2(says, write_durably(second), "the directory of batch 2 cannot be read");
}

TEST_F(MediaLogTest, flags_an_epoch_without_an_opening) {
    const BatchBuilder first = begun();
    BatchBuilder again = opening(first);
    again.header.flags = log::flag_opening;
    state(again, {.term = 1}, 1, 1);
    EXPECT_PRED2(says, write(again), "epoch 2 begins without an opening");
}

TEST_F(MediaLogTest, flags_a_start_that_knows_of_no_replica_where_one_was_durable) {
    const BatchBuilder first = begun();
    BatchBuilder again = opening(first);
    EXPECT_PRED2(says, write_durably(again), "a start found no replica where one was durable");
}

// What may have been lost with it is not missed.
TEST_F(MediaLogTest, believes_the_start_after_a_disk_was_harmed_misread_or_lied) {
    const auto misread = [&] {
        media_.profile().read_error_per_million = 1'000'000;
        AlignedBuffer& memory = buffers_.emplace_back(limits::block_bytes);
        operations_.emplace_back([](env::DiskOperation&) {}, nullptr);
        disk_->read(operations_.back(), file_, 0, memory.span());
        settle();
        media_.profile().read_error_per_million = 0;
    };
    const std::function<void()> cases[] = {[&] { media_.set_lying(true); },
                                           [&] {
                                               media_.set_lying(false);
                                               ASSERT_TRUE(media_.sound());
                                               misread();
                                           },
                                           [&] { media_.file(segment)->flip_bit(0); }};
    for (const auto& spoil : cases) {
        begin_anew();
        const BatchBuilder first = begun();
        BatchBuilder second = first.next();
        promises(second, 2, 9);
        entries(second, 2, 2, "a");
        ASSERT_EQ(write_durably(second), "");
        spoil();
        BatchBuilder shorter = opening(second);
        state(shorter, {.term = 2, .vote = 9}, 1, 1);
        EXPECT_EQ(write_durably(shorter), "");
        EXPECT_EQ(judge_->find(judged_range)->last(), (raft::EntryId{Term(1), LogIndex(1)}));
        BatchBuilder broken = opening(shorter);
        state(broken, {.term = 2, .vote = 8}, 1, 1);
        EXPECT_PRED2(says, write_durably(broken), "two votes in term 2") << "no harm is an excuse for that";
        BatchBuilder none = opening(broken);
        EXPECT_EQ(write_durably(none), "");
        EXPECT_EQ(judge_->find(judged_range), nullptr);
    }
}

// An older copy of the disk has them.
TEST_F(MediaLogTest, entries_that_only_a_start_knows_may_be_truncated_and_covered) {
    for (const bool truncates : {true, false}) {
        begin_anew();
        const BatchBuilder first = begun();
        for (const std::uint64_t index : {2u, 3u, 4u}) {
            const StoredEntry entry{{Term(2), LogIndex(index)}, 7, Term(index == 2 ? 1 : 2)};
            ASSERT_EQ(entries_->on_durable(0, judged_range, entry, true), "");
        }
        ASSERT_EQ(entries_->on_commit(judged_range, {Term(2), LogIndex(2)}), "");
        media_.file(segment)->flip_bit(0);
        BatchBuilder again = opening(first);
        state(again, {.term = 2}, 2, 4);
        ASSERT_EQ(write_durably(again), "");
        EXPECT_EQ(judge_->find(judged_range)->last(), (raft::EntryId{Term(2), LogIndex(4)}));
        BatchBuilder third = again.next();
        if (truncates) {
            truncate(third, 4);
            entries(third, 3, 4, "another");
        } else {
            third.directory.checkpoint(BatchBuilder::head(RecordType::checkpoint, judged_range.value, ++number_),
                                       checkpoint(2, 2, "shard-0/checkpoint-1"));
            entries(third, 3, 5, "the next");
        }
        EXPECT_EQ(write_durably(third), "");
        EXPECT_EQ(judge_->find(judged_range)->last(), (raft::EntryId{Term(3), LogIndex(truncates ? 4 : 5)}));
        BatchBuilder fourth = third.next();
        truncate(fourth, truncates ? 1 : 2);
        EXPECT_PRED2(says, write_durably(fourth), "are void, and a checkpoint stands for");
    }
}

TEST_F(MediaLogTest, flags_entries_with_a_hole_and_promises_that_are_broken) {
    const BatchBuilder first = begun();
    BatchBuilder second = first.next();
    entries(second, 1, 3, "a");
    EXPECT_NE(write_durably(second), "");
    BatchBuilder third = second.next();
    promises(third, 2, 9);
    EXPECT_EQ(write_durably(third), "");
    BatchBuilder fourth = third.next();
    promises(fourth, 2, 8);
    EXPECT_NE(write_durably(fourth), "");
}

// The judged node is the first of three, and in doubt.
class FencedLog : public LogOnDisk {
  protected:
    void SetUp() override {
        entries_.emplace(3);
        const BatchBuilder first = begun();
        batch = first.next();
        batch.directory.hard_state(BatchBuilder::head(RecordType::hard_state, judged_range.value, ++number_),
                                   {.term = 2, .vote = 9, .in_doubt = log::doubt_until_fence});
    }
    // What the judged log has there lies on another disk, too.
    void also_on(std::size_t node, std::uint64_t index) {
        const MediaLog::Replica& replica = *judge_->find(judged_range);
        const auto term = [&](std::uint64_t at) { return replica.term_at(LogIndex(at)).value(); };
        const std::uint64_t checksum = replica.entries[index - 2].checksum.value();
        const StoredEntry entry{{term(index), LogIndex(index)}, checksum, term(index - 1)};
        EXPECT_EQ(entries_->on_durable(node, judged_range, entry, true), "");
    }
    BatchBuilder batch;
};

TEST_F(FencedLog, counts_from_the_first_fence_on) {
    entries(batch, 2, 2, "a");
    fence(batch, 2, 3);
    entries(batch, 2, 4, "b");
    fence(batch, 2, 5);
    ASSERT_EQ(write_durably(batch), "");
    for (const std::uint64_t index : {2u, 3u}) {
        also_on(1, index);
        also_on(2, index);
    }
    also_on(1, 4);
    EXPECT_EQ(entries_->on_commit(judged_range, {Term(2), LogIndex(4)}), "");
}

TEST_F(FencedLog, does_not_count_behind_a_fence_that_was_truncated) {
    fence(batch, 2, 2);
    ASSERT_EQ(write_durably(batch), "");
    BatchBuilder next = batch.next();
    truncate(next, 2);
    entries(next, 3, 2, "a");
    entries(next, 3, 3, "b");
    ASSERT_EQ(write_durably(next), "");
    also_on(1, 2);
    also_on(2, 2);
    also_on(1, 3);
    EXPECT_PRED2(says, entries_->on_commit(judged_range, {Term(3), LogIndex(3)}), "never durable on more than 1");
    BatchBuilder last = next.next();
    fence(last, 3, 4);
    ASSERT_EQ(write_durably(last), "");
    also_on(2, 3);
    also_on(1, 4);
    also_on(2, 4);
    EXPECT_EQ(entries_->on_commit(judged_range, {Term(3), LogIndex(4)}), "");
}

}  // namespace ringfort::sim
