// The protocol between nodes: what travels on a peer link. Heads are FlatBuffers of schemas/peer.fbs, bulk (entries,
// forwarded bodies, snapshot slices) is raw behind the head.
//
//   peer frame body: u64 checksum (XXH3 of everything behind it in the frame, seeded with the frame header's first
//   8 bytes), u32 head_bytes, u32 zero, head (padded to 8), raw bytes
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/instant.h"
#include "raft/types.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::wire {

enum class PeerKind : std::uint8_t {
    hello = 1,
    hello_reply = 2,
    raft = 3,
    read_round = 4,
    read_round_answer = 5,
    beat = 6,
    forward = 7,
    forward_reply = 8,
    snapshot = 9,
    snapshot_answer = 10,
    credit = 11,
    forward_cancel = 12,
    forward_credit = 13,
    read_index = 14,
    read_index_answer = 15,
    state_hashes = 16,
};

// Flow-control classes of a link. The receiver grants bytes per class; control needs no credit and always fits.
enum class LinkClass : std::uint8_t { control = 0, append = 1, forward = 2, snapshot = 3 };
inline constexpr std::size_t link_class_count = 4;
// Of raft messages only those with entries need credit.
LinkClass class_of(PeerKind kind);

// From the side that connects. A probe asks what the peer remembers and closes.
struct PeerHello {
    ClusterId cluster_id{};
    NodeId node{};
    NodeId target{};                 // whom it believes to talk to
    InstanceId instance{};
    Incarnation incarnation{};
    ShardId shard{};                 // the sender's
    std::uint32_t shard_count{0};
    ShardId target_shard{};
    std::uint32_t feature_level{0};
    bool bootstrapped{false};        // the sender has data of this cluster
    bool probe{false};
    // What the sender remembers of the receiver: 0 if nothing.
    InstanceId your_instance{};
    Incarnation your_incarnation{};
    std::string_view client_address{};   // "host:port" of the sender's client listener; at most client_address_bytes_max
};

inline constexpr std::size_t client_address_bytes_max = 300;

enum class Refusal : std::uint8_t {
    none = 0,
    other_cluster = 1,
    unknown_member = 2,
    wrong_target = 3,
    old_incarnation = 4,
    unsupported_feature_level = 5,
    no_such_shard = 6,
    stopping = 7,              // or starting: not now
};
// For people, and from neither side's place: "the caller" dialed.
std::string_view to_string(Refusal refusal);

struct PeerHelloReply {
    Refusal refusal{Refusal::none};
    ClusterId cluster_id{};
    NodeId node{};
    InstanceId instance{};
    Incarnation incarnation{};
    ShardId shard{};
    std::uint32_t shard_count{0};
    std::uint32_t feature_level{0};
    bool bootstrapped{false};
    // What this node remembers of the asker: 0 if nothing.
    InstanceId your_instance{};
    Incarnation your_incarnation{};
    std::string_view client_address{};
};

struct ReadRoundItem {
    RangeId range{};
    Term term{};
};
// `round` never repeats, not even over restarts of the sender.
struct ReadRound {
    std::array<std::uint64_t, 2> round{};
    std::span<const ReadRoundItem> items;
};
// The ranges for which the answering node knows no higher term and is not in doubt.
struct ReadRoundAnswer {
    std::array<std::uint64_t, 2> round{};
    std::span<const RangeId> confirmed;
};

inline constexpr std::size_t read_index_items_max = 4096;   // of both messages
// From a follower with reads that wait, to its leader's shard: up to where has the state to be applied that they may see?
// The asker knows no higher term than the item's and is not in doubt. `round` never repeats, as above.
struct ReadIndex {
    std::array<std::uint64_t, 2> round{};
    std::span<const ReadRoundItem> items;
};
struct ReadIndexAnswerItem {
    RangeId range{};
    Term term{};                     // as asked
    LogIndex index{};                // 0: the answering node does not lead the range in that term
};
// Some or all of the ranges asked for.
struct ReadIndexAnswer {
    std::array<std::uint64_t, 2> round{};
    std::span<const ReadIndexAnswerItem> items;
};

// Comparison of the states of a range's replicas: shard/state_compare.h.
enum class StateHashKind : std::uint8_t { ask = 0, answer = 1, verdict = 2, rebuild = 3 };
struct StateHash {
    RangeId range{};
    Term term{};                     // of the asker's leadership; rebuild: known to the sender
    LogIndex index{};
    std::uint64_t hash{0};           // of the state there; rebuild: 0
};
inline constexpr std::size_t state_hashes_max = 4096;
struct StateHashes {
    StateHashKind kind{StateHashKind::ask};
    std::span<const StateHash> items;
};

// Liveness of a pair of shards. `echo_ns` gives back the peer's last sent_at_ns.
struct Beat {
    std::int64_t sent_at_ns{0};
    std::int64_t echo_ns{0};
    std::int64_t durable_age_ns{0};   // how long ago the sender's log last made something durable or was idle
    std::uint32_t load{0};            // requests pending, for placement of transfers
    bool disk_slow{false};            // sheds leaderships and takes none
};

// A client's request on its way to the leader's shard; the answer comes back with the same token.
struct Forward {
    std::uint64_t token{0};
    RangeId range{};
    Generation generation{};
    std::int64_t timeout_ns{0};       // what is left of the request's deadline
    std::uint8_t kind{0};             // ClientKind
    std::uint32_t reply_credit{0};    // bytes of a long reply that may come at once; 0: 1 MiB
    Bytes body;                       // raw: the client's frame body
};
struct ForwardReply {
    std::uint64_t token{0};
    std::uint8_t kind{0};
    std::uint8_t flags{0};            // FrameFlags of the client's reply frame
    Bytes body;                       // raw: the client's reply frame body
};
struct ForwardCancel {
    std::uint64_t token{0};
};
// The client takes more of a forwarded range's reply.
struct ForwardCredit {
    std::uint64_t token{0};
    std::uint64_t bytes{0};           // granted in addition
};

// A checkpoint file on its way to a follower that is too far behind. Slices in order; the first has offset 0.
struct SnapshotSlice {
    RangeId range{};
    Term term{};                      // the leader's
    raft::EntryId snapshot{};
    std::uint64_t total_bytes{0};
    std::uint64_t offset{0};
    std::uint64_t state_hash{0};
    std::uint64_t file_checksum{0};
    Bytes configuration;              // raft::encode(Configuration), in the first slice
    Bytes data;                       // raw
};
enum class SnapshotVerdict : std::uint8_t { installed = 1, refused = 2, progress = 3 };
struct SnapshotAnswer {
    RangeId range{};
    Term term{};
    raft::EntryId snapshot{};
    std::uint64_t offset{0};          // taken through here
    SnapshotVerdict verdict{SnapshotVerdict::progress};
};

struct Credit {
    LinkClass cls{LinkClass::append};
    std::uint64_t bytes{0};           // granted in addition
};

// Appends whole frames. Entries of a raft message: from message.entries.
void encode_peer(const PeerHello& hello, OutBuffer& out);
void encode_peer(const PeerHelloReply& reply, OutBuffer& out);
void encode_peer(const raft::Message& message, OutBuffer& out);
void encode_peer(const ReadRound& round, OutBuffer& out);
void encode_peer(const ReadRoundAnswer& answer, OutBuffer& out);
void encode_peer(const Beat& beat, OutBuffer& out);
void encode_peer(const Forward& forward, OutBuffer& out);
void encode_peer(const ForwardReply& reply, OutBuffer& out);
void encode_peer(const ForwardCancel& cancel, OutBuffer& out);
void encode_peer(const ForwardCredit& credit, OutBuffer& out);
void encode_peer(const SnapshotSlice& slice, OutBuffer& out);
void encode_peer(const SnapshotAnswer& answer, OutBuffer& out);
void encode_peer(const Credit& credit, OutBuffer& out);
void encode_peer(const ReadIndex& ask, OutBuffer& out);
void encode_peer(const ReadIndexAnswer& answer, OutBuffer& out);
void encode_peer(const StateHashes& hashes, OutBuffer& out);

using PeerFrame = std::variant<PeerHello, PeerHelloReply, raft::Message, ReadRound, ReadRoundAnswer, Beat, Forward,
                               ForwardReply, ForwardCancel, ForwardCredit, SnapshotSlice, SnapshotAnswer, Credit, ReadIndex,
                               ReadIndexAnswer, StateHashes>;

// Checks the frame's checksum, verifies the head, reads it. Views point into the frame or the arena. Entry checksums of
// raft messages are compared with their payloads here: a mismatch is bad_checksum.
Result<PeerFrame, FrameErrc> decode_peer(const FrameReader::Frame& frame, Arena& arena);

}  // namespace ringfort::wire
