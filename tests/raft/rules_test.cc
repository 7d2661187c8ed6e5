// The rules of the Raft paper (Ongaro and Ousterhout 2014; "thesis": Ongaro 2014), one test each, on a single replica
// that is told what the others say.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "base/checksum.h"
#include "test_cluster.h"

namespace ringfort::raft {
namespace {

Term term_of(std::uint64_t value) { return Term(value); }
EntryId id_of(std::uint64_t term, std::uint64_t index) { return {.term = Term(term), .index = LogIndex(index)}; }

StoredEntry command(std::uint64_t term, std::uint64_t index) {
    StoredEntry out{.id = id_of(term, index), .kind = EntryKind::command, .checksum = 0, .payload = {}, .damaged = false};
    out.payload = {std::byte{1}, static_cast<std::byte>(term), static_cast<std::byte>(index)};
    out.checksum = checksum(out.payload);
    return out;
}

// Replica 1 of three, with term 1, one entry under its checkpoint, and `log` behind it.
class Replica {
  public:
    explicit Replica(std::vector<StoredEntry> log = {}, std::uint64_t voter_count = 3) {
        Store disk;
        disk.hard_state.term = term_of(1);
        disk.hard_state.commit = LogIndex(1);
        disk.checkpoint = {.applied = id_of(1, 1), .configuration = voters(voter_count), .state_hash = 0};
        for (const StoredEntry& entry : log) {
            disk.append(entry);
        }
        Options options;
        options.range = RangeId(7);
        options.self = NodeId(1);
        node_ = std::make_unique<TestNode>(options, disk);
        node_->start();
    }

    TestNode& operator*() { return *node_; }
    TestNode* operator->() { return node_.get(); }
    Raft& core() { return node_->core(); }

    static OwnedMessage message(MessageType type, std::uint64_t from, std::uint64_t term) {
        OwnedMessage out;
        out.message.type = type;
        out.message.range = RangeId(7);
        out.message.from = NodeId(from);
        out.message.to = NodeId(1);
        out.message.term = Term(term);
        return out;
    }
    void append(std::uint64_t from, std::uint64_t term, EntryId prev, std::vector<StoredEntry> entries,
                std::uint64_t commit = 0) {
        OwnedMessage out = message(MessageType::append, from, term);
        out.message.prev = prev;
        out.message.commit = LogIndex(commit);
        out.message.entry_count = static_cast<std::uint32_t>(entries.size());
        out.entries = std::move(entries);
        node_->receive(out);
    }
    void ask_vote(MessageType type, std::uint64_t from, std::uint64_t term, EntryId last) {
        OwnedMessage out = message(type, from, term);
        out.message.prev = last;
        node_->receive(out);
    }
    void vote(MessageType type, std::uint64_t from, std::uint64_t term) { node_->receive(message(type, from, term)); }
    void acknowledge(std::uint64_t from, std::uint64_t index, bool counts = true, Incarnation incarnation = {}) {
        OwnedMessage out = message(MessageType::append_response, from, core().term().value);
        out.message.match = LogIndex(index);
        out.message.counts = counts;
        out.message.incarnation = incarnation;
        node_->receive(out);
    }
    // Elected by replica 2 in the next term; the noop of the term is written here, and nowhere else.
    void lead() {
        node_->step(ElectionDue{.force = true});
        node_->end_turn();
        node_->settle_disk();
        vote(MessageType::vote_response, 2, core().term().value);
        ASSERT_TRUE(core().is_leader());
        node_->end_turn();
        node_->settle_disk();
        node_->outbox.clear();
    }
    // Ends the turn, writes, and gives what was sent of this kind.
    std::vector<OwnedMessage> sent(MessageType type) {
        node_->end_turn();
        node_->settle_disk();
        while (!node_->reads.empty()) {
            node_->answer_read();
            node_->end_turn();
            node_->settle_disk();
        }
        return waiting(type);
    }
    std::vector<OwnedMessage> waiting(MessageType type) {
        std::vector<OwnedMessage> out = std::move(node_->outbox);
        node_->outbox.clear();
        std::erase_if(out, [type](const OwnedMessage& owned) { return owned.message.type != type; });
        return out;
    }

  private:
    std::unique_ptr<TestNode> node_;
};

TEST(RaftFigure2, a_higher_term_makes_a_leader_a_follower) {
    Replica replica;
    replica.lead();
    replica.append(2, 9, id_of(1, 1), {});
    EXPECT_EQ(replica.core().role(), Role::follower);
    EXPECT_EQ(replica.core().term(), term_of(9));
    EXPECT_EQ(replica.core().leader(), NodeId(2));
}

TEST(RaftFigure2, an_append_of_an_older_term_is_refused_and_told_the_newer) {
    Replica replica;
    replica.append(2, 5, id_of(1, 1), {});
    static_cast<void>(replica.sent(MessageType::append_response));
    replica.append(3, 4, id_of(1, 1), {command(4, 2)});
    const auto answers = replica.sent(MessageType::append_response);
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_TRUE(answers[0].message.reject);
    EXPECT_EQ(answers[0].message.term, term_of(5));
    EXPECT_EQ(replica.core().last(), id_of(1, 1));
}

TEST(RaftFigure2, an_append_is_refused_without_the_entry_before_it_and_hints_at_what_is_there) {
    Replica replica({command(2, 2)});
    replica.append(2, 5, id_of(3, 4), {command(5, 5)});
    const auto answers = replica.sent(MessageType::append_response);
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_TRUE(answers[0].message.reject);
    EXPECT_EQ(answers[0].message.hint, id_of(2, 2));
    EXPECT_EQ(replica.core().last(), id_of(2, 2));
}

TEST(RaftFigure2, a_conflicting_entry_goes_with_all_that_follow_it) {
    Replica replica({command(2, 2), command(2, 3), command(2, 4)});
    replica.append(2, 3, id_of(2, 2), {command(3, 3)});
    EXPECT_EQ(replica.core().last(), id_of(3, 3));
    static_cast<void>(replica.sent(MessageType::append_response));
    EXPECT_EQ(replica->disk().last(), id_of(3, 3));
}

TEST(RaftFigure2, an_append_that_conflicts_with_nothing_removes_nothing) {
    Replica replica({command(2, 2), command(2, 3), command(2, 4)});
    replica.append(2, 2, id_of(1, 1), {command(2, 2)});
    EXPECT_EQ(replica.core().last(), id_of(2, 4));
    const auto answers = replica.sent(MessageType::append_response);
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].message.match, LogIndex(2));  // what lies behind was not compared
}

TEST(RaftFigure2, a_follower_commits_no_further_than_what_the_leader_has_shown_it) {
    Replica replica({command(2, 2), command(2, 3), command(2, 4)});
    replica.append(2, 3, id_of(2, 2), {}, 4);
    EXPECT_EQ(replica.core().commit(), LogIndex(2));
    replica.append(2, 3, id_of(2, 2), {command(2, 3)}, 9);
    EXPECT_EQ(replica.core().commit(), LogIndex(3));
}

TEST(RaftFigure2, an_append_is_answered_only_when_it_is_durable) {
    Replica replica;
    replica.append(2, 2, id_of(1, 1), {command(2, 2)});
    replica->end_turn();
    EXPECT_TRUE(replica.waiting(MessageType::append_response).empty());
    const auto answers = replica.sent(MessageType::append_response);
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].message.match, LogIndex(2));
}

TEST(Raft52, a_replica_votes_once_a_term_and_repeats_that_vote) {
    Replica replica;
    replica.ask_vote(MessageType::vote, 2, 2, id_of(1, 1));
    replica.ask_vote(MessageType::vote, 3, 2, id_of(1, 1));
    replica.ask_vote(MessageType::vote, 2, 2, id_of(1, 1));
    const auto votes = replica.sent(MessageType::vote_response);
    ASSERT_EQ(votes.size(), 3U);
    EXPECT_FALSE(votes[0].message.reject);
    EXPECT_TRUE(votes[1].message.reject);
    EXPECT_FALSE(votes[2].message.reject);
}

TEST(Raft52, a_vote_leaves_when_it_is_durable_and_outlives_a_crash) {
    Replica replica;
    replica.ask_vote(MessageType::vote, 2, 2, id_of(1, 1));
    replica->end_turn();
    EXPECT_TRUE(replica.waiting(MessageType::vote_response).empty());
    ASSERT_EQ(replica.sent(MessageType::vote_response).size(), 1U);
    replica->crash();
    replica->start();
    EXPECT_EQ(replica.core().hard_state().vote, NodeId(2));
    replica.ask_vote(MessageType::vote, 3, 2, id_of(1, 1));
    const auto votes = replica.sent(MessageType::vote_response);
    ASSERT_EQ(votes.size(), 1U);
    EXPECT_TRUE(votes[0].message.reject);
}

// The term was durable before: only the vote is new.
TEST(Raft52, a_vote_in_a_term_already_known_outlives_a_crash_too) {
    Replica replica({command(1, 2)});
    replica.ask_vote(MessageType::vote, 3, 2, id_of(1, 1));  // refused: its log is older
    ASSERT_EQ(replica.sent(MessageType::vote_response).size(), 1U);
    replica.ask_vote(MessageType::vote, 2, 2, id_of(1, 2));
    const auto votes = replica.sent(MessageType::vote_response);
    ASSERT_EQ(votes.size(), 1U);
    ASSERT_FALSE(votes[0].message.reject);
    replica->crash();
    replica->start();
    EXPECT_EQ(replica.core().hard_state().vote, NodeId(2));
}

TEST(Raft52, a_vote_of_an_older_term_is_refused) {
    Replica replica;
    replica.ask_vote(MessageType::vote, 2, 5, id_of(1, 1));
    static_cast<void>(replica.sent(MessageType::vote_response));
    replica.ask_vote(MessageType::vote, 3, 4, id_of(4, 9));
    const auto votes = replica.sent(MessageType::vote_response);
    ASSERT_EQ(votes.size(), 1U);
    EXPECT_TRUE(votes[0].message.reject);
    EXPECT_EQ(votes[0].message.term, term_of(5));
}

TEST(Raft52, a_candidate_needs_a_majority) {
    Replica replica({}, 5);
    replica->step(ElectionDue{.force = true});
    ASSERT_EQ(replica.sent(MessageType::vote).size(), 4U);
    replica.vote(MessageType::vote_response, 2, 2);
    replica.vote(MessageType::vote_response, 2, 2);  // the same one again
    EXPECT_EQ(replica.core().role(), Role::candidate);
    replica.vote(MessageType::vote_response, 3, 2);
    EXPECT_EQ(replica.core().role(), Role::leader);
}

TEST(Raft52, a_candidate_stands_again_only_when_its_own_vote_is_durable) {
    Replica replica({}, 1);
    replica->step(ElectionDue{.force = false});
    const Term stood = replica.core().term();
    EXPECT_EQ(replica.core().role(), Role::candidate);
    for (int i = 0; i < 10; i++) {
        replica->step(ElectionDue{.force = false});
        replica->end_turn();
    }
    EXPECT_EQ(replica.core().term(), stood);
    replica->settle_disk();
    EXPECT_EQ(replica.core().role(), Role::leader);
}

TEST(Raft52, a_candidate_that_hears_the_leader_of_its_term_follows_it) {
    Replica replica;
    replica->step(ElectionDue{.force = true});
    replica.append(3, 2, id_of(1, 1), {});
    EXPECT_EQ(replica.core().role(), Role::follower);
    EXPECT_EQ(replica.core().leader(), NodeId(3));
}

TEST(Raft53, a_leader_finds_where_a_follower_agrees_and_replaces_what_follows) {
    Replica replica({command(2, 2), command(2, 3), command(4, 4)});
    replica->step(ElectionDue{.force = true});
    static_cast<void>(replica.sent(MessageType::vote));
    const std::uint64_t term = replica.core().term().value;
    replica.vote(MessageType::vote_response, 2, term);
    ASSERT_FALSE(replica.sent(MessageType::append).empty());
    OwnedMessage refusal = Replica::message(MessageType::append_response, 2, term);
    refusal.message.reject = true;
    refusal.message.prev.index = LogIndex(4);
    refusal.message.hint = id_of(3, 4);  // its log: 2 2 3 3
    replica->receive(refusal);
    const auto appends = replica.sent(MessageType::append);
    ASSERT_EQ(appends.size(), 1U);
    EXPECT_EQ(appends[0].message.prev, id_of(2, 3));
    EXPECT_EQ(appends[0].entries.front().id, id_of(4, 4));
}

// A read that was on its way when the log was cut and written anew: its first entries are those of before, its last ones are
// not.
TEST(Raft53, entries_read_that_are_not_all_in_the_log_are_read_again) {
    Replica replica({command(3, 2), command(4, 3), command(4, 4)});
    replica.lead();
    OwnedMessage refusal = Replica::message(MessageType::append_response, 2, replica.core().term().value);
    refusal.message.reject = true;
    refusal.message.prev.index = LogIndex(4);
    refusal.message.hint = id_of(1, 1);
    replica->receive(refusal);
    replica->end_turn();
    ASSERT_EQ(replica->reads.size(), 1U);
    ASSERT_EQ(replica->reads[0].first, LogIndex(2));
    const std::vector<StoredEntry> stored{command(2, 2), command(4, 3), command(4, 4)};
    std::vector<Entry> mixed;
    for (const StoredEntry& entry : stored) {
        mixed.push_back(entry.view());
    }
    replica->step(EntriesRead{.to = NodeId(2), .entries = mixed});
    const auto appends = replica.sent(MessageType::append);
    ASSERT_EQ(appends.size(), 1U);
    ASSERT_FALSE(appends[0].entries.empty());
    EXPECT_EQ(appends[0].entries[0].id, id_of(3, 2));
}

TEST(Raft541, a_vote_goes_only_to_a_log_at_least_as_new) {
    struct Case {
        EntryId last;
        bool granted;
    };
    for (const Case& one : {Case{id_of(2, 9), false}, Case{id_of(3, 2), false}, Case{id_of(3, 3), true},
                            Case{id_of(4, 2), true}}) {
        Replica replica({command(2, 2), command(3, 3)});
        replica.ask_vote(MessageType::vote, 2, 9, one.last);
        const auto votes = replica.sent(MessageType::vote_response);
        ASSERT_EQ(votes.size(), 1U);
        EXPECT_EQ(!votes[0].message.reject, one.granted) << one.last.term.value << "." << one.last.index.value;
    }
}

// Figure 8: an entry of an older term may be on a majority and still be overwritten.
TEST(Raft542, an_entry_of_an_older_term_is_committed_only_with_one_of_the_own) {
    Replica replica({command(2, 2)});
    replica.lead();
    replica.acknowledge(2, 2);
    replica.acknowledge(3, 2);
    EXPECT_EQ(replica.core().commit(), LogIndex(1));
    replica.acknowledge(2, 3);
    EXPECT_EQ(replica.core().commit(), LogIndex(3));
}

TEST(RaftThesis1021, followers_commit_what_the_leader_has_not_written_yet) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 2);
    replica.acknowledge(3, 2);
    ASSERT_TRUE(replica->propose("x").has_value());
    const LogIndex last = replica.core().last().index;
    replica->end_turn();
    ASSERT_TRUE(replica->disk_busy());
    EXPECT_EQ(replica.waiting(MessageType::append).size(), 2U);
    replica.acknowledge(2, last.value);
    EXPECT_LT(replica.core().commit(), last);  // the own copy is not durable: it does not count
    replica.acknowledge(3, last.value);
    EXPECT_EQ(replica.core().commit(), last);
    EXPECT_LT(replica->disk().last().index, last);
}

TEST(RaftThesis64, a_leader_reads_only_after_an_entry_of_its_term_is_committed) {
    Replica replica({command(2, 2)});
    replica.lead();
    EXPECT_FALSE(replica.core().read_index().has_value());
    replica.acknowledge(2, 3);
    EXPECT_EQ(replica.core().read_index(), LogIndex(3));
}

TEST(RaftThesis96, a_pre_vote_changes_no_term_and_is_refused_while_the_leader_lives) {
    Replica replica;
    replica.append(2, 2, id_of(1, 1), {});
    static_cast<void>(replica.sent(MessageType::append_response));
    replica.ask_vote(MessageType::pre_vote, 3, 3, id_of(1, 1));
    auto votes = replica.sent(MessageType::pre_vote_response);
    ASSERT_EQ(votes.size(), 1U);
    EXPECT_TRUE(votes[0].message.reject);
    replica->step(PeerLost{.peer = NodeId(2)});
    replica.ask_vote(MessageType::pre_vote, 3, 3, id_of(1, 1));
    votes = replica.sent(MessageType::pre_vote_response);
    ASSERT_EQ(votes.size(), 1U);
    EXPECT_FALSE(votes[0].message.reject);
    EXPECT_EQ(replica.core().term(), term_of(2));
    EXPECT_FALSE(replica.core().hard_state().vote);
}

TEST(RaftThesis96, a_candidate_asks_for_pre_votes_before_it_takes_a_new_term) {
    Replica replica;
    replica->step(ElectionDue{});
    EXPECT_EQ(replica.sent(MessageType::pre_vote).size(), 2U);
    EXPECT_EQ(replica.core().term(), term_of(1));
    replica.vote(MessageType::pre_vote_response, 2, 2);
    EXPECT_EQ(replica.core().role(), Role::candidate);
    EXPECT_EQ(replica.core().term(), term_of(2));
}

TEST(RaftThesis62, a_leader_that_reaches_no_majority_steps_down) {
    Replica replica;
    replica.lead();
    replica->step(PeerLost{.peer = NodeId(2)});
    EXPECT_TRUE(replica.core().is_leader());
    replica->step(PeerLost{.peer = NodeId(3)});
    EXPECT_FALSE(replica.core().is_leader());
}

TEST(RaftThesis310, a_leader_hands_over_only_to_a_target_that_has_everything) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 2);
    ASSERT_TRUE(replica->propose("x").has_value());
    replica->step(TransferLeadership{.target = NodeId(2)});
    EXPECT_FALSE(replica->propose("y").has_value());
    EXPECT_TRUE(replica.sent(MessageType::timeout_now).empty());
    replica.acknowledge(2, 3);
    const auto orders = replica.sent(MessageType::timeout_now);
    ASSERT_EQ(orders.size(), 1U);
    EXPECT_EQ(orders[0].message.to, NodeId(2));
    replica->step(TransferTimedOut{});
    EXPECT_TRUE(replica->propose("z").has_value());
}

TEST(RaftThesis310, a_target_told_to_stand_skips_the_pre_vote_and_tries_again_by_itself) {
    Replica replica;
    replica.append(2, 2, id_of(1, 1), {});
    static_cast<void>(replica.sent(MessageType::append_response));
    replica->timer = false;
    replica->receive(Replica::message(MessageType::timeout_now, 2, 2));
    EXPECT_EQ(replica.core().role(), Role::candidate);
    EXPECT_TRUE(replica->timer);
    const auto requests = replica.sent(MessageType::vote);
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_TRUE(requests[0].message.transfer);  // so a living leader is no reason to refuse
}

TEST(RaftThesis4, a_joint_configuration_commits_with_both_majorities_only) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 2);
    Configuration target;
    target.voters = {NodeId(1), NodeId(4), NodeId(5)};
    replica->step(ChangeConfiguration{.target = target});
    ASSERT_TRUE(replica.core().configuration().joint());  // in force as soon as it is in the log
    const LogIndex joint = replica.core().last().index;
    static_cast<void>(replica.sent(MessageType::append));
    replica.acknowledge(2, joint.value);
    replica.acknowledge(3, joint.value);
    EXPECT_LT(replica.core().commit(), joint);
    EXPECT_FALSE(replica.core().can_change_configuration());
    replica.acknowledge(4, joint.value);
    EXPECT_EQ(replica.core().commit(), joint);
    EXPECT_EQ(replica.core().configuration(), target);  // and is left by itself
}

TEST(RaftThesis4, a_leader_outside_the_new_configuration_leads_until_it_is_committed) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 2);
    Configuration target;
    target.voters = {NodeId(2), NodeId(3)};
    replica->step(ChangeConfiguration{.target = target});
    static_cast<void>(replica.sent(MessageType::append));
    replica.acknowledge(2, 3);
    replica.acknowledge(3, 3);
    ASSERT_FALSE(replica.core().configuration().joint());
    static_cast<void>(replica.sent(MessageType::append));
    EXPECT_TRUE(replica.core().is_leader());
    replica.acknowledge(2, 4);
    EXPECT_TRUE(replica.core().is_leader());  // it does not count itself any more
    replica.acknowledge(3, 4);
    EXPECT_FALSE(replica.core().is_leader());
    EXPECT_EQ(replica.core().commit(), LogIndex(4));
}

TEST(RaftThesis4, a_voter_left_out_by_an_uncommitted_configuration_still_stands_without_its_own_vote) {
    Configuration target;
    target.voters = {NodeId(2), NodeId(3)};
    StoredEntry change{.id = id_of(2, 2), .kind = EntryKind::config, .checksum = 0, .payload = encode(target),
                       .damaged = false};
    change.checksum = checksum(change.payload);
    Replica replica({change});
    replica->step(ElectionDue{.force = true});
    ASSERT_EQ(replica.sent(MessageType::vote).size(), 2U);
    const std::uint64_t term = replica.core().term().value;
    replica.vote(MessageType::vote_response, 2, term);
    EXPECT_EQ(replica.core().role(), Role::candidate);
    replica.vote(MessageType::vote_response, 3, term);
    EXPECT_EQ(replica.core().role(), Role::leader);
}

TEST(RaftThesis4, a_removed_leader_says_again_that_it_leads_no_more) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 2);
    Configuration target;
    target.voters = {NodeId(2), NodeId(3)};
    replica->step(ChangeConfiguration{.target = target});
    for (const std::uint64_t index : {3U, 4U}) {
        static_cast<void>(replica.sent(MessageType::append));
        replica.acknowledge(2, index);
        replica.acknowledge(3, index);
    }
    ASSERT_FALSE(replica.core().is_leader());
    EXPECT_EQ(replica.sent(MessageType::resigned).size(), 2U);
    replica->step(ElectionDue{});
    EXPECT_EQ(replica.sent(MessageType::resigned).size(), 2U);
    EXPECT_EQ(replica.core().role(), Role::follower);
}

TEST(Raft7, a_snapshot_within_the_log_keeps_what_follows_it) {
    Replica replica({command(2, 2), command(2, 3), command(2, 4)});
    replica->install({.from = NodeId(2), .to = NodeId(1), .term = Term(3),
                      .checkpoint = {.applied = id_of(2, 3), .configuration = voters(3), .state_hash = 5}});
    EXPECT_EQ(replica->seen.snapshot_fit, SnapshotFit::log_kept);
    EXPECT_EQ(replica.core().snapshot(), id_of(2, 3));
    EXPECT_EQ(replica.core().last(), id_of(2, 4));
    EXPECT_EQ(replica.core().commit(), LogIndex(3));
}

TEST(Raft7, a_snapshot_that_conflicts_with_the_log_replaces_it) {
    Replica replica({command(2, 2), command(2, 3), command(2, 4)});
    replica->install({.from = NodeId(2), .to = NodeId(1), .term = Term(3),
                      .checkpoint = {.applied = id_of(3, 3), .configuration = voters(3), .state_hash = 5}});
    EXPECT_EQ(replica->seen.snapshot_fit, SnapshotFit::log_void);
    EXPECT_EQ(replica.core().last(), id_of(3, 3));
    const auto answers = replica.sent(MessageType::snapshot_response);
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].message.match, LogIndex(3));
    EXPECT_EQ(replica->disk().last(), id_of(3, 3));
}

// The log goes on being compacted while a snapshot is on its way: its receiver may need the next one at once, and the
// shard begins none to a peer while the former transfer has not ended.
TEST(Raft7, a_snapshot_needed_before_the_former_transfer_has_ended_is_asked_for_again_when_it_has) {
    Replica replica;
    replica.lead();
    const auto commit_and_compact = [&] {
        ASSERT_TRUE(replica->propose("x").has_value());
        static_cast<void>(replica.sent(MessageType::append));
        replica.acknowledge(2, replica.core().last().index.value);
        static_cast<void>(replica.sent(MessageType::append));
        replica->checkpoint(replica.core().commit());
    };
    commit_and_compact();
    OwnedMessage rejected = Replica::message(MessageType::append_response, 3, replica.core().term().value);
    rejected.message.reject = true;
    rejected.message.prev.index = LogIndex(1);
    replica->receive(rejected);
    static_cast<void>(replica.sent(MessageType::append));
    ASSERT_EQ(replica->streams.size(), 1U);
    const EntryId first = replica.core().snapshot();
    commit_and_compact();
    OwnedMessage installed = Replica::message(MessageType::snapshot_response, 3, replica.core().term().value);
    installed.message.match = installed.message.commit = first.index;
    replica->receive(installed);
    static_cast<void>(replica.sent(MessageType::append));
    ASSERT_EQ(replica->streams.size(), 2U) << "the second is needed, and the shard, still busy with the first, ignores it";
    replica->step(SnapshotSent{.to = NodeId(3), .snapshot = first, .ok = true});
    static_cast<void>(replica.sent(MessageType::append));
    EXPECT_EQ(replica->streams.size(), 3U);
}

TEST(Raft7, a_follower_whose_entries_are_gone_gets_a_snapshot) {
    TestCluster cluster(3);
    cluster.elect(NodeId(1));
    cluster.crash(3);
    for (int i = 0; i < 5; i++) {
        ASSERT_TRUE(cluster.node(1).propose("x").has_value());
    }
    cluster.settle();
    cluster.node(1).checkpoint(cluster.node(1).applied());
    cluster.restart(3);
    cluster.settle();
    EXPECT_EQ(cluster.node(3).core().snapshot(), cluster.node(1).core().snapshot());
    EXPECT_EQ(cluster.node(3).state_hash(), cluster.node(1).state_hash());
    EXPECT_EQ(cluster.node(3).seen.snapshot_fit, SnapshotFit::log_void);
}

TEST(RaftDoubt, a_replica_in_doubt_does_not_vote) {
    Replica replica;
    replica->crash();
    replica->disk().hard_state.in_doubt = true;
    replica->disk().hard_state.incarnation = replica->disk().hard_state.incarnation.next();
    replica->start();
    replica.ask_vote(MessageType::vote, 2, 2, id_of(1, 1));
    const auto votes = replica.sent(MessageType::vote_response);
    ASSERT_EQ(votes.size(), 1U);
    EXPECT_TRUE(votes[0].message.reject);
    EXPECT_FALSE(votes[0].message.counts);
}

TEST(RaftDoubt, a_replica_in_doubt_counts_in_no_commit_quorum_nor_read_round) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 2, false, Incarnation{}.next());
    EXPECT_EQ(replica.core().commit(), LogIndex(1));
    const NodeId doubtful[] = {NodeId(2)};
    EXPECT_FALSE(replica.core().is_quorum(doubtful));
    const NodeId sound[] = {NodeId(3)};
    EXPECT_TRUE(replica.core().is_quorum(sound));
    replica.acknowledge(3, 2);
    EXPECT_EQ(replica.core().commit(), LogIndex(2));
}

// Whatever a peer has at that place in another term is another entry.
TEST(RaftDamage, an_entry_of_another_term_is_not_taken_for_one_lost_without_its_checksum) {
    Replica replica({command(1, 2), command(1, 3)});
    replica.append(2, 1, id_of(1, 3), {}, 1);
    replica->step(EntryLost{id_of(1, 2), std::nullopt, {}});
    const auto asked = replica.sent(MessageType::fetch);
    ASSERT_EQ(asked.size(), 1U);
    OwnedMessage answer = Replica::message(MessageType::fetch_response, 2, 1);
    answer.message.prev = asked[0].message.prev;
    answer.fetch = asked[0].fetch;
    answer.fetch[0].result = FetchResult::have;
    answer.entries = {command(2, 2)};
    answer.message.entry_count = 1;
    replica->receive(answer);
    EXPECT_TRUE(replica->seen.repaired.empty());
    answer.entries = {command(1, 2)};
    replica->receive(answer);
    EXPECT_EQ(replica->seen.repaired, std::vector<LogIndex>{LogIndex(2)});
}

// Neither links nor leaders changed: nothing else would make it ask again.
TEST(RaftDamage, an_answer_that_never_came_is_asked_for_again) {
    Replica replica({command(1, 2), command(1, 3)});
    replica.append(2, 1, id_of(1, 3), {}, 1);
    static_cast<void>(replica.sent(MessageType::fetch));
    replica->step(EntryLost{id_of(1, 2), command(1, 2).checksum});
    const auto asked = replica.sent(MessageType::fetch);
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_TRUE(replica.sent(MessageType::fetch).empty()) << "one question at a time";
    replica->step(FetchOverdue{});
    EXPECT_TRUE(replica.sent(MessageType::fetch).empty()) << "it may have been asked just before";
    replica->step(FetchOverdue{});
    const auto again = replica.sent(MessageType::fetch);
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].fetch[0].id, id_of(1, 2));
    EXPECT_NE(again[0].message.prev.index, asked[0].message.prev.index);
    // The first answer comes at last: late, and welcome.
    OwnedMessage answer = Replica::message(MessageType::fetch_response, 2, 1);
    answer.message.prev = asked[0].message.prev;
    answer.message.entry_count = 1;
    answer.fetch = {{.id = id_of(1, 2), .checksum = command(1, 2).checksum, .result = FetchResult::have}};
    answer.entries = {command(1, 2)};
    replica->receive(answer);
    static_cast<void>(replica.sent(MessageType::fetch));
    EXPECT_FALSE(replica.core().is_damaged());
}

// The leader of term 2 leads term 3 as well, and an append of the former term comes late.
TEST(Raft53, an_append_refused_for_its_term_says_nothing_of_the_log) {
    TestCluster cluster(3);
    OwnedMessage late;
    cluster.on_deliver = [&](const OwnedMessage& owned) {
        late = owned.message.type == MessageType::append && owned.message.to == NodeId(2) ? owned : late;
    };
    cluster.elect(1);
    cluster.settle();
    ASSERT_EQ(late.message.prev, cluster.node(1).core().last());
    cluster.crash(1);
    cluster.restart(1);
    cluster.loses = [](const OwnedMessage& owned) {
        return owned.message.type == MessageType::append && owned.message.to == NodeId(2) && owned.message.term == Term(3);
    };
    cluster.elect(1);
    ASSERT_TRUE(cluster.node(1).core().is_leader() && cluster.node(1).core().term() == Term(3));
    const PeerStatus before = cluster.node(1).core().peers()[0];
    ASSERT_EQ(before.next.prev(), late.message.prev.index) << "what the probe asks about";
    cluster.network.push_back(late);
    cluster.settle();
    const PeerStatus after = cluster.node(1).core().peers()[0];
    EXPECT_EQ(after.next, before.next);
    EXPECT_EQ(cluster.node(2).seen.snapshot_fit, SnapshotFit::none);
    EXPECT_EQ(cluster.node(1).core().snapshot().index, LogIndex(1)) << "nobody needs a snapshot";
}

// A peer's word passes checksums, not sense.
TEST(RaftInput, an_append_with_a_configuration_or_fence_that_cannot_be_read_is_no_append) {
    for (const EntryKind kind : {EntryKind::config, EntryKind::fence}) {
        Replica replica;
        StoredEntry entry = command(1, 2);
        entry.kind = kind;
        replica.append(2, 1, id_of(1, 1), {entry});
        EXPECT_TRUE(replica.sent(MessageType::append_response).empty());
        EXPECT_EQ(replica.core().last(), id_of(1, 1));
    }
    Replica replica;
    StoredEntry nobody = command(1, 2);
    nobody.kind = EntryKind::config;
    nobody.payload = encode(Configuration{});
    replica.append(2, 1, id_of(1, 1), {nobody});
    EXPECT_EQ(replica.core().last(), id_of(1, 1)) << "without voters everything would be committed";
}

TEST(RaftInput, an_append_that_knows_an_incarnation_without_a_next_is_no_append) {
    for (const std::uint64_t value : {incarnation_last.value, UINT64_MAX}) {
        Replica replica;
        OwnedMessage append = Replica::message(MessageType::append, 2, 1);
        append.message.prev = id_of(1, 1);
        append.message.known = Incarnation(value);
        Effects effects;
        replica.core().step(MessageReceived{&append.message}, effects);
        EXPECT_TRUE(effects.incarnations_spent) << "nobody is told";
        replica->receive(append);
        EXPECT_TRUE(replica.sent(MessageType::announce).empty());
        EXPECT_FALSE(replica.core().in_doubt());
        EXPECT_EQ(replica.core().hard_state().incarnation, Incarnation(0));
    }
}

TEST(RaftInput, a_fence_of_an_incarnation_beyond_the_last_is_no_fence) {
    for (const std::uint64_t member : {1U, 3U}) {
        Replica replica;
        StoredEntry fence = command(1, 2);
        fence.kind = EntryKind::fence;
        fence.payload = encode(Fence{.member = NodeId(member), .incarnation = Incarnation(UINT64_MAX)});
        replica.append(2, 1, id_of(1, 1), {fence});
        EXPECT_TRUE(replica.sent(MessageType::append_response).empty());
        EXPECT_EQ(replica.core().last(), id_of(1, 1));
        EXPECT_FALSE(replica.core().in_doubt());
    }
}

TEST(RaftInput, a_message_of_an_incarnation_beyond_the_last_is_nobodys) {
    Replica replica;
    replica.lead();
    replica.acknowledge(2, 1, false, Incarnation(UINT64_MAX));
    replica.acknowledge(2, replica.core().last().index.value);
    EXPECT_EQ(replica.core().commit(), replica.core().last().index) << "the member itself is heard";
}

TEST(RaftInput, a_second_leader_of_a_term_is_known_for_one) {
    Replica replica;
    OwnedMessage append = Replica::message(MessageType::append, 3, 2);
    EXPECT_FALSE(replica.core().is_second_leader(append.message));
    replica.lead();
    ASSERT_EQ(replica.core().term(), term_of(2));
    EXPECT_TRUE(replica.core().is_second_leader(append.message));
    append.message.term = term_of(3);
    EXPECT_FALSE(replica.core().is_second_leader(append.message));
    append.message.term = term_of(1);
    EXPECT_FALSE(replica.core().is_second_leader(append.message));
    append = Replica::message(MessageType::fetch, 3, 2);
    EXPECT_FALSE(replica.core().is_second_leader(append.message));
}

// A hundred thousand comparisons a millisecond: with a look at all the others for each entry it would take minutes.
TEST(RaftDamage, a_log_damaged_throughout_is_taken_in_and_repaired_without_looking_at_every_entry_for_each) {
    constexpr std::uint64_t entry_count = 200'000;
    InitialState state;
    state.hard_state.term = Term(1);
    state.snapshot = id_of(1, 1);
    state.snapshot_configuration = voters(3);
    std::vector<Entry> entries;
    std::vector<LogIndex> damaged;
    for (std::uint64_t index = 2; index < 2 + entry_count; index++) {
        entries.push_back({id_of(1, index), EntryKind::command, index, {}});
        if (index % 1000 != 0) {
            damaged.push_back(LogIndex(index));
        }
    }
    state.entries = entries;
    state.damaged = damaged;
    Options options;
    options.range = RangeId(7);
    options.self = NodeId(1);
    const std::clock_t begin = std::clock();   // of this process: others may have the core
    Raft core(options, state);
    EXPECT_EQ(core.damaged(), damaged);
    // All of them come from the leader.
    Effects effects;
    OwnedMessage hello = Replica::message(MessageType::append, 2, 1);
    hello.message.prev = id_of(1, 1);
    core.step(MessageReceived{&hello.message}, effects);
    std::size_t repaired = 0;
    std::vector<Entry> found;
    while (repaired < damaged.size()) {
        effects.clear();
        core.flush(effects);
        const auto fetch = std::find_if(effects.send_when_durable.begin(), effects.send_when_durable.end(),
                                        [](const Message& message) { return message.type == MessageType::fetch; });
        ASSERT_NE(fetch, effects.send_when_durable.end());
        OwnedMessage answer = Replica::message(MessageType::fetch_response, 2, 1);
        answer.message.prev = fetch->prev;
        answer.fetch.assign(fetch->fetch.begin(), fetch->fetch.end());
        found.clear();
        for (FetchItem& item : answer.fetch) {
            item.result = FetchResult::have;
            found.push_back({item.id, EntryKind::command, item.checksum, {}});
        }
        answer.message.fetch = answer.fetch;
        answer.message.entries = found;
        effects.clear();
        core.step(MessageReceived{&answer.message}, effects);
        repaired += effects.repaired.size();
        for (const Entry& entry : found) {
            core.step(EntryRepaired{entry.id.index}, effects);
        }
    }
    EXPECT_TRUE(core.damaged().empty());
    EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 60);
}

}  // namespace
}  // namespace ringfort::raft
