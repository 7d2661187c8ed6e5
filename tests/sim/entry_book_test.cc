#include "sim/checkers/entry_book.h"

#include <gtest/gtest.h>

namespace ringfort::sim {

namespace {

constexpr RangeId booked(1);

raft::EntryId id(std::uint64_t term, std::uint64_t index) { return {Term(term), LogIndex(index)}; }
StoredEntry entry(std::uint64_t term, std::uint64_t index, std::uint64_t before, std::uint64_t checksum = 7) {
    return {id(term, index), checksum, Term(before)};
}

// Three nodes; the range is founded at 1/1, and 2/2 and 2/3 are committed.
EntryBook two_committed() {
    EntryBook book(3);
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    for (const std::size_t node : {0u, 1u}) {
        EXPECT_EQ(book.on_durable(node, booked, entry(2, 2, 1), true), "");
        EXPECT_EQ(book.on_durable(node, booked, entry(2, 3, 2), true), "");
    }
    EXPECT_EQ(book.on_commit(booked, id(2, 3)), "");
    return book;
}

}  // namespace

TEST(EntryBook, an_entry_is_committed_when_a_quorum_of_disks_has_it_and_no_earlier) {
    EntryBook book(3);
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    EXPECT_NE(book.on_commit(booked, id(2, 2)), "") << "nobody has it";
    EXPECT_EQ(book.on_durable(0, booked, entry(2, 2, 1), true), "");
    EXPECT_EQ(book.on_durable(0, booked, entry(2, 2, 1), true), "");
    EXPECT_NE(book.on_commit(booked, id(2, 2)), "") << "one has it, told twice";
    EXPECT_EQ(book.on_durable(1, booked, entry(2, 2, 1), false), "");
    EXPECT_NE(book.on_commit(booked, id(2, 2)), "") << "the other does not count";
    EXPECT_EQ(book.on_durable(1, booked, entry(2, 2, 1), true), "");
    EXPECT_EQ(book.on_commit(booked, id(2, 2)), "");
    EXPECT_EQ(book.committed(booked), LogIndex(2));
}

TEST(EntryBook, a_replica_in_doubt_counts_with_what_lies_behind_a_fence_of_its_present_incarnation) {
    EntryBook book(3);
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    // 2/3 is the fence of node 1, which nodes 0 and 2 commit.
    for (const std::uint64_t index : {2u, 3u, 4u}) {
        EXPECT_EQ(book.on_durable(0, booked, entry(2, index, index == 2 ? 1 : 2), true), "");
        EXPECT_EQ(book.on_durable(1, booked, entry(2, index, index == 2 ? 1 : 2), false), "");
    }
    EXPECT_EQ(book.on_durable(2, booked, entry(2, 2, 1), true), "");
    EXPECT_NE(book.on_commit(booked, id(2, 4)), "") << "its log has no fence";
    book.on_fence(1, booked, id(2, 3));
    EXPECT_NE(book.on_commit(booked, id(2, 4)), "") << "the fence is committed with its own help only";
    EXPECT_EQ(book.on_durable(2, booked, entry(2, 3, 2), true), "");
    book.on_fence(1, booked, {});
    EXPECT_NE(book.on_commit(booked, id(2, 4)), "") << "it has begun another incarnation";
    book.on_fence(1, booked, id(2, 3));
    EXPECT_EQ(book.on_commit(booked, id(2, 4)), "");
}

TEST(EntryBook, a_node_that_moved_may_have_anything) {
    EntryBook book(5);
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    for (const std::size_t node : {0u, 3u}) {
        EXPECT_EQ(book.on_durable(node, booked, entry(2, 2, 1), true), "");
    }
    book.on_move(3);
    EXPECT_NE(book.on_commit(booked, id(2, 2)), "") << "it has the entry anyway";
    book.on_move(4);
    EXPECT_EQ(book.on_commit(booked, id(2, 2)), "");
    EXPECT_NE(book.on_commit(booked, id(2, 3)), "") << "no node that stayed has it";
}

TEST(EntryBook, every_entry_before_a_committed_one_needs_the_quorum_too) {
    EntryBook book(3);
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    EXPECT_EQ(book.on_durable(0, booked, entry(2, 2, 1), true), "");
    EXPECT_EQ(book.on_durable(0, booked, entry(2, 3, 2), true), "");
    EXPECT_EQ(book.on_durable(1, booked, entry(2, 3, 2), true), "");
    EXPECT_NE(book.on_commit(booked, id(2, 3)), "");
}

TEST(EntryBook, what_is_committed_is_so_for_everybody_and_for_ever) {
    EntryBook book = two_committed();
    EXPECT_EQ(book.on_commit(booked, id(2, 3)), "");
    EXPECT_EQ(book.on_commit(booked, id(2, 2)), "") << "a node that has heard less";
    EXPECT_NE(book.on_commit(booked, id(3, 3)), "") << "another entry at the index";
    // A later entry whose log has another one where 2/3 is committed.
    for (const std::size_t node : {1u, 2u}) {
        EXPECT_EQ(book.on_durable(node, booked, entry(4, 4, 3), true), "");
    }
    EXPECT_NE(book.on_commit(booked, id(4, 4)), "");
}

TEST(EntryBook, logs_that_agree_in_an_entry_agree_before_it) {
    EntryBook book = two_committed();
    EXPECT_EQ(book.on_durable(2, booked, entry(2, 3, 2), true), "");
    EXPECT_NE(book.on_durable(2, booked, entry(2, 3, 2, 8), true), "") << "another payload, committed";
    EXPECT_NE(book.on_durable(2, booked, entry(2, 3, 1), true), "") << "another entry before it, committed";
    EXPECT_EQ(book.on_durable(0, booked, entry(3, 4, 2), true), "");
    EXPECT_NE(book.on_durable(1, booked, entry(3, 4, 2, 8), true), "") << "another payload, open";
    EXPECT_NE(book.on_durable(1, booked, entry(3, 4, 1), true), "") << "another entry before it, open";
    EXPECT_EQ(book.on_durable(1, booked, entry(4, 4, 2, 8), true), "") << "another term";
    // What lost its index to another stays the same entry.
    EXPECT_EQ(book.on_durable(0, booked, entry(4, 4, 2, 8), true), "");
    EXPECT_EQ(book.on_commit(booked, id(4, 4)), "");
    EXPECT_EQ(book.on_durable(2, booked, entry(3, 4, 2), true), "");
    EXPECT_NE(book.on_durable(2, booked, entry(3, 4, 2, 9), true), "");
}

TEST(EntryBook, what_an_entry_follows_may_be_told_later) {
    EntryBook book = two_committed();
    EXPECT_EQ(book.on_durable(0, booked, entry(3, 4, 0), true), "");
    EXPECT_EQ(book.on_durable(0, booked, entry(3, 5, 0), true), "");
    EXPECT_EQ(book.on_durable(1, booked, entry(3, 5, 3), true), "");
    EXPECT_NE(book.on_durable(2, booked, entry(3, 5, 2), true), "") << "one log has said it";
    EXPECT_NE(book.on_commit(booked, id(3, 5)), "") << "the one before it is durable on one node";
    EXPECT_EQ(book.on_durable(1, booked, entry(3, 4, 0), true), "");
    EXPECT_EQ(book.on_commit(booked, id(3, 5)), "") << "no log says what 3/4 follows";
    EXPECT_EQ(book.on_durable(2, booked, entry(3, 4, 0), true), "");
    EXPECT_NE(book.on_durable(2, booked, entry(3, 4, 1), true), "") << "settled by what was committed";
}

TEST(EntryBook, a_committed_entry_may_leave_a_log_only_into_a_checkpoint) {
    const EntryBook book = two_committed();
    EXPECT_NE(book.on_lost(2, booked, id(2, 3)), "");
    EXPECT_EQ(book.on_lost(2, booked, id(1, 3)), "") << "not the one that is committed";
    EXPECT_EQ(book.on_lost(2, booked, id(2, 4)), "") << "not committed";
    EXPECT_EQ(book.on_covered(booked, id(2, 3)), "");
    EXPECT_NE(book.on_covered(booked, id(1, 3)), "") << "stands for another entry";
    EXPECT_NE(book.on_covered(booked, id(2, 4)), "") << "stands for what is not committed";
}

TEST(EntryBook, a_leader_has_what_was_committed_before_its_term) {
    const EntryBook book = two_committed();
    EXPECT_EQ(book.on_leader(booked, Term(3), Term(2)), "");
    EXPECT_NE(book.on_leader(booked, Term(3), Term(1)), "");
    EXPECT_NE(book.on_leader(booked, Term(3), std::nullopt), "");
    EXPECT_EQ(book.on_leader(booked, Term(1), std::nullopt), "") << "of a term that can commit nothing any more";
}

TEST(EntryBook, a_range_is_founded_once) {
    EntryBook book(3);
    EXPECT_NE(book.on_durable(0, booked, entry(2, 2, 1), true), "") << "never founded";
    EXPECT_NE(book.on_commit(booked, id(2, 2)), "") << "never founded";
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    EXPECT_EQ(book.on_founded(booked, id(1, 1)), "");
    EXPECT_NE(book.on_founded(booked, id(2, 1)), "");
}

}  // namespace ringfort::sim
