// Data that is not what was written: each fault by name, and what the cluster makes of it.
#include <algorithm>
#include <map>
#include <set>

#include "scenario.h"
#include "sim/damage.h"

namespace ringfort::sim {

namespace {

struct DataFaults : Scenario {
    using Scenario::Scenario;

    bool says(std::size_t index, std::string_view what) {
        return node(index).running() && std::ranges::any_of(node(index).log_lines(), [&](const SimLogSink::Line& line) {
                   return line.text.find(what) != std::string::npos;
               });
    }
    bool counts(std::size_t index) {
        return cluster().all_ready() && std::ranges::none_of(node(index).inspect(), &shard::ReplicaView::in_doubt);
    }
    Incarnation incarnation(std::size_t index) { return view(index).incarnation; }
    // The directory as it was is put back, and noticed.
    testing::AssertionResult go_back(std::size_t index, const DiskMedia::Copy& copy) {
        const Incarnation before = incarnation(index);
        if (!kill_quietly(index)) {
            return testing::AssertionFailure() << simulation.problem();
        }
        node(index).media().put_back(copy);
        node(index).start();
        return is_fenced(index, before);
    }
    // In a higher incarnation than before it counts again.
    testing::AssertionResult is_fenced(std::size_t index, Incarnation before) {
        return run_until(10s, "it does not begin a new incarnation, or is not taken back",
                         [&] { return counts(index) && incarnation(index) > before; });
    }
    // A write to the log, made durable, that later ones have made known as such.
    const DiskMedia::RecentWrite* known_write(std::size_t index) {
        DiskMedia& media = node(index).media();
        const auto batches = logged_batches(media, node(index).instance());
        for (const auto& write : media.recent_writes()) {
            for (const LoggedBatch& batch : batches) {
                const auto entries = entries_of(media, batch);
                if (batch.claimed && media.file(batch.file) == write.file.get() && batch.header.offset == write.offset &&
                    batch.header.bytes == write.content.size() && entries && !entries->empty()) {
                    return &write;
                }
            }
        }
        return nullptr;
    }
};

// Of a budget in which none of three nodes may lose everything.
std::uint64_t seed_of_scattered_harm() {
    for (std::uint64_t seed = 1;; seed++) {
        Prng random(seed);
        const DamageBudget budget(3, false, random);
        if (!budget.may_wipe(0) && !budget.may_wipe(1) && !budget.may_wipe(2)) {
            return seed;
        }
    }
}

}  // namespace

TEST(DataFaults, a_minority_of_the_copies_of_every_entry_is_harmed_on_every_node_at_once) {
    for (const bool sectors : {false, true}) {
        RunOptions options = scenario_options();
        options.domains = 4;
        options.checkpoint_log_bytes = 256 * kib;
        options.workload.value_bytes_max = 2000;
        DataFaults s(options);
        Prng random(seed_of_scattered_harm());
        Damage damage(s.cluster(), random);
        ASSERT_TRUE(s.form());
        std::set<std::size_t> harmed;
        for (int round = 0; round < 3; round++) {
            s.simulation.run_for(1s);
            for (std::size_t i = 0; i < s.nodes(); i++) {
                for (int k = 0; k < 10; k++) {
                    if (sectors ? damage.spoil_sectors(i) : damage.flip_bits(i)) {
                        harmed.insert(i);
                    }
                }
            }
            ASSERT_TRUE(s.kill_all_quietly());
            s.start_all();
            ASSERT_TRUE(s.run_until(20s, "no leader after the harm", [&] { return s.leader() < s.nodes(); }));
        }
        EXPECT_EQ(harmed.size(), s.nodes());
        s.expect_good_end();
    }
}

TEST(DataFaults, a_write_that_never_reached_its_place_is_told_and_mended_from_the_peers) {
    for (const bool misdirected : {false, true}) {
        DataFaults s;
        const std::size_t victim = 1;
        s.node(victim).media().note_recent_writes(64);
        ASSERT_TRUE(s.form());
        const auto* write = s.known_write(victim);
        ASSERT_NE(write, nullptr);
        if (misdirected) {
            // Where the first batch of that log lies.
            ASSERT_TRUE(DiskMedia::misdirect(*write, *write->file, 0));
        } else {
            ASSERT_TRUE(DiskMedia::take_back(*write));
        }
        ASSERT_TRUE(s.kill_quietly(victim));
        s.node(victim).start();
        ASSERT_TRUE(s.run_until(5s, "it does not come back", [&] { return s.counts(victim); }));
        EXPECT_TRUE(s.says(victim, "it was durable"));
        s.expect_good_end();
    }
}

// A leader that reads old entries for a follower is given other blocks for a while.
TEST(DataFaults, reads_of_another_place_pass_for_no_entry) {
    RunOptions options = scenario_options();
    options.workload.value_bytes_max = 8000;
    DataFaults s(options);
    ASSERT_TRUE(s.form());
    const std::size_t leader = s.leader();
    const std::size_t behind = s.follower();
    ASSERT_TRUE(s.kill_quietly(behind));
    s.simulation.run_for(5s);   // more than what is kept in memory
    ASSERT_EQ(s.leader(), leader);
    s.node(leader).media().profile().misdirected_read_per_million = 500'000;
    s.node(behind).start();
    s.simulation.run_for(2s);
    s.node(leader).media().profile().misdirected_read_per_million = 0;
    EXPECT_GT(s.node(leader).media().counters().reads_misdirected, 5u);
    s.expect_good_end();
}

TEST(DataFaults, an_old_copy_of_a_followers_directory_is_noticed_and_fenced) {
    DataFaults s;
    ASSERT_TRUE(s.form());
    const std::size_t victim = s.follower();
    const DiskMedia::Copy copy = s.node(victim).media().copy();
    s.simulation.run_for(2s);
    ASSERT_TRUE(s.go_back(victim, copy));
    // It counts again.
    s.simulation.run_for(500ms);
    const std::size_t other = 3 - victim - s.leader();
    s.node(other).kill();
    const Instant killed = s.simulation.now();
    s.simulation.run_for(4s);
    EXPECT_LE(s.longest_gap(killed), 2500ms);
    s.expect_good_end();
}

TEST(DataFaults, an_old_copy_of_the_leaders_directory_is_no_harm_while_the_others_are_there) {
    DataFaults s;
    ASSERT_TRUE(s.form());
    const std::size_t victim = s.leader();
    const DiskMedia::Copy copy = s.node(victim).media().copy();
    s.simulation.run_for(2s);
    ASSERT_TRUE(s.kill_quietly(victim));
    ASSERT_TRUE(s.run_until(5s, "nobody else leads", [&] { return s.leader() < s.nodes(); }));
    s.simulation.run_for(500ms);
    s.node(victim).media().put_back(copy);
    s.node(victim).start();
    ASSERT_TRUE(s.run_until(10s, "it is not taken back", [&] { return s.counts(victim); }));
    s.expect_good_end();
}

// Beyond the budget: the cluster stops, says where, and tells nobody anything else instead.
TEST(DataFaults, an_entry_that_is_damaged_on_every_node_stops_its_range_which_is_named) {
    RunOptions options = scenario_options();
    options.beyond_budget = true;
    DataFaults s(options);
    ASSERT_TRUE(s.form());
    std::vector<std::map<std::uint64_t, std::pair<std::string, LoggedEntry>>> entries(s.nodes());
    ASSERT_TRUE(s.kill_all_quietly());
    for (std::size_t i = 0; i < s.nodes(); i++) {
        DiskMedia& media = s.node(i).media();
        for (const LoggedBatch& batch : logged_batches(media, s.node(i).instance())) {
            for (const LoggedEntry& entry : entries_of(media, batch).value_or(std::vector<LoggedEntry>{})) {
                if (batch.claimed && entry.range == data_range && entry.bytes > 0) {
                    entries[i].emplace(entry.index.value, std::pair(batch.file, entry));
                }
            }
        }
    }
    std::uint64_t harmed = 0;
    for (const auto& [index, place] : entries[0]) {
        harmed = entries[1].contains(index) && entries[2].contains(index) ? index : harmed;
    }
    ASSERT_GT(harmed, 0u);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        const auto& [file, entry] = entries[i].at(harmed);
        s.node(i).media().file(file)->flip_bit(entry.offset * 8);
    }
    s.start_all();
    s.simulation.run_for(15s);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        EXPECT_TRUE(s.says(i, "range 1: log entry " + std::to_string(harmed) + " is damaged")) << i;
        EXPECT_EQ(s.view(i).applied, LogIndex(harmed).prev());
    }
    EXPECT_FALSE(s.simulation.settle());
    EXPECT_EQ(s.simulation.finish().text, "");
}

// The last durable batch of each of its logs cannot be read, nor what follows.
void hide_ends(DataFaults& s, std::size_t index) {
    DiskMedia& media = s.node(index).media();
    std::map<std::string, LoggedBatch> last;   // by directory
    for (const LoggedBatch& batch : logged_batches(media, s.node(index).instance())) {
        last.insert_or_assign(batch.file.substr(0, batch.file.find('/')), batch);
    }
    ASSERT_FALSE(last.empty());
    for (const auto& [directory, batch] : last) {
        DiskFile& file = *media.file(batch.file);
        for (std::uint64_t at = batch.header.offset; at < std::min(batch.end() + mib, file.bytes());
             at += limits::block_bytes) {
            file.spoil_sector(at);
        }
    }
}

// A write is acknowledged by two of three while the third is down. One of the two starts and cannot read the end of its
// log, or any of it; it sees each of the others alive, but never both at once.
TEST(DataFaults, a_node_that_cannot_read_the_end_of_its_log_counts_in_no_quorum) {
    RunOptions options = scenario_options();
    options.shards = 1;   // each log has a replica
    for (const bool all : {false, true}) {
        DataFaults s(options);
        ASSERT_TRUE(s.form());
        const std::size_t whole = s.leader();
        const std::size_t harmed = (whole + 1) % s.nodes();
        const std::size_t behind = (whole + 2) % s.nodes();
        const Incarnation before = s.incarnation(harmed);
        ASSERT_TRUE(s.kill_quietly(behind));
        s.simulation.run_for(3s);
        ASSERT_TRUE(s.kill_quietly(harmed));
        ASSERT_TRUE(s.kill_quietly(whole));
        DiskProfile& disk = s.node(harmed).media().profile();
        if (all) {
            disk.read_error_per_million = 1'000'000;
            s.cluster().expect_halt(harmed, env::Halt::refused);
        } else {
            hide_ends(s, harmed);
        }
        s.node(harmed).start();
        s.node(behind).start();
        s.simulation.run_for(8s);
        EXPECT_EQ(s.leader(), s.nodes()) << "a node that forgot what it answered for helped to elect";
        EXPECT_EQ(s.node(harmed).running(), !all);
        if (all) {
            disk.read_error_per_million = 0;
            s.cluster().expect_no_halt(harmed);
            s.node(harmed).start();
            ASSERT_TRUE(s.run_until(10s, "what it holds is not served again", [&] { return s.leader() < s.nodes(); }));
            EXPECT_EQ(s.incarnation(harmed), before);
        }
        s.node(whole).start();
        if (!all) {
            ASSERT_TRUE(s.is_fenced(harmed, before));
        }
        s.expect_good_end();
    }
}

TEST(DataFaults, a_single_node_whose_log_cannot_be_read_for_a_while_serves_everything_after_that) {
    for (const bool all : {false, true}) {
        DataFaults s(scenario_options(1));
        ASSERT_TRUE(s.form());
        ASSERT_TRUE(s.kill_quietly(0));
        DiskMedia& media = s.node(0).media();
        const DiskMedia::Copy copy = media.copy();
        if (all) {
            media.profile().read_error_per_million = 1'000'000;
        } else {
            hide_ends(s, 0);
        }
        s.cluster().expect_halt(0, env::Halt::refused);
        s.node(0).start();
        s.simulation.run_for(8s);
        EXPECT_FALSE(s.node(0).running());
        ASSERT_TRUE(media.quiet());
        EXPECT_EQ(media.names().size(), copy.size());
        media.profile().read_error_per_million = 0;
        if (!all) {
            media.put_back(copy);
        }
        s.cluster().expect_no_halt(0);
        s.node(0).start();
        ASSERT_TRUE(s.run_until(10s, "it does not serve", [&] { return s.leader() < s.nodes(); }));
        s.expect_good_end();
    }
}

// On all nodes at once, as where their disks lie in one place: nobody believes that anything is lost.
TEST(DataFaults, reads_and_lists_that_fail_for_a_moment_while_all_start_cost_nothing) {
    DataFaults s;
    ASSERT_TRUE(s.form());
    s.simulation.run_for(2s);
    const Incarnation before = s.incarnation(0);
    for (const bool lists : {false, true}) {
        ASSERT_TRUE(s.kill_all_quietly());
        const auto set = [&](std::uint32_t share) {
            for (std::size_t i = 0; i < s.nodes(); i++) {
                DiskProfile& disk = s.node(i).media().profile();
                (lists ? disk.list_error_per_million : disk.read_error_per_million) = share;
            }
        };
        set(1'000'000);
        s.start_all();
        s.simulation.run_for(3s);
        EXPECT_EQ(s.leader(), s.nodes());
        set(0);
        ASSERT_TRUE(s.run_until(15s, "it does not serve", [&] { return s.leader() < s.nodes() && s.counts(0); }));
        for (std::size_t i = 0; i < s.nodes(); i++) {
            EXPECT_EQ(s.incarnation(i), before);
            EXPECT_FALSE(s.says(i, "rebuilt"));
        }
    }
    s.expect_good_end();
}

TEST(DataFaults, a_node_whose_files_cannot_be_listed_refuses_by_name_and_loses_nothing) {
    DataFaults s;
    ASSERT_TRUE(s.form());
    const Incarnation before = s.incarnation(1);
    ASSERT_TRUE(s.kill_quietly(1));
    DiskProfile& disk = s.node(1).media().profile();
    disk.list_error_per_million = 1'000'000;
    s.cluster().expect_halt(1, env::Halt::refused);
    s.node(1).start();
    ASSERT_TRUE(s.run_until(10s, "it does not start", [&] { return s.node(1).running(); }));
    ASSERT_TRUE(s.run_until(10s, "it goes on without its files", [&] { return !s.node(1).running(); }));
    disk.list_error_per_million = 0;
    s.cluster().expect_no_halt(1);
    s.simulation.run_for(1s);
    s.node(1).start();
    ASSERT_TRUE(s.run_until(10s, "it does not come back", [&] { return s.counts(1); }));
    EXPECT_EQ(s.incarnation(1), before);
    s.expect_good_end();
}

TEST(DataFaults, promises_that_no_leader_takes_back_are_named_with_their_range) {
    DataFaults s;
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.kill_quietly(0));
    s.node(0).wipe();
    s.node(0).start();
    const auto in_doubt = [&] {
        if (!s.node(0).running()) {
            return false;
        }
        const auto views = s.node(0).inspect();
        return std::ranges::any_of(views, [](const auto& view) { return view.range == data_range && view.in_doubt; });
    };
    while (!in_doubt()) {
        s.simulation.run_for(100us);
    }
    ASSERT_TRUE(s.kill_quietly(1));
    ASSERT_TRUE(s.kill_quietly(2));
    s.simulation.run_for(8s);
    EXPECT_FALSE(s.says(0, "range 1: this replica lost what it had promised"));
    s.simulation.run_for(7s);
    EXPECT_TRUE(s.says(0, "range 1: this replica lost what it had promised"));
    s.node(1).start();
    s.node(2).start();
    s.expect_good_end();
}

TEST(DataFaults, silence_beyond_the_budget_is_no_harm_if_no_range_is_named) {
    RunOptions options = scenario_options();
    options.beyond_budget = true;
    DataFaults s(options);
    ASSERT_TRUE(s.form());
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).media().hang_until(s.simulation.now() + 300s);
    }
    EXPECT_FALSE(s.simulation.heal_majority());
    const Verdict verdict = s.simulation.finish();
    EXPECT_EQ(verdict.kind, VerdictKind::liveness);
    EXPECT_NE(verdict.text.find("no line names a harmed range"), std::string::npos) << verdict.text;
}

TEST(DataFaults, a_follower_whose_flushes_lied_is_noticed_and_fenced_after_a_power_cut) {
    for (const env::Durability durability : {env::Durability::none, env::Durability::dsync}) {
        RunOptions options = scenario_options();
        options.disk.preferred = durability;
        DataFaults s(options);
        ASSERT_TRUE(s.form());
        const std::size_t victim = s.follower();
        const Incarnation before = s.incarnation(victim);
        s.node(victim).media().set_lying(true);
        s.simulation.run_for(1s);
        s.node(victim).cut_power(0, SimNode::Claims::lost);
        s.node(victim).power_on();
        s.node(victim).start();
        ASSERT_TRUE(s.is_fenced(victim, before));
        s.expect_good_end();
    }
}

// The scheduler injects the kinds that others of these tests make by hand.
class OneDataKind : public testing::TestWithParam<FaultKind> {};

TEST_P(OneDataKind, is_injected_and_borne) {
    RunOptions options = scenario_options();
    options.seed = 12;   // of a budget in which some node may lose everything: else no reads are misdirected
    options.fault_mask = std::uint64_t{1} << static_cast<unsigned>(GetParam());
    options.fault_interval = 300ms;
    options.repair_max = 1s;
    Simulation run(options);
    ASSERT_TRUE(run.form());
    run.faults().start();
    ASSERT_TRUE(run.run_for(6s)) << run.problem();
    EXPECT_GT(run.faults().injected(GetParam()), 0u);
    for (std::size_t kind = 0; kind < fault_kinds; kind++) {
        EXPECT_TRUE(static_cast<FaultKind>(kind) == GetParam() || run.faults().injected()[kind] == 0) << kind;
    }
    EXPECT_TRUE(run.settle()) << run.problem();
    EXPECT_EQ(run.finish().text, "");
}

INSTANTIATE_TEST_SUITE_P(Kinds, OneDataKind,
                         testing::Values(FaultKind::lost_write, FaultKind::misdirected_write, FaultKind::misdirected_read,
                                         FaultKind::lying_flush, FaultKind::old_copy),
                         [](const auto& kind) {
                             std::string name(to_string(kind.param));
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

}  // namespace ringfort::sim
