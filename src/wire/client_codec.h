// The client protocol's bodies: api types <-> FlatBuffers of schemas/client.fbs. The schema's README tells a stranger
// everything; this header tells the rest of the code. Only wire/ sees generated types.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/types.h"
#include "base/arena.h"
#include "base/bounds.h"
#include "base/bytes.h"
#include "base/result.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::wire {

// Kinds of frames on a client connection. Replies carry the kind of their request.
enum class ClientKind : std::uint8_t {
    hello = 1,
    range = 2,
    put = 3,
    delete_range = 4,
    txn = 5,
    compact = 6,
    status = 7,
    member_list = 8,
    move_leader = 9,
    credit = 10,     // client -> server: more bytes of a long reply may be sent
    cancel = 11,     // client -> server: stop a long reply or a watch
    lease_grant = 12,
    lease_revoke = 13,
    lease_keep_alive = 14,
    lease_time_to_live = 15,
    lease_list = 16,
    watch = 17,
    hash_kv = 18,
    alarm = 19,
};

// By the number of the operation's alternative; the schema's unions number theirs from 1 in the same order.
inline constexpr std::array operation_kinds{
    ClientKind::range,        ClientKind::put,          ClientKind::delete_range,     ClientKind::txn,
    ClientKind::compact,      ClientKind::status,       ClientKind::member_list,      ClientKind::move_leader,
    ClientKind::lease_grant,  ClientKind::lease_revoke, ClientKind::lease_keep_alive, ClientKind::lease_time_to_live,
    ClientKind::lease_list,   ClientKind::watch,        ClientKind::hash_kv,          ClientKind::alarm,
};
static_assert(operation_kinds.size() == std::variant_size_v<api::Operation>);
static_assert(operation_kinds.size() == std::variant_size_v<api::Result>);
// Of the kind's operation and result in their unions; 0: it is no request.
constexpr std::uint8_t union_number(ClientKind kind) {
    for (std::size_t i = 0; i < operation_kinds.size(); i++) {
        if (operation_kinds[i] == kind) {
            return static_cast<std::uint8_t>(i + 1);
        }
    }
    return 0;
}

ClientKind kind_of(const api::Operation& operation);

// Any frame of a client connection, header included; leaves room for the head of the peer frame that forwards it.
inline constexpr std::size_t client_frame_bytes_max = limits::frame_bytes_max - 64 * kib;
// What a reply may decode to. A reply holds small objects whose decoded form is larger than their encoded one.
inline constexpr std::size_t reply_decoded_bytes_max = 8 * limits::frame_bytes_max;
inline constexpr std::size_t client_name_bytes_max = 256;
// Longer timeouts are this long.
inline constexpr Duration request_timeout_max = std::chrono::hours(24);

struct ClientHello {
    ClusterId cluster_id{};           // 0: any
    std::string_view client_name;     // for logs
    // The shard wanted: by number, or by the range that holds `key`; neither: the node chooses.
    bool has_shard{false};
    ShardId shard{};
    std::string_view key;
    // Bytes of reply frames of one long reply the client takes before it grants more. 0: the node's default.
    std::uint32_t reply_credit_bytes{0};
};

struct ClientHelloReply {
    ClusterId cluster_id{};
    NodeId member_id{};
    ShardId shard{};
    std::uint32_t shard_count{0};
    std::uint32_t frame_bytes_max{0};
    std::uint32_t requests_max{0};
    std::string_view server_version;
    std::uint16_t version{protocol_version};   // spoken from here on
};

// Append whole frames (header, body, padding) to `out`. Those that carry data of any size give false, and leave `out`
// as it was, if the frame would be longer than client_frame_bytes_max.
void encode_client_hello(const ClientHello& hello, OutBuffer& out);
void encode_client_hello_reply(const ClientHelloReply& reply, OutBuffer& out);
// Requires: transactions nested at most limits::txn_depth_max deep.
[[nodiscard]] bool encode_request(std::uint64_t request_id, const api::Request& request, OutBuffer& out);
// `kind`: of the request. Requires: the result is of that kind; an error may be of any.
[[nodiscard]] bool encode_response(std::uint64_t request_id, ClientKind kind, const api::Response& response,
                                   OutBuffer& out);
struct CreditGrant {
    std::uint32_t bytes{0};
    bool progress{false};   // of a watch: a mark is wanted
    bool operator==(const CreditGrant&) const = default;
};
void encode_credit(std::uint64_t request_id, const CreditGrant& credit, OutBuffer& out);
inline void encode_credit(std::uint64_t request_id, std::uint32_t bytes, OutBuffer& out) {
    encode_credit(request_id, CreditGrant{.bytes = bytes}, out);
}
void encode_cancel(std::uint64_t request_id, OutBuffer& out);

// Bodies are checked as they are read (bounds, depth, decoded size: flat_reader.h), at any alignment. Views point into
// `body` or the arena.
Result<ClientHello, FrameErrc> decode_client_hello(Bytes body);
Result<ClientHelloReply, FrameErrc> decode_client_hello_reply(Bytes body);
// An api::Errc, so that it can be answered: malformed_request closes the connection afterwards, others do not.
// Bounds: limits::decoded_bytes_max (request_too_large), limits::txn_depth_max (too_deep), limits::txn_ops_max in each
// list (too_many_ops). Unknown kinds, operations, compare results and targets: unsupported_request. Sort options are
// handed on as they are: the store refuses unknown ones.
Result<api::Request, api::Errc> decode_request(ClientKind kind, Bytes body, Arena& arena);
// `kind` and `flags` of the frame's header. An error reply may be of any kind of request.
Result<api::Response, FrameErrc> decode_response(ClientKind kind, std::uint8_t flags, Bytes body, Arena& arena);
Result<CreditGrant, FrameErrc> decode_credit(Bytes body);

}  // namespace ringfort::wire
