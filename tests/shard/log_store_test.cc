#include "shard/log_store.h"

#include <gtest/gtest.h>

#include <array>

#include "log_harness.h"
#include "log/dump.h"

namespace ringfort::test {
namespace {

TEST(LogStore, fresh_directory_is_reported_as_such_and_becomes_a_log) {
    LogHarness h;
    h.start();
    ASSERT_TRUE(h.recovered);
    EXPECT_TRUE(h.fresh);
    EXPECT_TRUE(h.found.empty());
    h.crash_and_start();
    EXPECT_FALSE(h.fresh);
}

TEST(LogStore, what_was_durable_is_found_again_after_a_power_cut) {
    LogHarness h;
    h.start();
    h.create(5);
    h.append(5, 1, 2, "hello");
    h.append(5, 1, 3, "world");
    h.vote(5, 4, 2);
    const auto batch = h.log->open_batch();
    h.settle();
    EXPECT_EQ(h.durable, batch);
    EXPECT_EQ(h.in_memory(5, 2), "hello");
    EXPECT_EQ(h.in_memory(5, 3), "world");
    EXPECT_EQ(h.in_memory(5, 4), "(none)");

    h.crash_and_start();
    ASSERT_EQ(h.found.size(), 1U);
    const auto& replica = h.replica(5)->replica;
    EXPECT_EQ(replica.hard_state.term, Term(4));
    EXPECT_EQ(replica.hard_state.vote, NodeId(2));
    EXPECT_FALSE(replica.promises_in_doubt);
    ASSERT_TRUE(replica.checkpoint);
    EXPECT_EQ(replica.checkpoint->applied.index, LogIndex(1));
    EXPECT_EQ(replica.checkpoint->configuration.voters.size(), 3U);
    ASSERT_EQ(replica.entries.size(), 2U);
    EXPECT_EQ(replica.entries[1].id, (raft::EntryId{Term(1), LogIndex(3)}));
    EXPECT_EQ(replica.entries[1].checksum, checksum(as_bytes("world")));
    EXPECT_EQ(h.read(5, 2, 3), (std::vector<std::string>{"hello", "world"}));
    EXPECT_EQ(h.log->bytes_since_checkpoint(RangeId(5)), 10U);
}

TEST(LogStore, entries_in_memory_are_found_together_as_far_as_one_record_goes) {
    LogHarness h;
    h.start();
    h.create(5);
    std::array<raft::Entry, 8> found;
    const auto find = [&](std::uint64_t first, std::size_t most) {
        return h.log->find(RangeId(5), LogIndex(first), {found.data(), most});
    };
    EXPECT_EQ(find(2, 8), 0U);
    for (std::uint64_t index = 2; index <= 6; index++) {
        h.append(5, 1, index, "entry " + std::to_string(index));
    }
    EXPECT_EQ(find(2, 8), 5U);   // in the open batch
    h.settle();
    h.append(5, 2, 7, "entry 7");
    EXPECT_EQ(find(7, 8), 1U);
    EXPECT_EQ(find(8, 8), 0U);
    EXPECT_EQ(find(2, 3), 3U);
    EXPECT_EQ(find(4, 8), 3U);
    for (std::uint64_t i = 0; i < 3; i++) {
        EXPECT_EQ(found[i].id, (raft::EntryId{Term(1), LogIndex(4 + i)}));
        EXPECT_EQ(as_text(found[i].payload), "entry " + std::to_string(4 + i));
        EXPECT_EQ(found[i].checksum, checksum(found[i].payload));
    }
    EXPECT_EQ(h.log->find(RangeId(6), LogIndex(2), found), 0U);
}

TEST(LogStore, what_was_not_durable_is_cut_and_not_read_again_after_the_next_crash) {
    LogHarness h;
    h.disk.recipe = env::Durability::none;
    h.start();
    h.create(1);
    h.append(1, 1, 2, "kept");
    h.settle();
    h.disk.manual = true;
    h.append(1, 1, 3, "lost");
    h.log->close_batch(h.clock.at);
    h.crash_and_start();
    ASSERT_EQ(h.replica(1)->replica.entries.size(), 1U);
    h.append(1, 2, 3, "other");
    h.settle();
    h.crash_and_start();
    ASSERT_EQ(h.replica(1)->replica.entries.size(), 2U);
    EXPECT_EQ(h.replica(1)->replica.entries[1].id.term, Term(2));
}

}  // namespace
}  // namespace ringfort::test
