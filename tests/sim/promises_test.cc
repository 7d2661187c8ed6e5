#include "sim/checkers/promises.h"

#include <gtest/gtest.h>

namespace ringfort::sim {

namespace {

constexpr RangeId promised(1);

raft::HardState promises(std::uint64_t term, std::uint64_t vote, std::uint64_t incarnation = 1, bool in_doubt = false) {
    return {Term(term), NodeId(vote), LogIndex{}, Incarnation(incarnation), in_doubt};
}

}  // namespace

TEST(PromiseBook, a_node_votes_once_in_a_term_over_all_its_lives) {
    PromiseBook book(3);
    EXPECT_EQ(book.on_durable(0, promised, promises(2, 0)), "");
    EXPECT_EQ(book.on_durable(0, promised, promises(2, 11)), "") << "a vote after the term was known";
    EXPECT_EQ(book.on_durable(0, promised, promises(2, 11)), "");
    EXPECT_EQ(book.on_durable(0, RangeId(2), promises(2, 12)), "") << "another range";
    EXPECT_EQ(book.on_durable(0, promised, promises(3, 12)), "");
    EXPECT_NE(book.on_durable(0, promised, promises(3, 11)), "");
    EXPECT_NE(book.on_durable(0, promised, promises(3, 0)), "") << "a vote forgotten";
}

TEST(PromiseBook, a_term_falls_only_with_a_new_incarnation) {
    PromiseBook book(3);
    EXPECT_EQ(book.on_durable(0, promised, promises(5, 11)), "");
    EXPECT_NE(book.on_durable(0, promised, promises(4, 0)), "");
    EXPECT_EQ(book.on_durable(0, promised, promises(1, 0, 2, true)), "");
    EXPECT_NE(book.on_durable(0, promised, promises(9, 0, 1)), "") << "the old incarnation again";
}

TEST(PromiseBook, who_says_that_promises_were_lost_may_name_an_older_term_and_not_go_on_from_it) {
    PromiseBook book(3);
    EXPECT_EQ(book.on_durable(0, promised, promises(5, 11)), "");
    EXPECT_EQ(book.on_durable(0, promised, promises(3, 0, 1, true)), "");
    EXPECT_NE(book.on_durable(0, promised, promises(4, 0)), "") << "it counts again";
    EXPECT_EQ(book.on_durable(0, promised, promises(4, 0, 2)), "");
}

TEST(PromiseBook, a_node_that_went_back_knows_nothing_of_what_it_promised_since) {
    PromiseBook book(3);
    for (const std::size_t node : {0u, 1u}) {
        EXPECT_EQ(book.on_durable(node, promised, promises(5, 11)), "");
    }
    book.forget(0);
    EXPECT_EQ(book.on_durable(0, promised, promises(4, 12)), "");
    EXPECT_NE(book.on_durable(0, promised, promises(3, 12)), "") << "from there on it holds";
    EXPECT_NE(book.on_durable(1, promised, promises(4, 12)), "") << "another node";
    EXPECT_EQ(book.on_leader(promised, Term(5), NodeId(11)), "") << "its vote was durable";
}

TEST(PromiseBook, a_leader_needs_durable_votes_of_a_quorum_that_counts) {
    PromiseBook book(3);
    EXPECT_NE(book.on_leader(promised, Term(2), NodeId(11)), "");
    EXPECT_EQ(book.on_durable(0, promised, promises(2, 11)), "");
    EXPECT_EQ(book.on_durable(0, promised, promises(2, 11)), "");
    EXPECT_NE(book.on_leader(promised, Term(2), NodeId(11)), "") << "one, told twice";
    EXPECT_EQ(book.on_durable(1, promised, promises(2, 12)), "");
    EXPECT_NE(book.on_leader(promised, Term(2), NodeId(11)), "") << "the other vote is for somebody else";
    EXPECT_EQ(book.on_durable(2, promised, promises(2, 11, 1, true)), "");
    EXPECT_NE(book.on_leader(promised, Term(2), NodeId(11)), "") << "in doubt";
    EXPECT_EQ(book.on_durable(2, promised, promises(2, 11)), "");
    EXPECT_EQ(book.on_leader(promised, Term(2), NodeId(11)), "");
}

TEST(PromiseBook, what_is_committed_in_a_term_has_that_term_on_a_quorum_of_disks) {
    PromiseBook book(3);
    EXPECT_EQ(book.on_durable(0, promised, promises(2, 11)), "");
    EXPECT_EQ(book.on_durable(1, promised, promises(1, 0)), "");
    EXPECT_NE(book.on_commit(promised, Term(2)), "");
    EXPECT_EQ(book.on_durable(1, promised, promises(3, 0)), "");
    EXPECT_EQ(book.on_commit(promised, Term(2)), "");
}

TEST(PromiseBook, a_node_that_moved_may_have_promised_anything) {
    PromiseBook book(5);
    for (const std::size_t node : {0u, 3u}) {
        EXPECT_EQ(book.on_durable(node, promised, promises(2, 11)), "");
    }
    book.on_move(3);
    EXPECT_NE(book.on_leader(promised, Term(2), NodeId(11)), "") << "its vote is known already";
    EXPECT_NE(book.on_commit(promised, Term(2)), "") << "and its term";
    book.on_move(4);
    EXPECT_EQ(book.on_leader(promised, Term(2), NodeId(11)), "");
    EXPECT_EQ(book.on_commit(promised, Term(2)), "");
    EXPECT_NE(book.on_leader(promised, Term(2), NodeId(12)), "") << "two of five";
}

}  // namespace ringfort::sim
