// What is said while a snapshot is on its way, and what its end says.
#include <gtest/gtest.h>

#include "subject.h"

namespace ringfort::raft {
namespace {

// A leader whose log begins behind a checkpoint; replica 3 has nothing of what that covers.
struct Leader : Subject {
    Leader() : Subject(1, 3, {}, 1) {
        become_leader();
        EXPECT_TRUE(node.propose("x").has_value());
        finish();
        said(accepted(2, 3));
        node.checkpoint(node.core().commit());
        OwnedMessage rejected = from(3, MessageType::append_response, node.core().term().value);
        rejected.message.reject = true;
        rejected.message.prev.index = LogIndex(1);
        to_three = heard_by_three(said(rejected));
    }
    // It says that it has what the snapshot holds, and the same to the append that asks where to go on.
    void catch_up() {
        for (int i = 0; i < 2; i++) {
            said(accepted(3, node.core().snapshot().index.value));
        }
    }
    static std::vector<OwnedMessage> heard_by_three(std::vector<OwnedMessage> messages) {
        std::erase_if(messages, [](const OwnedMessage& sent) {
            return sent.message.to != NodeId(3) || sent.message.type != MessageType::append;
        });
        return messages;
    }
    std::vector<OwnedMessage> to_three;
};

TEST(RaftSnapshot, who_waits_for_one_hears_who_leads_when_it_begins_and_whenever_it_asks) {
    Leader leader;
    ASSERT_EQ(leader.node.streams.size(), 1U);
    EXPECT_EQ(leader.to_three.size(), 1U);
    for (const MessageType asks : {MessageType::pre_vote, MessageType::vote, MessageType::resigned}) {
        const auto answers =
            Leader::heard_by_three(leader.said(leader.from(3, asks, leader.node.core().term().value)));
        ASSERT_EQ(answers.size(), 1U);
        EXPECT_EQ(answers[0].message.prev, leader.node.core().snapshot());
        EXPECT_TRUE(answers[0].entries.empty());
    }
    EXPECT_EQ(leader.node.streams.size(), 1U) << "the one on its way is enough";
}

TEST(RaftSnapshot, who_waits_for_one_and_has_what_it_holds_by_now_says_so_and_gets_entries) {
    Leader leader;
    OwnedMessage rejected = leader.from(3, MessageType::append_response, leader.node.core().term().value);
    rejected.message.reject = true;
    rejected.message.prev = leader.node.core().snapshot();
    EXPECT_TRUE(Leader::heard_by_three(leader.said(rejected)).empty()) << "it waits";
    leader.catch_up();
    ASSERT_TRUE(leader.node.propose("y").has_value());
    const auto appends = Leader::heard_by_three(leader.finish());
    ASSERT_EQ(appends.size(), 1U);
    EXPECT_EQ(appends[0].entries.size(), 1U);
}

// Its sender may have died, or been deposed, while it was written to the disk here. The election timer goes on.
TEST(RaftSnapshot, an_installed_one_does_not_say_who_leads) {
    Subject subject(1, 3, {}, 1);
    subject.node.step(PeerLost{.peer = NodeId(2)});
    subject.node.install({.from = NodeId(2), .to = NodeId(1), .term = Term(4),
                          .checkpoint = {.applied = id(1, 9), .configuration = voters(3), .state_hash = 5}});
    EXPECT_EQ(only(subject.finish(), MessageType::snapshot_response).term, Term(4));
    EXPECT_FALSE(subject.node.core().leader());
    EXPECT_TRUE(subject.node.timer);
    subject.node.step(ElectionDue{});
    EXPECT_EQ(of_type(subject.finish(), MessageType::pre_vote).size(), 2U);
}

// It can take entries all the while: the damage is below what it acknowledges.
TEST(RaftSnapshot, who_gets_one_for_a_damaged_entry_gets_entries_beside_it) {
    Leader leader;
    leader.catch_up();
    leader.node.streams.clear();
    OwnedMessage fetch = leader.from(3, MessageType::fetch, leader.node.core().term().value);
    fetch.fetch = {{.id = id(1, 1), .checksum = 0, .result = FetchResult::never}};
    leader.said(fetch);
    EXPECT_EQ(leader.node.streams.size(), 1U);
    ASSERT_TRUE(leader.node.propose("y").has_value());
    EXPECT_EQ(Leader::heard_by_three(leader.finish()).size(), 1U);
}

// The snapshot that was to spare it the damaged entry may have failed, and nobody says so.
TEST(RaftSnapshot, who_waits_for_one_for_a_damaged_entry_asks_everybody_again_after_a_while) {
    Store disk = Subject::store(3, {1, 1}, 1);
    disk.log[0].damaged = true;
    Subject subject(1, disk);
    auto asked = of_type(subject.said(subject.append(2, 1, id(1, 3), {}, 3)), MessageType::fetch);
    for (std::size_t peers = 0; peers < 2; peers++) {
        ASSERT_EQ(asked.size(), 1U);
        OwnedMessage answer = subject.from(asked[0].message.to.value, MessageType::fetch_response, 1);
        answer.message.prev.index = asked[0].message.prev.index;
        answer.fetch = asked[0].fetch;
        answer.fetch[0].result = FetchResult::compacted;
        asked = of_type(subject.said(answer), MessageType::fetch);
    }
    EXPECT_TRUE(asked.empty()) << "everybody was asked";
    subject.node.step(FetchOverdue{});
    EXPECT_TRUE(of_type(subject.finish(), MessageType::fetch).empty()) << "just before";
    subject.node.step(FetchOverdue{});
    EXPECT_EQ(of_type(subject.finish(), MessageType::fetch).size(), 1U);
}

}  // namespace
}  // namespace ringfort::raft
