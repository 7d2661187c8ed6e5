// Beyond the paper: lost promises and damage.
#include "subject.h"

namespace ringfort::raft {
namespace {

Store store_in_doubt() {
    Store out = Subject::store(3, {}, 1);
    out.hard_state.incarnation = Incarnation(1);
    out.hard_state.in_doubt = true;
    return out;
}

StoredEntry fence_for(std::uint64_t member, std::uint64_t incarnation, EntryId at) {
    StoredEntry out;
    out.id = at;
    out.kind = EntryKind::fence;
    out.payload = encode(Fence{.member = NodeId(member), .incarnation = Incarnation(incarnation)});
    out.checksum = checksum(out.payload);
    return out;
}

TEST(RaftDoubt, doubt_ends_when_the_fence_is_committed_and_durable_here_and_no_sooner) {
    Subject subject(1, store_in_doubt());
    subject.node.receive(subject.append(2, 2, id(1, 1), {2, 2}));
    subject.node.end_turn();                                        // first write: 2.2, 2.3
    OwnedMessage overwriting = subject.append(3, 5, id(1, 1), {5, 5}, 3);
    overwriting.entries[1] = fence_for(1, 1, id(5, 3));
    subject.node.receive(overwriting);
    subject.node.end_turn();                                        // second write: 5.2, the fence
    ASSERT_EQ(subject.node.core().commit(), LogIndex(3));
    EXPECT_TRUE(subject.node.core().in_doubt());                    // committed, not durable
    subject.node.complete_write();
    EXPECT_TRUE(subject.node.core().in_doubt());                    // what became durable is void
    for (const OwnedMessage& said : subject.node.outbox) {
        EXPECT_FALSE(said.message.counts);
    }
    const auto said = subject.finish();
    EXPECT_FALSE(subject.node.core().in_doubt());
    EXPECT_FALSE(subject.node.disk().hard_state.in_doubt);
    ASSERT_FALSE(said.empty());
    EXPECT_TRUE(said.back().message.counts);
}

TEST(RaftDoubt, a_fence_of_another_incarnation_ends_no_doubt) {
    Subject subject(1, store_in_doubt());
    OwnedMessage append = subject.append(2, 2, id(1, 1), {2}, 2);
    append.entries[0] = fence_for(1, 2, id(2, 2));
    subject.said(append);
    ASSERT_EQ(subject.node.core().commit(), LogIndex(2));
    EXPECT_TRUE(subject.node.core().in_doubt());
}

TEST(RaftDoubt, asks_for_its_fence_with_every_append_until_that_is_here_since_any_announcement_may_be_lost) {
    Subject subject(1, store_in_doubt());
    const OwnedMessage heartbeat = subject.append(2, 2, id(1, 1), {});
    for (int lost = 0; lost < 3; lost++) {
        EXPECT_EQ(of_type(subject.said(heartbeat), MessageType::announce).size(), 1U);
    }
    OwnedMessage append = subject.append(2, 2, id(1, 1), {2});
    append.entries[0] = fence_for(1, 1, id(2, 2));
    EXPECT_TRUE(of_type(subject.said(append), MessageType::announce).empty());
    EXPECT_TRUE(subject.node.core().in_doubt()) << "not committed";
    EXPECT_TRUE(of_type(subject.said(subject.append(2, 2, id(2, 2), {})), MessageType::announce).empty());
}

TEST(RaftDoubt, a_follower_that_forgot_what_it_told_this_leader_begins_a_new_incarnation) {
    Subject subject(1, 3, {1, 1}, 1);                               // last 1.3, of an older copy of its disk
    OwnedMessage append = subject.append(2, 1, id(1, 3), {1});
    append.message.hint.index = LogIndex(3);
    subject.said(append);
    EXPECT_FALSE(subject.node.core().in_doubt()) << "what it told is there";
    append = subject.append(2, 1, id(1, 5), {});
    append.message.hint.index = LogIndex(5);                        // told before the rollback
    const auto said = subject.said(append);
    EXPECT_TRUE(subject.node.core().in_doubt());
    EXPECT_TRUE(subject.node.disk().hard_state.in_doubt);
    EXPECT_EQ(subject.node.disk().hard_state.incarnation, Incarnation(1));
    EXPECT_EQ(of_type(said, MessageType::announce).size(), 1U);
    for (const OwnedMessage& message : said) {
        EXPECT_EQ(message.message.incarnation, Incarnation(1));
        EXPECT_FALSE(message.message.counts);
    }
}

// The fence of an incarnation that it began before, and forgot, would end its doubt too early.
TEST(RaftDoubt, a_follower_that_forgot_its_incarnation_as_well_begins_one_it_never_had) {
    Subject subject(1, 3, {1, 1}, 1);
    OwnedMessage append = subject.append(2, 1, id(1, 5), {});
    append.message.hint.index = LogIndex(5);
    append.message.known = Incarnation(4);
    const auto said = subject.said(append);
    EXPECT_TRUE(subject.node.core().in_doubt());
    EXPECT_EQ(subject.node.disk().hard_state.incarnation, Incarnation(5));
    EXPECT_EQ(of_type(said, MessageType::announce).size(), 1U);
    subject.said(append);
    EXPECT_EQ(subject.node.disk().hard_state.incarnation, Incarnation(5)) << "once is enough";
}

TEST(RaftDoubt, a_follower_that_needs_another_incarnation_than_the_last_is_told_to_have_none) {
    for (const Incarnation incarnation : {Incarnation(incarnation_last.value - 1), incarnation_last}) {
        Store disk = Subject::store(3, {1, 1}, 1);
        disk.hard_state.incarnation = incarnation;
        Subject subject(1, disk);
        OwnedMessage append = subject.append(2, 1, id(1, 5), {});
        append.message.hint.index = LogIndex(5);
        Effects effects;
        subject.node.core().step(MessageReceived{&append.message}, effects);
        EXPECT_TRUE(effects.doubt_began);
        EXPECT_EQ(effects.incarnations_spent, incarnation == incarnation_last);
    }
}

TEST(RaftDoubt, a_follower_that_finds_a_fence_for_a_later_incarnation_of_its_own_was_rolled_back) {
    Subject subject(1, 3, {1, 1}, 1);
    OwnedMessage append = subject.append(2, 1, id(1, 3), {1, 1});
    append.entries[0] = fence_for(1, 2, id(1, 4));
    subject.said(append);
    EXPECT_TRUE(subject.node.core().in_doubt());
    EXPECT_EQ(subject.node.disk().hard_state.incarnation, Incarnation(3));
    EXPECT_EQ(subject.node.core().last(), id(1, 5));
}

TEST(RaftDoubt, a_member_rolled_back_to_an_older_copy_of_its_disk_counts_again_only_behind_a_fence) {
    TestCluster cluster(3);
    cluster.elect(1);
    const Store old_copy = cluster.node(2).disk();
    for (int i = 0; i < 5; i++) {
        ASSERT_TRUE(cluster.node(1).propose("later"));
        cluster.settle();
    }
    cluster.crash(2);
    cluster.node(2).disk() = old_copy;
    cluster.loses = [](const OwnedMessage& sent) { return sent.message.from == NodeId(3); };
    const LogIndex told = cluster.node(1).core().commit();
    cluster.restart(2);
    cluster.settle();
    EXPECT_TRUE(cluster.node(2).core().in_doubt());
    ASSERT_TRUE(cluster.node(1).propose("with the answers of 2 alone"));
    cluster.settle();
    EXPECT_EQ(cluster.node(1).core().commit(), told);
    cluster.loses = nullptr;
    cluster.tell_back(1, 3);
    cluster.settle();
    EXPECT_FALSE(cluster.node(2).core().in_doubt());
    EXPECT_EQ(cluster.node(2).core().last(), cluster.node(1).core().last());
    EXPECT_GT(cluster.node(1).core().commit(), told);
}

// A leader that has heard nothing of the member yet has its fences all the same: else the first of them ends its doubt
// before the second one shows that it was rolled back.
TEST(RaftDoubt, a_member_rolled_back_behind_its_last_fence_does_not_count_for_the_one_before) {
    TestCluster cluster(3);
    cluster.elect(1);
    const auto in_doubt = [disk = cluster.node(3).disk()](std::uint64_t incarnation) {
        Store out = disk;
        out.hard_state.incarnation = Incarnation(incarnation);
        out.hard_state.in_doubt = true;
        return out;
    };
    const auto come_back = [&](std::uint64_t incarnation) {
        if (cluster.node(3).running()) {
            cluster.crash(3);
        }
        cluster.node(3).disk() = in_doubt(incarnation);
        cluster.restart(3);
        cluster.settle();
    };
    come_back(1);
    // The next fence travels in an append of its own.
    ASSERT_TRUE(cluster.node(1).propose(std::string(2 * cluster.options.append_bytes_max, 'x')));
    cluster.settle();
    const LogIndex between = cluster.node(1).core().last().index;
    come_back(2);
    ASSERT_FALSE(cluster.node(3).core().in_doubt());
    ASSERT_EQ(cluster.node(1).core().last().index, between.next()) << "the second fence";
    cluster.crash(1);
    cluster.restart(1);
    cluster.crash(3);
    cluster.elect(1);
    ASSERT_TRUE(cluster.node(1).core().is_leader());
    cluster.loses = [&](const OwnedMessage& sent) {
        return sent.message.to == NodeId(3) && sent.message.prev.index <= between && !sent.entries.empty() &&
               sent.entries.back().id.index > between;
    };
    come_back(1);
    EXPECT_EQ(cluster.node(3).core().last().index, between) << "the first fence is there";
    EXPECT_TRUE(cluster.node(3).core().in_doubt());
    EXPECT_EQ(cluster.node(3).disk().hard_state.incarnation, Incarnation(3));
    cluster.loses = nullptr;
    cluster.tell_back(1, 3);
    cluster.settle();
    EXPECT_FALSE(cluster.node(3).core().in_doubt());
    EXPECT_EQ(cluster.node(3).core().last(), cluster.node(1).core().last());
}

// An idle leader says nothing of itself, and knows of nothing that the member lacks.
TEST(RaftDoubt, a_member_that_forgot_its_incarnation_and_missed_the_append_is_told_when_it_asks_for_votes) {
    TestCluster cluster(3);
    cluster.elect(1);
    const Store old_copy = cluster.node(3).disk();
    Store doubtful = old_copy;
    doubtful.hard_state.incarnation = Incarnation(2);
    doubtful.hard_state.in_doubt = true;
    const auto come_back = [&](const Store& disk) {
        cluster.crash(3);
        cluster.node(3).disk() = disk;
        cluster.restart(3);
        cluster.settle();
    };
    come_back(doubtful);
    cluster.loses = [](const OwnedMessage& sent) { return sent.message.to == NodeId(3); };
    come_back(old_copy);
    ASSERT_FALSE(cluster.node(3).core().leader());
    cluster.loses = nullptr;
    cluster.node(3).step(ElectionDue{});
    cluster.settle();
    EXPECT_EQ(cluster.node(3).core().leader(), NodeId(1));
    EXPECT_FALSE(cluster.node(3).core().in_doubt());
    EXPECT_EQ(cluster.node(3).disk().hard_state.incarnation, Incarnation(3));
}

// It may not ask for votes, which leaders are reminded by. What it says may be of an old term or an old incarnation, too.
TEST(RaftDoubt, a_member_in_doubt_that_missed_the_append_is_told_who_leads_when_it_hears_of_nobody) {
    for (const auto& [term_lost, incarnation_lost] : {std::pair(false, false), {true, false}, {false, true}}) {
        TestCluster cluster(3);
        cluster.elect(1);
        Store doubtful = cluster.node(3).disk();
        doubtful.hard_state.incarnation = Incarnation(2);
        doubtful.hard_state.in_doubt = true;
        doubtful.hard_state.commit = LogIndex{};
        const auto come_back = [&] {
            cluster.crash(3);
            cluster.node(3).disk() = doubtful;
            cluster.restart(3);
            cluster.settle();
        };
        come_back();
        ASSERT_FALSE(cluster.node(3).core().in_doubt());
        if (term_lost) {
            cluster.crash(1);
            cluster.elect(2);
            cluster.restart(1);
            cluster.settle();
        }
        doubtful.hard_state.incarnation = Incarnation(incarnation_lost ? 1 : 2);
        cluster.loses = [](const OwnedMessage& sent) { return sent.message.to == NodeId(3); };
        come_back();
        ASSERT_FALSE(cluster.node(3).core().leader());
        cluster.loses = nullptr;
        cluster.node(3).step(ElectionDue{});
        cluster.settle();
        EXPECT_EQ(cluster.node(3).core().leader(), NodeId(term_lost ? 2 : 1));
        EXPECT_FALSE(cluster.node(3).core().in_doubt());
        EXPECT_EQ(cluster.node(3).disk().hard_state.incarnation, Incarnation(3)) << "one that it never had";
    }
}

// What it says of the snapshot is of an old incarnation.
TEST(RaftDoubt, a_member_that_forgot_its_incarnation_and_needs_a_snapshot_is_told_behind_it) {
    TestCluster cluster(3);
    cluster.elect(1);
    const Store old_copy = cluster.node(3).disk();
    Store doubtful = old_copy;
    doubtful.hard_state.incarnation = Incarnation(2);
    doubtful.hard_state.in_doubt = true;
    const auto come_back = [&](const Store& disk) {
        cluster.crash(3);
        cluster.node(3).disk() = disk;
        for (int i = 0; i < 5; i++) {
            ASSERT_TRUE(cluster.node(1).propose("x").has_value());
        }
        cluster.settle();
        cluster.node(1).checkpoint(cluster.node(1).applied());
        cluster.restart(3);
        cluster.settle();
    };
    come_back(doubtful);
    ASSERT_FALSE(cluster.node(3).core().in_doubt());
    come_back(old_copy);
    EXPECT_FALSE(cluster.node(3).core().in_doubt());
    EXPECT_EQ(cluster.node(3).core().last(), cluster.node(1).core().last());
    EXPECT_EQ(cluster.node(3).disk().hard_state.incarnation, Incarnation(3)) << "one that it never had";
    ASSERT_TRUE(cluster.node(1).propose("y").has_value());
    cluster.settle();
    EXPECT_EQ(cluster.node(3).state_hash(), cluster.node(1).state_hash());
}

TEST(RaftDoubt, a_member_that_is_rolled_back_while_in_doubt_comes_back_all_the_same) {
    TestCluster cluster(3);
    cluster.elect(1);
    Store doubtful = cluster.node(3).disk();
    doubtful.hard_state.incarnation = Incarnation(2);
    doubtful.hard_state.in_doubt = true;
    cluster.loses = [](const OwnedMessage& sent) { return sent.message.from == NodeId(2); };
    const auto come_back = [&] {
        cluster.crash(3);
        cluster.node(3).disk() = doubtful;
        cluster.restart(3);
        cluster.settle();
    };
    come_back();
    ASSERT_TRUE(cluster.node(1).propose("told to be durable, and lost"));
    cluster.settle();
    ASSERT_EQ(cluster.node(3).core().last(), cluster.node(1).core().last());
    come_back();
    cluster.loses = nullptr;
    cluster.tell_back(1, 2);
    cluster.settle();
    EXPECT_FALSE(cluster.node(3).core().in_doubt());
    EXPECT_EQ(cluster.node(3).core().last(), cluster.node(1).core().last());
    EXPECT_EQ(cluster.node(3).disk().hard_state.incarnation, Incarnation(3));
}

TEST(RaftDoubt, answers_of_an_older_incarnation_are_dropped) {
    Subject subject(1, 3, {}, 1);
    subject.become_leader();
    subject.finish();
    subject.node.step(PeerLost{.peer = NodeId(3)});
    const LogIndex before = subject.node.core().commit();
    OwnedMessage announced = subject.accepted(2, 1);
    announced.message.incarnation = Incarnation(1);
    announced.message.counts = false;
    subject.said(announced);
    subject.said(subject.accepted(2, 2));                           // sent before the wipe
    EXPECT_EQ(subject.node.core().commit(), before);
    EXPECT_FALSE(subject.node.core().peers().front().counts);
    OwnedMessage fenced = announced;                                // the new incarnation, its doubt over
    fenced.message.counts = true;
    fenced.message.match = subject.node.core().last().index;
    subject.said(fenced);
    EXPECT_EQ(subject.node.core().commit(), subject.node.core().last().index);
}

FetchResult answer_to_fetch(Subject& subject, EntryId wanted) {
    OwnedMessage fetch = subject.from(2, MessageType::fetch, subject.node.core().term().value);
    fetch.fetch = {{.id = wanted, .checksum = 0, .result = FetchResult::never}};
    const auto answers = of_type(subject.said(fetch), MessageType::fetch_response);
    EXPECT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers.front().fetch.size(), 1U);
    return answers.front().fetch.front().result;
}

TEST(RaftDamage, a_peer_says_what_it_knows_of_an_entry_and_in_doubt_never_says_never) {
    Store disk = Subject::store(3, {2, 2}, 2);
    disk.log[1].damaged = true;
    Subject subject(1, disk);
    EXPECT_EQ(answer_to_fetch(subject, id(2, 2)), FetchResult::have);
    EXPECT_EQ(answer_to_fetch(subject, id(2, 3)), FetchResult::damaged);
    EXPECT_EQ(answer_to_fetch(subject, id(1, 1)), FetchResult::compacted);
    EXPECT_EQ(answer_to_fetch(subject, id(2, 4)), FetchResult::never);
    EXPECT_EQ(answer_to_fetch(subject, id(1, 2)), FetchResult::never);
    Subject doubtful(1, store_in_doubt());
    EXPECT_EQ(answer_to_fetch(doubtful, id(2, 4)), FetchResult::damaged);
}

}  // namespace
}  // namespace ringfort::raft
