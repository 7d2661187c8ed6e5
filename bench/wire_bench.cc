// What a message costs: encode, and decode with all checks. Frames lie in the cache, as they do on arrival.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/checksum.h"
#include "wire/client_codec.h"
#include "wire/peer_codec.h"

namespace ringfort::wire {
namespace {

const std::string key(16, 'k');
const std::string value(256, 'v');
const api::ResponseHeader header{ClusterId(0x1234567812345678), NodeId(0x8765432187654321), 123456, Term(7), DomainId(1)};

api::Request put_request() {
    api::Request request;
    request.timeout = std::chrono::seconds(5);   // the client's core always says how long it waits
    request.op = api::PutRequest{.key = key, .value = value};
    return request;
}
api::Request range_request() {
    api::Request request;
    request.timeout = std::chrono::seconds(5);
    request.op = api::RangeRequest{.key = key, .range_end = {}};
    return request;
}
api::Response put_response() {
    return {.header = header, .body = api::Result(api::PutResponse{})};
}
const api::KeyValue kv{key, 100, 200, 3, value, 0};
api::Response range_response() {
    return {.header = header, .body = api::Result(api::RangeResponse{.kvs = {&kv, 1}, .more = false, .count = 1})};
}

template <class Encode>
void encode_loop(benchmark::State& state, Encode&& encode) {
    OutBuffer out;
    encode(out);
    const auto bytes = out.pending_bytes();
    for (auto _ : state) {
        out.truncate(0);
        encode(out);
        benchmark::DoNotOptimize(out.at(0));
        benchmark::ClobberMemory();
    }
    state.counters["frame_bytes"] = static_cast<double>(bytes);
}

template <class Encode, class Decode>
void decode_loop(benchmark::State& state, Encode&& encode, Decode&& decode) {
    OutBuffer out;
    encode(out);
    const Bytes bytes(out.at(0), out.pending_bytes());
    FrameReader reader(limits::frame_bytes_max);
    Arena arena;
    for (auto _ : state) {
        reader.feed(bytes);
        const auto frame = reader.next();
        auto decoded = decode(**frame, arena);
        benchmark::DoNotOptimize(decoded);
        benchmark::DoNotOptimize(reader.next());
        arena.reset();
    }
}

void encode_request_bench(benchmark::State& state, const api::Request& request) {
    encode_loop(state, [&](OutBuffer& out) { benchmark::DoNotOptimize(encode_request(1, request, out)); });
}
void decode_request_bench(benchmark::State& state, const api::Request& request) {
    decode_loop(state, [&](OutBuffer& out) { benchmark::DoNotOptimize(encode_request(1, request, out)); },
                [&](const FrameReader::Frame& frame, Arena& arena) {
                    return decode_request(static_cast<ClientKind>(frame.header.kind), frame.body, arena);
                });
}
void encode_response_bench(benchmark::State& state, ClientKind kind, const api::Response& response) {
    encode_loop(state, [&](OutBuffer& out) { benchmark::DoNotOptimize(encode_response(1, kind, response, out)); });
}
void decode_response_bench(benchmark::State& state, ClientKind kind, const api::Response& response) {
    decode_loop(state, [&](OutBuffer& out) { benchmark::DoNotOptimize(encode_response(1, kind, response, out)); },
                [&](const FrameReader::Frame& frame, Arena& arena) {
                    return decode_response(kind, frame.header.flags, frame.body, arena);
                });
}
BENCHMARK_CAPTURE(encode_request_bench, put, put_request());
BENCHMARK_CAPTURE(decode_request_bench, put, put_request());
BENCHMARK_CAPTURE(encode_response_bench, put, ClientKind::put, put_response());
BENCHMARK_CAPTURE(decode_response_bench, put, ClientKind::put, put_response());
BENCHMARK_CAPTURE(encode_request_bench, range, range_request());
BENCHMARK_CAPTURE(decode_request_bench, range, range_request());
BENCHMARK_CAPTURE(encode_response_bench, range, ClientKind::range, range_response());
BENCHMARK_CAPTURE(decode_response_bench, range, ClientKind::range, range_response());

// A raft append of 100 entries of 300 bytes.
struct Append {
    Append() {
        for (std::size_t i = 0; i < 100; i++) {
            entries.push_back({.id = {Term(3), LogIndex(i + 1)},
                               .kind = raft::EntryKind::command,
                               .checksum = checksum(as_bytes(payload)),
                               .payload = as_bytes(payload)});
        }
        message.entry_count = 100;
        message.entries = entries;
    }
    std::string payload = std::string(300, 'p');
    std::vector<raft::Entry> entries;
    raft::Message message;
};

void encode_append(benchmark::State& state) {
    const Append append;
    encode_loop(state, [&](OutBuffer& out) { encode_peer(append.message, out); });
}
void decode_append(benchmark::State& state) {
    const Append append;
    decode_loop(state, [&](OutBuffer& out) { encode_peer(append.message, out); },
                [&](const FrameReader::Frame& frame, Arena& arena) { return decode_peer(frame, arena); });
}
BENCHMARK(encode_append);
BENCHMARK(decode_append);

}  // namespace
}  // namespace ringfort::wire
