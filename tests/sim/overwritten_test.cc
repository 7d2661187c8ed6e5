// Writes whose entries another leader's overwrite: of an earlier term than theirs, too (Raft paper, Figure 8).
#include <algorithm>
#include <iterator>
#include <vector>

#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

class Overwritten : public QuietCluster {
  protected:
    SimNetwork& network() { return s->cluster().network(); }
    void cut_off(std::size_t node) {
        for (std::size_t other = 0; other < s->nodes(); other++) {
            if (other != node) {
                s->block_both(node, other);
            }
        }
    }
    void join(std::size_t a, std::size_t b) {
        network().unblock(s->node(a).host(), s->node(b).host());
        network().unblock(s->node(b).host(), s->node(a).host());
    }
    // The first of these to lead in a term above `term`; nothing it said as a leader has arrived.
    std::size_t elected_of(const std::vector<std::size_t>& nodes, Term term) {
        const auto leads = [&](std::size_t i) { return s->view(i).role == raft::Role::leader && s->view(i).term > term; };
        for (const Instant end = s->simulation.now() + 10s; s->simulation.now() < end; s->simulation.run_for(10us)) {
            if (const auto at = std::ranges::find_if(nodes, leads); at != nodes.end()) {
                return *at;
            }
        }
        return s->nodes();
    }
    // More than one append carries.
    std::vector<std::uint64_t> put_large(std::size_t node, int count) {
        const std::string large(100 * kib, 'x');
        std::vector<std::uint64_t> asked;
        for (int i = 0; i < count; i++) {
            asked.push_back(++id);
            clients[node]->ask(id, api::PutRequest{.key = key, .value = large}, 60s);
        }
        return asked;
    }
};

// The later of two cut-off leaders rejoins the earlier one, which has won again: entries of a term below its own pending
// writes' overwrite them, and are applied before any entry of a later term is there.
TEST_F(Overwritten, by_entries_of_an_earlier_term_writes_are_answered_when_those_are_applied) {
    RunOptions options = no_load_nor_tails();
    options.invariants_one_in = 1;
    ASSERT_TRUE(begin(options));
    const std::size_t first = s->leader();
    const Term first_term = s->view(first).term;
    cut_off(first);
    put_large(first, 20);
    const std::size_t second = elected_of({(first + 1) % 3, (first + 2) % 3}, first_term);
    ASSERT_LT(second, s->nodes());
    const std::size_t third = 3 - first - second;
    const LogIndex committed = s->view(third).commit;
    cut_off(second);
    const std::uint64_t overwritten = ++id;
    clients[second]->ask(overwritten, api::PutRequest{.key = key, .value = "overwritten"}, 60s);
    s->simulation.run_for(10ms);
    ASSERT_FALSE(answer(second, overwritten).ended);
    ASSERT_EQ(s->view(second).commit, committed);

    join(first, third);
    ASSERT_TRUE(s->run_until(20s, "the first does not lead again", [&] {
        return s->view(first).role == raft::Role::leader && s->view(first).commit > committed;
    }));
    ASSERT_GT(s->view(first).term, s->view(second).term);
    network().unblock_all();
    ASSERT_TRUE(s->run_until(20s, "the second does not catch up",
                             [&] { return s->view(second).applied >= s->view(first).applied; }));
    EXPECT_TRUE(answer(second, overwritten).ended);
    EXPECT_NE(answer(second, overwritten).error, api::Errc::ok);
    good_end();
}

// Pending writes of two terms at the same indices: the follower that held the earlier ones wins, and brings them back.
TEST_F(Overwritten, by_its_own_entries_of_an_earlier_term_writes_are_answered_with_the_last_of_those) {
    RunOptions options = no_load_nor_tails(5);
    options.invariants_one_in = 1;
    ASSERT_TRUE(begin(options));
    const std::size_t a = s->leader();
    const std::size_t b = (a + 1) % 5;
    const std::vector<std::size_t> others{(a + 2) % 5, (a + 3) % 5, (a + 4) % 5};
    const Term first_term = s->view(a).term;
    const LogIndex before = s->view(a).last.index;
    cut_off(a);
    cut_off(b);
    join(a, b);
    const std::vector<std::uint64_t> brought_back = put_large(a, 4);
    ASSERT_TRUE(s->run_until(1s, "nobody else has them", [&] { return s->view(b).last.index.value == before.value + 4; }));
    cut_off(b);

    // Its first entry cuts off all of those, at `a` alone.
    const std::size_t c = elected_of(others, first_term);
    ASSERT_LT(c, s->nodes());
    const Term second_term = s->view(c).term;
    cut_off(c);
    join(a, c);
    ASSERT_TRUE(s->run_until(5s, "they are not cut off", [&] {
        return s->view(a).last == raft::EntryId{second_term, before.next()};
    }));
    cut_off(c);

    // `a` wins with the votes of those that have nothing of all this, and proposes at the same indices.
    std::vector<std::size_t> voters;
    std::ranges::copy_if(others, std::back_inserter(voters), [c](std::size_t i) { return i != c; });
    s->block_both(voters[0], voters[1]);
    join(a, voters[0]);
    join(a, voters[1]);
    ASSERT_EQ(elected_of({a}, second_term), a);
    const Term third_term = s->view(a).term;
    cut_off(a);
    const std::vector<std::uint64_t> overwritten = put_large(a, 2);
    ASSERT_TRUE(s->run_until(500ms, "they are not proposed", [&] {
        return s->view(a).last == raft::EntryId{third_term, LogIndex(before.value + 4)};
    }));

    join(b, voters[0]);
    join(b, voters[1]);
    ASSERT_EQ(elected_of({b}, third_term), b);
    ASSERT_TRUE(s->run_until(5s, "nothing is committed", [&] { return s->view(b).commit.value > before.value + 4; }));
    join(a, b);
    ASSERT_TRUE(s->run_until(20s, "it does not catch up", [&] { return s->view(a).applied >= s->view(b).commit; }));
    for (const std::uint64_t one : brought_back) {
        EXPECT_TRUE(answer(a, one).ended);
        EXPECT_EQ(answer(a, one).error, api::Errc::ok);
    }
    for (const std::uint64_t one : overwritten) {
        EXPECT_TRUE(answer(a, one).ended);
        EXPECT_EQ(answer(a, one).error, api::Errc::no_leader);
    }
    network().unblock_all();
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
