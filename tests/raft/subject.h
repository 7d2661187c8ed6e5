// One replica that a test drives with handmade messages, looking at what it stores and says. Its disk writes only when
// told.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "base/checksum.h"
#include "test_cluster.h"

namespace ringfort::raft {

// A replica of `voter_count` whose log after the initial (1, 1) has entries of these terms.
struct Subject {
    Subject(std::uint64_t id, std::uint64_t voter_count, std::vector<std::uint64_t> log_terms, std::uint64_t term)
        : Subject(id, store(voter_count, log_terms, term)) {}
    Subject(std::uint64_t id, const Store& disk) : node(options(id), disk) {
        node.start();
        node.timer = false;
    }
    static Options options(std::uint64_t id) {
        Options out;
        out.range = RangeId(7);
        out.self = NodeId(id);
        return out;
    }
    static Store store(std::uint64_t voter_count, const std::vector<std::uint64_t>& log_terms, std::uint64_t term) {
        Store out;
        out.hard_state.term = Term(term);
        out.hard_state.commit = LogIndex(1);
        out.checkpoint = {.applied = {.term = Term(1), .index = LogIndex(1)}, .configuration = voters(voter_count),
                          .state_hash = 0};
        for (const std::uint64_t entry_term : log_terms) {
            out.append(entry(entry_term, out.last().index.value + 1));
        }
        return out;
    }
    static StoredEntry entry(std::uint64_t term, std::uint64_t index) {
        StoredEntry out;
        out.id = {.term = Term(term), .index = LogIndex(index)};
        const std::string text = std::to_string(term) + "." + std::to_string(index);
        out.payload.assign(as_bytes(text).begin(), as_bytes(text).end());
        out.checksum = checksum(out.payload);
        return out;
    }

    OwnedMessage from(std::uint64_t sender, MessageType type, std::uint64_t term) const {
        OwnedMessage out;
        out.message.type = type;
        out.message.range = RangeId(7);
        out.message.from = NodeId(sender);
        out.message.to = node.id();
        out.message.term = Term(term);
        return out;
    }
    OwnedMessage vote(std::uint64_t sender, std::uint64_t term, EntryId last) const {
        OwnedMessage out = from(sender, MessageType::vote, term);
        out.message.prev = last;
        return out;
    }
    OwnedMessage append(std::uint64_t sender, std::uint64_t term, EntryId prev, std::vector<std::uint64_t> terms,
                        std::uint64_t commit = 0) const {
        OwnedMessage out = from(sender, MessageType::append, term);
        out.message.prev = prev;
        out.message.commit = LogIndex(commit);
        for (const std::uint64_t entry_term : terms) {
            out.entries.push_back(entry(entry_term, prev.index.value + out.entries.size() + 1));
        }
        out.message.entry_count = static_cast<std::uint32_t>(out.entries.size());
        return out;
    }
    OwnedMessage accepted(std::uint64_t sender, std::uint64_t match) const {
        OwnedMessage out = from(sender, MessageType::append_response, node.core().term().value);
        out.message.match = LogIndex(match);
        return out;
    }

    // The turn ends and everything is written; what was said meanwhile.
    std::vector<OwnedMessage> finish() {
        node.end_turn();
        node.settle_disk();
        return std::exchange(node.outbox, {});
    }
    std::vector<OwnedMessage> said(const OwnedMessage& to_it) {
        node.receive(to_it);
        return finish();
    }
    void become_leader() {
        node.step(ElectionDue{.force = true});
        finish();
        const std::size_t others = node.core().configuration().voters.size();
        for (std::uint64_t id = 1; id <= others && !node.core().is_leader(); id++) {
            if (NodeId(id) != node.id()) {
                node.receive(from(id, MessageType::vote_response, node.core().term().value));
            }
        }
        ASSERT_TRUE(node.core().is_leader());
    }

    TestNode node;
};

inline EntryId id(std::uint64_t term, std::uint64_t index) { return {.term = Term(term), .index = LogIndex(index)}; }

inline std::vector<OwnedMessage> of_type(const std::vector<OwnedMessage>& messages, MessageType type) {
    std::vector<OwnedMessage> out;
    std::copy_if(messages.begin(), messages.end(), std::back_inserter(out),
                 [&](const OwnedMessage& owned) { return owned.message.type == type; });
    return out;
}

inline Message only(const std::vector<OwnedMessage>& messages, MessageType type) {
    const auto found = of_type(messages, type);
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? Message{} : found.front().message;
}

}  // namespace ringfort::raft
