// What applying and reading costs: one store, 256-byte values, random order. Arguments are key counts. Keys have 32 bytes;
// in stores of chains 8, overwritten at random: few keys of many versions, which lie scattered over all memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <string>
#include <ctime>
#include <unistd.h>
#include <vector>

#include "base/checksum.h"
#include "base/prng.h"
#include "kv/store.h"
#include "uring/populate.h"

namespace ringfort::kv {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t value_bytes = 256;

void write_key(char (&out)[key_bytes + 1], std::uint64_t number) {
    // "/registry/pods/ns0123/0123456789" scattered over 10,000 groups
    std::snprintf(out, sizeof(out), "/registry/pods/ns%04u/%010u", static_cast<unsigned>(number * 7919 % 10000),
                  static_cast<unsigned>(number % 10'000'000'000));
}

class Fixture {
  public:
    explicit Fixture(std::uint64_t keys) : keys_(keys), store_(StoreOptions{RangeId(1), 42, &uring::populate}) {
        value_.assign(value_bytes, 'v');
        std::vector<std::uint32_t> order(keys);
        for (std::uint32_t i = 0; i < keys; i++) {
            order[i] = i;
        }
        for (std::uint64_t i = keys; i > 1; i--) {
            std::swap(order[i - 1], order[prng_.below(i)]);
        }
        for (const std::uint32_t number : order) {
            put(number);
        }
    }

    void put(std::uint64_t number) {
        std::byte command[512];
        apply(encode_put(command, number));
    }
    Bytes encode_put(std::byte* memory, std::uint64_t number) {
        char key[key_bytes + 1];
        write_key(key, number);
        const CommandBody body = api::PutRequest{{key, key_bytes}, value_, 0, false, false, false};
        const MutableBytes out(memory, command_bytes(body));
        encode_command(out, CommandHeader{RangeId(1), Generation(1), WallTime{0}, 0, 0}, body);
        return out;
    }
    // As a replica applies what is committed: commands that lie in the log's memory, looked ahead at in groups.
    void put_group() {
        constexpr std::size_t group = Store::look_ahead_max;
        std::array<Bytes, group> commands;
        for (Bytes& command : commands) {
            command = encode_put(log_.data() + log_at_, random_key());
            log_at_ = log_at_ + 1024 <= log_.size() ? log_at_ + 512 : 0;
        }
        store_.look_ahead(commands);
        for (const Bytes command : commands) {
            apply(command);
        }
    }
    void apply(Bytes command) {
        index_ = index_.next();
        store_.begin(command, index_.value, index_, nullptr);
        WorkBudget budget;
        while (store_.step(budget) == Step::more) {
            budget = {};
        }
    }
    void compact_all() {
        const CommandBody body = api::CompactRequest{store_.revision(), false};
        std::vector<std::byte> command(command_bytes(body));
        encode_command(command, {}, body);
        apply(command);
        while (store_.compaction_pending()) {
            WorkBudget budget;
            store_.compact_step(budget);
        }
    }
    std::uint64_t random_key() { return prng_.below(keys_); }
    std::uint64_t keys() const { return keys_; }
    Store& store() { return store_; }
    LogIndex next_index() { return index_ = index_.next(); }

  private:
    std::uint64_t keys_;
    Store store_;
    Prng prng_{1};
    std::string value_;
    std::vector<std::byte> log_ = std::vector<std::byte>(1 << 20);
    std::size_t log_at_{0};
    LogIndex index_{};
};

Fixture& fixture(std::uint64_t keys) {
    static std::unique_ptr<Fixture> cached;
    if (!cached || cached->keys() != keys) {
        cached.reset();
        cached = std::make_unique<Fixture>(keys);
    }
    return *cached;
}

constexpr std::uint64_t chain_versions = 2'700'000;

// chain_versions versions, none of them compacted.
Store& chains(std::uint64_t keys) {
    static std::unique_ptr<Store> cached;
    if (!cached || cached->key_count() != keys) {
        cached.reset();
        cached = std::make_unique<Store>(StoreOptions{RangeId(1), 42, &uring::populate});
        Prng prng{1};
        const std::string value(value_bytes, 'v');
        LogIndex index{};
        for (std::uint64_t i = 0; i < chain_versions; i++) {
            char key[9];
            std::snprintf(key, sizeof(key), "%08u", static_cast<unsigned>(i < keys ? i : prng.below(keys)));
            const CommandBody body = api::PutRequest{{key, 8}, value, 0, false, false, false};
            std::byte command[512];
            const MutableBytes out(command, command_bytes(body));
            encode_command(out, CommandHeader{RangeId(1), Generation(1), WallTime{0}, 0, 0}, body);
            index = index.next();
            cached->begin(out, i, index, nullptr);
            WorkBudget budget;
            static_cast<void>(cached->step(budget));   // a put is one step
        }
    }
    return *cached;
}

std::uint64_t resident_bytes() {
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%" SCNu64 " %" SCNu64, &total, &resident) != 2) {
            resident = 0;
        }
        std::fclose(file);
    }
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Encode and apply one overwrite. Old versions are compacted away outside the timing, often enough for the memory.
void put_overwrite(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    std::uint64_t since_compaction = 0;
    for (auto _ : state) {
        world.put(world.random_key());
        if (++since_compaction == 1'000'000) {
            state.PauseTiming();
            world.compact_all();
            since_compaction = 0;
            state.ResumeTiming();
        }
    }
    world.compact_all();
}

void put_overwrite_ahead(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    std::uint64_t since_compaction = 0;
    for (auto _ : state) {
        world.put_group();
        since_compaction += Store::look_ahead_max;
        if (since_compaction >= 1'000'000) {
            state.PauseTiming();
            world.compact_all();
            since_compaction = 0;
            state.ResumeTiming();
        }
    }
    state.counters["per_put"] = benchmark::Counter(static_cast<double>(state.iterations()) * Store::look_ahead_max,
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    world.compact_all();
}

// The whole load in random order, per key; memory after it.
void load_random(benchmark::State& state) {
    const auto keys = static_cast<std::uint64_t>(state.range(0));
    const double raw = static_cast<double>(keys * (key_bytes + value_bytes));
    for (auto _ : state) {
        const std::uint64_t before = resident_bytes();
        Fixture world(keys);
        state.counters["live/raw"] = static_cast<double>(world.store().live_bytes()) / raw;
        state.counters["reserved/raw"] = static_cast<double>(world.store().reserved_bytes()) / raw;
        state.counters["resident/raw"] = static_cast<double>(resident_bytes() - before) / raw;
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(keys) * state.iterations());
}

void get_latest(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    char key[key_bytes + 1];
    for (auto _ : state) {
        write_key(key, world.random_key());
        benchmark::DoNotOptimize(world.store().get({key, key_bytes}));
    }
}

// What of put and get is the benchmark's own making of keys.
void make_key(benchmark::State& state) {
    Fixture& world = fixture(10'000);
    char key[key_bytes + 1];
    for (auto _ : state) {
        write_key(key, world.random_key());
        benchmark::DoNotOptimize(key[0]);
    }
}

api::RangeRequest all_keys() {
    api::RangeRequest request;
    request.key = std::string_view("\0", 1);
    request.range_end = request.key;
    return request;
}

void range_100(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    Arena arena;
    char key[key_bytes + 1];
    for (auto _ : state) {
        write_key(key, world.random_key());
        api::RangeRequest request = all_keys();
        request.key = {key, key_bytes};
        request.limit = 100;
        auto read = world.store().open_range(request);
        api::RangeResponse out;
        WorkBudget budget;
        while ((*read)->step(budget, 1 << 20, arena, out) == Step::more) {
            budget = {};
        }
        benchmark::DoNotOptimize(out.kvs.data());
        arena.reset();
    }
}

// Reads all keys page by page at the revision of the first page, with a put after each: an iteration is a page of 500 keys
// and a put.
void page_behind_writes(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    const std::string first_key(1, '\0');
    std::string from = first_key;
    api::Revision at = 0;
    Arena arena;
    for (auto _ : state) {
        api::RangeRequest request = all_keys();
        request.key = from;
        request.revision = at;
        request.limit = 500;
        const auto read = world.store().open_range(request);
        api::RangeResponse out;
        WorkBudget budget;
        while ((*read)->step(budget, 1 << 20, arena, out) == Step::more) {
            budget = {};
        }
        at = out.more ? (*read)->revision() : 0;
        from = out.more ? std::string(out.kvs.back().key) + '\0' : first_key;
        world.put(world.random_key());
        arena.reset();
    }
    world.compact_all();
}

double thread_cpu_us() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// The longest step matters more than the sum: reported as max_us, in CPU time of the thread.
template <class Body>
void timed_steps(benchmark::State& state, Body body) {
    double worst_us = 0;
    bool more = true;
    while (more) {
        const double start_us = thread_cpu_us();
        more = body();
        worst_us = std::max(worst_us, thread_cpu_us() - start_us);
    }
    state.counters["max_us"] = std::max(state.counters["max_us"].value, worst_us);
}

void scan_all(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    for (auto _ : state) {
        auto read = world.store().open_range(all_keys());
        Arena arena;
        timed_steps(state, [&] {
            api::RangeResponse out;
            WorkBudget budget;
            arena.reset();
            return (*read)->step(budget, 256 * kib, arena, out) == Step::more;
        });
    }
    state.SetItemsProcessed(state.range(0) * state.iterations());
}

void sort_all_by_mod(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    for (auto _ : state) {
        api::RangeRequest request = all_keys();
        request.sort_target = api::SortTarget::mod;
        auto read = world.store().open_range(request);
        Arena arena;
        timed_steps(state, [&] {
            api::RangeResponse out;
            WorkBudget budget;
            arena.reset();
            return (*read)->step(budget, 256 * kib, arena, out) == Step::more;
        });
    }
    state.SetItemsProcessed(state.range(0) * state.iterations());
}

void count_interval(benchmark::State& state) {
    Fixture& world = fixture(static_cast<std::uint64_t>(state.range(0)));
    char key[key_bytes + 1];
    Arena arena;
    for (auto _ : state) {
        write_key(key, world.random_key());
        api::RangeRequest request = all_keys();
        request.key = {key, key_bytes};
        request.count_only = true;
        api::RangeResponse out;
        WorkBudget budget;
        benchmark::DoNotOptimize((*world.store().open_range(request))->step(budget, 1, arena, out));
        arena.reset();
    }
}

void count_time_per_version(benchmark::State& state, std::uint64_t versions) {
    state.counters["per_version"] =
        benchmark::Counter(static_cast<double>(versions) * static_cast<double>(state.iterations()),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// As a shard writes it: pieces of a file's chunk, whose checksum is taken, too. A step is what a shard does in a turn.
template <class Take>
void write_checkpoint(Store& store, std::span<std::byte> chunk, WorkBudget turn, Take take) {
    auto writer = store.open_checkpoint();
    std::size_t filled = 0;
    for (Step step = Step::more; step == Step::more;) {
        WorkBudget budget = turn;
        const auto piece = writer->next(chunk.subspan(filled), budget);
        step = piece.step;
        filled += piece.bytes;
        if (filled == chunk.size() || step == Step::done) {
            take(Bytes(chunk.first(filled)));
            filled = 0;
        }
    }
}

void write_checkpoints(benchmark::State& state, Store& store, std::uint64_t versions) {
    constexpr WorkBudget turn{400, 128 * kib};
    std::vector<std::byte> chunk(256 * kib);
    std::uint64_t bytes = 0;
    for (auto _ : state) {
        std::uint64_t sum = 0;
        write_checkpoint(store, chunk, turn, [&](Bytes filled) {
            bytes += filled.size();
            sum = checksum(filled, sum);
        });
        benchmark::DoNotOptimize(sum);
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
    count_time_per_version(state, versions);
}

void checkpoint_write(benchmark::State& state) {
    const auto keys = static_cast<std::uint64_t>(state.range(0));
    write_checkpoints(state, fixture(keys).store(), keys);
}

void checkpoint_write_chains(benchmark::State& state) {
    write_checkpoints(state, chains(static_cast<std::uint64_t>(state.range(0))), chain_versions);
}

// The longest step with a whole turn's budget.
void checkpoint_write_steps(benchmark::State& state) {
    Store& store = chains(static_cast<std::uint64_t>(state.range(0)));
    std::vector<std::byte> chunk(256 * kib);
    for (auto _ : state) {
        auto writer = store.open_checkpoint();
        timed_steps(state, [&] {
            WorkBudget budget;
            return writer->next(chunk, budget).step == Step::more;
        });
    }
}

void load_checkpoints(benchmark::State& state, Store& store, std::uint64_t versions) {
    std::vector<std::byte> stream;
    std::vector<std::byte> chunk(256 * kib);
    write_checkpoint(store, chunk, WorkBudget{}, [&](Bytes filled) {
        stream.insert(stream.end(), filled.begin(), filled.end());
    });
    for (auto _ : state) {
        auto loaded = std::make_unique<Store>(StoreOptions{RangeId(1), 42, &uring::populate});
        auto reader = loaded->load_checkpoint();
        Bytes rest = stream;
        timed_steps(state, [&] {
            WorkBudget budget;
            std::size_t consumed = 0;
            const bool good = reader->feed(rest.first(std::min(rest.size(), chunk.size())), budget, consumed);
            rest = rest.subspan(consumed);
            return good && !rest.empty();
        });
        if (!reader->finish()) {
            state.SkipWithError("the checkpoint does not load");
        }
        state.counters["live/written"] =
            static_cast<double>(loaded->live_bytes()) / static_cast<double>(stream.size());
        state.PauseTiming();
        loaded.reset();
        state.ResumeTiming();
    }
    count_time_per_version(state, versions);
}

void checkpoint_load(benchmark::State& state) {
    const auto keys = static_cast<std::uint64_t>(state.range(0));
    load_checkpoints(state, fixture(keys).store(), keys);
}

void checkpoint_load_chains(benchmark::State& state) {
    load_checkpoints(state, chains(static_cast<std::uint64_t>(state.range(0))), chain_versions);
}

void delete_all_and_compact(benchmark::State& state) {
    for (auto _ : state) {
        state.PauseTiming();
        Fixture world(static_cast<std::uint64_t>(state.range(0)));
        const CommandBody body =
            api::DeleteRangeRequest{std::string_view("\0", 1), std::string_view("\0", 1), false};
        std::vector<std::byte> command(command_bytes(body));
        encode_command(command, {}, body);
        const LogIndex index = world.next_index();
        state.ResumeTiming();
        world.store().begin(command, 1, index, nullptr);
        timed_steps(state, [&] {
            WorkBudget budget;
            return world.store().step(budget) == Step::more;
        });
        state.counters["delete_max_us"] = state.counters["max_us"].value;
        const CommandBody compact = api::CompactRequest{world.store().revision(), false};
        std::vector<std::byte> compact_command(command_bytes(compact));
        encode_command(compact_command, {}, compact);
        world.apply(compact_command);
        timed_steps(state, [&] {
            WorkBudget budget;
            world.store().compact_step(budget);
            return world.store().compaction_pending();
        });
        state.counters["left_bytes"] = static_cast<double>(world.store().live_bytes());
        state.counters["left_reserved"] = static_cast<double>(world.store().reserved_bytes());
    }
    state.SetItemsProcessed(state.range(0) * state.iterations());
}

std::vector<std::byte> encoded(const CommandBody& body) {
    std::vector<std::byte> out(command_bytes(body));
    encode_command(out, {}, body);
    return out;
}

// One command that renews every lease there is, in its steps.
void keep_alive_all(benchmark::State& state) {
    Store store(StoreOptions{RangeId(1), 42, &uring::populate});
    LogIndex index{};
    std::vector<api::LeaseId> ids;
    const auto apply = [&](const CommandBody& body) {
        const std::vector<std::byte> command = encoded(body);
        index = index.next();
        store.begin(command, index.value, index, nullptr);
        timed_steps(state, [&] {
            WorkBudget budget;
            return store.step(budget) == Step::more;
        });
    };
    for (std::int64_t i = 0; i < state.range(0); i++) {
        ids.push_back(1 + i * 7919 % state.range(0));
        apply(LeaseGrant{{Term(1), LeaseTime{1}}, ids.back(), 60});
    }
    for (auto _ : state) {
        apply(LeaseKeepAlive{{Term(1), LeaseTime{static_cast<std::int64_t>(index.value)}}, ids});
    }
    state.SetItemsProcessed(state.range(0) * state.iterations());
}

// A lease ends that so many keys hang on.
void end_lease(benchmark::State& state) {
    for (auto _ : state) {
        state.PauseTiming();
        Store store(StoreOptions{RangeId(1), 42, &uring::populate});
        LogIndex index{};
        const auto apply = [&](const CommandBody& body, bool measured) {
            const std::vector<std::byte> command = encoded(body);
            index = index.next();
            store.begin(command, index.value, index, nullptr);
            const auto step = [&] {
                WorkBudget budget;
                return store.step(budget) == Step::more;
            };
            if (measured) {
                timed_steps(state, step);
            } else {
                while (step()) {
                }
            }
        };
        apply(LeaseGrant{{Term(1), LeaseTime{1}}, 7, 60}, false);
        for (std::int64_t i = 0; i < state.range(0); i++) {
            char key[key_bytes + 1];
            write_key(key, static_cast<std::uint64_t>(i * 7919 % state.range(0)));
            apply(api::PutRequest{.key = {key, key_bytes}, .value = "v", .lease = 7}, false);
        }
        state.ResumeTiming();
        apply(LeaseRevoke{{Term(1), LeaseTime{2}}, 7}, true);
    }
    state.SetItemsProcessed(state.range(0) * state.iterations());
}

BENCHMARK(make_key);
BENCHMARK(put_overwrite)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(put_overwrite_ahead)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(get_latest)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(range_100)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(page_behind_writes)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(count_interval)->Arg(1'000'000);
BENCHMARK(scan_all)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(sort_all_by_mod)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(checkpoint_write)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(checkpoint_write_chains)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(checkpoint_write_steps)->Arg(10'000)->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK(checkpoint_load)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK(checkpoint_load_chains)->Arg(10'000)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK(delete_all_and_compact)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(keep_alive_all)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(end_lease)->Arg(100'000)->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK(load_random)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace ringfort::kv

