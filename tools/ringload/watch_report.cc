#include "watch_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report.h"

namespace ringload {

namespace {

double per(double sum, std::uint64_t count) {
    return count > 0 ? sum / static_cast<double>(count) : 0;
}

// CPU in all and, where there are events, of each.
std::string cpu_text(double cpu_us, double seconds, std::uint64_t events) {
    const std::string text = fmt::format("{:.1f} ms of CPU a second", cpu_us / 1e3 / std::max(seconds, 1e-3));
    return events > 0 ? text + fmt::format(", {:.2f} us of it per event", per(cpu_us, events)) : text;
}

// What each watch took, whatever it was for: its connection's share, too.
double watch_bytes(const WatchReport& report) {
    return per(static_cast<double>(report.creation.sum.resident_bytes), report.watches->open_count());
}

double events_per_cpu_second(const WatchReport& report) {
    const double cpu_us = static_cast<double>(report.servers.sum.cpu_us);
    return cpu_us > 0 ? static_cast<double>(report.received) * 1e6 / cpu_us : 0;
}

double events_per_second(const WatchReport& report) {
    return rounded(static_cast<double>(report.received) / std::max(report.seconds, 1e-3));
}

std::string four(const Histogram& latencies) {
    return fmt::format("{} / {} / {} / {}", latency_text(latencies.percentile(0.5)),
                       latency_text(latencies.percentile(0.99)), latency_text(latencies.percentile(0.999)),
                       latency_text(latencies.max()));
}

std::string load_text(const Options& options) {
    return options.idle          ? std::string("idle")
           : options.open_loop() ? fmt::format("open loop at {} puts/s", options.rate)
                                 : fmt::format("{} puts in flight", options.in_flight);
}

std::string servers_text(const WatchReport& report) {
    const ServerWork& servers = report.servers;
    if (servers.nodes == 0) {
        return "no node told its counters before and after";
    }
    std::string text = cpu_text(static_cast<double>(servers.sum.cpu_us), report.seconds, report.received);
    if (report.received > 0) {
        const auto for_a_second = static_cast<std::uint64_t>(events_per_cpu_second(report));
        text += fmt::format(": {} for a second of it", with_commas(for_a_second));
    }
    if (servers.nodes < servers.nodes_asked) {
        text += fmt::format(" ({} of {} nodes: the others restarted or are gone)", servers.nodes, servers.nodes_asked);
    }
    return text;
}

}  // namespace

std::uint64_t WatchReport::missing() const {
    const std::uint64_t expected = watches->expected_count();
    return watches->ended_count() > 0 || expected < watches->received_count() ? 0 : expected - watches->received_count();
}

std::string live_line(const Interval& events, const Interval& puts, std::size_t watches) {
    return fmt::format("{:>11} events/s  p50 {:>10}  p99 {:>10}  max {:>10}  {:>9} puts/s  {} watches",
                       with_commas(events.acknowledged), latency_text(events.p50_ns), latency_text(events.p99_ns),
                       latency_text(events.max_ns), with_commas(puts.acknowledged), with_commas(watches));
}

std::string as_table(const WatchReport& report) {
    const Options& options = *report.options;
    const WatchLoad& watches = *report.watches;
    std::string text = fmt::format("{}, {} connections of {} watches, {} keys of {} B, values of {} B, {}\n", options.op,
                                   options.connections, options.watches_per_connection, with_commas(options.keys),
                                   options.key_bytes, options.value_bytes, load_text(options));
    const auto row = [&text](std::string_view name, const std::string& value) {
        text += fmt::format("  {:<22}{}\n", name, value);
    };
    const std::string last_end = watches.last_end().empty() ? "" : ": " + watches.last_end();
    row("watches", fmt::format("{} open, made in {:.2f} s and {:.1f} us of CPU of the nodes each, {} resumed, {} ended{}",
                               with_commas(watches.open_count()), report.created_seconds,
                               per(static_cast<double>(report.creation.sum.cpu_us), watches.open_count()),
                               watches.resumed_count(), watches.ended_count(), last_end));
    row("memory of a watch", fmt::format("{:.0f} B: {} nodes grew by {:.1f} MB, connections included",
                                         watch_bytes(report), report.creation.nodes,
                                         static_cast<double>(report.creation.sum.resident_bytes) / 1e6));
    if (report.puts != nullptr) {
        const Timeline& puts = report.puts->timeline();
        const Timeline& events = watches.events();
        row("puts", fmt::format("{} in {:.2f} s{}, {} /s, p50 / p99 {} / {}", with_commas(puts.acknowledged_count()),
                                std::chrono::duration<double>(puts.elapsed()).count(),
                                report.interrupted ? " (interrupted)" : "",
                                with_commas(static_cast<std::uint64_t>(puts.per_second())),
                                latency_text(puts.latencies().percentile(0.5)),
                                latency_text(puts.latencies().percentile(0.99))));
        row("failed", puts.failed_count() == 0
                          ? "0"
                          : fmt::format("{}: {}", with_commas(puts.failed_count()), report.puts->first_failure()));
        row("events", fmt::format("{}, {} /s, {} missing", with_commas(report.received),
                                  with_commas(static_cast<std::uint64_t>(events_per_second(report))),
                                  with_commas(report.missing())));
        row("since acknowledged", "p50 / p99 / p99.9 / max " + four(events.latencies()));
        row("since due", "p50 / p99 / p99.9 / max " + four(watches.since_due()));
    }
    row("client", fmt::format("{}, {} retries, {} connects, {} connections lost",
                              cpu_text(report.client_cpu_us, report.seconds, report.received),
                              with_commas(report.client.retries),
                              with_commas(report.client.connects), with_commas(report.client.connections_lost)));
    row("servers", servers_text(report));
    return text;
}

std::string as_json(const WatchReport& report) {
    const Options& options = *report.options;
    const WatchLoad& watches = *report.watches;
    const auto us = [](std::int64_t ns) { return rounded(static_cast<double>(ns) / 1e3); };
    const auto percentiles = [us](const Histogram& of) {
        return nlohmann::ordered_json{{"count", of.count()},
                                      {"p50_us", us(of.percentile(0.5))},
                                      {"p99_us", us(of.percentile(0.99))},
                                      {"p999_us", us(of.percentile(0.999))},
                                      {"max_us", us(of.max())}};
    };
    nlohmann::ordered_json json;
    json["op"] = options.op;
    // By the names that every load has; here a request is an event that was due, timed from its put's acknowledgement.
    const Timeline& told = watches.events();
    json["requests"] = report.received + report.missing();
    json["failed"] = report.missing();
    json["per_second"] = events_per_second(report);
    json["p50_us"] = us(told.latencies().percentile(0.5));
    json["p99_us"] = us(told.latencies().percentile(0.99));
    json["p999_us"] = us(told.latencies().percentile(0.999));
    json["max_us"] = us(told.latencies().max());
    json["longest_gap_ms"] = rounded(static_cast<double>(told.longest_gap().count()) / 1e6);
    json["watches"] = watches.open_count();
    json["resumed"] = watches.resumed_count();
    json["ended"] = watches.ended_count();
    json["last_end"] = watches.last_end();
    json["created_seconds"] = rounded(report.created_seconds);
    json["created_cpu_us"] =
        rounded(per(static_cast<double>(report.creation.sum.cpu_us), watches.open_count()));
    json["watch_bytes"] = rounded(watch_bytes(report));
    json["nodes_grew_bytes"] = report.creation.sum.resident_bytes;
    json["seconds"] = rounded(report.seconds);
    json["events"] = report.received;
    json["missing"] = report.missing();
    json["events_per_second"] = events_per_second(report);
    if (report.puts != nullptr) {
        const Timeline& puts = report.puts->timeline();
        json["puts"] = percentiles(puts.latencies());
        json["puts_per_second"] = rounded(puts.per_second());
        json["puts_failed"] = puts.failed_count();
        json["since_acknowledged"] = percentiles(watches.events().latencies());
        json["since_due"] = percentiles(watches.since_due());
    }
    json["connections"] = options.connections;
    json["watches_per_connection"] = options.watches_per_connection;
    json["rate"] = options.rate;
    json["keys"] = options.keys;
    json["key_bytes"] = options.key_bytes;
    json["value_bytes"] = options.value_bytes;
    json["retries"] = report.client.retries;
    json["connections_lost"] = report.client.connections_lost;
    const double server_cpu_us = static_cast<double>(report.servers.sum.cpu_us);
    json["client_cpu_seconds"] = rounded(report.client_cpu_us / 1e6);
    json["client_cpu_us"] = rounded(per(report.client_cpu_us, report.received));
    json["nodes_counted"] = report.servers.nodes;
    json["server_cpu_seconds"] = rounded(server_cpu_us / 1e6);
    json["server_cpu_us"] = rounded(per(server_cpu_us, report.received));
    json["events_per_cpu_second"] = rounded(events_per_cpu_second(report));
    json["interrupted"] = report.interrupted;
    return json.dump(2) + "\n";
}

}  // namespace ringload
