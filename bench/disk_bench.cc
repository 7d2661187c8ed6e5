// Append and flush of one batch on a recycled segment: recipe A (dsync write) and B (write, then data sync), by size.
// Files lie in the working directory.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bounds.h"
#include "uring/file_calls.h"
#include "uring/mailbox_hub.h"
#include "uring/ring_disk.h"

namespace ringfort::uring {
namespace {

void append_and_flush(benchmark::State& state) {
    const bool dsync = state.range(0) != 0;
    const AlignedBuffer batch(static_cast<std::size_t>(state.range(1)));
    constexpr std::uint64_t segment_bytes = 16 * mib;
    const int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Doorbell doorbell;
    auto ring = *Ring::create({});
    doorbell.attach(*ring);
    TurnClock clock;
    {
        RingDisk disk(*ring, doorbell, clock, {.directory = directory, .measured = {}});
        bool done = false;
        env::DiskOperation op([](env::DiskOperation& o) { *static_cast<bool*>(o.context) = true; }, &done);
        const auto finish = [&] {
            while (!done) {
                ring->submit_and_wait(1s);
                ring->reap();
                disk.collect();
                disk.dispatch();
            }
            done = false;
        };
        disk.create(op, "disk_bench_segment", segment_bytes);
        finish();
        const env::FileId file = op.file;
        std::vector<std::int64_t> samples;
        std::uint64_t offset = 0;
        for (auto _ : state) {
            const Instant begin = monotonic_now();
            disk.write(op, file, offset, batch.span(), dsync ? env::Durability::dsync : env::Durability::none);
            finish();
            if (!dsync) {
                disk.sync(op, file);
                finish();
            }
            samples.push_back((monotonic_now() - begin).count());
            offset = (offset + batch.size()) % segment_bytes;
        }
        std::sort(samples.begin(), samples.end());
        state.counters["p50_us"] = static_cast<double>(samples[samples.size() / 2]) / 1000;
        state.counters["p99_us"] = static_cast<double>(samples[samples.size() * 99 / 100]) / 1000;
        disk.close(file);
        disk.remove(op, "disk_bench_segment");
        finish();
    }
    close(directory);
}
BENCHMARK(append_and_flush)
    ->ArgNames({"dsync", "bytes"})
    ->ArgsProduct({{1, 0}, {4096, 65536}})
    ->UseRealTime()
    ->Iterations(1000);

}  // namespace
}  // namespace ringfort::uring
