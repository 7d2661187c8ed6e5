// One test for each rule of the Raft paper (Ongaro and Ousterhout 2014, "In Search of an Understandable Consensus
// Algorithm", cited by section) and of Ongaro's thesis.
#include "subject.h"

namespace ringfort::raft {
namespace {

// ---- Figure 2, rules for servers

TEST(RaftFigure2, a_higher_term_is_adopted_and_makes_a_follower) {
    for (const MessageType type : {MessageType::append_response, MessageType::vote_response, MessageType::vote}) {
        Subject subject(1, 3, {2}, 2);
        subject.become_leader();
        subject.finish();
        OwnedMessage message = subject.from(2, type, 9);
        message.message.transfer = true;  // else a vote request does not unseat a living leader (thesis 4.2.3)
        subject.node.receive(message);
        EXPECT_EQ(subject.node.core().role(), Role::follower);
        EXPECT_EQ(subject.node.core().term(), Term(9));
        subject.finish();
        EXPECT_EQ(subject.node.disk().hard_state.term, Term(9));
    }
}

TEST(RaftFigure2, a_request_of_an_old_term_is_refused_and_told_the_new_one) {
    Subject subject(1, 3, {2, 3}, 3);
    const Message append = only(subject.said(subject.append(2, 2, id(1, 1), {2})), MessageType::append_response);
    EXPECT_TRUE(append.reject);
    EXPECT_EQ(append.term, Term(3));
    const Message vote = only(subject.said(subject.vote(2, 2, id(3, 9))), MessageType::vote_response);
    EXPECT_TRUE(vote.reject);
    EXPECT_EQ(vote.term, Term(3));
    EXPECT_EQ(subject.node.core().last(), id(3, 3));
}

TEST(RaftFigure2, a_candidate_yields_to_a_leader_of_its_term) {
    Subject subject(1, 3, {}, 1);
    subject.node.step(ElectionDue{.force = true});
    ASSERT_EQ(subject.node.core().role(), Role::candidate);
    subject.said(subject.append(2, 2, id(1, 1), {2}));
    EXPECT_EQ(subject.node.core().role(), Role::follower);
    EXPECT_EQ(subject.node.core().leader(), NodeId(2));
}

TEST(RaftFigure2, term_and_vote_outlive_a_crash) {
    Subject subject(1, 3, {}, 1);
    EXPECT_FALSE(only(subject.said(subject.vote(2, 5, id(1, 1))), MessageType::vote_response).reject);
    subject.node.crash();
    subject.node.start();
    EXPECT_EQ(subject.node.core().term(), Term(5));
    EXPECT_TRUE(only(subject.said(subject.vote(3, 5, id(1, 1))), MessageType::vote_response).reject);
    EXPECT_FALSE(only(subject.said(subject.vote(2, 5, id(1, 1))), MessageType::vote_response).reject);
}

TEST(RaftFigure2, a_vote_in_a_term_that_was_known_before_outlives_a_crash_too) {
    Subject subject(1, 3, {}, 5);
    EXPECT_FALSE(only(subject.said(subject.vote(2, 5, id(1, 1))), MessageType::vote_response).reject);
    EXPECT_EQ(subject.node.disk().hard_state.vote, NodeId(2));
    subject.node.crash();
    subject.node.start();
    EXPECT_TRUE(only(subject.said(subject.vote(3, 5, id(1, 1))), MessageType::vote_response).reject);
}

TEST(RaftFigure2, a_vote_is_not_given_before_it_is_durable) {
    Subject subject(1, 3, {}, 1);
    subject.node.receive(subject.vote(2, 5, id(1, 1)));
    subject.node.end_turn();
    EXPECT_TRUE(subject.node.outbox.empty());
    subject.node.complete_write();
    EXPECT_EQ(of_type(subject.node.outbox, MessageType::vote_response).size(), 1U);
}

TEST(RaftFigure2, a_vote_is_not_asked_for_before_the_term_is_durable) {
    Subject subject(1, 3, {}, 1);
    subject.node.step(ElectionDue{.force = true});
    subject.node.end_turn();
    EXPECT_TRUE(subject.node.outbox.empty());
    subject.node.complete_write();
    EXPECT_EQ(of_type(subject.node.outbox, MessageType::vote).size(), 2U);
    EXPECT_EQ(subject.node.disk().hard_state.vote, NodeId(1));
}

TEST(RaftFigure2, an_append_is_not_answered_before_its_entries_are_durable) {
    Subject subject(1, 3, {}, 2);
    subject.node.receive(subject.append(2, 2, id(1, 1), {2, 2}));
    subject.node.end_turn();
    EXPECT_TRUE(subject.node.outbox.empty());
    subject.node.complete_write();
    EXPECT_EQ(only(subject.node.outbox, MessageType::append_response).match, LogIndex(3));
}

TEST(RaftFigure2, a_follower_commits_the_smaller_of_the_leaders_commit_and_the_last_new_entry) {
    Subject subject(1, 3, {2, 2, 2}, 2);
    subject.said(subject.append(2, 2, id(1, 1), {2}, 4));
    EXPECT_EQ(subject.node.core().commit(), LogIndex(2));   // 3 and 4 are not known to be the leader's
    subject.said(subject.append(2, 2, id(2, 2), {2, 2}, 3));
    EXPECT_EQ(subject.node.core().commit(), LogIndex(3));
}

// ---- 5.2 leader election

TEST(RaftSection52, one_vote_a_term_first_come_first_served) {
    Subject subject(1, 3, {}, 1);
    EXPECT_FALSE(only(subject.said(subject.vote(2, 2, id(1, 1))), MessageType::vote_response).reject);
    EXPECT_TRUE(only(subject.said(subject.vote(3, 2, id(1, 1))), MessageType::vote_response).reject);
    EXPECT_FALSE(only(subject.said(subject.vote(3, 3, id(1, 1))), MessageType::vote_response).reject);
}

TEST(RaftSection52, a_majority_of_votes_wins_and_less_does_not) {
    for (const std::uint64_t voter_count : {1U, 2U, 3U, 4U, 5U}) {
        Subject subject(1, voter_count, {}, 1);
        subject.node.step(ElectionDue{.force = true});
        subject.finish();
        for (std::uint64_t votes = 1; votes < voter_count; votes++) {
            if (votes == (voter_count / 2) + 1) {
                break;
            }
            EXPECT_EQ(subject.node.core().role(), Role::candidate) << votes << " of " << voter_count;
            subject.node.receive(subject.from(votes + 1, MessageType::vote_response, 2));
        }
        EXPECT_EQ(subject.node.core().role(), Role::leader) << voter_count;
    }
}

TEST(RaftSection52, the_same_vote_counts_once) {
    Subject subject(1, 5, {}, 1);
    subject.node.step(ElectionDue{.force = true});
    subject.finish();
    subject.node.receive(subject.from(2, MessageType::vote_response, 2));
    subject.node.receive(subject.from(2, MessageType::vote_response, 2));
    EXPECT_EQ(subject.node.core().role(), Role::candidate);
}

TEST(RaftSection52, a_candidate_without_a_majority_tries_again_after_another_delay) {
    Subject subject(1, 3, {}, 1);
    subject.node.step(ElectionDue{.force = true});
    EXPECT_TRUE(subject.node.timer);
    subject.finish();
    subject.node.step(ElectionDue{.force = true});
    EXPECT_EQ(subject.node.core().term(), Term(3));
}

TEST(RaftSection52, a_new_leader_tells_everybody_at_once) {
    Subject subject(1, 3, {}, 1);
    subject.become_leader();
    const auto appends = of_type(subject.finish(), MessageType::append);
    ASSERT_EQ(appends.size(), 2U);
    EXPECT_EQ(appends.front().message.entry_count, 1U);   // the noop of section 8
    EXPECT_EQ(appends.front().entries.front().kind, EntryKind::noop);
}

// ---- 5.3 log replication

TEST(RaftSection53, an_append_without_its_predecessor_is_refused) {
    Subject gap(1, 3, {2}, 2);
    EXPECT_TRUE(only(gap.said(gap.append(2, 3, id(3, 5), {3})), MessageType::append_response).reject);
    EXPECT_EQ(gap.node.core().last(), id(2, 2));
    Subject other_term(1, 3, {2, 2}, 2);
    EXPECT_TRUE(only(other_term.said(other_term.append(2, 3, id(3, 3), {3})), MessageType::append_response).reject);
    EXPECT_EQ(other_term.node.core().last(), id(2, 3));
}

TEST(RaftSection53, a_conflicting_entry_and_all_behind_it_are_replaced) {
    Subject subject(1, 3, {2, 2, 2, 2}, 2);
    const Message answer = only(subject.said(subject.append(2, 4, id(2, 2), {3})), MessageType::append_response);
    EXPECT_FALSE(answer.reject);
    EXPECT_EQ(answer.match, LogIndex(3));
    EXPECT_EQ(subject.node.core().last(), id(3, 3));
    EXPECT_EQ(subject.node.disk().last(), id(3, 3));
}

TEST(RaftSection53, entries_already_there_are_neither_replaced_nor_shorten_the_log) {
    Subject subject(1, 3, {2, 2, 2, 2}, 2);
    subject.said(subject.append(2, 2, id(1, 1), {2, 2}));
    EXPECT_EQ(subject.node.core().last(), id(2, 5));   // a late append must not undo newer ones
    EXPECT_FALSE(bool(subject.node.seen.truncated_from));
}

// The logs (a) to (f) of Figure 7 beside the leader of term 8; each becomes equal to the leader's.
TEST(RaftSection53, figure_7_every_follower_is_brought_to_the_leaders_log) {
    // The paper's index 1 is index 2 here, behind the initial (1, 1).
    const std::vector<std::uint64_t> leader_log = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
    const std::vector<std::vector<std::uint64_t>> follower_logs = {
        {1, 1, 1, 4, 4, 5, 5, 6, 6}, {1, 1, 1, 4}, {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
        {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, {1, 1, 1, 4, 4, 4, 4}, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}};
    for (const auto& follower_log : follower_logs) {
        Subject leader(1, 3, leader_log, 7);
        Subject follower(2, 3, follower_log, 7);
        leader.become_leader();
        int exchanges = 0;
        for (std::vector<OwnedMessage> messages = leader.finish(); !messages.empty() && exchanges < 20; exchanges++) {
            std::vector<OwnedMessage> answers;
            for (const OwnedMessage& message : messages) {
                if (message.message.to == NodeId(2) && message.message.type == MessageType::append) {
                    follower.node.receive(message);
                }
            }
            answers = follower.finish();
            for (const OwnedMessage& answer : answers) {
                leader.node.receive(answer);
            }
            messages = leader.finish();
            while (!leader.node.reads.empty()) {
                leader.node.answer_read();
                const auto more = leader.finish();
                messages.insert(messages.end(), more.begin(), more.end());
            }
            std::erase_if(messages, [](const OwnedMessage& m) { return m.message.to != NodeId(2); });
        }
        ASSERT_EQ(follower.node.core().last(), leader.node.core().last());
        for (std::uint64_t index = 1; index <= leader.node.core().last().index.value; index++) {
            EXPECT_EQ(follower.node.core().term_at(LogIndex(index)), leader.node.core().term_at(LogIndex(index)));
        }
        EXPECT_LE(exchanges, 8);   // whole terms are skipped (end of 5.3)
    }
}

// ---- 5.4 safety

TEST(RaftSection541, a_vote_needs_a_log_at_least_as_new) {
    struct Case {
        EntryId candidate_last;
        bool granted;
    };
    for (const Case& c : {Case{id(3, 3), true}, Case{id(3, 4), true}, Case{id(4, 2), true}, Case{id(3, 2), false},
                          Case{id(2, 9), false}}) {
        Subject subject(1, 3, {2, 3}, 3);
        EXPECT_EQ(!only(subject.said(subject.vote(2, 5, c.candidate_last)), MessageType::vote_response).reject,
                  c.granted)
            << c.candidate_last.term.value << "." << c.candidate_last.index.value;
    }
}

// Figure 8: an entry of an old term on a majority may still be lost; it counts as committed only behind one of this term.
TEST(RaftSection542, entries_of_earlier_terms_are_not_committed_by_counting) {
    Subject subject(1, 3, {2, 2}, 4);
    subject.become_leader();
    subject.finish();
    subject.node.receive(subject.accepted(2, 3));
    EXPECT_EQ(subject.node.core().commit(), LogIndex(1));
    subject.node.receive(subject.accepted(2, 4));
    EXPECT_EQ(subject.node.core().commit(), LogIndex(4));
}

// ---- 7 snapshots

TEST(RaftSection7, a_follower_behind_the_leaders_snapshot_is_sent_one_and_goes_on_behind_it) {
    TestCluster cluster(3);
    cluster.elect(1);
    cluster.isolate(3);
    for (int i = 0; i < 5; i++) {
        cluster.node(1).propose("x");
        cluster.settle();
    }
    cluster.node(1).checkpoint(cluster.node(1).applied());
    const LogIndex cut = cluster.node(1).core().snapshot().index;
    cluster.node(1).propose("y");
    cluster.settle();
    cluster.heal();
    cluster.settle();
    EXPECT_GE(cluster.node(3).core().snapshot().index, cut);
    EXPECT_EQ(cluster.node(3).core().last(), cluster.node(1).core().last());
    EXPECT_EQ(cluster.node(3).state_hash(), cluster.node(1).state_hash());
}

TEST(RaftSection7, entries_behind_a_snapshot_that_fits_the_log_stay) {
    Subject subject(1, 3, {2, 2, 2, 2}, 2);
    subject.node.install({.from = NodeId(2), .to = NodeId(1), .term = Term(2),
                          .checkpoint = {.applied = id(2, 3), .configuration = voters(3), .state_hash = 5}});
    EXPECT_EQ(subject.node.seen.snapshot_fit, SnapshotFit::log_kept);
    EXPECT_EQ(subject.node.core().last(), id(2, 5));
    EXPECT_FALSE(only(subject.finish(), MessageType::snapshot_response).reject);
}

TEST(RaftSection7, a_snapshot_that_does_not_fit_voids_the_log) {
    Subject subject(1, 3, {2, 2, 2, 2}, 4);
    subject.node.install({.from = NodeId(2), .to = NodeId(1), .term = Term(4),
                          .checkpoint = {.applied = id(3, 3), .configuration = voters(3), .state_hash = 5}});
    EXPECT_EQ(subject.node.seen.snapshot_fit, SnapshotFit::log_void);
    EXPECT_EQ(subject.node.core().last(), id(3, 3));
    EXPECT_EQ(subject.node.core().commit(), LogIndex(3));
}

TEST(RaftSection7, an_old_snapshot_changes_nothing) {
    Subject subject(1, 3, {2, 2}, 2);
    subject.said(subject.append(2, 2, id(2, 3), {}, 3));
    ASSERT_EQ(subject.node.core().commit(), LogIndex(3));
    subject.node.install({.from = NodeId(2), .to = NodeId(1), .term = Term(2),
                          .checkpoint = {.applied = id(2, 2), .configuration = voters(3), .state_hash = 5}});
    EXPECT_EQ(subject.node.seen.snapshot_fit, SnapshotFit::none);
    EXPECT_EQ(subject.node.core().snapshot(), id(1, 1));
}

// ---- thesis 3.10 leadership transfer

TEST(RaftThesis310, the_target_is_caught_up_then_told_and_no_proposals_are_taken_meanwhile) {
    Subject subject(1, 3, {}, 1);
    subject.become_leader();
    subject.finish();
    subject.node.step(TransferLeadership{.target = NodeId(2)});
    EXPECT_FALSE(subject.node.propose("x").has_value());
    EXPECT_TRUE(of_type(subject.finish(), MessageType::timeout_now).empty());
    EXPECT_EQ(only(subject.said(subject.accepted(2, 2)), MessageType::timeout_now).to, NodeId(2));
}

TEST(RaftThesis310, a_transfer_that_times_out_takes_proposals_again) {
    Subject subject(1, 3, {}, 1);
    subject.become_leader();
    subject.node.step(TransferLeadership{.target = NodeId(2)});
    subject.node.step(TransferTimedOut{});
    EXPECT_TRUE(subject.node.propose("x").has_value());
}

TEST(RaftThesis310, the_target_wins_although_the_others_think_their_leader_alive) {
    TestCluster cluster(3);
    cluster.elect(1);
    cluster.node(1).step(TransferLeadership{.target = NodeId(3)});
    cluster.settle();
    EXPECT_TRUE(cluster.node(3).core().is_leader());
    EXPECT_EQ(cluster.node(1).core().leader(), NodeId(3));
    EXPECT_EQ(cluster.node(2).core().leader(), NodeId(3));
}

// ---- section 6 and thesis 4: membership

TEST(RaftSection6, a_change_of_voters_needs_both_majorities_and_ends_by_itself) {
    TestCluster cluster(3);
    cluster.add(4);
    cluster.add(5);
    cluster.elect(1);
    for (const std::uint64_t old : {2U, 3U}) {
        cluster.isolate(old);
    }
    EXPECT_FALSE(cluster.node(1).core().is_leader());
    cluster.heal();
    cluster.elect(1);
    Configuration target;
    target.voters = {NodeId(1), NodeId(4), NodeId(5)};
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    cluster.node(1).step(ChangeConfiguration{.target = target});
    cluster.settle();
    EXPECT_TRUE(cluster.node(1).core().configuration().joint());   // 1, 4, 5 alone are not enough
    cluster.heal();
    cluster.settle();
    EXPECT_EQ(cluster.node(1).core().configuration(), target);
    EXPECT_EQ(cluster.node(4).core().configuration(), target);
    EXPECT_TRUE(cluster.node(1).core().is_leader());
}

TEST(RaftSection6, a_configuration_is_in_force_when_appended_and_rolled_back_when_truncated) {
    TestCluster cluster(3);
    cluster.elect(1);
    cluster.cut(1, 2);
    cluster.cut(1, 3);
    Configuration target = voters(2);
    cluster.node(1).step(ChangeConfiguration{.target = target});
    cluster.settle();
    EXPECT_TRUE(cluster.node(1).core().configuration().joint());
    EXPECT_FALSE(cluster.node(1).core().can_change_configuration());   // one at a time
    cluster.isolate(1);
    cluster.elect(2);
    cluster.heal();
    cluster.settle();
    EXPECT_EQ(cluster.node(1).core().configuration(), voters(3));
}

TEST(RaftThesis422, a_leader_outside_the_new_configuration_leads_until_it_is_committed_then_makes_way) {
    TestCluster cluster(3);
    cluster.elect(1);
    Configuration target;
    target.voters = {NodeId(2), NodeId(3)};
    cluster.node(1).step(ChangeConfiguration{.target = target});
    cluster.settle();
    EXPECT_FALSE(cluster.node(1).core().is_leader());
    ASSERT_NE(cluster.leader(), nullptr);
    EXPECT_EQ(cluster.leader()->core().configuration(), target);
    cluster.leader()->propose("after");
    cluster.settle();
    EXPECT_EQ(cluster.node(2).state_hash(), cluster.node(3).state_hash());
}

TEST(RaftThesis421, a_learner_is_fed_but_counts_in_no_majority) {
    Configuration configuration = voters(2);
    configuration.learners = {NodeId(3)};
    TestCluster cluster(configuration);
    cluster.elect(1);
    cluster.node(1).propose("a");
    cluster.settle();
    EXPECT_EQ(cluster.node(3).applied(), cluster.node(1).applied());
    cluster.cut(1, 2);
    const LogIndex before = cluster.node(1).core().commit();
    cluster.node(1).propose("b");
    cluster.settle();
    EXPECT_EQ(cluster.node(1).core().commit(), before);
    cluster.node(3).step(ElectionDue{});
    EXPECT_EQ(cluster.node(3).core().role(), Role::follower);
}

TEST(RaftThesis423, a_vote_request_does_not_disturb_whoever_has_a_living_leader) {
    Subject subject(1, 3, {}, 2);
    subject.said(subject.append(2, 2, id(1, 1), {2}));
    EXPECT_TRUE(only(subject.said(subject.vote(3, 9, id(2, 9))), MessageType::vote_response).reject);
    EXPECT_EQ(subject.node.core().term(), Term(2));
    subject.node.step(PeerLost{.peer = NodeId(2)});
    EXPECT_FALSE(only(subject.said(subject.vote(3, 9, id(2, 9))), MessageType::vote_response).reject);
}

// ---- thesis 6.2 and 6.4

TEST(RaftThesis62, a_leader_that_cannot_reach_a_quorum_steps_down) {
    Subject subject(1, 5, {}, 1);
    subject.become_leader();
    subject.node.step(PeerLost{.peer = NodeId(2)});
    subject.node.step(PeerLost{.peer = NodeId(3)});
    EXPECT_TRUE(subject.node.core().is_leader());
    subject.node.step(PeerLost{.peer = NodeId(4)});
    EXPECT_FALSE(subject.node.core().is_leader());
    EXPECT_TRUE(subject.node.timer);
}

TEST(RaftThesis64, reads_wait_for_an_entry_of_the_own_term) {
    Subject subject(1, 3, {2}, 2);
    subject.become_leader();
    subject.finish();
    EXPECT_EQ(subject.node.core().read_index(), std::nullopt);
    subject.node.receive(subject.accepted(2, 3));
    EXPECT_EQ(subject.node.core().read_index(), LogIndex(3));
    const NodeId one[] = {NodeId(3)};
    EXPECT_TRUE(subject.node.core().is_quorum(one));
    EXPECT_FALSE(subject.node.core().is_quorum({}));
}

// ---- thesis 9.6 pre-vote

TEST(RaftThesis96, an_isolated_replica_does_not_raise_its_term) {
    Subject subject(1, 3, {}, 1);
    for (int i = 0; i < 5; i++) {
        subject.node.step(ElectionDue{});
        subject.finish();
    }
    EXPECT_EQ(subject.node.core().term(), Term(1));
    EXPECT_EQ(subject.node.core().role(), Role::pre_candidate);
}

TEST(RaftThesis96, a_pre_vote_is_given_without_a_promise_and_only_to_a_log_as_new_and_without_a_living_leader) {
    Subject subject(1, 3, {2}, 2);
    OwnedMessage asked = subject.from(2, MessageType::pre_vote, 3);
    asked.message.prev = id(2, 2);
    EXPECT_FALSE(only(subject.said(asked), MessageType::pre_vote_response).reject);
    EXPECT_EQ(subject.node.core().term(), Term(2));
    EXPECT_EQ(subject.node.core().hard_state().vote, NodeId(0));
    asked.message.prev = id(1, 1);
    EXPECT_TRUE(only(subject.said(asked), MessageType::pre_vote_response).reject);
    subject.said(subject.append(3, 2, id(2, 2), {2}));
    asked.message.prev = id(2, 3);
    EXPECT_TRUE(only(subject.said(asked), MessageType::pre_vote_response).reject);
}

// ---- thesis 10.2.1 writing to disk in parallel

TEST(RaftThesis1021, a_leader_sends_before_its_own_write_is_durable_and_does_not_count_itself_till_then) {
    Subject subject(1, 3, {}, 1);
    subject.become_leader();
    subject.finish();
    subject.node.receive(subject.accepted(2, 2));
    subject.node.receive(subject.accepted(3, 2));
    subject.finish();
    const auto proposed = subject.node.propose("x");
    ASSERT_TRUE(proposed.has_value());
    subject.node.end_turn();
    EXPECT_EQ(of_type(subject.node.outbox, MessageType::append).size(), 2U);
    subject.node.receive(subject.accepted(2, proposed->index.value));
    EXPECT_LT(subject.node.core().commit(), proposed->index);    // 2 alone: the own copy may still be lost
    subject.node.receive(subject.accepted(3, proposed->index.value));
    EXPECT_EQ(subject.node.core().commit(), proposed->index);    // a quorum without the leader
}

TEST(RaftThesis1021, a_durable_notice_is_void_for_entries_overwritten_since) {
    Subject subject(1, 3, {}, 1);
    subject.become_leader();
    const EntryId own = *subject.node.propose("lost");
    subject.node.end_turn();
    subject.node.receive(subject.append(2, 5, id(1, 1), {5, 5}));
    subject.node.end_turn();
    while (subject.node.disk_busy()) {
        subject.node.complete_write();
        subject.node.end_turn();
    }
    EXPECT_EQ(subject.node.core().last(), id(5, 3));
    EXPECT_NE(subject.node.disk().last(), own);
    EXPECT_EQ(subject.node.disk().last(), id(5, 3));
}

}  // namespace
}  // namespace ringfort::raft
