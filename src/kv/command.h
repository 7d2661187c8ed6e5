// Commands: what log entries carry. Our own canonical, versioned form of a write request. The leader encodes it straight
// into the log buffer; the same bytes are written to disk, sent to followers and applied. Decoding is total: any bytes
// give either a command or a defined error, the same on every replica.
//
// Form (little-endian), version 1:
//   u8 version, u8 kind, u16 flags, u32 bytes (whole command), u64 range, u64 generation, i64 proposed_at_ns,
//   u64 client, u64 client_sequence, then the kind's body. The entry's checksum covers all of it.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "api/types.h"
#include "base/arena.h"
#include "base/bounds.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/instant.h"
#include "kv/alarm_commands.h"
#include "kv/lease_commands.h"

namespace ringfort::kv {

class Store;

inline constexpr std::uint8_t command_version = 1;

// Compares and ops of a transaction with everything nested in it. etcd bounds a level only, and nesting multiplies.
// Part of the command's form: a larger tree does not decode.
inline constexpr std::size_t txn_total_ops_max = 16384;

enum class CommandKind : std::uint8_t {
    put = 1,
    delete_range = 2,
    txn = 3,
    compact = 4,
    lease_grant = 5,
    lease_revoke = 6,
    lease_keep_alive = 7,
    lease_expire = 8,
    lease_tick = 9,
    alarm_raise = 10,
    alarm_clear = 11,
    // 16.. belong to the directory (kv/directory.h)
    directory_bootstrap = 16,
};

struct CommandHeader {
    RangeId range{};
    Generation generation{};
    WallTime proposed_at{};
    std::uint64_t client{0};
    std::uint64_t client_sequence{0};
};

using CommandBody = std::variant<api::PutRequest, api::DeleteRangeRequest, api::TxnRequest, api::CompactRequest, LeaseGrant,
                                 LeaseRevoke, LeaseKeepAlive, LeaseExpire, LeaseTick, AlarmRaise, AlarmClear>;

struct Command {
    CommandHeader header;
    CommandBody body;   // views into the encoded bytes and the arena
};

enum class CommandErrc : std::uint8_t { malformed, unknown_version, unknown_kind };

// Exact size of the encoded form.
std::size_t command_bytes(const CommandBody& body);
// Requires: out.size() == command_bytes(body).
void encode_command(MutableBytes out, const CommandHeader& header, const CommandBody& body);
// The arena holds the trees of transactions and the ids of keep-alives; it is not touched for the other kinds.
Result<Command, CommandErrc> decode_command(Bytes bytes, Arena& arena);
// The kind without decoding the rest; nullopt if the bytes are no command.
std::optional<CommandKind> command_kind(Bytes bytes);
// A guess, for who only looks ahead: the key, if the bytes look like a put. Total, but nothing else is checked.
std::optional<std::string_view> likely_put_key(Bytes bytes);

// Checks of a request that need no state: etcd's field checks, limits and duplicate rule. Run before a
// command is made of it; apply runs them again only as assertions of its own totality.
struct RequestLimits {
    std::size_t txn_ops{128};
    std::size_t command_bytes{limits::request_bytes_default};   // request_too_large above
};
api::Errc check_request(const api::Operation& operation, const RequestLimits& limits);

// Whether applying it can add data: what a node over its limits refuses. Deletes and compaction go on, so that there is a
// way back.
bool adds_data(const api::Operation& operation);
// How many bytes of keys and values applying it may add: at least its command's, and values it makes the store copy. 0: it
// adds no data. `value_bytes_pending`: no command that is proposed and not yet applied puts a larger value.
std::uint64_t added_bytes(const api::Operation& operation, const Store& store, std::uint64_t value_bytes_pending);
struct MemoryUse {
    std::uint64_t added_bytes{0};
    // Store::live_bytes() of all stores the limit is for, and what was admitted and is not yet applied.
    std::uint64_t used_bytes{0};
    std::uint64_t quota_bytes{0};   // 0: no limit
};
// no_space if there is no room for what is to be added. A matter of the proposer, not of apply: replicas may have different
// limits.
api::Errc check_quota(const MemoryUse& use);

}  // namespace ringfort::kv
