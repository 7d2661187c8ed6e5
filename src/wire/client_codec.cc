#include "wire/client_codec.h"

#include "base/assertion.h"
#include "wire/client_frame.h"

namespace ringfort::wire {

namespace {

// Bodies of the connection's own frames hold a name, a key and numbers.
constexpr std::size_t hello_decoded_bytes_max = 1 * mib;

}  // namespace

ClientKind kind_of(const api::Operation& operation) {
    return operation_kinds[operation.index()];
}

void encode_client_hello(const ClientHello& hello, OutBuffer& out) {
    ASSERT(hello.client_name.size() <= client_name_bytes_max);
    const FrameHeader header{.kind = static_cast<std::uint8_t>(ClientKind::hello)};
    const std::size_t hint = small_body_bytes + hello.client_name.size() + hello.key.size();
    const bool fits = append_client_frame(out, header, hint, [&](FlatBuilder& builder) {
        const auto name = put_text(builder, hello.client_name);
        const auto key = put_bytes(builder, hello.key);
        return protocol::CreateHello(builder, hello.cluster_id.value, name, hello.has_shard, hello.shard.value, key,
                                     hello.reply_credit_bytes);
    });
    ASSERT(fits);
}

Result<ClientHello, FrameErrc> decode_client_hello(Bytes body) {
    using Table = protocol::Hello;
    FlatReader reader(body, hello_decoded_bytes_max);
    const FlatTable table = reader.root();
    ClientHello hello;
    hello.cluster_id = ClusterId(table.scalar<std::uint64_t>(Table::VT_CLUSTER_ID));
    hello.client_name = table.text(Table::VT_CLIENT_NAME, client_name_bytes_max);
    hello.has_shard = table.boolean(Table::VT_HAS_SHARD);
    hello.shard = ShardId(table.scalar<std::uint64_t>(Table::VT_SHARD));
    hello.key = table.bytes(Table::VT_KEY);
    hello.reply_credit_bytes = table.scalar<std::uint32_t>(Table::VT_REPLY_CREDIT_BYTES);
    if (!reader.ok()) {
        return failure(FrameErrc::malformed_body);
    }
    return hello;
}

void encode_client_hello_reply(const ClientHelloReply& reply, OutBuffer& out) {
    const FrameHeader header{.kind = static_cast<std::uint8_t>(ClientKind::hello)};
    const std::size_t hint = small_body_bytes + reply.server_version.size();
    const bool fits = append_client_frame(out, header, hint, [&](FlatBuilder& builder) {
        const auto version = put_text(builder, reply.server_version);
        return protocol::CreateHelloReply(builder, reply.cluster_id.value, reply.member_id.value, reply.shard.value,
                                          reply.shard_count, reply.frame_bytes_max, reply.requests_max, version,
                                          reply.version);
    });
    ASSERT(fits);
}

Result<ClientHelloReply, FrameErrc> decode_client_hello_reply(Bytes body) {
    using Table = protocol::HelloReply;
    FlatReader reader(body, hello_decoded_bytes_max);
    const FlatTable table = reader.root();
    ClientHelloReply reply;
    reply.cluster_id = ClusterId(table.scalar<std::uint64_t>(Table::VT_CLUSTER_ID));
    reply.member_id = NodeId(table.scalar<std::uint64_t>(Table::VT_MEMBER_ID));
    reply.shard = ShardId(table.scalar<std::uint64_t>(Table::VT_SHARD));
    reply.shard_count = table.scalar<std::uint32_t>(Table::VT_SHARD_COUNT);
    reply.frame_bytes_max = table.scalar<std::uint32_t>(Table::VT_FRAME_BYTES_MAX);
    reply.requests_max = table.scalar<std::uint32_t>(Table::VT_REQUESTS_MAX);
    reply.server_version = table.bytes(Table::VT_SERVER_VERSION);
    reply.version = table.scalar<std::uint16_t>(Table::VT_PROTOCOL_VERSION);
    if (!reader.ok()) {
        return failure(FrameErrc::malformed_body);
    }
    return reply;
}

void encode_credit(std::uint64_t request_id, const CreditGrant& credit, OutBuffer& out) {
    const FrameHeader header{.kind = static_cast<std::uint8_t>(ClientKind::credit), .request_id = request_id};
    const bool fits = append_client_frame(out, header, small_body_bytes, [&](FlatBuilder& builder) {
        return protocol::CreateCredit(builder, credit.bytes, credit.progress);
    });
    ASSERT(fits);
}

Result<CreditGrant, FrameErrc> decode_credit(Bytes body) {
    FlatReader reader(body, hello_decoded_bytes_max);
    const FlatTable table = reader.root();
    const CreditGrant credit{table.scalar<std::uint32_t>(protocol::Credit::VT_BYTES),
                        table.boolean(protocol::Credit::VT_PROGRESS)};
    if (!reader.ok()) {
        return failure(FrameErrc::malformed_body);
    }
    return credit;
}

void encode_cancel(std::uint64_t request_id, OutBuffer& out) {
    encode_frame_header(out.extend(limits::frame_header_bytes),
                        {.length = limits::frame_header_bytes,
                         .kind = static_cast<std::uint8_t>(ClientKind::cancel),
                         .request_id = request_id});
}

}  // namespace ringfort::wire
