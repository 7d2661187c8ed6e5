// How long nothing is acknowledged when the leader goes, twenty times over: the promises for a killed, a paused and a
// cut-off leader, with the default election timeout of a second.
#include "scenario.h"

namespace ringfort::sim {
namespace {

constexpr int rounds = 20;

RunOptions gap_options() {
    RunOptions out = scenario_options();
    out.workload.clients = 4;
    out.workload.think = 20ms;   // a write of some client each few milliseconds
    return out;
}

// The gap each time, shortest first. `go` takes the leader away, and `come` brings it back after `away`.
template <class Go, class Come>
std::vector<Duration> gaps(Scenario& s, Duration away, Go go, Come come) {
    std::vector<Duration> out;
    for (int round = 0; round < rounds; round++) {
        EXPECT_TRUE(s.run_until(10s, "nobody leads", [&] { return s.leader() < s.nodes(); }));
        const std::size_t leader = s.leader();
        const Instant gone = s.simulation.now();
        go(leader);
        EXPECT_TRUE(s.simulation.run_for(away)) << s.simulation.problem();
        EXPECT_NE(s.leader(), leader) << "round " << round;
        out.push_back(s.longest_gap(gone));
        come(leader);
        // Not always at the same moment between two beats.
        EXPECT_TRUE(s.simulation.run_for(2s + round * 7ms)) << s.simulation.problem();
    }
    std::sort(out.begin(), out.end());
    return out;
}

void expect_within_the_promise(const std::vector<Duration>& sorted) {
    EXPECT_LE(sorted[rounds / 2], 1500ms) << "the median of twenty";
    EXPECT_LE(sorted.back(), 2500ms) << "the worst of twenty";
}

}  // namespace

TEST(Gaps, of_twenty_killed_leaders_none_takes_more_than_300_ms) {
    Scenario s(gap_options());
    ASSERT_TRUE(s.form());
    const auto found = gaps(s, 1s, [&](std::size_t leader) { s.node(leader).kill(); },
                            [&](std::size_t leader) { s.node(leader).start(); });
    EXPECT_LE(found.back(), 300ms);
    s.expect_good_end();
}

TEST(Gaps, of_twenty_paused_leaders_half_take_one_and_a_half_election_timeouts_at_most_and_none_more_than_two_and_a_half) {
    Scenario s(gap_options());
    ASSERT_TRUE(s.form());
    expect_within_the_promise(gaps(s, 4s, [&](std::size_t leader) { s.node(leader).pause(); },
                                   [&](std::size_t leader) { s.node(leader).resume(); }));
    s.expect_good_end();
}

TEST(Gaps, of_twenty_leaders_cut_off_half_take_one_and_a_half_election_timeouts_at_most_and_none_more_than_two_and_a_half) {
    Scenario s(gap_options());
    ASSERT_TRUE(s.form());
    const auto others = [&](std::size_t leader, auto act) {
        for (std::size_t i = 0; i < s.nodes(); i++) {
            if (i != leader) {
                act(s.node(leader).host(), s.node(i).host());
                act(s.node(i).host(), s.node(leader).host());
            }
        }
    };
    SimNetwork& network = s.cluster().network();
    expect_within_the_promise(
        gaps(s, 4s, [&](std::size_t leader) { others(leader, [&](HostId a, HostId b) { network.block(a, b); }); },
             [&](std::size_t leader) { others(leader, [&](HostId a, HostId b) { network.unblock(a, b); }); }));
    s.expect_good_end();
}

}  // namespace ringfort::sim
