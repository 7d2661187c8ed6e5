#include "sim/run_options.h"

#include <algorithm>
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

FaultKind next(FaultKind kind) { return static_cast<FaultKind>(static_cast<unsigned>(kind) + 1); }
std::uint64_t bit(FaultKind kind) { return std::uint64_t{1} << static_cast<unsigned>(kind); }

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
    out.network.tail_max = pick(random, std::array<Duration, 3>{30ms, 300ms, 3s});
    out.network.socket_buffer_bytes = pick(random, std::array<std::size_t, 4>{1 * kib, 8 * kib, 64 * kib, 1 * mib});
    out.network.split_per_million = pick(random, std::array<std::uint32_t, 3>{0, 50'000, 500'000});
    out.network.misaligned_per_million = pick(random, std::array<std::uint32_t, 3>{0, 50'000, 1'000'000});
}

// What a connection carries in a second: a socket buffer full for each way there and back. A long delay is a hundredth of
// the longest, on average.
std::int64_t bytes_per_second(const NetworkProfile& network) {
    const Duration tail = network.tail_max / 100 * network.tail_per_million / 1'000'000;
    const Duration way = network.latency + network.jitter / 2 + tail;
    return static_cast<std::int64_t>(network.socket_buffer_bytes) * (Duration(1s) / (2 * way));
}

// Who was away for long has a hundred MB to catch up with, and is waited for no longer than a minute.
void widen_sockets(NetworkProfile& network) {
    constexpr std::int64_t slowest = 4 * static_cast<std::int64_t>(mib);
    while (bytes_per_second(network) < slowest) {
        network.socket_buffer_bytes *= 2;
    }
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
    for (auto kind = FaultKind::kill; kind <= FaultKind::wall_jump; kind = next(kind)) {
        out.fault_mask |= random.one_in(3) ? bit(kind) : 0u;
    }
    out.network.loss_per_million = pick(random, std::array<std::uint32_t, 4>{0, 0, 1000, 30'000});
    out.network.reset_per_million = pick(random, std::array<std::uint32_t, 4>{0, 0, 200, 2000});
    out.drift_ppm_max = pick(random, std::array<std::int64_t, 3>{0, 200, 20'000});
}

// Some bounds of queues and pools, so small that they are met.
void draw_bounds(Prng& random, RunOptions& out) {
    shard::ShardBounds& bounds = out.bounds;
    const auto maybe = [&](auto& bound, auto tiny) {
        if (random.one_in(3)) {
            bound = tiny;
        }
    };
    // One at a time leaves no room for the client's question whether the node is there.
    maybe(bounds.connection_requests, std::size_t{3});
    maybe(bounds.reply_backlog_bytes, 4 * kib);
    maybe(bounds.reply_backlog_reads_bytes, 2 * mib);   // what one reply has credit for fits
    maybe(bounds.session_replies_bytes, 512 * kib);
    maybe(bounds.streams, std::size_t{1});
    maybe(bounds.unopened_streams, std::size_t{1});
    maybe(bounds.sort_bytes, 4 * kib);
    maybe(bounds.round_reads, std::size_t{2});
    maybe(bounds.round_bytes, 1 * kib);
    maybe(bounds.follower_reads, std::size_t{1});
    maybe(bounds.follower_read_bytes, 1 * kib);
    maybe(bounds.forwards, std::size_t{2});
    maybe(bounds.forward_bytes, 1 * kib);
    maybe(bounds.link_credit_bytes, decltype(bounds.link_credit_bytes){UINT64_MAX, 8 * kib, 4 * kib, 512 * kib});
    maybe(bounds.deferred_appends, std::size_t{4});
    maybe(bounds.incoming_peers, std::size_t{2});
    maybe(bounds.pending_writes, std::size_t{2});
    maybe(bounds.physical_compactions, std::size_t{1});
    maybe(bounds.node_jobs, std::size_t{1});
    maybe(out.mailbox_capacity, std::size_t{8});
    maybe(out.connections_max, 2 * out.workload.clients);
    maybe(bounds.held_reads, std::size_t{1});
    maybe(bounds.held_read_bytes, 1 * kib);
}

// Damage, tight limits and unruly clients, from a generator of their own.
void draw_hardship(Prng& random, bool faults, RunOptions& out) {
    const bool tight = random.one_in(3);
    if (tight) {
        out.request_bytes = pick(random, std::array<std::size_t, 2>{16 * kib, 128 * kib});
        out.log_window_bytes = 4 * mib;
        out.segment_bytes = 4 * mib;
    }
    out.memory_quota_bytes = pick(random, std::array<std::uint64_t, 4>{0, 0, 0, 3 * mib});
    out.workload.uniform = random.one_in(3);
    out.workload.bulk_keys = pick(random, std::array<std::uint32_t, 4>{0, 0, 300, 3000});
    out.workload.txn_ops = pick(random, std::array<std::uint32_t, 4>{2, 16, 128, 128});
    out.workload.compactions = pick(random, std::array<std::uint32_t, 3>{0, 2, 10});
    out.workload.cancel_one_in = pick(random, std::array<std::uint32_t, 3>{0, 0, 50});
    out.workload.hurry_one_in = pick(random, std::array<std::uint32_t, 3>{0, 0, 50});
    if (random.one_in(8)) {
        // Now and then a request is larger than is allowed.
        out.workload.value_bytes_max = static_cast<std::uint32_t>(out.request_bytes + (random.one_in(2) ? 1000 : 0));
        out.workload.think = std::max<Duration>(out.workload.think, 100ms);
        out.workload.keys = std::min<std::uint32_t>(out.workload.keys, 16);
        // Less a round trip would carry so much no sooner than all deadlines.
        out.network.socket_buffer_bytes = std::max<std::size_t>(out.network.socket_buffer_bytes, 64 * kib);
    }
    for (auto kind = FaultKind::wipe; faults && kind <= FaultKind::trickle; kind = next(kind)) {
        out.fault_mask |= random.one_in(5) ? bit(kind) : 0u;
    }
    bool damage = false;
    for (auto kind = FaultKind::wipe; kind <= FaultKind::trickle; kind = next(kind)) {
        damage = damage || (out.enabled(kind) && harms_data(kind));
    }
    if (faults && !damage && random.one_in(4)) {
        out.nodes_lost = random.below((out.nodes - 1) / 2 + 1);
    }
    if (random.one_in(4)) {
        out.workload.burst_requests = pick(random, std::array<std::size_t, 3>{20, 100, 400});
    }
    out.network.ghosts_per_million = pick(random, std::array<std::uint32_t, 3>{0, 0, 200'000});
    out.disk.drain_bytes_per_second = pick(random, std::array<std::uint64_t, 5>{0, 0, 0, 30 * mib, 200 * mib});
}

// Writes and reads that go astray, nodes that go back to what they were, and runs beyond the budget. Requires: no node is
// lost for ever.
void draw_astray(Prng& random, RunOptions& out) {
    ASSERT(out.nodes_lost == 0);
    for (auto kind = FaultKind::lost_write; kind <= FaultKind::old_copy; kind = next(kind)) {
        out.fault_mask |= random.one_in(4) ? bit(kind) : 0u;
    }
    out.beyond_budget = random.one_in(16);
}

// How long leaders are waited for, what puts keep, and whether compaction comes unasked; from a generator of their own.
void draw_rest(Prng& random, RunOptions& out) {
    // A short one only where nothing takes as long by itself: nobody would ever lead. No longer one than the default, for
    // which the times are stated within which a cluster must come to rest.
    const bool swift = out.network.tail_per_million == 0 && out.network.loss_per_million == 0 &&
                       out.network.latency + out.network.jitter < 1ms && out.disk.tail_per_million == 0;
    out.election_timeout = pick(random, std::array<Duration, 2>{swift ? 300ms : 1s, 1s});
    out.heartbeat_interval = out.election_timeout / pick(random, std::array<int, 3>{5, 10, 10});
    out.workload.keeps_one_in = pick(random, std::array<std::uint32_t, 3>{0, 8, 8});
    // Where locks are judged, every leader is to be told of: nothing is compacted before it was.
    const std::uint64_t unasked = out.workload.locks ? 8 : random.below(8);
    out.auto_compaction_revisions = unasked == 0 ? pick(random, std::array<std::int64_t, 2>{5, 100}) : 0;
    out.auto_compaction_period = unasked == 1 ? pick(random, std::array<Duration, 2>{2s, 20s}) : Duration(0);
}

// From a generator of their own.
void draw_watches(Prng& random, bool tight, RunOptions& out) {
    out.workload.watches = pick(random, std::array<std::size_t, 4>{0, 1, 3, 3});
    out.workload.reply_credit_bytes = pick(random, std::array<std::uint32_t, 3>{4 * kib, 64 * kib, 1 * mib});
    out.watch_progress_interval = pick(random, std::array<Duration, 3>{200ms, 3s, 10min});
    if (tight) {
        out.bounds.watch_backlog_bytes = random.one_in(3) ? 1 * kib : out.bounds.watch_backlog_bytes;
        out.bounds.connection_watches = random.one_in(3) ? 1 : out.bounds.connection_watches;
        out.bounds.watches = random.one_in(3) ? 4 : out.bounds.watches;
        out.bounds.waiting_mail = random.one_in(3) ? 0 : out.bounds.waiting_mail;
        out.bounds.watch_lag_changes = random.one_in(3) ? 0 : out.bounds.watch_lag_changes;
        // Keys of a watch of the load take 16 to 24 bytes.
        out.bounds.connection_watch_key_bytes = random.one_in(3) ? 40 : out.bounds.connection_watch_key_bytes;
        out.bounds.watch_key_bytes = random.one_in(3) ? 80 : out.bounds.watch_key_bytes;
    }
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
        case FaultKind::crash_point: return "crash-point";
        case FaultKind::kill_two: return "kill-two";
        case FaultKind::rolling_restart: return "rolling-restart";
        case FaultKind::restart_storm: return "restart-storm";
        case FaultKind::steal: return "steal";
        case FaultKind::half_open: return "half-open";
        case FaultKind::trickle: return "trickle";
        case FaultKind::lost_write: return "lost-write";
        case FaultKind::misdirected_write: return "misdirected-write";
        case FaultKind::misdirected_read: return "misdirected-read";
        case FaultKind::lying_flush: return "lying-flush";
        case FaultKind::old_copy: return "old-copy";
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

bool harms_data(FaultKind kind) {
    constexpr std::array kinds{FaultKind::wipe,       FaultKind::bit_flip,          FaultKind::bad_sector,
                               FaultKind::read_error, FaultKind::lost_file,         FaultKind::lost_write,
                               FaultKind::old_copy,   FaultKind::misdirected_write, FaultKind::misdirected_read,
                               FaultKind::lying_flush};
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
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
    if (hardship.one_in(3)) {
        draw_bounds(hardship, out);
    }
    Prng scrubbing(request.seed + 0x9b05688c2b3e6c1f);
    out.scrub_interval = pick(scrubbing, std::array<Duration, 3>{200ms, 3s, 1h});
    out.checkpoint_slack_bytes = pick(scrubbing, std::array<std::uint64_t, 3>{4 * kib, 64 * kib, 64 * mib});
    Prng astray(request.seed + 0x6a09e667f3bcc909);
    if (request.faults && out.nodes_lost == 0) {
        draw_astray(astray, out);
    }
    Prng leases(request.seed + 0x3c6ef372fe94f82b);
    out.workload.leases = pick(leases, std::array<std::uint32_t, 3>{0, 15, 60});
    if (leases.one_in(8)) {
        out.bounds.keep_alives = 1;
    }
    Prng space(request.seed + 0xa54ff53a5f1d36f1);
    out.workload.hashes = pick(space, std::array<std::uint32_t, 3>{0, 3, 20});
    if (space.one_in(8)) {
        out.bounds.hash_walks = 1;
    }
    if (out.memory_quota_bytes > 0 && space.one_in(2)) {
        out.memory_quota_bytes = 700'000;   // it is met by small values, and left again by compaction
    }
    out.workload.disarms = space.one_in(3) && out.memory_quota_bytes > 0 ? 1 : 0;
    Prng watching(request.seed + 0xbb67ae8584caa73b);
    draw_watches(watching, watching.one_in(3), out);
    Prng locking(request.seed + 0x510e527fade682d1);
    out.workload.locks = locking.one_in(2);
    Prng rest(request.seed + 0x1f83d9abfb41bd6b);
    draw_rest(rest, out);
    widen_sockets(out.network);
    return out;
}

}  // namespace

std::string check_settings(const RunRequest& request) {
    RunOptions scratch;
    for (const auto& setting : request.settings) {
        if (!apply_setting(scratch, setting)) {
            return "no option of a run takes " + setting;
        }
    }
    constexpr std::size_t least = shard::ShardBounds::session_replies_bytes_min;
    return scratch.bounds.session_replies_bytes >= least
               ? std::string{}
               : "bound-replies is at least " + std::to_string(least) + ": with less no range is ever forwarded";
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
