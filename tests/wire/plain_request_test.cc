// Plain requests are laid out by hand: what comes out is held against what the builder makes of the same request.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "frames.h"
#include "messages.h"

#include <client_generated.h>

namespace ringfort::wire {
namespace {

using test::only_frame;
using test::pending;
using test::text_of;

constexpr Duration a_while = 5s;

api::Operation operation(ClientKind kind, std::string_view first, std::string_view second) {
    if (kind == ClientKind::put) {
        return api::PutRequest{.key = first, .value = second};
    }
    if (kind == ClientKind::range) {
        return api::RangeRequest{.key = first, .range_end = second};
    }
    return api::DeleteRangeRequest{.key = first, .range_end = second};
}
constexpr ClientKind kinds[] = {ClientKind::put, ClientKind::range, ClientKind::delete_range};

Bytes as_body(const flatbuffers::FlatBufferBuilder& builder) {
    return {reinterpret_cast<const std::byte*>(builder.GetBufferPointer()), builder.GetSize()};
}

// The same request as the generated code builds it.
void build(flatbuffers::FlatBufferBuilder& builder, const api::Request& request, std::string_view first,
           std::string_view second) {
    const auto bytes = [&](std::string_view text) -> flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> {
        return text.empty() ? 0 : builder.CreateVector(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    };
    const auto b = bytes(second);
    const auto a = bytes(first);
    const ClientKind kind = kind_of(request.op);
    const auto op = kind == ClientKind::put     ? protocol::CreatePutRequest(builder, a, b).Union()
                    : kind == ClientKind::range ? protocol::CreateRangeRequest(builder, a, b).Union()
                                                : protocol::CreateDeleteRangeRequest(builder, a, b).Union();
    builder.Finish(protocol::CreateRequest(builder, static_cast<std::uint64_t>(request.timeout.count()),
                                           request.redirect, false, 0, 0, 0,
                                           static_cast<protocol::Operation>(request.op.index() + 1), op));
}

std::string decoded_text(ClientKind kind, Bytes body) {
    Arena arena;
    const auto decoded = decode_request(kind, body, arena);
    return decoded ? text_of(*decoded) : std::string(api::error_name(decoded.error()));
}

// Every byte of its own is written, whatever lay there before.
void encode_over(char former, const api::Request& request, OutBuffer& out) {
    std::memset(out.extend(1024), former, 1024);
    out.truncate(0);
    ASSERT_TRUE(encode_request(77, request, out));
}

void expect_as_built(const api::Request& request, std::string_view first, std::string_view second) {
    OutBuffer out;
    encode_over('\xff', request, out);
    const auto frame = only_frame(pending(out));
    const ClientKind kind = kind_of(request.op);
    EXPECT_EQ(frame.header.kind, static_cast<std::uint8_t>(kind));
    EXPECT_EQ(frame.header.request_id, 77U);

    flatbuffers::FlatBufferBuilder builder;
    build(builder, request, first, second);
    EXPECT_EQ(decoded_text(kind, frame.body), text_of(request));
    EXPECT_EQ(decoded_text(kind, as_body(builder)), text_of(request));
    if (request.timeout > 0ns) {   // always told here; the builder leaves it out when it is 0
        EXPECT_LE(frame.body.size(), round_up<std::size_t>(builder.GetSize(), frame_alignment) + frame_alignment);
    }

    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(frame.body.data()), frame.body.size());
    EXPECT_TRUE(verifier.VerifyBuffer<protocol::Request>());
    const auto* root = flatbuffers::GetRoot<protocol::Request>(frame.body.data());
    const auto* built = flatbuffers::GetRoot<protocol::Request>(builder.GetBufferPointer());
    EXPECT_EQ(root->op_type(), built->op_type());
    const auto* op = static_cast<const flatbuffers::Table*>(root->op());
    const auto* built_op = static_cast<const flatbuffers::Table*>(built->op());
    for (const flatbuffers::voffset_t field : {protocol::PutRequest::VT_KEY, protocol::PutRequest::VT_VALUE}) {
        EXPECT_EQ(op->CheckField(field), built_op->CheckField(field));
    }

    OutBuffer other;
    encode_over('\0', request, other);
    EXPECT_EQ(as_text(pending(out)), as_text(pending(other)));
}

TEST(WirePlainRequest, means_what_the_builder_makes_at_every_length) {
    const std::string first(40, 'a');
    const std::string second(40, 'b');
    for (const ClientKind kind : kinds) {
        for (std::size_t a = 0; a <= first.size(); a++) {
            for (std::size_t b = 0; b <= second.size(); b++) {
                const std::string_view key = std::string_view(first).substr(0, a);
                const std::string_view end = std::string_view(second).substr(0, b);
                api::Request request;
                request.op = operation(kind, key, end);
                request.timeout = a_while;
                request.redirect = (a + b) % 2 != 0;
                expect_as_built(request, key, end);
                ASSERT_FALSE(HasFailure()) << "lengths " << a << " and " << b;
            }
        }
    }
}

TEST(WirePlainRequest, means_what_the_builder_makes_with_random_bytes) {
    Prng prng(11);
    for (int round = 0; round < 2000; round++) {
        std::string first(prng.below(300), '\0');
        std::string second(prng.below(700), '\0');
        for (std::string* text : {&first, &second}) {
            for (char& byte : *text) {
                byte = static_cast<char>(prng.below(256));
            }
        }
        api::Request request;
        request.op = operation(kinds[prng.below(3)], first, second);
        request.timeout = Duration(static_cast<std::int64_t>(
            prng.below(2) == 0 ? 0 : prng.below(static_cast<std::uint64_t>(request_timeout_max.count()) + 1)));
        request.redirect = prng.below(2) != 0;
        expect_as_built(request, first, second);
        ASSERT_FALSE(HasFailure()) << round;
    }
}

// A field that does not fit in must not get lost: each alone makes the request another one.
TEST(WirePlainRequest, a_request_that_says_anything_more_says_it_still) {
    const std::function<void(api::Request&)> changes[] = {
        [](api::Request& request) { request.domain = DomainId(0); },
        [](api::Request& request) { request.client = 1; },
        [](api::Request& request) { request.client_sequence = 1; },
    };
    const std::function<void(api::RangeRequest&)> range_changes[] = {
        [](auto& range) { range.limit = 1; },
        [](auto& range) { range.limit = -1; },
        [](auto& range) { range.revision = 1; },
        [](auto& range) { range.sort_order = api::SortOrder::ascend; },
        [](auto& range) { range.sort_target = api::SortTarget::version; },
        [](auto& range) { range.serializable = true; },
        [](auto& range) { range.keys_only = true; },
        [](auto& range) { range.count_only = true; },
        [](auto& range) { range.min_mod_revision = 1; },
        [](auto& range) { range.max_mod_revision = 1; },
        [](auto& range) { range.min_create_revision = 1; },
        [](auto& range) { range.max_create_revision = 1; },
    };
    const std::function<void(api::PutRequest&)> put_changes[] = {
        [](auto& put) { put.lease = 1; },
        [](auto& put) { put.prev_kv = true; },
        [](auto& put) { put.ignore_value = true; },
        [](auto& put) { put.ignore_lease = true; },
    };
    std::vector<api::Request> requests;
    for (const auto& change : changes) {
        for (const ClientKind kind : kinds) {
            change(requests.emplace_back(api::Request{.op = operation(kind, "key", "other"), .domain = {}}));
        }
    }
    for (const auto& change : range_changes) {
        api::RangeRequest range{.key = "key", .range_end = "other"};
        change(range);
        requests.push_back({.op = range, .domain = {}});
    }
    for (const auto& change : put_changes) {
        api::PutRequest put{.key = "key", .value = "other"};
        change(put);
        requests.push_back({.op = put, .domain = {}});
    }
    requests.push_back({.op = api::DeleteRangeRequest{.key = "key", .range_end = "other", .prev_kv = true}, .domain = {}});
    for (const api::Request& request : requests) {
        OutBuffer out;
        ASSERT_TRUE(encode_request(1, request, out));
        const std::string decoded = decoded_text(kind_of(request.op), only_frame(pending(out)).body);
        EXPECT_EQ(decoded, text_of(request));
        api::Request plain;
        plain.op = operation(kind_of(request.op), "key", "other");
        EXPECT_NE(decoded, text_of(plain));
    }
}

TEST(WirePlainRequest, as_long_as_the_bound_is_taken_and_one_byte_more_leaves_nothing) {
    const std::string key(13, 'k');
    OutBuffer out;
    api::Request request;
    request.op = api::PutRequest{.key = key, .value = "v"};
    ASSERT_TRUE(encode_request(1, request, out));
    const std::size_t padded = out.pending_bytes();
    // Of 8 bytes behind the value's length one is used: 7 more fill the frame.
    const std::string value(1 + 7 + client_frame_bytes_max - padded, 'v');
    request.op = api::PutRequest{.key = key, .value = value};
    ASSERT_TRUE(encode_request(1, request, out));
    ASSERT_EQ(out.pending_bytes(), padded + client_frame_bytes_max);

    const std::string longer = value + "v";
    request.op = api::PutRequest{.key = key, .value = longer};
    EXPECT_FALSE(encode_request(1, request, out));
    EXPECT_EQ(out.pending_bytes(), padded + client_frame_bytes_max);
}

TEST(WirePlainRequest, frames_stand_one_behind_the_other) {
    OutBuffer out;
    const api::Request put{.op = api::PutRequest{.key = "k", .value = "v"}, .domain = {}};
    const api::Request txn{.op = api::TxnRequest{}, .domain = {}};
    const api::Request get{.op = api::RangeRequest{.key = "k", .range_end = {}}, .domain = {}};
    std::uint64_t number = 0;
    for (const api::Request* request : {&put, &txn, &get, &put}) {
        ASSERT_TRUE(encode_request(number++, *request, out));
    }
    FrameReader reader(limits::frame_bytes_max);
    reader.feed(pending(out));
    for (const api::Request* request : {&put, &txn, &get, &put}) {
        const auto frame = reader.next();
        ASSERT_TRUE(frame && *frame);
        EXPECT_EQ(decoded_text(kind_of(request->op), (*frame)->body), text_of(*request));
    }
    EXPECT_FALSE(*reader.next());
}

}  // namespace
}  // namespace ringfort::wire
