#include "sim/checkers/log_judge.h"

#include <gtest/gtest.h>

#include "log_on_disk.h"

namespace ringfort::sim {

// A cluster of one node: what its replica says against what its disk has.
class LogJudgeTest : public LogOnDisk {
  protected:
    void SetUp() override {
        log_judge_.watch(0, NodeId(1), media_);
        first_ = begun();
    }
    std::string observe(raft::Role role, std::uint64_t term, std::uint64_t commit_term, std::uint64_t commit) {
        return observe_with(log_judge_, role, term, commit_term, commit);
    }
    static std::string observe_with(LogJudge& judge, raft::Role role, std::uint64_t term, std::uint64_t commit_term,
                                    std::uint64_t commit) {
        shard::ReplicaView view;
        view.range = judged_range;
        view.role = role;
        view.term = Term(term);
        view.commit_term = Term(commit_term);
        view.commit = view.applied = LogIndex(commit);
        return judge.observe(0, self, {&view, 1});
    }
    // The replica is elected in term 2 and has entry 2/2 committed.
    BatchBuilder lead_and_commit() {
        BatchBuilder out = first_.next();
        promises(out, 2, self.value);
        entries(out, 2, 2, "a");
        EXPECT_EQ(write_durably(out), "");
        EXPECT_EQ(observe(raft::Role::leader, 2, 2, 2), "");
        return out;
    }
    void sync() {
        env::DiskOperation op([](env::DiskOperation&) {}, nullptr);
        disk_->sync(op, file_);
        settle();
    }

    static constexpr NodeId self{9};
    LogJudge log_judge_{1};
    BatchBuilder first_;
};

TEST_F(LogJudgeTest, a_leader_needs_its_vote_on_disk) {
    EXPECT_EQ(observe(raft::Role::follower, 1, 1, 1), "");
    EXPECT_NE(observe(raft::Role::leader, 2, 1, 1), "");
    BatchBuilder second = first_.next();
    promises(second, 2, self.value);
    ASSERT_EQ(write_durably(second), "");
    log_judge_.forget(0);
    EXPECT_EQ(observe(raft::Role::leader, 2, 1, 1), "");
}

TEST_F(LogJudgeTest, a_commit_needs_the_entry_on_disk) {
    BatchBuilder second = first_.next();
    promises(second, 2, self.value);
    ASSERT_EQ(write_durably(second), "");
    EXPECT_EQ(observe(raft::Role::leader, 2, 1, 1), "");
    BatchBuilder third = second.next();
    entries(third, 2, 2, "a");
    ASSERT_EQ(write(third, env::Durability::none), "");
    EXPECT_NE(observe(raft::Role::leader, 2, 2, 2), "") << "in flight";
    log_judge_.forget(0);
    settle();
    EXPECT_NE(observe(raft::Role::leader, 2, 2, 2), "") << "a power cut may still take it";
    log_judge_.forget(0);
    sync();
    EXPECT_EQ(observe(raft::Role::leader, 2, 2, 2), "");
    log_judge_.forget(0);
    EXPECT_EQ(observe(raft::Role::leader, 2, 1, 1), "") << "its next life has heard less";
    EXPECT_NE(observe(raft::Role::leader, 2, 1, 2), "") << "another entry";
}

TEST_F(LogJudgeTest, who_hears_of_a_commit_and_stands_for_election_in_one_turn_heard_of_it_before) {
    EXPECT_EQ(observe(raft::Role::follower, 1, 1, 1), "");
    BatchBuilder second = first_.next();
    entries(second, 1, 2, "a");
    ASSERT_EQ(write_durably(second), "");
    EXPECT_EQ(observe(raft::Role::candidate, 2, 1, 2), "");
}

TEST_F(LogJudgeTest, a_leader_has_what_was_committed) {
    const BatchBuilder second = lead_and_commit();
    BatchBuilder third = second.next();
    promises(third, 3, self.value);
    truncate(third, 2);
    static_cast<void>(write_durably(third));
    EXPECT_NE(observe(raft::Role::follower, 3, 2, 2), "") << "what was committed is gone";
    EXPECT_NE(observe(raft::Role::leader, 3, 1, 1), "");
}

// Nobody tells it what it promised since; the others know.
TEST_F(LogJudgeTest, a_node_whose_disk_went_back_may_promise_anew) {
    const DiskMedia::Copy copy = media_.copy();
    BatchBuilder second = first_.next();
    promises(second, 5, self.value);
    ASSERT_EQ(write_durably(second), "");
    EXPECT_EQ(observe(raft::Role::leader, 5, 1, 1), "");
    log_judge_.forget(0);
    disk_->detach();
    media_.put_back(copy);
    restart();
    BatchBuilder again = opening(first_);
    state(again, {.term = 1}, 1, 1);
    static_cast<void>(write_durably(again));
    EXPECT_EQ(observe(raft::Role::follower, 1, 1, 1), "");
    BatchBuilder once_more = opening(again);
    state(once_more, {.term = 0}, 1, 1);
    static_cast<void>(write_durably(once_more));
    EXPECT_NE(observe(raft::Role::follower, 1, 1, 1), "") << "it went back once";
}

TEST_F(LogJudgeTest, in_the_end_every_replica_has_applied_what_was_committed) {
    lead_and_commit();
    shard::ReplicaView view;
    view.range = judged_range;
    view.applied = LogIndex(1);
    EXPECT_NE(log_judge_.check_final(0, view), "");
    view.applied = LogIndex(2);
    EXPECT_EQ(log_judge_.check_final(0, view), "");
    EXPECT_EQ(log_judge_.check_disk(0), "");
}

// Which log its replicas went to is not known: the others are judged on.
TEST_F(LogJudgeTest, a_node_that_moved_may_have_anything_and_the_rest_is_judged_until_a_quorum_has) {
    LogJudge three(3);
    three.watch(0, NodeId(1), media_);
    begin_anew();
    first_ = begun();
    BatchBuilder second = first_.next();
    promises(second, 2, self.value);
    entries(second, 2, 2, "a");
    ASSERT_EQ(write_durably(second), "");
    const auto commits = [&](std::uint64_t index) {
        three.forget(0);
        return observe_with(three, raft::Role::leader, 2, index == 1 ? 1 : 2, index);
    };
    EXPECT_NE(commits(1), "") << "one of three has voted for it";
    three.on_move(1);
    EXPECT_EQ(commits(2), "");
    EXPECT_NE(commits(3), "") << "nobody who stayed has it";
    three.on_move(2);
    EXPECT_EQ(commits(3), "");
}

}  // namespace ringfort::sim
