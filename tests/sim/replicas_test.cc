#include "sim/checkers/replicas.h"

#include <gtest/gtest.h>

namespace ringfort::sim {

namespace {
shard::ReplicaView view(raft::Role role, std::uint64_t term, std::uint64_t applied, std::uint64_t hash) {
    shard::ReplicaView out;
    out.range = RangeId(1);
    out.role = role;
    out.term = Term(term);
    out.commit = out.applied = LogIndex(applied);
    out.state_hash = hash;
    return out;
}
}  // namespace

TEST(ReplicaJudge, flags_two_leaders_of_a_term_even_over_a_restart) {
    ReplicaJudge judge;
    EXPECT_EQ(judge.observe(NodeId(1), view(raft::Role::leader, 3, 1, 7)), "");
    EXPECT_EQ(judge.observe(NodeId(1), view(raft::Role::leader, 3, 1, 7)), "");
    EXPECT_EQ(judge.observe(NodeId(2), view(raft::Role::leader, 4, 1, 7)), "");
    judge.forget(NodeId(1));
    EXPECT_NE(judge.observe(NodeId(2), view(raft::Role::leader, 3, 1, 7)), "");
    ReplicaJudge other;
    EXPECT_EQ(other.observe(NodeId(1), view(raft::Role::leader, 3, 1, 7)), "");
    other.forget(NodeId(1));
    EXPECT_NE(other.observe(NodeId(2), view(raft::Role::leader, 3, 1, 7)), "");
}

TEST(ReplicaJudge, flags_different_states_at_one_applied_index) {
    ReplicaJudge judge;
    EXPECT_EQ(judge.observe(NodeId(1), view(raft::Role::follower, 1, 5, 7)), "");
    EXPECT_EQ(judge.observe(NodeId(2), view(raft::Role::follower, 1, 4, 6)), "");
    EXPECT_EQ(judge.observe(NodeId(2), view(raft::Role::follower, 1, 5, 7)), "");
    EXPECT_NE(judge.observe(NodeId(3), view(raft::Role::follower, 1, 5, 8)), "");
    EXPECT_NE(judge.observe(NodeId(2), view(raft::Role::follower, 1, 5, 8)), "") << "changed without an entry";
}

TEST(ReplicaJudge, flags_progress_that_goes_back_within_one_life_only) {
    ReplicaJudge judge;
    EXPECT_EQ(judge.observe(NodeId(1), view(raft::Role::follower, 2, 5, 7)), "");
    EXPECT_NE(judge.observe(NodeId(1), view(raft::Role::follower, 2, 4, 6)), "");
    judge.forget(NodeId(1));
    EXPECT_EQ(judge.observe(NodeId(1), view(raft::Role::follower, 2, 4, 6)), "");
    auto ahead = view(raft::Role::follower, 2, 6, 9);
    ahead.commit = LogIndex(5);
    EXPECT_NE(judge.observe(NodeId(1), ahead), "");
}

TEST(ReplicaJudge, flags_an_incarnation_of_two_data_directories) {
    ReplicaJudge judge;
    auto seen = view(raft::Role::follower, 1, 5, 7);
    seen.incarnation = Incarnation(2);
    seen.instance = InstanceId(17);
    EXPECT_EQ(judge.observe(NodeId(1), seen), "");
    judge.forget(NodeId(1));
    EXPECT_EQ(judge.observe(NodeId(1), seen), "");
    seen.instance = InstanceId(18);
    EXPECT_EQ(judge.observe(NodeId(2), seen), "");
    seen.incarnation = Incarnation(3);
    EXPECT_EQ(judge.observe(NodeId(1), seen), "");
    seen.incarnation = Incarnation(2);
    EXPECT_NE(judge.observe(NodeId(1), seen), "");
}

}  // namespace ringfort::sim
