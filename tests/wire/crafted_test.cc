// Buffers that the library's verifier passes and that would do harm: offsets that alias, depths, counts, union types and
// enumerators of another version. And every bound, at the bound.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include <flatbuffers/flatbuffers.h>

#include "base/checksum.h"
#include "frames.h"
#include "messages.h"
#include "properties.h"

#include <client_generated.h>
#include <peer_generated.h>

namespace ringfort::wire {
namespace {

using test::only_frame;
using test::pending;
using test::text_of;
using Builder = flatbuffers::FlatBufferBuilder;
template <class T>
using Offset = flatbuffers::Offset<T>;
using Txn = Offset<protocol::TxnRequest>;

Bytes bytes_of(const Builder& builder) {
    return {reinterpret_cast<const std::byte*>(builder.GetBufferPointer()), builder.GetSize()};
}

Bytes finish(Builder& builder, protocol::Operation type, Offset<void> op) {
    builder.Finish(protocol::CreateRequest(builder, 0, false, false, 0, 0, 0, type, op));
    return bytes_of(builder);
}
Bytes finish(Builder& builder, Txn txn) {
    return finish(builder, protocol::Operation::TxnRequest, txn.Union());
}

Offset<protocol::RequestOp> put_op(Builder& builder, const std::string& key, const std::string& value) {
    const auto value_at = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(value.data()), value.size());
    const auto key_at = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(key.data()), key.size());
    return protocol::CreateRequestOp(builder, protocol::TxnOp::PutRequest,
                                     protocol::CreatePutRequest(builder, key_at, value_at).Union());
}
// A transaction whose success list is the same operation `count` times.
Txn txn_of(Builder& builder, Offset<protocol::RequestOp> op, std::size_t count) {
    const std::vector<Offset<protocol::RequestOp>> ops(count, op);
    return protocol::CreateTxnRequest(builder, 0, builder.CreateVector(ops), 0);
}
Offset<protocol::RequestOp> txn_op(Builder& builder, Txn txn) {
    return protocol::CreateRequestOp(builder, protocol::TxnOp::TxnRequest, txn.Union());
}

bool library_verifies(Bytes bytes, std::uint32_t tables_max = 1'000'000) {
    flatbuffers::Verifier::Options options;
    options.max_tables = tables_max;
    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), options);
    return verifier.VerifyBuffer<protocol::Request>();
}

api::Errc error_of(ClientKind kind, Bytes body) {
    Arena arena;
    const auto decoded = decode_request(kind, body, arena);
    EXPECT_LE(arena.used_bytes(), limits::decoded_bytes_max);
    return decoded ? api::Errc::ok : decoded.error();
}

// ---------------------------------------------------------------------------------------------- aliasing

TEST(WireCrafted, one_value_in_thousands_of_puts_is_refused) {
    Builder builder;
    const auto op = put_op(builder, "k", std::string(1 * mib, 'v'));
    const Bytes body = finish(builder, txn_of(builder, op, limits::txn_ops_max));
    EXPECT_TRUE(library_verifies(body));        // which is why it is not enough
    EXPECT_LT(body.size(), 2 * mib);
    EXPECT_EQ(error_of(ClientKind::txn, body), api::Errc::request_too_large);
}

TEST(WireCrafted, one_list_in_thousands_of_nested_transactions_is_refused_in_bounded_time) {
    // 1000 to the power of 8 operations in 40 kB.
    Builder builder;
    Txn txn = txn_of(builder, put_op(builder, "k", "v"), 1000);
    for (int depth = 0; depth < 8; depth++) {
        txn = txn_of(builder, txn_op(builder, txn), 1000);
    }
    const Bytes body = finish(builder, txn);
    EXPECT_LT(body.size(), 40'000u);
    EXPECT_EQ(error_of(ClientKind::txn, body), api::Errc::request_too_large);
}

TEST(WireCrafted, aliasing_up_to_the_decoded_bound_is_taken_and_one_byte_more_refused) {
    constexpr std::size_t count = 100;
    const std::size_t room = limits::decoded_bytes_max - count * sizeof(api::RequestOp);
    for (const std::size_t more : {0u, 1u}) {
        Builder builder;
        const auto op = put_op(builder, "", std::string(room / count + more, 'v'));
        const Bytes body = finish(builder, txn_of(builder, op, count));
        EXPECT_EQ(error_of(ClientKind::txn, body), more == 0 ? api::Errc::ok : api::Errc::request_too_large);
    }
}

TEST(WireCrafted, an_aliasing_reply_is_refused) {
    Builder builder;
    const std::vector<std::uint8_t> value(1 * mib);
    const auto kv = protocol::CreateKeyValue(builder, 0, 1, 1, 1, builder.CreateVector(value));
    const std::vector<Offset<protocol::KeyValue>> kvs(1000, kv);
    const auto range = protocol::CreateRangeResponse(builder, builder.CreateVector(kvs));
    builder.Finish(protocol::CreateReply(builder, 0, 0, 0, 0, 0, protocol::Result::RangeResponse, range.Union()));
    Arena arena;
    const auto decoded = decode_response(ClientKind::range, 0, bytes_of(builder), arena);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error(), FrameErrc::malformed_body);
    EXPECT_LE(arena.used_bytes(), reply_decoded_bytes_max);
}

TEST(WireCrafted, one_list_of_texts_in_thousands_of_members_is_refused_in_bounded_time) {
    Builder builder;
    const std::vector<Offset<flatbuffers::String>> texts(100'000, builder.CreateString(""));
    const auto urls = builder.CreateVector(texts);
    const auto member = protocol::CreateMember(builder, 1, 0, urls, urls);
    const std::vector<Offset<protocol::Member>> members(100'000, member);
    const auto list = protocol::CreateMemberListResponse(builder, builder.CreateVector(members));
    builder.Finish(protocol::CreateReply(builder, 0, 0, 0, 0, 0, protocol::Result::MemberListResponse, list.Union()));
    Arena arena;
    EXPECT_FALSE(decode_response(ClientKind::member_list, 0, bytes_of(builder), arena));
    EXPECT_LE(arena.used_bytes(), reply_decoded_bytes_max);
}

// ---------------------------------------------------------------------------------------------- bounds

TEST(WireCrafted, transactions_nest_to_the_bound_and_no_deeper) {
    for (const std::size_t depth : {limits::txn_depth_max, limits::txn_depth_max + 1}) {
        Builder builder;
        Txn txn = txn_of(builder, put_op(builder, "k", "v"), 1);
        for (std::size_t i = 1; i < depth; i++) {
            txn = txn_of(builder, txn_op(builder, txn), 1);
        }
        const Bytes body = finish(builder, txn);
        EXPECT_EQ(error_of(ClientKind::txn, body),
                  depth == limits::txn_depth_max ? api::Errc::ok : api::Errc::too_deep);
        EXPECT_EQ(test::check_request(ClientKind::txn, body), depth == limits::txn_depth_max);
    }
}

TEST(WireCrafted, each_list_of_a_transaction_holds_the_bound_and_no_more) {
    for (const std::size_t count : {limits::txn_ops_max, limits::txn_ops_max + 1}) {
        for (int list = 0; list < 3; list++) {
            Builder builder;
            const std::vector<Offset<protocol::RequestOp>> ops(count, put_op(builder, "k", "v"));
            const std::vector<Offset<protocol::Compare>> compares(count, protocol::CreateCompare(builder));
            const Txn txn = protocol::CreateTxnRequest(builder, list == 0 ? builder.CreateVector(compares) : 0,
                                                       list == 1 ? builder.CreateVector(ops) : 0,
                                                       list == 2 ? builder.CreateVector(ops) : 0);
            EXPECT_EQ(error_of(ClientKind::txn, finish(builder, txn)),
                      count == limits::txn_ops_max ? api::Errc::ok : api::Errc::too_many_ops);
        }
    }
}

TEST(WireCrafted, a_request_of_the_longest_frame_is_encoded_and_a_longer_one_leaves_nothing) {
    api::Request request;
    OutBuffer out;
    std::memset(out.extend(64), 0, 64);
    std::string value(client_frame_bytes_max - 200, 'v');
    request.op = api::PutRequest{.key = "k", .value = value};
    ASSERT_TRUE(encode_request(1, request, out));
    const std::size_t over = out.pending_bytes() - 64 - value.size();
    // As long as it gets, then one byte more.
    for (const std::size_t more : {0u, 1u}) {
        out.truncate(64);
        value.assign(client_frame_bytes_max - round_up(over, frame_alignment) + more, 'v');
        value.resize(round_up(value.size(), frame_alignment) + (more == 0 ? 0 : frame_alignment), 'v');
        request.op = api::PutRequest{.key = "k", .value = value};
        EXPECT_EQ(encode_request(1, request, out), more == 0);
        EXPECT_LE(out.pending_bytes(), 64 + client_frame_bytes_max);
        EXPECT_EQ(out.pending_bytes() > 64, more == 0);
    }
    value.assign(2 * client_frame_bytes_max, 'v');
    request.op = api::PutRequest{.key = "k", .value = value};
    out.truncate(64);
    EXPECT_FALSE(encode_request(1, request, out));
    EXPECT_EQ(out.pending_bytes(), 64u);
    EXPECT_TRUE(out.offsets().empty());
}

TEST(WireCrafted, a_reply_longer_than_a_frame_is_not_encoded) {
    const std::string value(1 * mib, 'v');
    const std::vector<api::KeyValue> kvs(16, api::KeyValue{.key = "k", .value = value});
    const api::Response response{.header = {},
                                 .body = api::Result(api::DeleteRangeResponse{.deleted = 16, .prev_kvs = kvs})};
    OutBuffer out;
    EXPECT_FALSE(encode_response(1, ClientKind::delete_range, response, out));
    EXPECT_EQ(out.pending_bytes(), 0u);
    // Small objects: their bytes alone would fit.
    const api::KeyValue kv{.key = "k", .create_revision = 1, .mod_revision = 1, .value = {}};
    const std::vector<api::KeyValue> many(500'000, kv);
    const api::Response small{.header = {}, .body = api::Result(api::RangeResponse{.kvs = many})};
    EXPECT_FALSE(encode_response(1, ClientKind::range, small, out));
    EXPECT_EQ(out.pending_bytes(), 0u);
    EXPECT_TRUE(out.offsets().empty());
}

TEST(WireCrafted, the_longest_client_body_fits_a_peer_frame) {
    const std::vector<std::byte> body(client_frame_bytes_max - limits::frame_header_bytes);
    OutBuffer out;
    encode_peer(ForwardReply{.token = UINT64_MAX, .kind = 255, .flags = 3, .body = body}, out);
    EXPECT_LE(out.pending_bytes(), limits::frame_bytes_max);
    Arena arena;
    EXPECT_TRUE(decode_peer(only_frame(pending(out)), arena));
}

TEST(WireCrafted, a_forwarded_reply_is_the_end_of_a_frame_or_refused) {
    for (std::size_t bytes = 0; bytes <= 24; bytes++) {
        const std::vector<std::byte> body(bytes);
        OutBuffer out;
        encode_peer(ForwardReply{.token = 1, .kind = 2, .flags = 0, .body = body}, out);
        Arena arena;
        EXPECT_EQ(decode_peer(only_frame(pending(out)), arena).has_value(), bytes % frame_alignment == 0) << bytes;
    }
}

TEST(WireCrafted, client_names_of_the_bound_are_taken_and_longer_ones_refused) {
    for (const std::size_t bytes : {client_name_bytes_max, client_name_bytes_max + 1}) {
        Builder builder;
        builder.Finish(protocol::CreateHello(builder, 0, builder.CreateString(std::string(bytes, 'n'))));
        EXPECT_EQ(decode_client_hello(bytes_of(builder)).has_value(), bytes == client_name_bytes_max);
    }
}

TEST(WireCrafted, timeouts_beyond_a_day_are_a_day) {
    for (const std::uint64_t timeout_ns : {std::uint64_t{86'400'000'000'000}, UINT64_MAX}) {
        Builder builder;
        const auto op = protocol::CreateStatusRequest(builder).Union();
        builder.Finish(protocol::CreateRequest(builder, timeout_ns, false, false, 0, 0, 0,
                                               protocol::Operation::StatusRequest, op));
        Arena arena;
        const auto decoded = decode_request(ClientKind::status, bytes_of(builder), arena);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->timeout, std::chrono::hours(24));
    }
}

// ---------------------------------------------------------------------------------------------- unknown

TEST(WireCrafted, kinds_that_are_no_request_are_unsupported) {
    for (const int kind : {0, 1, 10, 11, 100, 255}) {
        EXPECT_EQ(error_of(static_cast<ClientKind>(kind), {}), api::Errc::unsupported_request) << kind;
    }
}

TEST(WireCrafted, an_operation_of_another_kind_than_the_frame_is_malformed) {
    Builder builder;
    const Bytes body = finish(builder, protocol::Operation::StatusRequest,
                              protocol::CreateStatusRequest(builder).Union());
    EXPECT_EQ(error_of(ClientKind::status, body), api::Errc::ok);
    EXPECT_EQ(error_of(ClientKind::put, body), api::Errc::malformed_request);
}

TEST(WireCrafted, an_operation_type_without_its_table_is_malformed) {
    Builder builder;
    EXPECT_EQ(error_of(ClientKind::put, finish(builder, protocol::Operation::PutRequest, 0)),
              api::Errc::malformed_request);
    EXPECT_EQ(error_of(ClientKind::put, {}), api::Errc::malformed_request);
}

TEST(WireCrafted, steps_of_an_unknown_type_are_unsupported_and_of_none_malformed) {
    for (const int type : {0, 5, 255}) {
        Builder builder;
        const auto put = protocol::CreatePutRequest(builder).Union();
        const auto op = protocol::CreateRequestOp(builder, static_cast<protocol::TxnOp>(type), put);
        const Bytes body = finish(builder, txn_of(builder, op, 1));
        EXPECT_TRUE(library_verifies(body));
        EXPECT_EQ(error_of(ClientKind::txn, body),
                  type == 0 ? api::Errc::malformed_request : api::Errc::unsupported_request);
    }
}

TEST(WireCrafted, unknown_compare_results_and_targets_are_unsupported) {
    for (const auto& [result, target] : {std::pair{3, 4}, std::pair{4, 0}, std::pair{0, 5}, std::pair{255, 255}}) {
        Builder builder;
        const std::vector<Offset<protocol::Compare>> compares = {
            protocol::CreateCompare(builder, static_cast<protocol::CompareResult>(result),
                                    static_cast<protocol::CompareTarget>(target))};
        const Txn txn = protocol::CreateTxnRequest(builder, builder.CreateVector(compares));
        EXPECT_EQ(error_of(ClientKind::txn, finish(builder, txn)),
                  result == 3 ? api::Errc::ok : api::Errc::unsupported_request);
    }
}

TEST(WireCrafted, unknown_sort_options_are_handed_on_for_the_store_to_refuse) {
    Builder builder;
    const auto range = protocol::CreateRangeRequest(builder, 0, 0, 0, 0, static_cast<protocol::SortOrder>(7),
                                                    static_cast<protocol::SortTarget>(9));
    const Bytes body = finish(builder, protocol::Operation::RangeRequest, range.Union());
    Arena arena;
    const auto decoded = decode_request(ClientKind::range, body, arena);
    ASSERT_TRUE(decoded);
    const auto* request = std::get_if<api::RangeRequest>(&decoded->op);
    ASSERT_NE(request, nullptr);
    EXPECT_EQ(static_cast<int>(request->sort_order), 7);
    EXPECT_EQ(static_cast<int>(request->sort_target), 9);
}

TEST(WireCrafted, fields_of_a_newer_version_are_skipped) {
    Builder builder;
    const std::vector<std::uint8_t> key = {'k'};
    const auto key_at = builder.CreateVector(key);
    const auto start = builder.StartTable();
    builder.AddOffset(protocol::PutRequest::VT_KEY, key_at);
    builder.AddElement<std::uint64_t>(200, 0x1122334455667788);
    const Offset<void> put(builder.EndTable(start));
    Arena arena;
    const auto decoded = decode_request(ClientKind::put, finish(builder, protocol::Operation::PutRequest, put), arena);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get_if<api::PutRequest>(&decoded->op)->key, "k");
}

TEST(WireCrafted, unknown_error_codes_and_errors_that_go_on_are_refused) {
    for (const std::uint16_t code : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{999}}) {
        Builder builder;
        builder.Finish(protocol::CreateError(builder, 0, 0, 0, 0, 0, code));
        Arena arena;
        EXPECT_EQ(decode_response(ClientKind::put, flag_error, bytes_of(builder), arena).has_value(), code == 1);
        EXPECT_FALSE(decode_response(ClientKind::put, flag_error | flag_more, bytes_of(builder), arena));
    }
}

TEST(WireCrafted, errors_say_their_class) {
    const api::ErrorInfo info{.code = api::Errc::leader_changed, .detail = {}, .leader_address = {}};
    const api::Response response{.header = {}, .body = info};
    OutBuffer out;
    ASSERT_TRUE(encode_response(1, ClientKind::put, response, out));
    const auto* error = flatbuffers::GetRoot<protocol::Error>(only_frame(pending(out)).body.data());
    EXPECT_EQ(error->error_class(), protocol::ErrorClass::indefinite);
}

// ---------------------------------------------------------------------------------------------- peers

// A peer frame with the checksum it should have.
FrameReader::Frame peer_frame(std::vector<std::uint64_t>& memory, PeerKind kind, Bytes head, Bytes raw) {
    const std::size_t length = 32 + round_up<std::size_t>(head.size(), 8) + round_up<std::size_t>(raw.size(), 8);
    memory.assign(length / 8, 0);
    auto* at = reinterpret_cast<std::byte*>(memory.data());
    encode_frame_header(at, {.length = static_cast<std::uint32_t>(length), .kind = static_cast<std::uint8_t>(kind)});
    store(at + 24, static_cast<std::uint32_t>(head.size()));
    std::copy(head.begin(), head.end(), at + 32);
    std::copy(raw.begin(), raw.end(), at + 32 + round_up<std::size_t>(head.size(), 8));
    store(at + 16, checksum({at + 24, length - 24}, load<std::uint64_t>(at)));
    return only_frame({at, length});
}

FrameErrc peer_error(PeerKind kind, const Builder& head, std::string_view raw = {}) {
    std::vector<std::uint64_t> memory;
    Arena arena;
    const auto decoded = decode_peer(peer_frame(memory, kind, bytes_of(head), as_bytes(raw)), arena);
    EXPECT_FALSE(decoded);
    return decoded ? FrameErrc{} : decoded.error();
}

TEST(WireCrafted, an_entry_whose_payload_is_not_its_proposers_is_a_checksum_error) {
    for (const bool right : {true, false}) {
        Builder builder;
        const std::vector<peer_protocol::EntryHead> heads = {
            {1, 1, checksum(as_bytes("payload")), 7, peer_protocol::EntryKind::command}};
        const auto entries = builder.CreateVectorOfStructs(heads);
        builder.Finish(peer_protocol::CreateRaftMessage(builder, peer_protocol::MessageType::append, 0, 0, 0, 0, 0, 0,
                                                        0, 0, 1, entries));
        std::vector<std::uint64_t> memory;
        Arena arena;
        const Bytes payload = as_bytes(right ? "payload" : "payloaf");
        const auto decoded = decode_peer(peer_frame(memory, PeerKind::raft, bytes_of(builder), payload), arena);
        ASSERT_EQ(decoded.has_value(), right);
        if (!right) {
            EXPECT_EQ(decoded.error(), FrameErrc::bad_checksum);
        }
    }
}

TEST(WireCrafted, raw_parts_that_do_not_match_their_head_are_malformed) {
    Builder builder;
    builder.Finish(peer_protocol::CreateForward(builder, 1, 2, 3, 4, 5, 16));
    EXPECT_EQ(peer_error(PeerKind::forward, builder, std::string(8, 'x')), FrameErrc::malformed_body);
    EXPECT_EQ(peer_error(PeerKind::forward, builder, std::string(24, 'x')), FrameErrc::malformed_body);
    EXPECT_EQ(peer_error(PeerKind::forward, builder), FrameErrc::malformed_body);
    Builder beat;
    beat.Finish(peer_protocol::CreateBeat(beat, 1));
    EXPECT_EQ(peer_error(PeerKind::beat, beat, std::string(8, 'x')), FrameErrc::malformed_body);
}

TEST(WireCrafted, an_append_whose_count_is_not_that_of_its_entries_is_malformed) {
    Builder builder;
    builder.Finish(peer_protocol::CreateRaftMessage(builder, peer_protocol::MessageType::append, 0, 0, 0, 0, 0, 0, 0, 0, 1));
    EXPECT_EQ(peer_error(PeerKind::raft, builder), FrameErrc::malformed_body);
}

TEST(WireCrafted, unknown_enumerators_of_peers_are_malformed_and_unknown_kinds_unknown) {
    for (const int type : {0, static_cast<int>(raft::message_type_last) + 1, 255}) {
        Builder builder;
        builder.Finish(peer_protocol::CreateRaftMessage(builder, static_cast<peer_protocol::MessageType>(type)));
        EXPECT_EQ(peer_error(PeerKind::raft, builder), FrameErrc::malformed_body);
    }
    Builder hello;
    hello.Finish(peer_protocol::CreateHelloReply(hello, static_cast<peer_protocol::Refusal>(8)));
    EXPECT_EQ(peer_error(PeerKind::hello_reply, hello), FrameErrc::malformed_body);
    Builder answer;
    answer.Finish(peer_protocol::CreateSnapshotAnswer(answer));  // verdict 0
    EXPECT_EQ(peer_error(PeerKind::snapshot_answer, answer), FrameErrc::malformed_body);
    Builder credit;
    credit.Finish(peer_protocol::CreateCredit(credit, static_cast<peer_protocol::LinkClass>(4), 1));
    EXPECT_EQ(peer_error(PeerKind::credit, credit), FrameErrc::malformed_body);
    for (const int kind : {0, static_cast<int>(PeerKind::state_hashes) + 1, 255}) {
        EXPECT_EQ(peer_error(static_cast<PeerKind>(kind), credit), FrameErrc::unknown_kind) << kind;
    }
}

TEST(WireCrafted, client_addresses_of_the_bound_are_taken_and_longer_ones_refused) {
    for (const std::size_t bytes : {client_address_bytes_max, client_address_bytes_max + 1}) {
        Builder builder;
        const auto address = builder.CreateString(std::string(bytes, 'a'));
        const auto start = builder.StartTable();
        builder.AddOffset(peer_protocol::Hello::VT_CLIENT_ADDRESS, address);
        builder.Finish(Offset<peer_protocol::Hello>(builder.EndTable(start)));
        std::vector<std::uint64_t> memory;
        Arena arena;
        EXPECT_EQ(decode_peer(peer_frame(memory, PeerKind::hello, bytes_of(builder), {}), arena).has_value(),
                  bytes == client_address_bytes_max);
    }
}

TEST(WireCrafted, read_indices_and_hashes_of_states_have_as_many_items_as_the_bound_and_no_more) {
    for (const std::size_t count : {read_index_items_max, read_index_items_max + 1}) {
        Builder ask;
        const auto asked = ask.CreateVectorOfStructs(std::vector<peer_protocol::ReadRoundItem>(count));
        ask.Finish(peer_protocol::CreateReadIndex(ask, 1, 2, asked));
        Builder answer;
        const auto answered = answer.CreateVectorOfStructs(std::vector<peer_protocol::ReadIndexAnswerItem>(count));
        answer.Finish(peer_protocol::CreateReadIndexAnswer(answer, 1, 2, answered));
        Builder hashes;
        const auto hashed = hashes.CreateVectorOfStructs(std::vector<peer_protocol::StateHash>(count));
        hashes.Finish(peer_protocol::CreateStateHashes(hashes, peer_protocol::StateHashKind::ask, hashed));
        static_assert(state_hashes_max == read_index_items_max);
        for (auto* builder : {&ask, &answer, &hashes}) {
            std::vector<std::uint64_t> memory;
            Arena arena;
            const PeerKind kind = builder == &ask      ? PeerKind::read_index
                                  : builder == &answer ? PeerKind::read_index_answer
                                                       : PeerKind::state_hashes;
            const auto decoded = decode_peer(peer_frame(memory, kind, bytes_of(*builder), {}), arena);
            ASSERT_EQ(decoded.has_value(), count == read_index_items_max);
            if (!decoded) {
                EXPECT_EQ(decoded.error(), FrameErrc::malformed_body);
            }
        }
    }
}

TEST(WireCrafted, bodies_too_short_for_a_peer_frame_are_refused) {
    for (const std::size_t bytes : {0u, 8u}) {
        const std::vector<std::byte> body(bytes);
        Arena arena;
        const FrameReader::Frame frame{{.length = static_cast<std::uint32_t>(16 + bytes), .kind = 6}, body};
        const auto decoded = decode_peer(frame, arena);
        ASSERT_FALSE(decoded);
        EXPECT_EQ(decoded.error(), FrameErrc::bad_length);
    }
}

TEST(WireCrafted, every_peer_kind_has_its_class) {
    EXPECT_EQ(class_of(PeerKind::raft), LinkClass::append);
    EXPECT_EQ(class_of(PeerKind::forward), LinkClass::forward);
    EXPECT_EQ(class_of(PeerKind::snapshot), LinkClass::snapshot);
    for (const PeerKind kind : {PeerKind::hello, PeerKind::hello_reply, PeerKind::read_round, PeerKind::read_round_answer,
                                PeerKind::beat, PeerKind::forward_reply, PeerKind::snapshot_answer, PeerKind::credit,
                                PeerKind::forward_cancel, PeerKind::forward_credit, PeerKind::read_index,
                                PeerKind::read_index_answer}) {
        EXPECT_EQ(class_of(kind), LinkClass::control);
    }
}

// ---------------------------------------------------------------------------------------------- the library agrees

TEST(WireCrafted, every_refusal_of_a_peer_has_words_of_its_own) {
    std::set<std::string_view> texts;
    for (int i = static_cast<int>(Refusal::none); i <= static_cast<int>(Refusal::stopping); i++) {
        texts.insert(to_string(static_cast<Refusal>(i)));
    }
    EXPECT_EQ(texts.size(), 8U);
    EXPECT_EQ(texts.count(""), 0U);
}

TEST(WireCrafted, what_is_encoded_passes_the_librarys_verifier) {
    Arena arena;
    for (std::uint64_t seed = 0; seed < 300; seed++) {
        arena.reset();
        test::RandomMessages random(seed, arena);
        const api::Request request = random.request();
        OutBuffer out;
        ASSERT_TRUE(encode_request(1, request, out));
        const Bytes body = only_frame(pending(out)).body;
        ASSERT_TRUE(library_verifies(body)) << seed;
        ASSERT_EQ(flatbuffers::GetRoot<protocol::Request>(body.data())->client_sequence(), request.client_sequence);

        out.truncate(0);
        const api::Response response = random.response();
        const auto* result = std::get_if<api::Result>(&response.body);
        ASSERT_TRUE(encode_response(1, test::kind_of_result(result != nullptr ? result->index() : 0), response, out));
        const Bytes reply = only_frame(pending(out)).body;
        flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(reply.data()), reply.size());
        ASSERT_TRUE(result != nullptr ? verifier.VerifyBuffer<protocol::Reply>()
                                      : verifier.VerifyBuffer<protocol::Error>());
    }
}

}  // namespace
}  // namespace ringfort::wire
