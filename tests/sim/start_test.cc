// When a node says that it is ready.
#include <cctype>
#include <map>

#include "scenario.h"

namespace ringfort::sim {

// It can neither answer nor forward anything, however soon it has its state back.
TEST(Start, is_not_over_without_a_leader) {
    Scenario s;
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.kill_all_quietly());
    s.node(0).start();
    for (int i = 0; i < 100; i++) {
        ASSERT_TRUE(s.simulation.run_for(50ms));
        ASSERT_FALSE(s.node(0).ready());
    }
    ASSERT_NE(s.view(0).range, RangeId()) << "it has not even read its log";
    s.node(1).start();
    ASSERT_TRUE(s.run_until(10s, "two of three are not ready", [&] { return s.node(0).ready() && s.node(1).ready(); }));
    EXPECT_LT(s.leader(), s.nodes());
    s.node(2).start();
    s.expect_good_end();
}

// On disks that are slow to read, long after the leader is known.
TEST(Start, of_all_nodes_is_not_over_before_what_was_committed_is_applied) {
    RunOptions options = scenario_options();
    options.disk.read_latency = 100ms;
    options.checkpoint_log_bytes = 1 * gib;
    Scenario s(options);
    ASSERT_TRUE(s.form());
    s.simulation.run_for(20s);
    LogIndex committed{};
    for (std::size_t i = 0; i < s.nodes(); i++) {
        committed = std::max(committed, s.view(i).commit);
    }
    ASSERT_GT(committed, LogIndex(2000));
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).kill();
    }
    ASSERT_TRUE(s.simulation.run_for(5s));
    s.start_all();
    std::vector<bool> seen_ready(s.nodes());
    std::vector<bool> seen_behind(s.nodes());
    const auto all_ready = [&] {
        for (std::size_t i = 0; i < s.nodes(); i++) {
            const shard::ReplicaView view = s.view(i);
            const bool ready = s.node(i).ready();
            seen_behind[i] = seen_behind[i] || (view.range == data_range && bool(view.leader) && view.applied < committed);
            if (ready && !seen_ready[i]) {
                EXPECT_GE(view.applied, committed) << "node " << i;
                EXPECT_TRUE(bool(view.leader)) << "node " << i;
                seen_ready[i] = true;
            }
        }
        return std::ranges::all_of(seen_ready, [](bool ready) { return ready; });
    };
    ASSERT_TRUE(s.run_until(60s, "the nodes do not start", all_ready));
    EXPECT_TRUE(std::ranges::any_of(seen_behind, [](bool behind) { return behind; })) << "there was nothing to wait for";
    s.expect_good_end();
}

// Nodes that start together for the first time send each other away until they have written down whom they heard. That
// is no fault, passes by itself, and is said in words: somebody may read it at night.
TEST(Start, for_the_first_time_and_of_all_nodes_at_once_warns_of_nothing) {
    std::size_t sent_away = 0;
    for (std::uint64_t seed = 1; seed <= 10; seed++) {
        RunOptions options = scenario_options(seed % 2 == 0 ? 3 : 5);
        options.seed = seed;
        Scenario s(options);
        s.simulation.begin();
        // One of them is behind: it still reads, or writes down, when the others call.
        DiskMedia& slow = s.node(seed % s.nodes()).media();
        slow.hang_until(s.simulation.now() + 300ms);
        ASSERT_TRUE(s.run_until(30s, "the nodes do not start", [&] { return s.cluster().all_ready(); }));
        std::map<std::string, std::uint32_t> said;
        for (std::size_t i = 0; i < s.nodes(); i++) {
            for (const SimLogSink::Line& line : s.node(i).log_lines()) {
                EXPECT_LT(line.level, env::LogLevel::warning) << seed << " " << s.node(i).name() << ": " << line.text;
                const bool refusal = line.text.find("refused") != std::string::npos;
                EXPECT_FALSE(refusal && std::isdigit(static_cast<unsigned char>(line.text.back())) != 0)
                    << "a number for a reason: " << line.text;
                EXPECT_LE(++said[s.node(i).name() + line.text], refusal ? options.shards : UINT32_MAX) << line.text;
                sent_away += line.text.starts_with("refused peer ") ? 1U : 0U;
            }
        }
    }
    EXPECT_GT(sent_away, 0U) << "nothing was put to the test";
}

}  // namespace ringfort::sim
