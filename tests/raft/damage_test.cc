// Rot met by a running replica, and how it gets back from its peers what it can no longer read.
#include <gtest/gtest.h>

#include "test_cluster.h"

namespace ringfort::raft {
namespace {

// From here on node 1 leads and hears no answer: what it proposes reaches all and is committed nowhere.
void lead_unanswered(TestCluster& cluster) {
    cluster.elect(1);
    cluster.settle();
    cluster.add(4);
    cluster.loses = [](const OwnedMessage& message) { return message.message.type == MessageType::append_response; };
}

// Node 4, as a learner.
Configuration with_learner() {
    Configuration out = voters(3);
    out.learners = {NodeId(4)};
    return out;
}

// All hear each other again, and node 1 begins anew with each.
void answer_again(TestCluster& cluster) {
    cluster.loses = nullptr;
    for (const std::uint64_t peer : {2U, 3U, 4U}) {
        cluster.tell_lost(1, peer);
        cluster.tell_back(1, peer);
    }
    cluster.settle();
}

// Rot while the node runs: found when a committed entry is to be applied and cannot be read back.
TEST(RaftDamage, an_entry_lost_while_running_is_fetched_from_a_peer_before_it_is_applied) {
    TestCluster cluster(3);
    cluster.elect(1);
    cluster.settle();
    cluster.loses = [](const OwnedMessage& message) { return message.message.type == MessageType::append_response; };
    const auto lost = cluster.node(1).propose("payload");
    ASSERT_TRUE(lost.has_value());
    cluster.settle();
    TestNode& node = cluster.node(2);
    const StoredEntry* stored = node.memory().find(lost->index);
    ASSERT_NE(stored, nullptr);
    node.step(EntryLost{*lost, stored->checksum});
    EXPECT_EQ(node.core().damaged(), std::vector<LogIndex>{lost->index});
    cluster.loses = nullptr;
    for (const std::uint64_t peer : {2U, 3U}) {
        cluster.tell_lost(1, peer);
        cluster.tell_back(1, peer);
    }
    cluster.settle();
    EXPECT_EQ(cluster.node(1).applied(), lost->index);
    EXPECT_EQ(node.seen.repaired, std::vector<LogIndex>{lost->index});
    EXPECT_TRUE(node.core().damaged().empty());
    EXPECT_EQ(node.applied(), lost->index);
    EXPECT_EQ(node.state_hash(), cluster.node(1).state_hash());
    // What is not in the log any more is no loss.
    node.step(EntryLost{{lost->term, lost->index.next()}, 7});
    EXPECT_TRUE(node.core().damaged().empty());
}

// The directory of the batch rotted in both places: of its entries nothing but the ids is known.
TEST(RaftDamage, entries_lost_together_with_their_checksums_are_fetched_by_id) {
    TestCluster cluster(3);
    lead_unanswered(cluster);
    const auto lost = cluster.node(1).propose("payload");
    const Configuration target = with_learner();
    cluster.node(1).step(ChangeConfiguration{target});
    cluster.settle();
    TestNode& node = cluster.node(2);
    const EntryId changed = node.core().last();
    ASSERT_TRUE(lost.has_value() && changed.index == lost->index.next());
    node.lose(lost->index, false);
    node.lose(changed.index, false);
    EXPECT_EQ(node.core().configuration(), target) << "what it said is known all the same";
    answer_again(cluster);
    EXPECT_EQ(node.seen.repaired, (std::vector<LogIndex>{lost->index, changed.index}));
    EXPECT_FALSE(node.core().is_damaged());
    EXPECT_EQ(node.applied(), changed.index);
    EXPECT_EQ(node.core().configuration(), target);
    EXPECT_EQ(node.state_hash(), cluster.node(1).state_hash());
}

TEST(RaftDamage, a_configuration_lost_while_running_is_fetched_like_any_entry) {
    TestCluster cluster(3);
    lead_unanswered(cluster);
    const Configuration target = with_learner();
    cluster.node(1).step(ChangeConfiguration{target});
    cluster.settle();
    TestNode& node = cluster.node(2);
    const EntryId changed = node.core().last();
    const StoredEntry* stored = node.memory().find(changed.index);
    ASSERT_TRUE(stored != nullptr && stored->kind == EntryKind::config);
    node.step(EntryLost{changed, stored->checksum, EntryKind::config});
    answer_again(cluster);
    EXPECT_EQ(node.seen.repaired, std::vector<LogIndex>{changed.index});
    EXPECT_FALSE(node.core().is_damaged());
    EXPECT_EQ(node.applied(), changed.index);
    EXPECT_EQ(node.core().configuration(), target);
    EXPECT_EQ(node.state_hash(), cluster.node(1).state_hash());
}

// It knows who the voters are, whatever can no longer be read back: nothing keeps it from standing.
TEST(RaftDamage, a_configuration_lost_while_standing_for_election_does_not_end_that) {
    TestCluster cluster(3);
    lead_unanswered(cluster);
    const Configuration target = with_learner();
    cluster.node(1).step(ChangeConfiguration{target});
    cluster.settle();
    cluster.loses = nullptr;
    TestNode& node = cluster.node(2);
    cluster.crash(1);
    node.step(ElectionDue{});
    ASSERT_EQ(node.core().role(), Role::pre_candidate);
    node.lose(node.core().last().index, true);
    cluster.settle();
    EXPECT_EQ(node.core().role(), Role::leader);
    EXPECT_FALSE(node.core().is_damaged());
    EXPECT_EQ(node.core().configuration(), target);
    EXPECT_EQ(node.applied(), node.core().last().index);
}

// Records were lost: those that overwrote the end of this log, while the commit hint was written after them.
TEST(RaftDoubt, a_replica_in_doubt_applies_nothing_before_a_leader_has_compared_its_log) {
    TestCluster cluster(3);
    cluster.elect(1);
    cluster.settle();
    TestNode& node = cluster.node(3);
    const auto old = Store(node.disk());
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    ASSERT_TRUE(cluster.node(1).propose("nobody hears of it"));
    cluster.run(NodeId(1));
    cluster.isolate(1);
    const StoredEntry overwritten = *cluster.node(1).memory().find(cluster.node(1).core().last().index);
    cluster.elect(2);
    ASSERT_TRUE(cluster.node(2).propose("committed"));
    cluster.settle();
    ASSERT_GE(node.applied(), overwritten.id.index);
    cluster.heal();
    cluster.settle();
    cluster.crash(3);
    const HardState newest = cluster.node(2).core().hard_state();
    node.disk() = old;
    node.disk().append(overwritten);
    node.disk().hard_state = {newest.term, NodeId(2), newest.commit, old.hard_state.incarnation.next(), true};
    cluster.restart(3);
    EXPECT_EQ(node.applied(), old.checkpoint.applied.index);
    cluster.settle();
    EXPECT_EQ(node.applied(), cluster.node(2).applied());
    EXPECT_EQ(node.state_hash(), cluster.node(2).state_hash());
    EXPECT_FALSE(node.core().in_doubt());
}

}  // namespace
}  // namespace ringfort::raft
