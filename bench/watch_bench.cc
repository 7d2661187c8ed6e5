// What watches cost: a write that looks for those it concerns among many, a watch made and dropped, an event encoded, and
// its copies.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "kv/slab.h"
#include "shard/watch_index.h"
#include "wire/client_codec.h"

namespace ringfort::shard {
namespace {

constexpr std::size_t key_bytes = 32;

std::string key_of(std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(key_bytes - digits.size(), '0') + digits;
}

enum class Of : std::uint8_t { single_keys, intervals };

// Watches of one key each, as such or as an interval.
class Indexed {
  public:
    // Of the keys 0, 2, 4, ...: the odd ones are watched by nobody.
    Indexed(std::uint64_t count, Of of) : of_(of) {
        for (std::uint64_t i = 0; i < count; i++) {
            index.insert(add(2 * i));
        }
    }
    std::uint32_t add(std::uint64_t number) {
        const bool point = of_ == Of::single_keys;
        const std::string text = key_of(number) + (point ? std::string(1, '\0') : key_of(number + 1));
        char* kept = static_cast<char*>(texts_.allocate(text.size()));
        std::memcpy(kept, text.data(), text.size());
        const std::uint32_t slot = watchers.take();
        Watcher& watcher = watchers[slot];
        watcher.text = kept;
        watcher.begin_bytes = key_bytes;
        watcher.end_bytes = static_cast<std::uint32_t>(text.size() - key_bytes);
        watcher.point = point;
        return slot;
    }

    Watchers watchers;
    WatchIndex index{watchers, 7};

  private:
    const Of of_;
    kv::Slab texts_;
};

// Numbers of keys in no order, so that each search finds what it looks at cold.
std::vector<std::uint64_t> numbers(std::uint64_t count, bool watched) {
    Prng prng(3);
    std::vector<std::uint64_t> out;
    for (int i = 0; i < 65536; i++) {
        out.push_back(2 * prng.below(std::max<std::uint64_t>(count, 1)) + (watched ? 0 : 1));
    }
    return out;
}

void search(benchmark::State& state, Of of, bool watched) {
    const auto count = static_cast<std::uint64_t>(state.range(0));
    const Indexed indexed(count, of);
    std::vector<std::string> keys;
    for (const std::uint64_t number : numbers(count, watched)) {
        keys.push_back(key_of(number));
    }
    std::vector<std::uint32_t> found;
    std::size_t at = 0;
    std::size_t found_count = 0;
    for (auto _ : state) {
        WatchIndex::After after;
        indexed.index.find(keys[at++ % keys.size()], 64, after, found);
        found_count += found.size();
    }
    state.counters["found"] = benchmark::Counter(static_cast<double>(found_count), benchmark::Counter::kAvgIterations);
}
BENCHMARK_CAPTURE(search, none_of_single_keys, Of::single_keys, false)->Arg(0)->Arg(1)->Arg(1000)->Arg(1'000'000);
BENCHMARK_CAPTURE(search, one_of_single_keys, Of::single_keys, true)->Arg(1)->Arg(1000)->Arg(1'000'000);
BENCHMARK_CAPTURE(search, none_of_intervals, Of::intervals, false)->Arg(1)->Arg(1000)->Arg(1'000'000);
BENCHMARK_CAPTURE(search, one_of_intervals, Of::intervals, true)->Arg(1)->Arg(1000)->Arg(1'000'000);

// Beside so many others.
void make_and_drop(benchmark::State& state, Of of) {
    const auto count = static_cast<std::uint64_t>(state.range(0));
    Indexed indexed(count, of);
    std::vector<std::uint32_t> slots;
    for (const std::uint64_t number : numbers(count, false)) {
        slots.push_back(indexed.add(number));
    }
    std::size_t at = 0;
    for (auto _ : state) {
        const std::uint32_t slot = slots[at++ % slots.size()];
        indexed.index.insert(slot);
        indexed.index.erase(slot);
    }
}
BENCHMARK_CAPTURE(make_and_drop, of_single_keys, Of::single_keys)->Arg(1000)->Arg(1'000'000);
BENCHMARK_CAPTURE(make_and_drop, of_intervals, Of::intervals)->Arg(1000)->Arg(1'000'000);

wire::OutBuffer event_frame() {
    const std::string key = key_of(1), value(100, 'v');
    api::Event event;
    event.kv = {.key = key, .create_revision = 5, .mod_revision = 100, .version = 3, .value = value};
    api::WatchResponse watch;
    watch.events = {&event, 1};
    api::Response response;
    response.header = {ClusterId(0x1234567812345678), NodeId(0x8765432187654321), 123456, Term(7), DomainId(1)};
    response.more_frames = true;
    response.body = api::Result(watch);
    wire::OutBuffer out;
    const bool fits = wire::encode_response(0, wire::ClientKind::watch, response, out);
    ASSERT(fits);
    return out;
}

// Once for each event, whatever the number of watches.
void encode_event(benchmark::State& state) {
    for (auto _ : state) {
        const wire::OutBuffer frame = event_frame();
        benchmark::DoNotOptimize(frame.pending_bytes());
    }
    state.counters["frame_bytes"] = static_cast<double>(event_frame().pending_bytes());
}
BENCHMARK(encode_event);

// Once for each watch of a connection.
void copy_event(benchmark::State& state) {
    wire::OutBuffer frame = event_frame();
    const Bytes bytes{frame.at(0), frame.pending_bytes()};
    wire::OutBuffer out;
    for (auto _ : state) {
        if (out.pending_bytes() > 256 * kib) {
            out.truncate(0);
        }
        const std::size_t at = out.pending_bytes();
        out.append(bytes);
        store(out.at(at + 8), std::uint64_t{at});
        benchmark::ClobberMemory();
    }
}
BENCHMARK(copy_event);

}  // namespace
}  // namespace ringfort::shard
