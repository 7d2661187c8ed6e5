#include "sim/run_options.h"

#include <array>

#include "base/assertion.h"
#include "sim/settings.h"

namespace ringfort::sim {

namespace {

// One of a few, by lot.
template <class T, std::size_t n>
T pick(Prng& random, const std::array<T, n>& choices) {
    return choices[random.below(n)];
}

void draw_disk(Prng& random, RunOptions& out) {
    out.disk.preferred = random.one_in(2) ? env::Durability::none : env::Durability::dsync;
    out.disk.write_latency = pick(random, std::array<Duration, 3>{20us, 60us, 400us});
    out.disk.sync_latency = pick(random, std::array<Duration, 3>{100us, 300us, 4ms});
    out.disk.tail_per_million = pick(random, std::array<std::uint32_t, 3>{0, 2000, 20'000});
    out.disk.tail_max = pick(random, std::array<Duration, 3>{5ms, 50ms, 400ms});
}

void draw_network(Prng& random, RunOptions& out) {
    out.network.latency = pick(random, std::array<Duration, 3>{20us, 100us, 2ms});
    out.network.jitter = pick(random, std::array<Duration, 3>{10us, 200us, 5ms});
    out.network.tail_per_million = pick(random, std::array<std::uint32_t, 3>{0, 1000, 20'000});
    out.network.socket_buffer_bytes = pick(random, std::array<std::size_t, 3>{8 * kib, 64 * kib, 1 * mib});
    out.network.split_per_million = pick(random, std::array<std::uint32_t, 3>{0, 50'000, 500'000});
    out.network.misaligned_per_million = pick(random, std::array<std::uint32_t, 3>{0, 50'000, 1'000'000});
}

void draw_workload(Prng& random, WorkloadOptions& out) {
    out.clients = random.between(2, 10);
    out.in_flight_max = pick(random, std::array<std::size_t, 4>{1, 2, 4, 16});
    out.think = pick(random, std::array<Duration, 3>{5ms, 30ms, 200ms});
    out.keys = pick(random, std::array<std::uint32_t, 4>{1, 4, 16, 200});
    out.value_bytes_max = pick(random, std::array<std::uint32_t, 4>{16, 64, 4000, 60'000});
    out.request_timeout = pick(random, std::array<Duration, 3>{800ms, 3s, 8s});
}

void draw_faults(Prng& random, RunOptions& out) {
    out.fault_interval = pick(random, std::array<Duration, 4>{300ms, 1s, 3s, 8s});
    out.repair_max = pick(random, std::array<Duration, 3>{500ms, 3s, 10s});
    out.keep_per_million = pick(random, std::array<std::uint32_t, 5>{0, 100'000, 500'000, 900'000, 1'000'000});
    for (unsigned kind = 0; kind <= static_cast<unsigned>(FaultKind::wall_jump); kind++) {
        out.fault_mask |= random.one_in(3) ? 1u << kind : 0u;
    }
    out.network.loss_per_million = pick(random, std::array<std::uint32_t, 4>{0, 0, 1000, 30'000});
    out.network.reset_per_million = pick(random, std::array<std::uint32_t, 4>{0, 0, 200, 2000});
    out.drift_ppm_max = pick(random, std::array<std::int64_t, 3>{0, 200, 20'000});
}

// Damage, tight limits and unruly clients, from a generator of their own.
void draw_hardship(Prng& random, bool faults, RunOptions& out) {
    const bool tight = random.one_in(3);
    if (tight) {
        out.request_bytes = 128 * kib;
        out.log_window_bytes = 4 * mib;
        out.segment_bytes = 4 * mib;
    }
    out.memory_quota_bytes = pick(random, std::array<std::uint64_t, 4>{0, 0, 0, 3 * mib});
    out.workload.compactions = pick(random, std::array<std::uint32_t, 3>{0, 2, 10});
    out.workload.cancel_one_in = pick(random, std::array<std::uint32_t, 3>{0, 0, 50});
    out.workload.hurry_one_in = pick(random, std::array<std::uint32_t, 3>{0, 0, 50});
    if (random.one_in(8)) {
        out.workload.value_bytes_max = tight ? 60'000 : 600'000;
        out.workload.think = std::max<Duration>(out.workload.think, 100ms);
        out.workload.keys = std::min<std::uint32_t>(out.workload.keys, 16);
    }
    for (auto kind = static_cast<unsigned>(FaultKind::wipe); faults && kind < fault_kinds; kind++) {
        out.fault_mask |= random.one_in(5) ? 1u << kind : 0u;
    }
    out.disk.drain_bytes_per_second = pick(random, std::array<std::uint64_t, 5>{0, 0, 0, 30 * mib, 200 * mib});
}

}  // namespace

std::string_view to_string(FaultKind kind) {
    switch (kind) {
        case FaultKind::kill: return "kill";
        case FaultKind::kill_all: return "kill-all";
        case FaultKind::power_cut: return "power-cut";
        case FaultKind::power_cut_all: return "power-cut-all";
        case FaultKind::stop: return "stop";
        case FaultKind::pause: return "pause";
        case FaultKind::isolate: return "isolate";
        case FaultKind::split: return "split";
        case FaultKind::one_way: return "one-way";
        case FaultKind::bridge: return "bridge";
        case FaultKind::flap: return "flap";
        case FaultKind::reset: return "reset";
        case FaultKind::delay: return "delay";
        case FaultKind::slow_disk: return "slow-disk";
        case FaultKind::hung_disk: return "hung-disk";
        case FaultKind::disk_error: return "disk-error";
        case FaultKind::clock_drift: return "clock-drift";
        case FaultKind::wall_jump: return "wall-jump";
        case FaultKind::wipe: return "wipe";
        case FaultKind::bit_flip: return "bit-flip";
        case FaultKind::bad_sector: return "bad-sector";
        case FaultKind::read_error: return "read-error";
        case FaultKind::lost_file: return "lost-file";
        case FaultKind::full_disk: return "full-disk";
        case FaultKind::stranger: return "stranger";
    }
    UNREACHABLE();
}

std::optional<FaultKind> fault_kind(std::string_view name) {
    for (std::size_t kind = 0; kind < fault_kinds; kind++) {
        if (to_string(static_cast<FaultKind>(kind)) == name) {
            return static_cast<FaultKind>(kind);
        }
    }
    return std::nullopt;
}

namespace {

RunOptions draw(const RunRequest& request) {
    RunOptions out;
    out.seed = request.seed;
    out.duration = request.duration;
    out.trace = request.trace;
    out.without_mask = request.without_mask;
    out.skipped_faults = request.skipped_faults;
    // A quarter of the server's: a start clears its window, and a new segment is written whole.
    out.log_window_bytes = 8 * mib;
    out.segment_bytes = 8 * mib;
    if (request.light) {
        out.nodes = request.nodes.value_or(3);
        out.shards = request.shards.value_or(1);
        out.domains = request.domains.value_or(1);
        out.workload.clients = 10;
        out.workload.think = 100ms;
        return out;
    }
    // Everything is drawn whether it is used or not: what the command line fixes does not change the rest.
    Prng random(request.seed);
    const auto nodes = pick(random, std::array<std::size_t, 6>{1, 3, 3, 3, 3, 5});
    const auto shards = pick(random, std::array<std::uint32_t, 4>{1, 2, 2, 3});
    const auto domains = pick(random, std::array<std::uint32_t, 4>{1, 1, 2, 4});
    out.nodes = request.nodes.value_or(nodes);
    out.shards = request.shards.value_or(shards);
    out.domains = request.domains.value_or(domains);
    out.turn_cost = pick(random, std::array<Duration, 3>{2us, 10us, 100us});
    out.checkpoint_log_bytes = pick(random, std::array<std::uint64_t, 3>{64 * kib, 1 * mib, 64 * mib});
    draw_disk(random, out);
    draw_network(random, out);
    draw_workload(random, out.workload);
    if (request.faults) {
        draw_faults(random, out);
        out.shard_changes = random.one_in(4);
    }
    Prng hardship(request.seed + 0x9e3779b97f4a7c15);
    draw_hardship(hardship, request.faults, out);
    return out;
}

}  // namespace

std::string check_settings(const RunRequest& request) {
    RunOptions scratch;
    for (const auto& setting : request.settings) {
        if (!apply_setting(scratch, setting)) {
            return setting;
        }
    }
    return {};
}

RunOptions draw_options(const RunRequest& request) {
    RunOptions out = draw(request);
    for (const auto& setting : request.settings) {
        ASSERT(apply_setting(out, setting));
    }
    return out;
}

std::string describe(const RunOptions& options) {
    std::string out = "seed " + std::to_string(options.seed) + ":";
    for (const auto& setting : settings_that_differ(options, RunOptions{})) {
        out += " " + setting;
    }
    out += "; faults:";
    for (unsigned kind = 0; kind < fault_kinds; kind++) {
        if (options.enabled(static_cast<FaultKind>(kind))) {
            out += " " + std::string(to_string(static_cast<FaultKind>(kind)));
        }
    }
    return out + (options.fault_mask == 0 ? " none" : "");
}

}  // namespace ringfort::sim
