// Linearizable reads without a log entry (Ongaro's thesis, 6.4), step by step. What a leader says is a proposal of the core:
// read_index() is steps 1 and 2; a node acknowledges a round of term T (step 3) if it is not in doubt and knows no term
// above T, and is_quorum() counts; steps 4 and 5 are up to whoever applies.
#include <gtest/gtest.h>

#include "test_cluster.h"

namespace ringfort::raft {
namespace {

// What a round that the leader sends now would come to.
std::vector<NodeId> acknowledgements(TestCluster& cluster, const TestNode& leader) {
    std::vector<NodeId> out;
    for (const NodeId id : cluster.ids()) {
        TestNode& node = cluster.node(id);
        if (id != leader.id() && node.running() && !node.core().in_doubt() &&
            node.core().term() <= leader.core().term()) {
            out.push_back(id);
        }
    }
    return out;
}

EntryId write(TestCluster& cluster, TestNode& leader, std::string_view what) {
    const auto proposed = leader.propose(what);
    EXPECT_TRUE(proposed.has_value());
    cluster.settle();
    return *proposed;
}

// Step 1: "If the leader has not yet marked an entry from its current term committed, it waits until it has done so."
TEST(RaftThesis64, step_1_a_leader_that_has_committed_nothing_of_its_term_waits_for_its_noop) {
    TestCluster cluster(3);
    cluster.elect(1);
    const EntryId former = write(cluster, cluster.node(1), "former");
    cluster.crash(1);
    cluster.loses = [](const OwnedMessage& owned) { return owned.message.type == MessageType::append_response; };
    cluster.elect(2);
    TestNode& leader = cluster.node(2);
    ASSERT_TRUE(leader.core().is_leader());
    const LogIndex noop = leader.core().last().index;
    ASSERT_EQ(noop, former.index.next());
    EXPECT_LT(leader.core().commit(), noop);
    EXPECT_EQ(leader.core().read_index(), std::nullopt);

    cluster.loses = nullptr;
    cluster.tell_back(2, 3);
    cluster.settle();
    EXPECT_EQ(leader.core().commit(), noop);
    EXPECT_EQ(leader.core().read_index(), noop);
    EXPECT_EQ(cluster.node(3).core().read_index(), std::nullopt) << "a follower has none";
}

// Step 2: "The leader saves its current commit index in a local variable readIndex. This will be used as a lower bound
// for the version of the state that the query operates against."
TEST(RaftThesis64, step_2_the_read_index_is_the_commit_index_and_covers_every_acknowledged_write) {
    TestCluster cluster(3);
    cluster.elect(1);
    TestNode& leader = cluster.node(1);
    LogIndex before = *leader.core().read_index();
    for (int i = 0; i < 10; i++) {
        const EntryId written = write(cluster, leader, "w");
        EXPECT_EQ(leader.core().read_index(), leader.core().commit());
        EXPECT_EQ(leader.core().read_index(), written.index);
        EXPECT_GT(leader.core().read_index(), before);
        before = *leader.core().read_index();
    }
    // What is not committed, nobody was told of.
    cluster.loses = [](const OwnedMessage& owned) { return owned.message.type == MessageType::append; };
    write(cluster, leader, "not acknowledged");
    EXPECT_EQ(leader.core().read_index(), before);
    EXPECT_GT(leader.core().last().index, before);
}

// Step 3: "The leader needs to make sure it hasn't been superseded by a newer leader of which it is unaware. It issues a
// new round of heartbeats and waits for their acknowledgments from a majority of the cluster." Every way to cut it off.
TEST(RaftThesis64, step_3_of_a_superseded_leader_no_round_comes_to_a_quorum_nor_does_a_followers_question) {
    for (const std::uint64_t count : {3u, 4u, 5u}) {
        for (std::uint64_t with = 1; with < (1u << count); with += 2) {   // sets of nodes that node 1 is in
            TestCluster cluster(count);
            cluster.elect(1);
            TestNode& old = cluster.node(1);
            write(cluster, old, "before");
            std::vector<std::uint64_t> others;
            for (std::uint64_t id = 2; id <= count; id++) {
                if (((with >> (id - 1)) & 1) == 0) {
                    others.push_back(id);
                }
            }
            // Silently: those left behind with the leader believe in it, and it in itself.
            for (const std::uint64_t id : others) {
                for (std::uint64_t near = 1; near <= count; near++) {
                    if (((with >> (near - 1)) & 1) != 0) {
                        cluster.cut(id, near);
                        cluster.tell_lost(id, near);
                    }
                }
            }
            if (others.empty()) {
                continue;
            }
            cluster.elect(others.front());
            TestNode& next = cluster.node(others.front());
            ASSERT_TRUE(old.core().is_leader());
            ASSERT_TRUE(old.core().read_index().has_value());
            const auto acknowledged = acknowledgements(cluster, old);
            const bool superseded = others.size() > count / 2;
            ASSERT_EQ(next.core().is_leader(), superseded);
            EXPECT_EQ(old.core().is_quorum(acknowledged), !superseded) << count << " nodes, cut " << with;
            if (!superseded) {
                continue;
            }
            write(cluster, next, "after");
            EXPECT_LT(*old.core().read_index(), next.core().commit()) << "it would be wrong";
            for (const NodeId asker : acknowledged) {
                const NodeId one[] = {asker};
                EXPECT_FALSE(old.core().is_quorum(one)) << "a question of " << asker.value << " is no confirmation";
            }
        }
    }
}

// Step 3 again: a vote is the promise not to acknowledge any more, before its candidate has won anything.
TEST(RaftThesis64, step_3_who_voted_in_a_later_term_acknowledges_no_round_of_an_earlier_one) {
    TestCluster cluster(3);
    cluster.elect(1);
    TestNode& old = cluster.node(1);
    EXPECT_TRUE(old.core().is_quorum(acknowledgements(cluster, old)));
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    cluster.tell_lost(2, 1);
    cluster.tell_lost(3, 1);
    cluster.loses = [](const OwnedMessage& owned) { return owned.message.type == MessageType::vote_response; };
    cluster.elect(2);
    ASSERT_FALSE(cluster.node(2).core().is_leader());
    ASSERT_EQ(cluster.node(3).core().hard_state().vote, NodeId(2));
    EXPECT_TRUE(acknowledgements(cluster, old).empty());
    EXPECT_FALSE(old.core().is_quorum({}));
    // Nor after a restart.
    cluster.crash(3);
    cluster.restart(3);
    EXPECT_TRUE(acknowledgements(cluster, old).empty());
}

// Step 3: the majority is one of the configuration in force: of both in a joint one, and of no learners.
TEST(RaftThesis64, step_3_counts_voters_and_in_a_joint_configuration_both_majorities) {
    Configuration joint;
    joint.voters = {NodeId(1), NodeId(2), NodeId(3)};
    joint.outgoing = {NodeId(1), NodeId(3), NodeId(4), NodeId(5), NodeId(6)};
    joint.learners = {NodeId(7)};
    Store disk;
    disk.hard_state.term = Term(1);
    disk.hard_state.commit = LogIndex(1);
    disk.checkpoint = {.applied = {.term = Term(1), .index = LogIndex(1)}, .configuration = joint, .state_hash = 0};
    Options options;
    options.range = RangeId(7);
    options.self = NodeId(1);
    TestNode node(options, disk);
    node.start();
    const auto quorum = [&](std::vector<NodeId> confirmed) { return node.core().is_quorum(confirmed); };
    EXPECT_FALSE(quorum({}));
    EXPECT_FALSE(quorum({NodeId(2)}));
    EXPECT_FALSE(quorum({NodeId(3)}));
    EXPECT_FALSE(quorum({NodeId(4), NodeId(5)}));
    EXPECT_FALSE(quorum({NodeId(2), NodeId(4)}));
    EXPECT_FALSE(quorum({NodeId(2), NodeId(4), NodeId(7)}));
    EXPECT_TRUE(quorum({NodeId(2), NodeId(4), NodeId(5)}));
    EXPECT_TRUE(quorum({NodeId(3), NodeId(6)}));
}

// Steps 4 and 5, at a follower: "To serve reads, a follower could issue a request to the leader that just asked for a
// current readIndex (the leader would execute steps 1-3 above); the follower could then execute steps 4 and 5 on its own
// state machine." Its own commit index would not do.
TEST(RaftThesis64, step_4_a_follower_that_asked_has_not_applied_the_index_until_the_leader_has_told_it_more) {
    TestCluster cluster(3);
    cluster.elect(1);
    TestNode& leader = cluster.node(1);
    TestNode& follower = cluster.node(3);
    write(cluster, leader, "before");
    cluster.loses = [](const OwnedMessage& owned) { return owned.message.to == NodeId(3); };
    const EntryId written = write(cluster, leader, "acknowledged");
    const LogIndex told = *leader.core().read_index();
    EXPECT_EQ(told, written.index);
    EXPECT_LT(follower.core().commit(), told);
    EXPECT_LT(follower.applied(), told);
    cluster.loses = nullptr;
    cluster.tell_back(1, 3);
    cluster.settle();
    EXPECT_GE(follower.applied(), told);
}

// An answer that comes late, when its leader is none any more, still names entries that every later leader has.
TEST(RaftThesis64, an_index_once_told_stays_good_whoever_leads_later) {
    TestCluster cluster(5);
    cluster.elect(1);
    TestNode& old = cluster.node(1);
    cluster.loses = [](const OwnedMessage& owned) { return owned.message.to > NodeId(3); };
    const EntryId written = write(cluster, old, "known to three");
    ASSERT_EQ(old.core().read_index(), written.index);
    const LogIndex told = *old.core().read_index();
    cluster.loses = nullptr;
    cluster.isolate(1);
    cluster.elect(5);
    EXPECT_FALSE(cluster.node(5).core().is_leader()) << "it does not have what was told";
    cluster.elect(2);
    TestNode& next = cluster.node(2);
    ASSERT_TRUE(next.core().is_leader());
    EXPECT_GE(next.core().commit(), told);
    for (std::uint64_t id = 2; id <= 5; id++) {
        EXPECT_GE(cluster.node(id).applied(), told);
        ASSERT_NE(cluster.node(id).memory().find(told), nullptr);
        EXPECT_EQ(cluster.node(id).memory().find(told)->id, written);
    }
}

}  // namespace
}  // namespace ringfort::raft
