// The vocabulary of one Raft group. Pure values: no I/O, no clock. Names follow the Raft paper (Ongaro 2014).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/bounds.h"

namespace ringfort::raft {

struct EntryId {
    Term term{};
    LogIndex index{};
    constexpr auto operator<=>(const EntryId&) const = default;  // by term, then index: Raft 5.4.1's order
};

enum class EntryKind : std::uint8_t {
    command = 1,  // for the state machine; the core never looks inside
    noop = 2,     // first entry of a leader's term (Raft 8)
    config = 3,   // an encoded Configuration; in force from the moment it is in the log
    fence = 4,    // an encoded Fence: from here on the member counts again
};

// Beyond it is nobody's: whatever incarnation a replica is in, it may need the next one.
inline constexpr Incarnation incarnation_last{UINT64_MAX - 1};

// An entry as it travels and lies in the log. `payload` is a view; who hands an entry over keeps it alive for the call.
struct Entry {
    EntryId id;
    EntryKind kind{EntryKind::command};
    std::uint64_t checksum{0};  // of the payload; made by the proposer, checked by every replica that reads it
    Bytes payload;
};

// What must be durable before anything said in this term may leave (Figure 2, "persistent state").
struct HardState {
    Term term{};
    NodeId vote{};            // 0: none in this term
    LogIndex commit{};        // a hint that saves work after a restart; never needed for safety, and not used in doubt
    Incarnation incarnation{};
    bool in_doubt{false};     // promises were lost and the fence is not yet durable here
    constexpr bool operator==(const HardState&) const = default;
};

// Members of one group. Sorted, no duplicates. In joint consensus `outgoing` is the old majority (Raft 6).
struct Configuration {
    std::vector<NodeId> voters;
    std::vector<NodeId> outgoing;       // empty outside a joint configuration
    std::vector<NodeId> learners;
    std::vector<NodeId> learners_next;  // voters of `outgoing` that become learners when the joint phase ends
    bool operator==(const Configuration&) const = default;

    bool joint() const { return !outgoing.empty(); }
    bool is_voter(NodeId node) const;    // in either majority
    bool is_learner(NodeId node) const;
    bool contains(NodeId node) const;
};

// The member's promises of earlier incarnations are void; committed without its vote, it makes it count again.
struct Fence {
    NodeId member{};
    Incarnation incarnation{};
};

enum class MessageType : std::uint8_t {
    append = 1,
    append_response = 2,
    pre_vote = 3,
    pre_vote_response = 4,
    vote = 5,
    vote_response = 6,
    timeout_now = 7,        // leadership transfer (thesis 3.10)
    announce = 8,           // "my promises are in doubt": asks the leader for a fence
    snapshot_response = 9,  // the receiver has installed (or refused) a streamed snapshot
    fetch = 10,             // asks for damaged entries by id
    fetch_response = 11,
    resigned = 12,          // the sender leads no more, or may not stand, and knows no leader: its followers look for one,
                            // and who leads says so
};
inline constexpr MessageType message_type_last = MessageType::resigned;

// What a peer knows of an entry somebody else has damaged.
enum class FetchResult : std::uint8_t {
    have = 1,
    never = 2,      // it is not in this log, and no leader of an older term will be let put it there
    damaged = 3,    // it is in this log, but unreadable here too
    compacted = 4,  // a checkpoint covers it: neither to be had nor to be denied
};
inline constexpr FetchResult fetch_result_last = FetchResult::compacted;

// In a response each `have` item has its entry in `entries`, in the order of the items. Whoever asks sees for himself
// whether it is the entry he lost.
struct FetchItem {
    EntryId id;
    std::uint64_t checksum{0};               // as far as who asks knows, else 0; the response repeats it
    FetchResult result{FetchResult::never};  // in responses
};

// One flat struct for all kinds; each field says which kinds use it. Views follow the rule of Entry.
struct Message {
    MessageType type{MessageType::append};
    RangeId range{};
    NodeId from{};
    NodeId to{};
    Incarnation incarnation{};    // the sender's
    Term term{};

    // append: entries follow `prev`. vote, pre_vote: `prev` is the candidate's last entry.
    // append_response: prev.index is the `prev` of the append it answers. announce: the sender's snapshot.
    // fetch: prev.index is the number of the question; the response repeats it.
    EntryId prev{};
    LogIndex commit{};            // append: the leader's. snapshot_response: index of the snapshot
    // append: how many entries follow, prev.index+1 ... prev.index+count. On sending the core leaves `entries` empty and
    // the shard attaches the raw entries, which are in its memory (only the answer to EntriesRead comes with them);
    // on receipt `entries` holds them.
    // fetch_response: the core sets entry_count to the number of `have` items; the shard attaches the entries, from
    // memory or disk. One it cannot read turns its item into `damaged`; where the message would grow too long it cuts
    // the items short: what is not answered is asked again.
    std::uint32_t entry_count{0};
    std::span<const Entry> entries{};

    bool reject{false};           // responses
    bool counts{true};            // responses: false while the sender is in doubt (it counts in no quorum)
    // append_response: durable through here, and equal to the leader's log. append: what the leader has been told of
    // that; an append that shows nothing beyond is not answered (a probe says 0, so it is always answered).
    LogIndex match{};
    // Rejected append: where the logs may agree (thesis 3.2's conflict hint). append: the index is what the leader was
    // told of in this term, whatever `match` says: a follower whose log ends before it has forgotten its own answers.
    EntryId hint{};
    // append: the highest incarnation of the receiver that the sender has heard of, or has a fence of. One above the
    // receiver's own was begun and forgotten.
    Incarnation known{};
    bool transfer{false};         // vote: part of a transfer, so a living leader is no reason to refuse
    std::span<const FetchItem> fetch{};  // fetch, fetch_response
};

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };

std::string_view to_string(MessageType type);
std::string_view to_string(Role role);
std::string_view to_string(EntryKind kind);

// Payload forms of config and fence entries: canonical, versioned, total to decode (an empty result is malformed).
std::vector<std::byte> encode(const Configuration& configuration);
std::vector<std::byte> encode(const Fence& fence);
bool decode(Bytes payload, Configuration& out);
bool decode(Bytes payload, Fence& out);

}  // namespace ringfort::raft
