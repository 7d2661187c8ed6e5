// Each kind of trouble by itself: processes that die at certain moments or again and again, stolen time, half-open and
// slow connections, nodes that never come back; a healed majority, bursts, and bounds so small that they are met.
#include "scenario.h"

namespace ringfort::sim {
namespace {

RunOptions only(FaultKind kind, std::size_t nodes = 3) {
    RunOptions out = scenario_options(nodes);
    out.fault_mask = std::uint64_t{1} << static_cast<unsigned>(kind);
    out.fault_interval = 700ms;
    out.repair_max = 2s;
    return out;
}

void expect_good(const RunOptions& options, Duration duration = 6s) {
    RunOptions run = options;
    run.duration = duration;
    const Verdict verdict = simulate(run);
    EXPECT_EQ(verdict.text, "") << describe(verdict);
    EXPECT_GT(verdict.acknowledged, 100u);
    EXPECT_GT(verdict.majority_took, 0ms);
}

class OneKind : public testing::TestWithParam<FaultKind> {};

TEST_P(OneKind, loses_nothing_and_does_not_stop_the_cluster) {
    RunOptions options = only(GetParam());
    options.duration = 6s;
    Simulation run(options);
    ASSERT_TRUE(run.form());
    run.faults().start();
    ASSERT_TRUE(run.run_for(options.duration)) << run.problem();
    EXPECT_GT(run.faults().injected(GetParam()), 3u);
    EXPECT_TRUE(run.heal_majority()) << run.problem();
    EXPECT_TRUE(run.settle()) << run.problem();
    EXPECT_EQ(run.finish().text, "");
}

INSTANTIATE_TEST_SUITE_P(Kinds, OneKind,
                         testing::Values(FaultKind::crash_point, FaultKind::kill_two, FaultKind::rolling_restart,
                                         FaultKind::restart_storm, FaultKind::steal, FaultKind::half_open,
                                         FaultKind::trickle, FaultKind::bridge),
                         [](const auto& kind) {
                             std::string name(to_string(kind.param));
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

}  // namespace

// ------------------------------------------------------------------------------------------- crash points

TEST(CrashPoint, comes_exactly_at_the_nth_event_and_not_without_it) {
    for (const auto event : {CrashPoint::Event::disk, CrashPoint::Event::network}) {
        for (const bool after_turn : {false, true}) {
            Scenario s;
            ASSERT_TRUE(s.form());
            const std::size_t victim = s.leader();
            s.node(victim).crash_at({event, 40, after_turn, false, 0});
            ASSERT_TRUE(s.node(victim).running() && s.node(victim).crash_pending());
            const std::uint64_t turns = s.node(victim).turns();
            ASSERT_TRUE(s.run_until(5s, "the process does not die", [&] { return !s.node(victim).running(); }));
            EXPECT_GT(s.node(victim).turns(), turns) << "forty events are several turns";
            EXPECT_FALSE(s.node(victim).crash_pending());
            ASSERT_TRUE(s.run_until(5s, "its disk stays busy", [&] { return s.node(victim).media().quiet(); }));
            s.node(victim).start();
            s.expect_good_end();
        }
    }
}

TEST(CrashPoint, may_cut_the_power_and_can_be_called_off) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.node(0).crash_at({CrashPoint::Event::disk, 5, false, true, 0});
    ASSERT_TRUE(s.run_until(5s, "the machine keeps its power", [&] { return !s.node(0).powered(); }));
    s.node(1).crash_at({CrashPoint::Event::disk, 5, false, false, 0});
    s.node(1).call_off_crash();
    ASSERT_TRUE(s.simulation.run_for(5s));
    EXPECT_TRUE(s.node(1).running());
    s.expect_good_end();
}

// ------------------------------------------------------------------------------------------- nodes gone for ever

TEST(LostForEver, two_of_five_never_come_back_and_the_rest_goes_on) {
    RunOptions options = only(FaultKind::kill, 5);
    options.nodes_lost = 2;
    options.duration = 4s;
    options.checkpoint_log_bytes = 64 * kib;
    Simulation run(options);
    ASSERT_TRUE(run.form());
    run.faults().start();
    ASSERT_TRUE(run.run_for(options.duration)) << run.problem();
    std::size_t lost = 0;
    for (std::size_t i = 0; i < 5; i++) {
        lost += run.cluster().lost(i) && !run.cluster().node(i).powered() ? 1u : 0u;
    }
    EXPECT_EQ(lost, 2u);
    EXPECT_TRUE(run.heal_majority()) << run.problem();
    EXPECT_TRUE(run.settle()) << run.problem();
    EXPECT_EQ(run.finish().text, "");
    for (std::size_t i = 0; i < 5; i++) {
        EXPECT_NE(run.cluster().node(i).running(), run.cluster().lost(i));
    }
}

// ------------------------------------------------------------------------------------------- a healed majority

TEST(HealedMajority, serves_while_the_rest_stays_off) {
    Scenario s(scenario_options(5));
    ASSERT_TRUE(s.form());
    for (std::size_t i = 0; i < 5; i++) {
        s.node(i).cut_power(500'000);
    }
    EXPECT_TRUE(s.simulation.heal_majority()) << s.simulation.problem();
    std::size_t running = 0;
    for (std::size_t i = 0; i < 5; i++) {
        running += s.node(i).running() ? 1u : 0u;
    }
    EXPECT_EQ(running, 3u);
    s.expect_good_end();
}

// It would lead with one of the healed nodes, and the other one would never hear of anything.
TEST(HealedMajority, is_left_alone_by_a_node_that_some_of_it_cannot_reach) {
    Scenario s;
    ASSERT_TRUE(s.form());
    SimNetwork& network = s.cluster().network();
    for (HostId i = 0; i < 3; i++) {
        for (HostId k = 0; k < 3; k++) {
            if (i != k && (i == 2 || k == 2)) {
                network.block(i, k);
            }
        }
    }
    network.unblock(2, 1);
    network.unblock(1, 2);
    s.simulation.faults().heal_some({true, true, false}, false);
    EXPECT_TRUE(network.blocked(1, 2) && network.blocked(2, 1));
    EXPECT_FALSE(network.blocked(0, 1) || network.blocked(1, 0));
    s.expect_good_end();
}

TEST(HealedMajority, of_nodes_whose_disks_hang_is_found_not_to_serve) {
    Scenario s;
    ASSERT_TRUE(s.form());
    for (std::size_t i = 0; i < 3; i++) {
        s.node(i).media().hang_until(s.simulation.now() + 300s);
    }
    EXPECT_FALSE(s.simulation.heal_majority());
    EXPECT_EQ(s.simulation.finish().kind, VerdictKind::liveness);
    EXPECT_NE(s.simulation.problem().find("no answer in time"), std::string::npos) << s.simulation.problem();
}

// ------------------------------------------------------------------------------------------- load

TEST(Burst, is_borne_when_half_as_much_is_served_as_before_or_half_as_much_done) {
    const Served full{.all = 974, .done = 100};
    EXPECT_TRUE((Served{.all = 487, .done = 0}).as_much_as_half_of(full));
    EXPECT_TRUE((Served{.all = 193, .done = 50}).as_much_as_half_of(full)) << "the store has room again";
    EXPECT_FALSE((Served{.all = 193, .done = 49}).as_much_as_half_of(full));
    EXPECT_FALSE((Served{.all = 0, .done = 0}).as_much_as_half_of({.all = 974, .done = 0}));
}

TEST(Burst, over_capacity_is_borne_and_the_throughput_returns) {
    RunOptions options = scenario_options();
    options.workload.burst_requests = 500;
    options.workload.burst_interval = 3s;
    options.workload.request_timeout = 2s;
    options.disk.sync_latency = 4ms;
    options.bounds.pending_writes = 64;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.simulation.run_for(4s)) << s.simulation.problem();
    EXPECT_GT(s.cluster().history().operations().size(), 6u * 500u);
    s.expect_good_end();
}

TEST(Bulk, thousands_of_keys_are_read_and_deleted_at_once_among_other_work) {
    RunOptions options = scenario_options();
    options.workload.bulk_keys = 2500;
    options.invariants_one_in = 4096;   // they walk whole stores
    options.workload.ranges = 0;
    options.workload.pages = 0;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.simulation.run_for(5s)) << s.simulation.problem();
    std::int64_t most_read = 0;
    std::int64_t most_deleted = 0;
    for (const auto& operation : s.cluster().history().operations()) {
        if (operation.outcome == Outcome::ok && !operation.transaction && operation.results.size() == 1) {
            auto& most = operation.success[0].kind == StepKind::range ? most_read : most_deleted;
            most = std::max(most, operation.results[0].count);
        }
    }
    EXPECT_GT(most_read, 1000);
    EXPECT_GT(most_deleted, 600);
    s.expect_good_end();
}

TEST(TinyBounds, of_every_queue_at_once_delay_and_refuse_and_break_nothing) {
    RunOptions options = scenario_options();
    shard::ShardBounds& bounds = options.bounds;
    bounds = {.connection_requests = 2, .reply_backlog_bytes = 4 * kib, .reply_backlog_reads_bytes = 64 * kib,
              .session_replies_bytes = 512 * kib, .streams = 1, .unopened_streams = 1, .sort_bytes = 4 * kib,
              .round_reads = 2, .round_bytes = 1 * kib, .follower_reads = 1, .follower_read_bytes = 1 * kib, .forwards = 2,
              .forward_bytes = 1 * kib, .link_credit_bytes = {UINT64_MAX, 8 * kib, 4 * kib, 512 * kib},
              .deferred_appends = 4, .incoming_peers = 2, .pending_writes = 2, .physical_compactions = 1,
              .node_jobs = 1};
    options.mailbox_capacity = 8;
    options.invariants_one_in = 4096;   // they walk whole stores
    options.workload.think = 30ms;
    options.workload.bulk_keys = 300;
    options.workload.value_bytes_max = 20'000;
    options.workload.burst_requests = 20;
    expect_good(options, 3s);
}

}  // namespace ringfort::sim
