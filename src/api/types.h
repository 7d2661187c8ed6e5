// The words that sessions, store, codecs and clients share: keys, values, compares, requests, responses.
//
// All texts and spans are views. Of a request: into the received frame or the arena it was decoded with. Of a
// response: into the store or an arena, and valid until the end of the step that made it. Semantics are etcd's:
// each field means what the field of the same name means there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "api/errc.h"
#include "base/ids.h"
#include "base/instant.h"

namespace ringfort::api {

// Revisions and leases are signed on etcd's wire; requests may carry any value, responses never a negative one.
using Revision = std::int64_t;
using LeaseId = std::int64_t;

// In every reply. For a write: the revision it made, or the current one if it changed nothing.
struct ResponseHeader {
    ClusterId cluster_id{};
    NodeId member_id{};      // who evaluated the request
    Revision revision{0};
    Term raft_term{};
    DomainId domain{};
};

struct KeyValue {
    std::string_view key;
    Revision create_revision{0};
    Revision mod_revision{0};
    std::int64_t version{0};
    std::string_view value;
    LeaseId lease{0};
};

// A key interval as requests give it. range_end empty: the one key; "\0": every key >= key; else [key, range_end).
struct KeyRange {
    std::string_view key;
    std::string_view range_end;
};

enum class SortOrder : std::uint8_t { none = 0, ascend = 1, descend = 2 };
enum class SortTarget : std::uint8_t { key = 0, version = 1, create = 2, mod = 3, value = 4 };

struct RangeRequest {
    std::string_view key;
    std::string_view range_end;
    std::int64_t limit{0};         // <= 0: none
    Revision revision{0};          // <= 0: latest (stand-alone); in a transaction only 0 is
    SortOrder sort_order{SortOrder::none};     // other values: invalid_sort_option
    SortTarget sort_target{SortTarget::key};
    bool serializable{false};
    bool keys_only{false};
    bool count_only{false};
    Revision min_mod_revision{0};
    Revision max_mod_revision{0};
    Revision min_create_revision{0};
    Revision max_create_revision{0};
};

struct PutRequest {
    std::string_view key;
    std::string_view value;
    LeaseId lease{0};
    bool prev_kv{false};
    bool ignore_value{false};
    bool ignore_lease{false};
};

struct DeleteRangeRequest {
    std::string_view key;
    std::string_view range_end;
    bool prev_kv{false};
};

enum class CompareResult : std::uint8_t { equal = 0, greater = 1, less = 2, not_equal = 3 };
enum class CompareTarget : std::uint8_t { version = 0, create = 1, mod = 2, value = 3, lease = 4 };

struct Compare {
    CompareResult result{CompareResult::equal};   // others are refused when decoded (etcd: "true")
    CompareTarget target{CompareTarget::version};
    std::string_view key;
    std::string_view range_end;
    std::int64_t number{0};        // version, create, mod and lease
    std::string_view value;        // value
};

struct RequestOp;

struct TxnRequest {
    std::span<const Compare> compare;
    std::span<const RequestOp> success;
    std::span<const RequestOp> failure;
};

struct RequestOp {
    std::variant<RangeRequest, PutRequest, DeleteRangeRequest, TxnRequest> op;
};

struct CompactRequest {
    Revision revision{0};
    bool physical{false};
};

struct StatusRequest {};

struct MemberListRequest {
    bool linearizable{true};
};

struct MoveLeaderRequest {
    NodeId target{};
    // Which range; without it every range of the cluster whose leader this node is (etcd has only one).
    std::optional<RangeId> range;
};

struct LeaseGrantRequest {
    std::int64_t ttl{0};   // seconds; less than the least is that one, which follows from the election timeout
    LeaseId id{0};         // 0: the cluster chooses
};

struct LeaseRevokeRequest {
    LeaseId id{0};
};

// etcd has one lease a request; here any number up to limits::lease_keep_alive_ids_max.
struct LeaseKeepAliveRequest {
    std::span<const LeaseId> ids;
};

struct LeaseTimeToLiveRequest {
    LeaseId id{0};
    bool keys{false};            // answer with the keys attached, in their order, as many as fit
    std::string_view from_key;   // from this one on
};

// In the order of ids, as many as fit.
struct LeaseListRequest {
    bool has_after{false};   // those above `after` only
    LeaseId after{0};
};

// Every change of a key, or of an interval, from a revision on, until it is cancelled.
struct WatchRequest {
    std::string_view key;            // empty: "\0"
    std::string_view range_end;
    Revision start_revision{0};      // 0: what comes after the revision that `created` is answered with
    bool progress_notify{false};     // a mark now and then when there was nothing else to say
    bool prev_kv{false};
    bool no_put{false};              // filters
    bool no_delete{false};
    bool require_leader{false};      // no_leader when this node has heard of none for three election timeouts
};

// Of a domain's keys and values, as the node that is asked has them. What is hashed: kv::StateHash.
struct HashKvRequest {
    Revision revision{0};   // 0: the current one
};

// An alarm is raised for a domain by the member that leads it, and stays until one of them takes it back, or a request does.
enum class AlarmType : std::uint8_t { none = 0, nospace = 1, corrupt = 2 };
// As etcd writes it.
constexpr std::string_view alarm_name(AlarmType type) {
    switch (type) {
        case AlarmType::none: return "NONE";
        case AlarmType::nospace: return "NOSPACE";
        case AlarmType::corrupt: return "CORRUPT";
    }
    return "";   // a later version's
}
struct Alarm {
    NodeId member{};   // who raised it
    AlarmType type{AlarmType::none};
    auto operator<=>(const Alarm&) const = default;
};
enum class AlarmAction : std::uint8_t { get = 0, activate = 1, deactivate = 2 };
struct AlarmRequest {
    AlarmAction action{AlarmAction::get};   // activate: unsupported_request
    // deactivate: of this member and type; 0 and none: of any.
    NodeId member{};
    AlarmType alarm{AlarmType::none};
};

// wire::kind_of has the protocol's number of each.
using Operation = std::variant<RangeRequest, PutRequest, DeleteRangeRequest, TxnRequest, CompactRequest, StatusRequest,
                               MemberListRequest, MoveLeaderRequest, LeaseGrantRequest, LeaseRevokeRequest,
                               LeaseKeepAliveRequest, LeaseTimeToLiveRequest, LeaseListRequest,
                               WatchRequest, HashKvRequest, AlarmRequest>;

struct Request {
    Operation op;
    // Named domain for requests without a key; empty: the only one.
    std::optional<DomainId> domain;
    // From receipt to answer; 0: the node's default (7 s as etcd's). The answer past it is timed_out.
    Duration timeout{0};
    // The client routes itself: answer not_leader instead of forwarding.
    bool redirect{false};
    // Empty (0, 0) until exactly-once sessions exist; carried into the command.
    std::uint64_t client{0};
    std::uint64_t client_sequence{0};
};

// ---------------------------------------------------------------------------------------------- responses

struct RangeResponse {
    std::span<const KeyValue> kvs;
    bool more{false};
    std::int64_t count{0};
};

struct PutResponse {
    std::optional<KeyValue> prev_kv;
};

struct DeleteRangeResponse {
    std::int64_t deleted{0};
    std::span<const KeyValue> prev_kvs;   // in key order
};

struct ResponseOp;

struct TxnResponse {
    bool succeeded{false};
    std::span<const ResponseOp> responses;   // same order and kinds as the branch taken
};

struct ResponseOp {
    std::variant<RangeResponse, PutResponse, DeleteRangeResponse, TxnResponse> op;
};

struct CompactResponse {};

struct RangeStatus {
    RangeId range{};
    DomainId domain{};
    std::string_view begin;
    std::string_view end;             // empty: no end
    NodeId leader{};                  // 0: unknown
    Term term{};
    LogIndex commit{};
    LogIndex applied{};
    Revision revision{0};
    Revision compact_revision{0};
    std::uint64_t state_hash{0};      // at `applied`
    std::uint64_t live_bytes{0};
    ShardId shard{};
    bool in_doubt{false};             // counts in no quorum until its fence
};

struct StatusResponse {
    std::string_view version;
    std::uint64_t memory_bytes{0};          // counted live data of this node
    std::uint64_t memory_quota_bytes{0};
    std::uint64_t log_bytes_written{0};     // blocks written to logs and checkpoints since start
    std::uint64_t log_entry_bytes{0};       // bytes of entries among them
    std::uint64_t log_flushes{0};           // batches made durable since start
    std::uint64_t cpu_us{0};                // utime + stime of the process
    std::uint64_t resident_bytes{0};        // memory of the process
    std::span<const RangeStatus> ranges;    // replicas on this node, the directory first
    std::span<const std::string_view> errors;
};

struct Member {
    NodeId id{};
    std::string_view name;
    std::span<const std::string_view> peer_urls;
    std::span<const std::string_view> client_urls;
    bool is_learner{false};
};

struct MemberListResponse {
    std::span<const Member> members;
};

struct MoveLeaderResponse {};

struct LeaseGrantResponse {
    LeaseId id{0};
    std::int64_t ttl{0};   // as granted
};

struct LeaseRevokeResponse {};

struct LeaseKeepAliveResponse {
    // One for each id asked for: seconds from when it was asked; 0: there is no such lease.
    std::span<const std::int64_t> ttls;
};

struct LeaseTimeToLiveResponse {
    LeaseId id{0};
    std::int64_t ttl{0};           // seconds left, rounded down; -1: there is no such lease
    std::int64_t granted_ttl{0};
    std::span<const std::string_view> keys;
    bool more{false};              // there are keys behind these
};

struct LeaseListResponse {
    std::span<const LeaseId> ids;
    bool more{false};
};

// An event of a watch (etcd's mvccpb.Event). For a removal kv has only key and mod_revision.
enum class EventType : std::uint8_t { put = 0, remove = 1 };
struct Event {
    EventType type{EventType::put};
    KeyValue kv;
    std::optional<KeyValue> prev_kv;
};

// One frame of a watch. The first is `created`, the last, without Response::more_frames, `canceled`; an error in the place
// of either ends it too. Everything up to the header's revision has been told, that revision apart if it `goes_on`.
struct WatchResponse {
    bool created{false};
    bool canceled{false};
    Revision compact_revision{0};    // why it was cancelled: the least revision a watch may begin at
    std::string_view cancel_reason;
    std::span<const Event> events;   // of one revision
    bool goes_on{false};             // frames with more of this revision follow (etcd: fragment)
};

// Comparable where compact_revision and hash_revision are equal.
struct HashKvResponse {
    std::uint64_t hash{0};
    Revision compact_revision{0};   // when the walk began
    Revision hash_revision{0};
    bool operator==(const HashKvResponse&) const = default;
};

struct AlarmResponse {
    std::span<const Alarm> alarms;   // raised; of deactivate: those it took back
};

using Result = std::variant<RangeResponse, PutResponse, DeleteRangeResponse, TxnResponse, CompactResponse, StatusResponse,
                            MemberListResponse, MoveLeaderResponse, LeaseGrantResponse, LeaseRevokeResponse,
                            LeaseKeepAliveResponse, LeaseTimeToLiveResponse, LeaseListResponse,
                            WatchResponse, HashKvResponse, AlarmResponse>;

struct ErrorInfo {
    Errc code{Errc::ok};
    std::string_view detail;          // for people; may be empty
    NodeId leader{};                  // of redirects; 0: unknown
    std::string_view leader_address;  // "host:port" of its client listener; may be empty
};

// One reply, or one piece of one: `more_frames` says that the next frame of the same request continues it. The pieces
// of a range reply concatenate: kvs in order; header, more and count stand in the last.
struct Response {
    ResponseHeader header;
    std::variant<Result, ErrorInfo> body;
    bool more_frames{false};

    bool ok() const { return std::holds_alternative<Result>(body); }
};

}  // namespace ringfort::api
