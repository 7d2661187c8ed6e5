// The hot path takes no memory from the heap once buffers have grown to their size.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "frames.h"
#include "wire/client_codec.h"
#include "wire/peer_codec.h"

namespace {
std::size_t allocations = 0;
}

// Not inlined: the compiler would see new paired with free.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    allocations++;
    return std::malloc(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace ringfort::wire {
namespace {

const std::string value(256, 'v');

template <class Encode, class Decode>
std::size_t allocations_of(Encode&& encode, Decode&& decode) {
    OutBuffer out;
    Arena arena;
    FrameReader reader(limits::frame_bytes_max);
    std::size_t before = 0;
    for (int i = 0; i < 110; i++) {
        if (i == 10) {
            before = allocations;
        }
        arena.reset();
        encode(out);
        reader.feed(out.start_send());
        const auto frame = reader.next();
        EXPECT_TRUE(frame && *frame && decode(**frame, arena));
        EXPECT_FALSE(*reader.next());
        out.send_done();
    }
    return allocations - before;
}

TEST(WireAllocation, the_counter_counts) {
    const std::size_t before = allocations;
    auto* memory = new int(1);
    EXPECT_EQ(allocations, before + 1);
    delete memory;
}

TEST(WireAllocation, requests_take_none) {
    const api::PutRequest put{.key = "k", .value = value};
    const api::RangeRequest range{.key = "k", .range_end = {}};
    const api::Compare compare{.key = "k", .range_end = {}, .value = {}};
    const api::RequestOp ops[] = {{put}, {range}};
    const api::TxnRequest txn{.compare = {&compare, 1}, .success = ops, .failure = {}};
    for (const api::Operation& op : {api::Operation(put), api::Operation(range), api::Operation(txn)}) {
        api::Request request;
        request.op = op;
        EXPECT_EQ(allocations_of([&](OutBuffer& out) { EXPECT_TRUE(encode_request(1, request, out)); },
                                 [&](const FrameReader::Frame& frame, Arena& arena) {
                                     return decode_request(kind_of(op), frame.body, arena).has_value();
                                 }),
                  0u);
    }
}

TEST(WireAllocation, responses_take_none) {
    const api::KeyValue kvs[] = {{.key = "k", .value = value}, {.key = "l", .value = value}};
    for (const api::Result& result : {api::Result(api::PutResponse{.prev_kv = kvs[0]}),
                                      api::Result(api::RangeResponse{.kvs = kvs, .count = 2})}) {
        const api::Response response{.header = {}, .body = result};
        const auto kind = static_cast<ClientKind>(result.index() + 2);
        EXPECT_EQ(allocations_of([&](OutBuffer& out) { EXPECT_TRUE(encode_response(1, kind, response, out)); },
                                 [&](const FrameReader::Frame& frame, Arena& arena) {
                                     return decode_response(kind, 0, frame.body, arena).has_value();
                                 }),
                  0u);
    }
}

TEST(WireAllocation, appends_take_none) {
    const raft::Entry entry{.id = {Term(1), LogIndex(1)}, .checksum = 0x2d06800538d394c2, .payload = {}};
    raft::Message message;
    message.entry_count = 1;
    message.entries = {&entry, 1};
    EXPECT_EQ(allocations_of([&](OutBuffer& out) { encode_peer(message, out); },
                             [&](const FrameReader::Frame& frame, Arena& arena) {
                                 return decode_peer(frame, arena).has_value();
                             }),
              0u);
}

}  // namespace
}  // namespace ringfort::wire
