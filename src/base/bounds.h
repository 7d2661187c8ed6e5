// Every bound of the product in one place. `_max` is compiled in; `_default` is the value of a setting.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/instant.h"

namespace ringfort::limits {

// ---- cluster
inline constexpr std::size_t members_max = 16;         // voters and learners together
inline constexpr std::size_t shards_max = 256;         // per node
inline constexpr std::size_t domains_max = 1024;

// ---- requests (etcd: --max-request-bytes, --max-txn-ops)
inline constexpr std::size_t request_bytes_default = 1536 * kib;
inline constexpr std::size_t request_bytes_max = 6 * mib;
inline constexpr std::size_t txn_ops_default = 128;
inline constexpr std::size_t txn_ops_max = 4096;
inline constexpr std::size_t txn_depth_max = 16;
// What a verified request may decode to: FlatBuffers offsets may alias.
inline constexpr std::size_t decoded_bytes_max = 2 * request_bytes_max;

// ---- leases
inline constexpr std::int64_t lease_ttl_max_s = 9'000'000'000;             // etcd's
inline constexpr std::size_t lease_keep_alive_ids_max = 1024;              // of one request
inline constexpr std::size_t lease_list_ids_max = 1024;                    // of one answer
inline constexpr std::size_t lease_list_keys_max = 1024;                   // likewise, and of keys no more than
inline constexpr std::size_t lease_list_key_bytes = 256 * kib;             // so many bytes and one key

// ---- wire
inline constexpr std::size_t frame_header_bytes = 16;
inline constexpr std::size_t frame_bytes_max = 16 * mib;      // any frame, header included
inline constexpr std::size_t reply_piece_bytes = 256 * kib;   // a long reply travels in frames of about this size
inline constexpr std::size_t requests_per_connection_max = 1024;
// Pairs that a write (transaction, put or delete with prev_kv) may answer with; larger: request_too_large, before anything
// is done. A stand-alone range has no such bound: it travels in pieces.
inline constexpr std::size_t answer_bytes_max = 8 * mib;
// What an op of a transaction, and a pair besides its key and value, count for there: no less than on the wire.
inline constexpr std::size_t answer_op_bytes = 64;
inline constexpr std::size_t answer_pair_bytes = 96;

// ---- log
inline constexpr std::size_t block_bytes = 4096;
inline constexpr std::size_t segment_bytes_default = 64 * mib;
inline constexpr std::size_t batch_bytes_max = 8 * mib;       // one batch never crosses a segment
inline constexpr std::size_t batches_in_flight_max = 4;
inline constexpr std::size_t command_bytes_max = request_bytes_max + mib;

// ---- the turn
inline constexpr Duration step_budget = 1ms;                  // no step of a shard's turn is longer

static_assert(request_bytes_default <= request_bytes_max);
static_assert(request_bytes_max + mib <= frame_bytes_max, "a frame holds any request");
static_assert(answer_bytes_max + 2 * mib <= frame_bytes_max, "a frame holds any answer of a write");
static_assert(command_bytes_max + mib <= answer_bytes_max, "any stored pair can be answered");
static_assert(command_bytes_max <= batch_bytes_max, "a batch holds any command");
static_assert(batch_bytes_max % block_bytes == 0 && segment_bytes_default % block_bytes == 0);
static_assert(batch_bytes_max < segment_bytes_default);

}  // namespace ringfort::limits
