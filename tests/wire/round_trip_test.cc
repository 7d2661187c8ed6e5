// What is encoded is decoded again, field by field, whatever it holds.
#include <gtest/gtest.h>

#include "frames.h"
#include "messages.h"

namespace ringfort::wire {
namespace {

using test::only_frame;
using test::pending;
using test::RandomMessages;
using test::text_of;

constexpr std::uint64_t seeds = 300;

TEST(WireRoundTrip, requests_of_every_kind) {
    Arena arena;
    std::array<int, std::variant_size_v<api::Operation>> seen{};
    for (std::uint64_t seed = 0; seed < seeds; seed++) {
        arena.reset();
        RandomMessages random(seed, arena);
        const api::Request request = random.request();
        OutBuffer out;
        ASSERT_TRUE(encode_request(seed, request, out));
        const auto frame = only_frame(pending(out));
        EXPECT_EQ(frame.header.request_id, seed);
        EXPECT_EQ(frame.header.kind, static_cast<std::uint8_t>(kind_of(request.op)));
        const auto decoded = decode_request(kind_of(request.op), frame.body, arena);
        ASSERT_TRUE(decoded) << seed << " " << api::error_name(decoded.error());
        ASSERT_EQ(text_of(*decoded), text_of(request)) << seed;
        seen[request.op.index()]++;
    }
    for (const int count : seen) {
        EXPECT_GT(count, 0);
    }
}

TEST(WireRoundTrip, responses_and_errors_of_every_kind) {
    Arena arena;
    std::array<int, std::variant_size_v<api::Result> + 1> seen{};
    for (std::uint64_t seed = 0; seed < seeds; seed++) {
        arena.reset();
        RandomMessages random(seed, arena);
        const api::Response response = random.response();
        const auto* result = std::get_if<api::Result>(&response.body);
        const std::size_t index = result != nullptr ? result->index() : random.prng().below(8);
        OutBuffer out;
        ASSERT_TRUE(encode_response(seed, test::kind_of_result(index), response, out));
        const auto frame = only_frame(pending(out));
        EXPECT_EQ(frame.header.request_id, seed);
        const auto decoded =
            decode_response(static_cast<ClientKind>(frame.header.kind), frame.header.flags, frame.body, arena);
        ASSERT_TRUE(decoded) << seed << " " << to_string(decoded.error());
        ASSERT_EQ(text_of(*decoded), text_of(response)) << seed;
        seen[result != nullptr ? index : seen.size() - 1]++;
    }
    for (const int count : seen) {
        EXPECT_GT(count, 0);
    }
}

// It is written into a copy of bytes made once: no field of one reply may show in another.
TEST(WireRoundTrip, every_field_of_the_head_of_a_bare_put_reply_is_its_own) {
    Arena arena;
    for (int field = -1; field < 5; field++) {
        const auto value = [&](int of) { return of == field ? UINT64_MAX : std::uint64_t{0}; };
        api::Response response;
        response.header = {ClusterId(value(0)), NodeId(value(1)), static_cast<api::Revision>(value(2)), Term(value(3)),
                           DomainId(static_cast<std::uint32_t>(value(4)))};
        response.body = api::Result(api::PutResponse{});
        OutBuffer out;
        ASSERT_TRUE(encode_response(7, ClientKind::put, response, out));
        const auto frame = only_frame(pending(out));
        EXPECT_EQ(frame.header.request_id, 7U);
        const auto decoded = decode_response(ClientKind::put, frame.header.flags, frame.body, arena);
        ASSERT_TRUE(decoded) << to_string(decoded.error());
        EXPECT_EQ(text_of(*decoded), text_of(response)) << field;
    }
}

TEST(WireRoundTrip, hello_credit_and_cancel) {
    Arena arena;
    for (std::uint64_t seed = 0; seed < seeds; seed++) {
        RandomMessages random(seed, arena);
        OutBuffer out;
        const ClientHello hello = random.client_hello();
        encode_client_hello(hello, out);
        auto decoded = decode_client_hello(only_frame(pending(out)).body);
        ASSERT_TRUE(decoded);
        ASSERT_EQ(text_of(*decoded), text_of(hello));

        out.truncate(0);
        const ClientHelloReply reply = random.client_hello_reply();
        encode_client_hello_reply(reply, out);
        auto decoded_reply = decode_client_hello_reply(only_frame(pending(out)).body);
        ASSERT_TRUE(decoded_reply);
        ASSERT_EQ(text_of(*decoded_reply), text_of(reply));

        out.truncate(0);
        const auto credit = static_cast<std::uint32_t>(random.prng().next());
        encode_credit(seed, credit, out);
        auto frame = only_frame(pending(out));
        EXPECT_EQ(frame.header.request_id, seed);
        auto decoded_credit = decode_credit(frame.body);
        ASSERT_TRUE(decoded_credit);
        ASSERT_EQ(*decoded_credit, CreditGrant{.bytes = credit});

        out.truncate(0);
        encode_cancel(seed, out);
        frame = only_frame(pending(out));
        EXPECT_EQ(frame.header.request_id, seed);
        EXPECT_EQ(frame.header.kind, static_cast<std::uint8_t>(ClientKind::cancel));
        EXPECT_TRUE(frame.body.empty());
        arena.reset();
    }
}

TEST(WireRoundTrip, peer_frames_of_every_kind) {
    Arena arena;
    for (std::uint64_t seed = 0; seed < seeds; seed++) {
        for (std::size_t index = 0; index < std::variant_size_v<PeerFrame>; index++) {
            arena.reset();
            RandomMessages random(seed * 100 + index, arena);
            const PeerFrame message = random.peer_frame(index);
            OutBuffer out;
            test::encode_peer_frame(message, out);
            const auto decoded = decode_peer(only_frame(pending(out)), arena);
            ASSERT_TRUE(decoded) << seed << " " << index << " " << to_string(decoded.error());
            ASSERT_EQ(text_of(*decoded), text_of(message)) << seed << " " << index;
        }
    }
}

TEST(WireRoundTrip, encoding_gives_the_same_bytes_whatever_the_buffer_held_before) {
    constexpr std::size_t dirt_bytes = 32 * kib;
    for (std::uint64_t seed = 0; seed < seeds; seed++) {
        Arena arena;
        RandomMessages random(seed, arena);
        const api::Request request = random.request();
        const api::Response response = random.response();
        const auto* result = std::get_if<api::Result>(&response.body);
        const ClientKind kind = test::kind_of_result(result != nullptr ? result->index() : 0);
        const PeerFrame peer = random.peer_frame(seed % std::variant_size_v<PeerFrame>);
        std::string texts[2];
        for (const bool dirty : {false, true}) {
            OutBuffer out;
            std::memset(out.extend(dirt_bytes), dirty ? 0xa5 : 0, dirt_bytes);
            out.truncate(64);
            ASSERT_TRUE(encode_request(1, request, out));
            ASSERT_TRUE(encode_response(1, kind, response, out));
            test::encode_peer_frame(peer, out);
            ASSERT_LT(out.pending_bytes(), dirt_bytes);
            texts[dirty ? 1 : 0] = as_text(pending(out).subspan(64));
        }
        ASSERT_EQ(texts[0], texts[1]) << seed;
    }
}

}  // namespace
}  // namespace ringfort::wire
