// The smallest whole story: three replicas elect a leader, replicate, commit and apply.
#include <gtest/gtest.h>

#include "test_cluster.h"

namespace ringfort::raft {
namespace {

TEST(Raft, three_replicas_elect_a_leader_and_commit_what_it_proposes) {
    TestCluster cluster(3);
    cluster.elect(NodeId(1));
    ASSERT_TRUE(cluster.node(1).core().is_leader());
    const LogIndex before = cluster.node(1).core().commit();
    ASSERT_TRUE(cluster.node(1).propose("x=1").has_value());
    cluster.settle();
    for (const std::uint64_t id : {1U, 2U, 3U}) {
        EXPECT_EQ(cluster.node(id).core().commit(), before.next());
        EXPECT_EQ(cluster.node(id).applied(), before.next());
        EXPECT_EQ(cluster.node(id).core().leader(), NodeId(1));
        EXPECT_EQ(cluster.node(id).state_hash(), cluster.node(1).state_hash());
    }
}

TEST(Raft, a_single_voter_leads_only_once_its_vote_is_durable) {
    TestCluster cluster(1);
    TestNode& node = cluster.node(1);
    node.step(ElectionDue{});
    node.end_turn();
    EXPECT_EQ(node.core().role(), Role::candidate);
    node.complete_write();
    EXPECT_EQ(node.core().role(), Role::leader);
    node.end_turn();
    ASSERT_TRUE(node.propose("x").has_value());
    node.end_turn();
    node.complete_write();
    EXPECT_FALSE(node.core().read_index() == node.core().last().index);
    node.complete_write();
    EXPECT_EQ(node.core().read_index(), node.core().last().index);
}

TEST(RaftInput, a_configuration_names_no_more_nodes_than_a_log_record_holds) {
    Configuration configuration;
    for (std::uint64_t node = 1; node <= limits::members_max; node++) {
        configuration.voters.push_back(NodeId(node));
        configuration.outgoing.push_back(NodeId(node));
    }
    Configuration read;
    EXPECT_TRUE(decode(encode(configuration), read));
    EXPECT_EQ(read, configuration);
    configuration.learners.push_back(NodeId(1));
    EXPECT_FALSE(decode(encode(configuration), read));
}

}  // namespace
}  // namespace ringfort::raft
