// What a batch costs the shard: append of entries, close, durable notice; and finding an entry in memory. The disk does
// nothing: it completes each write at the next dispatch. Payload checksums are the caller's and left out.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/assertion.h"
#include "base/checksum.h"
#include "shard/log_store.h"

using namespace ringfort;

namespace {

class NullDisk final : public env::Disk {
  public:
    void open(env::DiskOperation& op, std::string_view) override { push(op, 0); }
    void create(env::DiskOperation& op, std::string_view, std::uint64_t bytes) override { push(op, bytes); }
    void create_growing(env::DiskOperation&, std::string_view, std::uint64_t) override { UNREACHABLE(); }
    void sync_new(env::DiskOperation&, env::FileId, std::string_view) override { UNREACHABLE(); }
    void close(env::FileId) override {}
    void remove(env::DiskOperation& op, std::string_view) override { push(op, 0); }
    void rename(env::DiskOperation& op, std::string_view, std::string_view) override { push(op, 0); }
    void list(env::DiskOperation& op, std::string_view) override { push(op, 0); }
    void read_whole(env::DiskOperation&, std::string_view) override { UNREACHABLE(); }
    void replace_whole(env::DiskOperation&, std::string_view, Bytes) override { UNREACHABLE(); }
    void write(env::DiskOperation& op, env::FileId, std::uint64_t, Bytes, env::Durability) override { push(op, 0); }
    void read(env::DiskOperation&, env::FileId, std::uint64_t, MutableBytes) override { UNREACHABLE(); }
    void sync(env::DiskOperation& op, env::FileId) override { push(op, 0); }
    env::Durability preferred() const override { return env::Durability::dsync; }
    void dispatch() override {
        for (std::size_t n = count_; n > 0; n--) {
            env::DiskOperation& op = *queue_[first_++ % queue_.size()];
            count_--;
            op.callback(op);
        }
    }

  private:
    void push(env::DiskOperation& op, std::uint64_t bytes) {
        ASSERT(count_ < queue_.size());
        op.error = env::DiskErrc::ok;
        op.file = ++files_;
        op.bytes = bytes;
        queue_[(first_ + count_++) % queue_.size()] = &op;
    }
    std::array<env::DiskOperation*, 64> queue_{};
    std::size_t first_{0};
    std::size_t count_{0};
    env::FileId files_{0};
};

class FixedClock final : public env::Clock {
  public:
    Instant now() const override { return {}; }
    WallTime wall() const override { return {}; }
};

class Quiet final : public shard::LogListener {
  public:
    void on_recovered(shard::RecoveredLog&) override { ready = true; }
    void on_durable(shard::BatchSequence) override {}
    void on_log_failed(std::string_view) override { UNREACHABLE(); }
    void on_checkpoint_wanted(RangeId) override {}
    bool ready{false};
};

// The log uses disk and clock only; nothing stands behind the other seams.
template <class T>
T& absent() {
    alignas(16) static std::byte nothing[64];
    return *reinterpret_cast<T*>(nothing);
}

struct Fixture {
    NullDisk disk;
    FixedClock clock;
    Quiet listener;
    env::World world{disk, absent<env::Network>(), clock, absent<env::Mailbox>(), absent<env::LogSink>(),
                     absent<env::Process>(), 1};
    shard::LogOptions options;
    std::unique_ptr<shard::LogStore> log;

    Fixture() {
        options.instance = InstanceId(1);
        options.directory = "shard-0";
        log = std::make_unique<shard::LogStore>(world, options, listener);
        log->start();
        while (!listener.ready) {
            turn();
        }
    }
    void turn() {
        disk.dispatch();
        log->close_batch(Instant{});
    }
    void create(std::uint64_t range) {
        shard::CheckpointRecord initial;
        initial.applied = {Term(1), LogIndex(1)};
        log->append_created(RangeId(range), {}, &initial);
    }
};

void append_and_close(benchmark::State& state) {
    const auto entries = static_cast<std::uint64_t>(state.range(0));
    const auto ranges = static_cast<std::uint64_t>(state.range(1));
    const std::vector<std::byte> payload(static_cast<std::size_t>(state.range(2)), std::byte{7});
    const std::uint64_t sum = checksum(payload);
    Fixture f;
    for (std::uint64_t r = 0; r < ranges; r++) {
        f.create(r);
    }
    std::vector<std::uint64_t> next(ranges, 2);
    std::uint64_t since_checkpoint = 0;
    for (auto _ : state) {
        for (std::uint64_t i = 0; i < entries; i++) {
            const std::uint64_t range = i * ranges / entries;
            const MutableBytes room = f.log->append_entry(RangeId(range), {Term(1), LogIndex(next[range]++)},
                                                          raft::EntryKind::command, payload.size());
            std::memcpy(room.data(), payload.data(), payload.size());
            f.log->seal_entry(sum);
        }
        f.turn();
        since_checkpoint += std::max<std::uint64_t>(entries * payload.size(), limits::block_bytes);
        if (since_checkpoint > 64 * mib) {
            since_checkpoint = 0;
            for (std::uint64_t r = 0; r < ranges; r++) {
                shard::CheckpointRecord checkpoint;
                checkpoint.applied = {Term(1), LogIndex(next[r] - 1)};
                f.log->append_checkpoint(RangeId(r), checkpoint);
            }
        }
    }
    const std::int64_t total = state.iterations() * static_cast<std::int64_t>(entries);
    state.SetItemsProcessed(total);
    state.counters["s_per_entry"] = benchmark::Counter(static_cast<double>(total),
                                                       benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(append_and_close)
    ->ArgNames({"entries", "ranges", "bytes"})
    ->Args({64, 1, 300})
    ->Args({64, 16, 300})
    ->Args({1, 1, 300})
    ->Args({64, 1, 16});

void find_in_memory(benchmark::State& state) {
    Fixture f;
    f.create(1);
    const std::vector<std::byte> payload(300, std::byte{7});
    const std::uint64_t sum = checksum(payload);
    std::uint64_t next = 2;
    for (int batch = 0; batch < 200; batch++) {
        for (int i = 0; i < 64; i++) {
            const MutableBytes room = f.log->append_entry(RangeId(1), {Term(1), LogIndex(next++)},
                                                          raft::EntryKind::command, payload.size());
            std::memcpy(room.data(), payload.data(), payload.size());
            f.log->seal_entry(sum);
        }
        f.turn();
    }
    std::uint64_t index = next - 1 - static_cast<std::uint64_t>(state.range(0));
    for (auto _ : state) {
        benchmark::DoNotOptimize(f.log->find(RangeId(1), LogIndex(index)));
    }
}
BENCHMARK(find_in_memory)->ArgName("entries_back")->Arg(0)->Arg(100)->Arg(5000);

}  // namespace
