// Writes whose entries another leader's overwrite: of an earlier term than theirs, too (Raft paper, Figure 8).
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
    // The first of the two to lead in a term above `term`; nothing it said as a leader has arrived.
    std::size_t elected_of(std::size_t a, std::size_t b, Term term) {
        const auto leads = [&](std::size_t i) { return s->view(i).role == raft::Role::leader && s->view(i).term > term; };
        for (const Instant end = s->simulation.now() + 10s; s->simulation.now() < end; s->simulation.run_for(10us)) {
            if (leads(a) || leads(b)) {
                return leads(a) ? a : b;
            }
        }
        return s->nodes();
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
    // More than one append carries.
    const std::string large(100 * kib, 'x');
    for (int i = 0; i < 20; i++) {
        clients[first]->ask(++id, api::PutRequest{.key = key, .value = large}, 60s);
    }
    const std::size_t second = elected_of((first + 1) % 3, (first + 2) % 3, first_term);
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

}  // namespace
}  // namespace ringfort::sim
