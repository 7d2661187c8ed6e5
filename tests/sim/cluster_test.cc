// Whole clusters of real shards and clients through bad days, each with a name. Every scenario ends with all judges:
// strict serializability of what the clients saw, equal replicas, nothing pending.
#include "scenario.h"

namespace ringfort::sim {

TEST(Cluster, serves_reads_and_writes_of_every_kind_on_good_days) {
    RunOptions options = scenario_options();
    options.domains = 3;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    const Instant begin = s.simulation.now();
    s.simulation.run_for(5s);
    EXPECT_LE(s.longest_gap(begin), 200ms);
    EXPECT_GT(s.acknowledged(), 1000u);
    s.expect_good_end();
    EXPECT_EQ(s.cluster().history().operations().size(), s.acknowledged()) << "a healthy cluster refuses nothing";
}

TEST(Cluster, compaction_under_load_refuses_only_what_was_compacted_and_requests_may_be_given_up) {
    RunOptions options = scenario_options();
    options.domains = 2;
    options.workload.compactions = 10;
    options.workload.past_gets = 20;
    options.workload.cancel_one_in = 20;
    options.workload.hurry_one_in = 20;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(4s);
    s.expect_good_end();
    std::uint64_t compacted = 0;
    std::uint64_t cancelled = 0;
    for (const auto& operation : s.cluster().history().operations()) {
        compacted += operation.error == api::Errc::compacted ? 1u : 0u;
        cancelled += operation.error == api::Errc::cancelled ? 1u : 0u;
    }
    EXPECT_GT(compacted, 20u);
    EXPECT_GT(cancelled, 5u);
}

TEST(Cluster, writes_resume_within_300_ms_after_the_leader_is_killed) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    ASSERT_LT(leader, s.nodes());
    const Instant killed = s.simulation.now();
    s.node(leader).kill();
    s.simulation.run_for(2s);
    EXPECT_LE(s.longest_gap(killed), 300ms);
    EXPECT_NE(s.leader(), leader);
    s.node(leader).start();
    s.simulation.run_for(1s);
    s.expect_good_end();
}

TEST(Cluster, a_leader_killed_again_and_again_loses_no_acknowledged_write) {
    Scenario s;
    ASSERT_TRUE(s.form());
    for (int round = 0; round < 8; round++) {
        s.simulation.run_for(700ms);
        const std::size_t leader = s.leader();
        if (leader < s.nodes()) {
            s.node(leader).kill();
            s.simulation.run_for(300ms);
            s.node(leader).start();
        }
    }
    s.expect_good_end();
}

TEST(Cluster, a_follower_far_behind_is_brought_back_by_a_snapshot) {
    RunOptions options = scenario_options();
    options.checkpoint_log_bytes = 64 * kib;
    options.workload.value_bytes_max = 1000;
    options.workload.compactions = 10;   // little live data: the log is cut often
    options.workload.think = 5ms;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(500ms);
    const std::size_t follower = s.follower();
    const auto before = s.view(follower).applied.value;
    s.node(follower).kill();
    ASSERT_TRUE(s.run_until(20s, "the others do not go on", [&] {
        return s.view(s.leader()).applied.value > before + 2000;
    }));
    const auto target = s.view(s.leader()).applied.value;
    s.node(follower).start();
    // Entries are applied some at a time: one large step can only be an installed snapshot.
    std::uint64_t last = before;
    std::uint64_t largest_step = 0;
    const Instant end = s.simulation.now() + 20s;
    while (last < target && s.simulation.now() < end && s.simulation.run_for(1ms)) {
        const auto applied = s.view(follower).applied.value;
        largest_step = applied > last ? std::max(largest_step, applied - last) : largest_step;
        last = std::max(last, applied);
    }
    EXPECT_GE(last, target);
    EXPECT_GT(largest_step, 1000u);
    s.expect_good_end();
}

TEST(Cluster, all_nodes_killed_at_once_come_back_with_every_acknowledged_write) {
    Scenario s;
    ASSERT_TRUE(s.form());
    for (int round = 0; round < 3; round++) {
        s.simulation.run_for(1s);
        for (std::size_t i = 0; i < s.nodes(); i++) {
            s.node(i).kill();
        }
        s.simulation.run_for(100ms);
        s.start_all();
        const Instant started = s.simulation.now();
        s.simulation.run_for(3s);
        EXPECT_LE(s.longest_gap(started), 2500ms);
    }
    s.expect_good_end();
}

// The log, whose last records are durable and sealed, is idle again long before the replicas stand: what they say then
// waits for no record.
TEST(Cluster, all_nodes_restarted_elect_leaders_however_long_their_checkpoints_take_to_load) {
    RunOptions options = scenario_options();
    options.disk.read_latency = 100ms;
    options.checkpoint_log_bytes = 64 * kib;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(3s);
    ASSERT_TRUE(s.kill_all_quietly());
    s.start_all();
    ASSERT_TRUE(s.run_until(10s, "no leader after the restart", [&] { return s.leader() < s.nodes(); }));
    s.expect_good_end();
}

// Thousands of small batches, and no checkpoint that would spare them.
TEST(Cluster, a_killed_node_has_its_log_back_within_the_minute_however_long_a_read_takes) {
    RunOptions options = scenario_options();
    options.disk.read_latency = 100ms;
    options.checkpoint_log_bytes = 1 * gib;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(20s);
    const std::size_t follower = s.follower();
    const LogIndex before = s.view(follower).applied;
    ASSERT_GT(before, LogIndex(2000));
    ASSERT_TRUE(s.kill_quietly(follower));
    s.node(follower).start();
    EXPECT_TRUE(s.run_until(60s, "it is still reading", [&] { return s.view(follower).applied > before; }));
    s.expect_good_end();
}

// A shard that was gone for a while is dialed again when it is back.
TEST(Cluster, a_node_started_with_fewer_shards_and_then_with_more_is_reached_in_all_of_them) {
    for (std::size_t victim = 0; victim < 3; victim++) {
        RunOptions options = scenario_options();
        options.domains = 4;
        Scenario s(options);
        ASSERT_TRUE(s.form());
        for (const std::uint32_t shards : {1u, 4u}) {
            ASSERT_TRUE(s.kill_quietly(victim));
            s.node(victim).set_shard_count(shards);
            s.node(victim).start();
            ASSERT_TRUE(s.run_until(20s, "the node is not ready", [&] { return s.cluster().all_ready(); }));
            s.simulation.run_for(1s);
        }
        s.expect_good_end();
    }
}

// Its replicas know no configuration yet, and where their peers are only once these have said how many shards they have.
TEST(Cluster, a_wiped_node_with_another_number_of_shards_finds_its_peers) {
    for (std::size_t victim = 0; victim < 3; victim++) {
        for (const std::uint32_t shards : {1u, 3u}) {
            RunOptions options = scenario_options();
            options.domains = 4;
            Scenario s(options);
            ASSERT_TRUE(s.form());
            ASSERT_TRUE(s.kill_quietly(victim));
            s.node(victim).wipe();
            s.node(victim).set_shard_count(shards);
            s.node(victim).start();
            s.simulation.run_for(1s);
            s.expect_good_end();
        }
    }
}

// By what share of the sectors that were not durable survives the cut: none, some, all.
class PowerCut : public testing::TestWithParam<std::uint32_t> {};

TEST_P(PowerCut, of_all_nodes_at_once_loses_no_acknowledged_write) {
    for (const env::Durability durability : {env::Durability::none, env::Durability::dsync}) {
        RunOptions options = scenario_options();
        options.disk.preferred = durability;
        options.disk.write_latency = 2ms;   // so that every cut meets writes on their way
        options.disk.sync_latency = 4ms;
        options.checkpoint_log_bytes = 64 * kib;
        Scenario s(options);
        ASSERT_TRUE(s.form());
        std::uint64_t in_doubt = 0;
        for (int round = 0; round < 3; round++) {
            s.simulation.run_for(900ms);
            for (std::size_t i = 0; i < s.nodes(); i++) {
                s.node(i).cut_power(GetParam());
                in_doubt += s.node(i).media().counters().sectors_in_doubt;
            }
            for (std::size_t i = 0; i < s.nodes(); i++) {
                s.node(i).power_on();
                s.node(i).start();
            }
            ASSERT_TRUE(s.run_until(10s, "no leader after the cut", [&] { return s.leader() < s.nodes(); }));
        }
        EXPECT_GT(in_doubt, 0u) << "the cuts met no write on its way";
        s.expect_good_end();
    }
}
INSTANTIATE_TEST_SUITE_P(Kept, PowerCut, testing::Values(0u, 500'000u, 1'000'000u));

TEST(Cluster, a_power_cut_of_the_leader_alone_is_noticed_and_survived) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant cut = s.simulation.now();
    s.node(leader).cut_power(0);
    s.simulation.run_for(4s);
    EXPECT_LE(s.longest_gap(cut), 2500ms);
    s.node(leader).power_on();
    s.node(leader).start();
    s.expect_good_end();
}

// Who is wiped counts in no quorum until its fence is durable.
void wipe_and_come_back(bool the_leader) {
    RunOptions options = scenario_options();
    options.checkpoint_log_bytes = 64 * kib;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t victim = the_leader ? s.leader() : s.follower();
    ASSERT_TRUE(s.kill_quietly(victim));
    s.node(victim).wipe();
    s.node(victim).start();
    ASSERT_TRUE(s.run_until(10s, "the wiped node does not announce doubt", [&] { return s.view(victim).in_doubt; }));
    ASSERT_TRUE(s.run_until(10s, "the wiped node is not taken back", [&] {
        const auto view = s.view(victim);
        return s.node(victim).ready() && view.range == data_range && !view.in_doubt && view.applied > LogIndex(0);
    }));
    // It counts again: the cluster now survives the loss of another one.
    const std::size_t other = (victim + 1) % s.nodes();
    s.simulation.run_for(1s);
    s.node(other).kill();
    const Instant killed = s.simulation.now();
    s.simulation.run_for(4s);
    EXPECT_LE(s.longest_gap(killed), 2500ms);
    s.expect_good_end();
}

TEST(Cluster, a_wiped_follower_comes_back_behind_a_fence_and_counts_again) { wipe_and_come_back(false); }
TEST(Cluster, a_wiped_leader_comes_back_behind_a_fence_and_counts_again) { wipe_and_come_back(true); }

bool counts_again(Scenario& s, std::size_t node) {
    return s.cluster().all_ready() && std::ranges::none_of(s.node(node).inspect(), &shard::ReplicaView::in_doubt);
}

TEST(Cluster, nodes_wiped_one_after_the_other_lose_nothing) {
    Scenario s;
    ASSERT_TRUE(s.form());
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.simulation.run_for(500ms);
        ASSERT_TRUE(s.kill_quietly(i));
        s.node(i).wipe();
        s.node(i).start();
        ASSERT_TRUE(s.run_until(20s, "the wiped node is not taken back", [&] {
            return counts_again(s, i);
        }));
    }
    s.expect_good_end();
}

// Its peers dial it, or it dials them, by the order of their ids: none may take the new directory for the old one.
TEST(Cluster, a_wiped_node_killed_during_its_first_starts_never_comes_back_as_a_new_member) {
    for (std::size_t victim = 0; victim < 3; victim++) {
        Scenario s;
        ASSERT_TRUE(s.form());
        const Incarnation first = s.view(victim).incarnation;
        ASSERT_TRUE(s.kill_quietly(victim));
        s.node(victim).wipe();
        const auto stands = [&] { return s.view(victim).range == data_range; };
        for (const Duration life : {1ms, 5ms, 20ms, 600ms, 601ms}) {
            s.node(victim).start();
            s.simulation.run_for(1ms);
            // Peers come and go meanwhile, and nothing is durable.
            s.node(victim).media().hang_until(s.simulation.now() + life);
            for (const Instant end = s.simulation.now() + life; s.simulation.now() < end && !stands();) {
                s.simulation.run_for(500us);
            }
            ASSERT_TRUE(s.kill_quietly(victim));
        }
        s.node(victim).start();
        ASSERT_TRUE(s.run_until(10s, "the wiped node does not come back", stands));
        EXPECT_GT(s.view(victim).incarnation, first);
        ASSERT_TRUE(s.run_until(10s, "the wiped node is not taken back", [&] { return counts_again(s, victim); }));
        s.expect_good_end();
    }
}

// A replica that lost its checkpoint is in an incarnation of its own; the next loss of the whole directory is beyond it.
TEST(Cluster, a_node_wiped_after_one_of_its_replicas_was_rebuilt_is_in_a_new_incarnation) {
    RunOptions options = scenario_options();
    options.checkpoint_log_bytes = 64 * kib;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(2s);
    const std::size_t victim = s.follower();
    for (int losses = 0; losses < 3; losses++) {
        ASSERT_TRUE(s.kill_quietly(victim));
        bool lost = false;
        for (const std::string& name : s.node(victim).media().names()) {
            if (name.find("checkpoint-") != std::string::npos) {
                s.node(victim).media().lose(name);
                lost = true;
            }
        }
        ASSERT_TRUE(lost);
        s.node(victim).start();
        ASSERT_TRUE(s.run_until(10s, "a replica that lost its checkpoint is not rebuilt",
                                [&] { return counts_again(s, victim); }));
        s.simulation.run_for(1s);
    }
    for (int wipes = 0; wipes < 2; wipes++) {
        ASSERT_TRUE(s.kill_quietly(victim));
        s.node(victim).wipe();
        s.node(victim).start();
        ASSERT_TRUE(s.run_until(10s, "the wiped node does not announce doubt", [&] { return s.view(victim).in_doubt; }));
        ASSERT_TRUE(s.run_until(10s, "the wiped node is not taken back", [&] { return counts_again(s, victim); }));
    }
    s.expect_good_end();
}

TEST(Cluster, a_leader_paused_and_continued_gives_no_stale_linearizable_read) {
    Scenario s;
    ASSERT_TRUE(s.form());
    for (int round = 0; round < 3; round++) {
        s.simulation.run_for(1s);
        const std::size_t leader = s.leader();
        ASSERT_LT(leader, s.nodes());
        const Instant paused = s.simulation.now();
        s.node(leader).pause();
        ASSERT_TRUE(s.simulation.run_for(4s));
        EXPECT_LE(s.longest_gap(paused), 2500ms);
        EXPECT_NE(s.leader(), leader);
        // The requests that waited in its sockets are handled by a leader that does not know yet.
        s.node(leader).resume();
    }
    s.expect_good_end();
}

TEST(Cluster, a_leader_cut_off_from_its_peers_gives_no_stale_linearizable_read) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant cut = s.simulation.now();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != leader) {
            s.block_both(leader, i);
        }
    }
    s.simulation.run_for(5s);   // clients still reach it
    EXPECT_LE(s.longest_gap(cut), 2500ms);
    EXPECT_NE(s.leader(), leader);
    EXPECT_NE(s.view(leader).role, raft::Role::leader) << "it steps down when it hears no quorum";
    s.expect_good_end();
}

TEST(Cluster, a_leader_that_hears_and_is_not_heard_is_replaced) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant cut = s.simulation.now();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.cluster().network().block(s.node(leader).host(), s.node(i).host());
    }
    s.simulation.run_for(6s);
    EXPECT_LE(s.longest_gap(cut), 2500ms);
    s.expect_good_end();
}

TEST(Cluster, a_bridge_partition_neither_stops_writes_nor_unseats_leaders_for_ever) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant cut = s.simulation.now();
    s.block_both(leader, s.follower());
    s.simulation.run_for(3s);
    EXPECT_LE(s.longest_gap(cut), 2500ms);
    const auto leaders = s.cluster().leaders_seen();
    const Instant calm = s.simulation.now();
    s.simulation.run_for(5s);
    EXPECT_EQ(s.cluster().leaders_seen(), leaders) << "the one that hears no leader goes on unseating it";
    EXPECT_LE(s.longest_gap(calm), 500ms);
    s.expect_good_end();
}

TEST(Cluster, five_nodes_split_in_two_and_three_go_on_in_the_larger_part) {
    Scenario s(scenario_options(5));
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const std::size_t with_it = (leader + 1) % s.nodes();
    const Instant cut = s.simulation.now();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != leader && i != with_it) {
            s.block_both(leader, i);
            s.block_both(with_it, i);
        }
    }
    s.simulation.run_for(5s);
    EXPECT_LE(s.longest_gap(cut), 2500ms);
    s.expect_good_end();
}

TEST(Cluster, a_hung_disk_of_the_leader_costs_writers_at_most_two_seconds) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant hung = s.simulation.now();
    s.node(leader).media().hang_until(hung + 8s);
    s.simulation.run_for(6s);
    EXPECT_LE(s.longest_gap(hung), 2s);
    EXPECT_NE(s.leader(), leader);
    s.expect_good_end();
}

TEST(Cluster, where_all_disks_hang_at_once_the_leader_stays) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant hung = s.simulation.now();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).media().hang_until(hung + 600ms);
    }
    s.simulation.run_for(1s);
    EXPECT_EQ(s.leader(), leader);
    EXPECT_LE(s.longest_gap(hung), 700ms) << "no election after it";
    s.expect_good_end();
}

TEST(Cluster, where_all_disks_were_slow_a_killed_leader_is_replaced_as_fast_as_ever) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).media().hang_until(s.simulation.now() + 600ms);
    }
    s.simulation.run_for(1600ms);
    const std::size_t leader = s.leader();
    ASSERT_LT(leader, s.nodes());
    const Instant killed = s.simulation.now();
    s.node(leader).kill();
    s.simulation.run_for(2s);
    EXPECT_LE(s.longest_gap(killed), 300ms);
    s.node(leader).start();
    s.simulation.run_for(1s);
    s.expect_good_end();
}

TEST(Cluster, a_failed_write_of_the_log_takes_the_node_out_and_the_rest_go_on) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const std::size_t leader = s.leader();
    const Instant failed = s.simulation.now();
    s.cluster().expect_halt(leader, env::Halt::log_failed);
    s.node(leader).media().profile().write_error_per_million = 1'000'000;
    s.simulation.run_for(4s);
    EXPECT_FALSE(s.node(leader).running()) << "it serves on a log that failed";
    EXPECT_LE(s.longest_gap(failed), 2500ms);
    s.expect_good_end();
}

// A follower starts, and before it hears which of its entries are committed none of them can be read any more: neither
// payloads nor directories, nor the copies of these.
void lose_the_log_while_running(bool for_good) {
    RunOptions options = scenario_options();
    options.checkpoint_log_bytes = 16 * mib;   // so that peers have the entries in their logs
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(2s);
    const std::size_t follower = s.follower();
    ASSERT_TRUE(s.kill_quietly(follower));
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != follower) {
            s.block_both(i, follower);
        }
    }
    s.node(follower).start();
    ASSERT_TRUE(s.run_until(5s, "the follower does not start", [&] { return s.view(follower).range == data_range; }));
    const LogIndex last = s.view(follower).last.index;
    ASSERT_LT(s.view(follower).applied.plus(50), last) << "there is nothing left to read";
    DiskMedia& media = s.node(follower).media();
    if (for_good) {
        for (const std::string& name : media.names()) {
            for (std::uint64_t at = 0; name.find("/log-") != std::string::npos && at < media.file(name)->bytes();
                 at += sector_bytes) {
                media.file(name)->spoil_sector(at);
            }
        }
    } else {
        media.profile().read_error_per_million = 1'000'000;
    }
    s.cluster().network().unblock_all();
    EXPECT_TRUE(s.run_until(10s, "what was lost does not come back", [&] { return s.view(follower).applied > last; }));
    EXPECT_TRUE(s.node(follower).running());
    media.profile().read_error_per_million = 0;
    s.expect_good_end();
}

TEST(Cluster, a_log_that_cannot_be_read_while_its_node_runs_comes_back_from_peers) { lose_the_log_while_running(false); }
TEST(Cluster, a_log_that_rotted_while_its_node_runs_comes_back_from_peers) { lose_the_log_while_running(true); }

TEST(Cluster, a_store_filled_to_its_quota_gets_out_by_deleting_and_compacting) {
    RunOptions options = scenario_options();
    options.memory_quota_bytes = 2 * mib;
    options.workload.think = 3600s;   // no load but ours
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    const auto put = [&](int number) {
        return s.simulation.ask(0, operation_of({StepKind::put, "d00/fill" + std::to_string(number), {},
                                                 std::to_string(number) + std::string(50'000, 'x'), false, 0, 0}), 20s);
    };
    const RecordedOperation* last = nullptr;
    int filled = 0;
    do {
        last = put(filled++);
    } while (last->outcome == Outcome::ok && filled < 1000);
    ASSERT_EQ(last->error, api::Errc::no_space);
    EXPECT_GT(filled, 35);
    EXPECT_LT(filled, 45);
    // The alarm is every member's, and stops what would still fit; taken back by hand it is raised again by need only.
    const auto alarms = [&](std::size_t node) { return s.view(node).alarms; };
    const auto small = [&] {
        return s.simulation.ask(0, operation_of({StepKind::put, "d00/small", {}, "v", false, 0, 0}), 20s);
    };
    const auto all_raised = [&] { return alarms(0) == 1 && alarms(1) == 1 && alarms(2) == 1; };
    ASSERT_TRUE(s.run_until(5s, "the alarm is not raised everywhere", all_raised));
    EXPECT_EQ(small()->error, api::Errc::no_space);
    EXPECT_EQ(s.simulation.ask(0, operation_of({StepKind::disarm, {}, {}, {}, false, 0, 0}), 20s)->outcome, Outcome::ok);
    EXPECT_EQ(small()->outcome, Outcome::ok);
    EXPECT_EQ(put(filled)->error, api::Errc::no_space);
    ASSERT_TRUE(s.run_until(5s, "the alarm is not raised again", all_raised));
    // Nor does it go with who raised it.
    const std::size_t raiser = s.leader();
    ASSERT_TRUE(s.kill_quietly(raiser));
    ASSERT_TRUE(s.run_until(10s, "nobody leads", [&] { return s.leader() < s.nodes(); }));
    EXPECT_EQ(small()->error, api::Errc::no_space);
    s.node(raiser).start();
    ASSERT_TRUE(s.run_until(20s, "it is not back", [&] { return s.cluster().all_ready() && all_raised(); }));
    // Full means no more data; reads and removals go on.
    const auto* read = s.simulation.ask(1, operation_of({StepKind::range, "d00/", "d00/\xff", {}, false, 3, 0}), 20s);
    EXPECT_EQ(read->outcome, Outcome::ok);
    const auto* removed = s.simulation.ask(2, operation_of({StepKind::remove, "d00/", "d00/\xff", {}, false, 0, 0}), 20s);
    ASSERT_EQ(removed->outcome, Outcome::ok);
    EXPECT_EQ(removed->results[0].count, filled);
    EXPECT_EQ(put(0)->error, api::Errc::no_space) << "old versions count until they are compacted";
    const StepRequest compaction{StepKind::compact, {}, {}, {}, false, 0, removed->header.revision};
    const auto* compacted = s.simulation.ask(3, operation_of(compaction), 20s);
    ASSERT_EQ(compacted->outcome, Outcome::ok);
    ASSERT_TRUE(s.run_until(5s, "the alarm stays", [&] { return alarms(0) == 0 && alarms(1) == 0 && alarms(2) == 0; }));
    EXPECT_EQ(put(0)->outcome, Outcome::ok);
    s.expect_good_end();
}

// Beyond what is left, though there is much: no alarm.
TEST(Cluster, a_write_too_large_for_what_is_left_is_refused_alone) {
    RunOptions options = scenario_options();
    options.memory_quota_bytes = 100'000;
    options.workload.think = 3600s;   // no load but ours
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    const auto put = [&](std::size_t bytes) {
        return s.simulation.ask(0, operation_of({StepKind::put, "d00/key", {}, std::string(bytes, 'x'), false, 0, 0}), 20s);
    };
    EXPECT_EQ(put(100'001)->error, api::Errc::no_space);
    s.simulation.run_for(1s);
    EXPECT_EQ(s.view(0).alarms, 0u);
    EXPECT_EQ(put(100)->outcome, Outcome::ok);
    s.expect_good_end();
}

TEST(Cluster, puts_that_arrive_together_do_not_fill_a_store_beyond_its_quota) {
    RunOptions options = scenario_options();
    options.memory_quota_bytes = 2 * mib;
    options.workload.think = 3600s;   // no load but ours
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    constexpr std::size_t value_bytes = 100'000;
    constexpr std::size_t clients = 6;
    std::vector<std::uint64_t> asked;
    for (std::size_t i = 0; i < 60; i++) {
        const std::string number = std::to_string(i);
        const StepRequest put{StepKind::put, "d00/fill" + number, {}, number + std::string(value_bytes, 'x'), false, 0, 0};
        asked.push_back(s.cluster().clients()[i % clients]->ask(operation_of(put), 20s));
    }
    const auto& operations = s.cluster().history().operations();
    ASSERT_TRUE(s.run_until(20s, "puts are not answered", [&] {
        return std::ranges::none_of(asked, [&](auto number) { return operations[number].outcome == Outcome::pending; });
    }));
    std::size_t taken = 0;
    for (const std::uint64_t number : asked) {
        const RecordedOperation& put = operations[number];
        taken += put.outcome == Outcome::ok ? 1u : 0u;
        EXPECT_TRUE(put.outcome == Outcome::ok || api::error_class(put.error) == api::ErrorClass::definite)
            << describe(put);
    }
    EXPECT_LE(taken, 2 * mib / value_bytes);
    EXPECT_GE(taken, 2 * mib / value_bytes - 4);
    s.expect_good_end();
}

// Makes `keys` keys and removes them; returns the revision that forgets them all.
api::Revision make_garbage(Scenario& s, std::size_t keys) {
    RecordedOperation puts;
    puts.transaction = true;
    for (std::size_t i = 0; i < keys; i++) {
        puts.success.push_back({StepKind::put, "d00/garbage" + std::to_string(i), {}, "v", false, 0, 0});
        if (puts.success.size() == 100 || i + 1 == keys) {
            const auto* put = s.simulation.ask(0, puts, 60s);
            EXPECT_EQ(put->outcome, Outcome::ok) << describe(*put);
            puts.success.clear();
        }
    }
    const StepRequest removal{StepKind::remove, "d00/garbage", "d00/garbagf", {}, false, 0, 0};
    const auto* removed = s.simulation.ask(0, operation_of(removal), 60s);
    EXPECT_EQ(removed->outcome, Outcome::ok);
    EXPECT_EQ(removed->results.empty() ? 0 : removed->results[0].count, static_cast<std::int64_t>(keys));
    return removed->header.revision;
}

RecordedOperation compaction_of(api::Revision revision, bool physical) {
    return operation_of({StepKind::compact, {}, {}, {}, false, 0, revision, physical});
}

TEST(Cluster, a_physical_compaction_is_answered_when_the_space_is_free_and_another_one_at_once) {
    RunOptions options = scenario_options();
    options.workload.think = 3600s;   // no load but ours
    options.turn_cost = 2ms;          // so that space comes back over a time
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    constexpr std::size_t keys = 10'000;
    for (const bool physical : {false, true}) {
        const api::Revision revision = make_garbage(s, keys);
        const auto garbage_bytes = s.view(s.leader()).live_bytes;
        ASSERT_GT(garbage_bytes, keys * 50);
        const auto* compacted = s.simulation.ask(1, compaction_of(revision, physical), 20s);
        ASSERT_EQ(compacted->outcome, Outcome::ok) << describe(*compacted);
        const auto left_bytes = s.view(s.leader()).live_bytes;
        if (physical) {
            EXPECT_LT(left_bytes, garbage_bytes / 4);
        } else {
            EXPECT_GT(left_bytes, garbage_bytes / 2);
            s.simulation.run_for(2s);
        }
    }
    s.expect_good_end();
}

TEST(Cluster, a_physical_compaction_that_misses_its_deadline_is_told_so_and_leaves_nothing_behind) {
    RunOptions options = scenario_options();
    options.workload.think = 3600s;
    options.turn_cost = 2ms;
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    const api::Revision revision = make_garbage(s, 10'000);
    const std::size_t leader = s.leader();
    const auto garbage_bytes = s.view(leader).live_bytes;
    RecordedOperation hurried = compaction_of(revision, true);
    hurried.timeout = 20ms;
    const RecordedOperation& compacted = s.cluster().history()[s.cluster().clients()[1]->ask(hurried)];
    ASSERT_TRUE(s.run_until(1s, "no answer", [&] { return compacted.outcome != Outcome::pending; }));
    EXPECT_EQ(compacted.error, api::Errc::timed_out);
    EXPECT_GT(s.view(leader).live_bytes, garbage_bytes / 4) << "the space was free in time";
    s.simulation.run_for(2s);
    EXPECT_EQ(s.view(leader).pending, 0u);
    s.expect_good_end();
}

TEST(Cluster, a_connection_full_of_requests_that_take_their_time_is_kept_and_all_are_answered) {
    RunOptions options = scenario_options(1);
    options.workload.think = 3600s;   // no load but ours
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    s.simulation.run_for(1s);
    const Instant hung = s.simulation.now();
    s.node(0).media().hang_until(hung + 5s);
    std::vector<std::uint64_t> asked;
    // A client has two connections at most.
    for (std::size_t i = 0; i < 2 * limits::requests_per_connection_max + 200; i++) {
        const StepRequest put{StepKind::put, "d00/key" + std::to_string(i), {}, "v", false, 0, 0};
        asked.push_back(s.cluster().clients()[0]->ask(operation_of(put), 60s));
    }
    const auto& operations = s.cluster().history().operations();
    ASSERT_TRUE(s.run_until(30s, "puts are not answered", [&] {
        return std::ranges::none_of(asked, [&](auto number) { return operations[number].outcome == Outcome::pending; });
    }));
    EXPECT_GT(s.simulation.now(), hung + 5s) << "the disk did not hang";
    for (const std::uint64_t number : asked) {
        ASSERT_EQ(operations[number].outcome, Outcome::ok) << describe(operations[number]);
    }
    s.expect_good_end();
}

TEST(Cluster, strangers_that_flood_stop_in_mid_frame_or_read_nothing_disturb_nobody) {
    RunOptions options = scenario_options();
    options.workload.keys = 200;
    options.workload.value_bytes_max = 4000;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const Instant begin = s.simulation.now();
    s.cluster().stranger().start(20ms);
    s.simulation.run_for(5s);
    EXPECT_GT(s.cluster().stranger().attempts(), 100u);
    EXPECT_GT(s.cluster().stranger().thrown_out(), 20u);
    EXPECT_LE(s.longest_gap(begin), 300ms);
    s.cluster().stranger().stop();
    s.expect_good_end();
}

TEST(Cluster, one_node_alone_serves_and_survives_kills_and_power_cuts) {
    Scenario s(scenario_options(1));
    ASSERT_TRUE(s.form());
    for (int round = 0; round < 4; round++) {
        s.simulation.run_for(500ms);
        if (round % 2 == 0) {
            s.node(0).kill();
        } else {
            s.node(0).cut_power(300'000);
            s.node(0).power_on();
        }
        s.node(0).start();
    }
    s.expect_good_end();
}

TEST(Cluster, an_orderly_restart_of_every_node_in_turn_stops_writes_for_200_ms_at_most) {
    Scenario s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(1s);
    const Instant begin = s.simulation.now();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.cluster().expect_halt(i, env::Halt::stopped);
        s.node(i).stop();
        ASSERT_TRUE(s.run_until(5s, "an orderly stop takes too long", [&] { return !s.node(i).running(); }));
        s.node(i).start();
        ASSERT_TRUE(s.run_until(5s, "a node does not come back", [&] { return s.cluster().all_ready(); }));
        s.simulation.run_for(500ms);
    }
    EXPECT_LE(s.longest_gap(begin), 200ms);
    s.expect_good_end();
    for (const auto& operation : s.cluster().history().operations()) {
        ASSERT_NE(operation.outcome, Outcome::failed) << describe(operation);
    }
}

}  // namespace ringfort::sim
