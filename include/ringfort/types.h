// What a Ringfort client sends and gets: owning types, with etcd's names and meanings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ringfort {

// In every reply. Replies inside of a transaction's have only `revision`, the transaction's.
struct Header {
    std::uint64_t cluster_id{0};
    std::uint64_t member_id{0};      // who evaluated the request
    std::int64_t revision{0};        // of a write the one it made, otherwise the store's current one
    std::uint64_t raft_term{0};
    std::uint64_t domain{0};         // whose revision it is; 1 unless the cluster has several
};

struct KeyValue {
    std::string key{};
    std::int64_t create_revision{0};
    std::int64_t mod_revision{0};
    std::int64_t version{0};         // writes since it was created; 1: the first
    std::string value{};
    std::int64_t lease{0};
};

// ---------------------------------------------------------------------------------------------- which keys
// `range_end` of every range operation: empty: the one key; "\0" (one zero byte): every key >= key; otherwise every
// key in [key, range_end).

// The range_end for "every key that starts with prefix".
std::string prefix_end(std::string_view prefix);
// The range_end for "every key from here on".
inline std::string from_key_end() { return std::string(1, '\0'); }

enum class SortOrder : std::uint8_t { none = 0, ascend = 1, descend = 2 };
enum class SortTarget : std::uint8_t { key = 0, version = 1, create = 2, mod = 3, value = 4 };

// ---------------------------------------------------------------------------------------------- options

// timeout_ms everywhere: from the call to the answer; 0: the client's own.
struct CallOptions {
    std::int64_t timeout_ms{0};
};

struct GetOptions {
    std::string range_end{};
    std::int64_t limit{0};           // 0: none
    std::int64_t revision{0};        // 0: the newest
    SortOrder sort_order{SortOrder::none};
    SortTarget sort_target{SortTarget::key};
    bool serializable{false};        // from the asked node's own state: fast, possibly stale
    bool keys_only{false};
    bool count_only{false};
    std::int64_t min_mod_revision{0};
    std::int64_t max_mod_revision{0};
    std::int64_t min_create_revision{0};
    std::int64_t max_create_revision{0};
    std::int64_t timeout_ms{0};
};

struct PutOptions {
    std::int64_t lease{0};           // the key goes when this lease ends; 0: it stays, whatever it hung on before
    bool prev_kv{false};             // the reply carries the pair as it was
    bool ignore_value{false};        // keep the value (give an empty one), change the rest
    bool ignore_lease{false};        // keep the lease
    std::int64_t timeout_ms{0};
};

struct DeleteOptions {
    std::string range_end{};
    bool prev_kv{false};
    std::int64_t timeout_ms{0};
};

struct CompactOptions {
    bool physical{false};            // answer when the space is free
    std::uint64_t domain{0};         // whose revision it is; 0: the only one (several: domain_required)
    std::int64_t timeout_ms{0};
};

struct HashOptions {
    std::uint64_t domain{0};         // whose keys; 0: the only one (several: domain_required)
    std::int64_t timeout_ms{0};
};

struct AlarmOptions {
    std::uint64_t domain{0};         // whose; 0: the only one (several: domain_required)
    std::int64_t timeout_ms{0};
};

struct LeaseOptions {
    std::uint64_t domain{0};         // where it lives; 0: the only one (several: domain_required)
    std::int64_t timeout_ms{0};
};

// ---------------------------------------------------------------------------------------------- replies

struct GetReply {
    Header header{};
    std::vector<KeyValue> kvs{};
    bool more{false};                // `limit` cut it
    std::int64_t count{0};           // keys in the range, whatever the limit
};

struct PutReply {
    Header header{};
    std::optional<KeyValue> prev_kv{};
};

struct DeleteReply {
    Header header{};
    std::int64_t deleted{0};
    std::vector<KeyValue> prev_kvs{};
};

struct CompactReply {
    Header header{};
};

struct LeaseGrantReply {
    Header header{};
    std::int64_t id{0};
    std::int64_t ttl{0};             // seconds, as granted: no less than the cluster's least, 2 by default
    std::int64_t asked_ns{0};        // when it was asked, by the steady clock here: it lives at least `ttl` from then on
};

struct LeaseRevokeReply {
    Header header{};                 // the revision its keys went at, or the current one if it had none
};

struct LeaseKeepAliveReply {
    Header header{};
    std::vector<std::int64_t> ttls{};   // one for each id: seconds from when it was asked; 0: there is no such lease
};

struct LeaseTimeToLiveReply {
    Header header{};
    std::int64_t id{0};
    std::int64_t ttl{0};             // seconds left; -1: there is no such lease
    std::int64_t granted_ttl{0};
    std::vector<std::string> keys{}; // in their order
};

struct LeaseListReply {
    Header header{};
    std::vector<std::int64_t> ids{}; // in their order
};

// ---------------------------------------------------------------------------------------------- watches

struct WatchOptions {
    std::string range_end{};
    std::int64_t start_revision{0};  // 0: what comes from now on
    bool progress_notify{false};     // a mark now and then when there is nothing to tell
    bool prev_kv{false};             // events carry the pair as it was
    bool no_put{false};              // filters: no events of that type
    bool no_delete{false};
    // A node that has heard of no leader for three election timeouts is left for another endpoint. Otherwise it is stayed
    // with, and tells nothing as long as it is cut off from the others.
    bool require_leader{true};
};

enum class EventType : std::uint8_t { put = 0, remove = 1 };
struct Event {
    EventType type{EventType::put};
    KeyValue kv{};                   // of a removal: key and mod_revision
    std::optional<KeyValue> prev_kv{};
};

// What a watch tells at a time.
struct WatchReply {
    // Of events and marks: everything up to its revision has been told. Of the first and the last: the store's revision,
    // whatever has been told.
    Header header{};
    std::uint64_t watch_id{0};       // of this client: 0, 1, 2, ...
    bool created{false};             // the first
    bool canceled{false};            // the last
    std::int64_t compact_revision{0};    // why: history is compacted, and a watch may begin here
    std::string cancel_reason{};
    std::vector<Event> events{};     // of one revision, all that match
    bool is_progress() const { return events.empty() && !created && !canceled; }
};

// ---------------------------------------------------------------------------------------------- transactions

enum class CompareResult : std::uint8_t { equal = 0, greater = 1, less = 2, not_equal = 3 };
enum class CompareTarget : std::uint8_t { version = 0, create = 1, mod = 2, value = 3, lease = 4 };

// "The target of `key` is `result` than the operand", e.g. mod greater 7. With a range_end every key of the range must
// hold. A key that is not there has version, create, mod and lease 0, and no comparison of its value holds.
struct Compare {
    CompareTarget target{CompareTarget::version};
    CompareResult result{CompareResult::equal};
    std::string key{};
    std::string range_end{};
    std::int64_t number{0};          // the operand of version, create, mod and lease
    std::string value{};             // the operand of value
};

struct Txn;
struct OpGet {
    std::string key{};
    GetOptions options{};
};
struct OpPut {
    std::string key{};
    std::string value{};
    PutOptions options{};
};
struct OpDelete {
    std::string key{};
    DeleteOptions options{};
};
using Op = std::variant<OpGet, OpPut, OpDelete, Txn>;

// All compares hold: `success` runs, else `failure`; all of it at one revision, or nothing.
struct Txn {
    std::vector<Compare> compares{};
    std::vector<Op> success{};
    std::vector<Op> failure{};
};

struct TxnReply;
using OpReply = std::variant<GetReply, PutReply, DeleteReply, TxnReply>;

struct TxnReply {
    Header header{};
    bool succeeded{false};
    std::vector<OpReply> replies{};    // same order and kinds as the branch taken
};

// ---------------------------------------------------------------------------------------------- the cluster

struct RangeStatus {
    std::uint64_t range{0};
    std::uint64_t domain{0};
    std::string begin{};
    std::string end{};                 // empty: no end
    std::uint64_t leader{0};         // 0: unknown
    std::uint64_t raft_term{0};
    std::uint64_t commit_index{0};
    std::uint64_t applied_index{0};
    std::int64_t revision{0};
    std::int64_t compact_revision{0};
    std::uint64_t state_hash{0};     // at applied_index
    std::uint64_t live_bytes{0};
    std::uint64_t shard{0};
    bool in_doubt{false};            // counts in no quorum yet: its promises were lost and no leader has fenced it
};

// Of the one node that answered.
struct StatusReply {
    Header header{};
    std::string version{};
    std::uint64_t memory_bytes{0};       // of live data
    std::uint64_t memory_quota_bytes{0}; // --quota-backend-bytes
    std::uint64_t log_bytes_written{0};  // to logs and checkpoints since start
    std::uint64_t log_entry_bytes{0};    // of entries among them
    std::uint64_t log_flushes{0};        // batches made durable since start
    std::uint64_t cpu_us{0};             // user and system time of the process
    std::uint64_t resident_bytes{0};     // its memory, whatever it is for
    std::vector<RangeStatus> ranges{};   // replicas on this node, the directory (range 0) first
    std::vector<std::string> errors{};   // what an operator should know
};

// Equal on all members where both revisions are.
struct HashKvReply {
    Header header{};
    std::uint64_t hash{0};
    std::int64_t compact_revision{0};  // the member's when it began
    std::int64_t hash_revision{0};     // the one hashed
};

// A member that leads raises nospace when a write does not fit its memory limit any more. While it is raised what adds data
// is refused; it ends by itself once a sixteenth of the limit is free.
enum class AlarmType : std::uint8_t { none = 0, nospace = 1, corrupt = 2 };
struct Alarm {
    std::uint64_t member_id{0};        // who raised it
    AlarmType type{AlarmType::none};
};

struct AlarmReply {
    Header header{};
    std::vector<Alarm> alarms{};
};

struct Member {
    std::uint64_t id{0};
    std::string name{};
    std::vector<std::string> peer_urls{};
    std::vector<std::string> client_urls{};
    bool is_learner{false};
};

struct MemberListReply {
    Header header{};
    std::vector<Member> members{};
};

struct MoveLeaderReply {
    Header header{};
};

}  // namespace ringfort
