// A node that lost some of its files and not all of them: what it promised must not be taken for never promised.
#include "scenario.h"

namespace ringfort::sim {

namespace {

void lose_files(SimNode& node, std::string_view prefix) {
    std::size_t lost = 0;
    for (const std::string& name : node.media().names()) {
        if (name.starts_with(prefix)) {
            node.media().lose(name);
            lost++;
        }
    }
    ASSERT_GT(lost, 0U) << prefix;
}

// A write is acknowledged by two of three while the third is down. One of the two loses files, starts, and sees each of
// the others alive, but never both at once; the only whole copy is down for a while.
void lose_what_a_quorum_needs(std::size_t shards, std::string_view prefix) {
    RunOptions options = scenario_options();
    options.shards = static_cast<std::uint32_t>(shards);
    Scenario s(options);
    ASSERT_TRUE(s.form());
    const std::size_t whole = s.leader();
    const std::size_t damaged = (whole + 1) % s.nodes();
    const std::size_t behind = (whole + 2) % s.nodes();
    ASSERT_TRUE(s.kill_quietly(behind));
    s.simulation.run_for(3s);
    ASSERT_TRUE(s.kill_quietly(damaged));
    lose_files(s.node(damaged), prefix);
    s.cluster().expect_halt(damaged, env::Halt::refused);
    s.node(damaged).start();
    s.simulation.run_for(2s);
    ASSERT_TRUE(s.kill_quietly(whole)) << s.simulation.problem();
    s.node(behind).start();
    s.simulation.run_for(5s);
    EXPECT_FALSE(s.node(damaged).running()) << "it counts, with " << prefix << " lost";

    s.node(whole).start();
    s.node(damaged).wipe();
    s.cluster().expect_no_halt(damaged);
    s.node(damaged).start();
    ASSERT_TRUE(s.run_until(20s, "the wiped node is not taken back", [&] { return s.cluster().all_ready(); }));
    s.expect_good_end();
}

}  // namespace

TEST(LostFiles, a_node_whose_only_shards_folder_is_lost_counts_in_no_quorum) { lose_what_a_quorum_needs(1, "shard-0/"); }
TEST(LostFiles, a_node_whose_first_shards_folder_is_lost_counts_in_no_quorum) { lose_what_a_quorum_needs(2, "shard-0/"); }
TEST(LostFiles, a_node_whose_other_shards_folder_is_lost_counts_in_no_quorum) { lose_what_a_quorum_needs(2, "shard-1/"); }
TEST(LostFiles, a_node_whose_every_shards_folder_is_lost_counts_in_no_quorum) { lose_what_a_quorum_needs(2, "shard-"); }
TEST(LostFiles, a_node_whose_memory_of_peers_is_lost_says_so) { lose_what_a_quorum_needs(2, "peers"); }

}  // namespace ringfort::sim
