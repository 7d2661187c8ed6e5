#include "cluster.h"

#include <algorithm>
#include <cstdio>

#include "history.h"
#include "load.h"
#include "ringfort/client.h"

namespace ringload {

using ringfort::api::Response;
namespace api = ringfort::api;
namespace client = ringfort::client;

namespace {

void on_status(void* context, std::uint64_t, const Response& response) {
    auto& counters = *static_cast<std::pair<bool, NodeCounters>*>(context);
    counters.first = true;
    const auto* result = std::get_if<api::Result>(&response.body);
    const auto* status = result != nullptr ? std::get_if<api::StatusResponse>(result) : nullptr;
    if (status != nullptr) {
        counters.second = {.answered = true,
                           .log_flushes = status->log_flushes,
                           .log_bytes_written = status->log_bytes_written,
                           .log_entry_bytes = status->log_entry_bytes,
                           .cpu_us = status->cpu_us,
                           .resident_bytes = status->resident_bytes};
    }
}

}  // namespace

client::CoreOptions core_options(const Options& options) {
    client::CoreOptions core;
    core.endpoints = options.endpoints;
    core.dial_timeout = std::chrono::milliseconds(options.dial_timeout_ms);
    core.request_timeout = std::chrono::milliseconds(options.timeout_ms);
    core.connections = options.connections;
    core.in_flight_max = options.watches() ? options.watch_count() : options.slots();
    core.requests_per_connection_max = options.watches() ? 0 : options.per_connection();   // watches are spread evenly
    core.held_bytes_max = std::size_t{1} << 30;
    core.follow_leader = options.to_leader;
    core.name = "ringload";
    return core;
}

std::vector<NodeCounters> ask_nodes(const Options& options) {
    std::vector<NodeCounters> counters;
    for (const ringfort::env::Address& endpoint : options.endpoints) {
        client::SystemClock clock;
        client::SocketNetwork network;
        client::CoreOptions one = core_options(options);
        one.endpoints = {endpoint};
        one.connections = 1;
        one.in_flight_max = 1;
        client::Core core(network, clock, options.seed, one);
        std::pair<bool, NodeCounters> answer;
        api::Request request;
        request.op = api::StatusRequest{};
        request.timeout = std::chrono::seconds(1);
        core.submit(request, &on_status, &answer);
        run_until(core, network, clock, ringfort::never, [&answer] { return answer.first; });
        counters.push_back(answer.second);
    }
    return counters;
}

ServerWork work_between(const std::vector<NodeCounters>& before, const std::vector<NodeCounters>& after) {
    ServerWork work;
    work.nodes_asked = after.size();
    std::int64_t grown_bytes = 0;
    for (std::size_t i = 0; i < before.size() && i < after.size(); i++) {
        const NodeCounters& a = before[i];
        const NodeCounters& b = after[i];
        if (!a.answered || !b.answered || b.cpu_us < a.cpu_us || b.log_flushes < a.log_flushes ||
            b.log_bytes_written < a.log_bytes_written || b.log_entry_bytes < a.log_entry_bytes) {
            continue;
        }
        work.nodes++;
        work.sum.log_flushes += b.log_flushes - a.log_flushes;
        work.sum.log_bytes_written += b.log_bytes_written - a.log_bytes_written;
        work.sum.log_entry_bytes += b.log_entry_bytes - a.log_entry_bytes;
        work.sum.cpu_us += b.cpu_us - a.cpu_us;
        grown_bytes += static_cast<std::int64_t>(b.resident_bytes) - static_cast<std::int64_t>(a.resident_bytes);
    }
    work.sum.resident_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(grown_bytes, 0));
    return work;
}

namespace {

struct CountAnswer {
    bool answered{false};
    bool ok{false};
    std::int64_t count{0};
};

void on_count(void* context, std::uint64_t, const Response& response) {
    auto& answer = *static_cast<CountAnswer*>(context);
    answer.answered = !response.more_frames;
    const auto* result = std::get_if<api::Result>(&response.body);
    const auto* range = result != nullptr ? std::get_if<api::RangeResponse>(result) : nullptr;
    if (range != nullptr) {
        answer.ok = true;
        answer.count = range->count;
    }
}

bool all_there(const Options& options, client::Core& core, client::SocketNetwork& network, client::SystemClock& clock) {
    const std::string end = ringfort::prefix_end(options.prefix);
    api::RangeRequest range;
    // An empty key names no range: with an empty prefix every key from the smallest on.
    range.key = options.prefix.empty() ? std::string_view("\0", 1) : std::string_view(options.prefix);
    range.range_end = end;
    range.count_only = true;
    api::Request request;
    request.op = range;
    CountAnswer answer;
    core.submit(request, &on_count, &answer);
    run_until(core, network, clock, ringfort::never, [&answer] { return answer.answered; });
    return answer.ok && answer.count >= static_cast<std::int64_t>(options.keys);
}

}  // namespace

std::string prefill(const Options& options, const volatile std::sig_atomic_t& interrupted) {
    const bool wanted = options.reads() || options.keeps_leases();
    if (options.prefill == Prefill::never || (options.prefill == Prefill::automatic && !wanted)) {
        return {};
    }
    Options fill = options;
    fill.op = options.keeps_leases() ? "lease-grant" : "put";
    fill.requests = options.keys;
    fill.seconds = 0;
    fill.warmup_seconds = 0;
    fill.rate = 0;
    fill.distribution = Distribution::sequential;
    fill.concurrent = 256;
    client::SystemClock clock;
    client::SocketNetwork network;
    client::Core core(network, clock, options.seed, core_options(fill));
    if (options.prefill == Prefill::automatic && !options.keeps_leases() && all_there(options, core, network, clock)) {
        return {};
    }
    std::fprintf(stderr, options.keeps_leases() ? "taking %llu leases first\n" : "writing %llu keys first\n",
                 static_cast<unsigned long long>(options.keys));
    HistoryWriter none;
    Load load(fill, core, clock, none);
    load.begin();
    // One failure is enough to know: of a cluster that is not there each request waits for its deadline.
    while (!load.finished() && interrupted == 0) {
        load.turn(network, clock.now() + std::chrono::milliseconds(200));
        if (load.timeline().failed_count() > 0) {
            load.stop();
        }
    }
    load.end();
    if (interrupted != 0) {
        return "interrupted while the keys were written";
    }
    if (load.timeline().failed_count() > 0) {
        return "the keys could not be written: " + load.first_failure();
    }
    return {};
}

}  // namespace ringload
