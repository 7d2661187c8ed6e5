#include "report.h"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ringload {

using ringfort::api::ErrorClass;

namespace {

double to_ms(std::int64_t ns) {
    return static_cast<double>(ns) / 1e6;
}
double to_us(std::int64_t ns) {
    return static_cast<double>(ns) / 1e3;
}
double to_seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

std::uint64_t answered(const Timeline& timeline) {
    return timeline.acknowledged_count() + timeline.failed_count();
}

// What the counters are divided by: they know no end of the warm-up.
double counted_requests(const Report& report) {
    return static_cast<double>(std::max<std::uint64_t>(1, report.answered_in_all));
}

std::string servers_text(const ServerWork& servers, double requests) {
    if (servers.nodes == 0) {
        return "no node told its counters before and after";
    }
    const NodeCounters& sum = servers.sum;
    const double per_entry_byte = sum.log_entry_bytes == 0 ? 0
                                                           : static_cast<double>(sum.log_bytes_written) /
                                                                 static_cast<double>(sum.log_entry_bytes);
    return fmt::format("{} flushes, {:.1f} MB written ({:.2f} per byte of entries), {:.1f} us of CPU per request{}",
                       with_commas(sum.log_flushes), static_cast<double>(sum.log_bytes_written) / 1e6, per_entry_byte,
                       static_cast<double>(sum.cpu_us) / requests,
                       servers.nodes == servers.nodes_asked
                           ? ""
                           : fmt::format(" ({} of {} nodes: the others restarted or are gone)", servers.nodes,
                                         servers.nodes_asked));
}

}  // namespace

std::string with_commas(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string latency_text(std::int64_t ns) {
    return ns < 10'000'000 ? fmt::format("{:.3f} ms", to_ms(ns)) : fmt::format("{:.1f} ms", to_ms(ns));
}

double rounded(double value) {
    return std::round(value * 1000) / 1000;
}

std::string live_line(double second, const Interval& interval, double interval_seconds, std::size_t under_way) {
    const double per_second = static_cast<double>(interval.acknowledged) / interval_seconds;
    std::string line = fmt::format("{:6.1f} s  {:>10} /s  p50 {:>10}  p99 {:>10}  max {:>10}  in flight {}", second,
                                   with_commas(static_cast<std::uint64_t>(per_second)), latency_text(interval.p50_ns),
                                   latency_text(interval.p99_ns), latency_text(interval.max_ns), under_way);
    if (interval.failed > 0) {
        line += fmt::format("  failed {}", with_commas(interval.failed));
    }
    return line;
}

bool print_result(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
        return true;
    }
    std::perror("ringload: standard output cannot be written");
    return false;
}

std::string as_table(const Report& report) {
    const Options& options = *report.options;
    const Timeline& timeline = *report.timeline;
    const Histogram& latencies = timeline.latencies();
    std::string text;
    const auto row = [&text](std::string_view name, const std::string& value) {
        text += fmt::format("  {:<22}{}\n", name, value);
    };
    text += fmt::format("{}, {} connections{}, {} keys of {} B, values of {} B, {}\n", options.op, options.connections,
                        options.open_loop() ? fmt::format(", open loop at {} /s", options.rate)
                                            : fmt::format(", {} in flight", options.slots()),
                        with_commas(options.keys), options.key_bytes, options.value_bytes,
                        options.to_leader ? "to the leader" : "over all endpoints");
    row("requests", fmt::format("{} in {:.2f} s{}", with_commas(answered(timeline)), to_seconds(timeline.elapsed()),
                                report.interrupted ? " (interrupted)" : ""));
    row("throughput", fmt::format("{} /s", with_commas(static_cast<std::uint64_t>(timeline.per_second()))));
    row("p50 / p99 / p99.9", fmt::format("{} / {} / {}", latency_text(latencies.percentile(0.5)),
                                         latency_text(latencies.percentile(0.99)),
                                         latency_text(latencies.percentile(0.999))));
    row("max", latency_text(latencies.max()));
    const auto part_row = [&](std::string_view name, const Histogram* part) {
        if (part != nullptr) {
            row(name, fmt::format("{}, p50 / p99 / p99.9 {} / {} / {}", with_commas(part->count()),
                                  latency_text(part->percentile(0.5)), latency_text(part->percentile(0.99)),
                                  latency_text(part->percentile(0.999))));
        }
    };
    part_row("reads", report.reads);
    part_row("writes", report.writes);
    row("longest gap", fmt::format("{:.1f} ms without an acknowledgement, {:.2f} s into the run",
                                   to_ms(timeline.longest_gap().count()), to_seconds(timeline.longest_gap_at())));
    row("failed", timeline.failed_count() == 0
                      ? "0"
                      : fmt::format("{}: {} definite, {} indefinite, {} redirect ({})",
                                    with_commas(timeline.failed_count()), timeline.failed_of_class(ErrorClass::definite),
                                    timeline.failed_of_class(ErrorClass::indefinite),
                                    timeline.failed_of_class(ErrorClass::redirect), timeline.failures()));
    if (!report.first_failure.empty()) {
        row("first failure", report.first_failure);
    }
    if (report.unanswered > 0) {
        row("unanswered", with_commas(report.unanswered));
    }
    if (report.backlog > 0) {
        row("due, never started", with_commas(report.backlog));
    }
    row("client", fmt::format("{} retries, {} connects, {} connections lost, {:.2f} us of CPU per request",
                              with_commas(report.client.retries), with_commas(report.client.connects),
                              with_commas(report.client.connections_lost),
                              report.client_cpu_us / counted_requests(report)));
    row("servers", servers_text(report.servers, counted_requests(report)));
    return text;
}

std::string as_json(const Report& report) {
    const Options& options = *report.options;
    const Timeline& timeline = *report.timeline;
    const Histogram& latencies = timeline.latencies();
    const double requests = counted_requests(report);
    nlohmann::ordered_json json;
    json["op"] = options.op;
    json["requests"] = answered(timeline);
    json["failed"] = timeline.failed_count();
    json["per_second"] = rounded(timeline.per_second());
    json["p50_us"] = rounded(to_us(latencies.percentile(0.5)));
    json["p99_us"] = rounded(to_us(latencies.percentile(0.99)));
    json["p999_us"] = rounded(to_us(latencies.percentile(0.999)));
    json["max_us"] = rounded(to_us(latencies.max()));
    json["mean_us"] = rounded(latencies.mean() / 1e3);
    const auto part = [&json](const char* name, const Histogram* of) {
        if (of != nullptr) {
            json[name] = {{"count", of->count()},
                          {"p50_us", rounded(to_us(of->percentile(0.5)))},
                          {"p99_us", rounded(to_us(of->percentile(0.99)))},
                          {"p999_us", rounded(to_us(of->percentile(0.999)))}};
        }
    };
    part("reads", report.reads);
    part("writes", report.writes);
    json["longest_gap_ms"] = rounded(to_ms(timeline.longest_gap().count()));
    json["longest_gap_at_s"] = rounded(to_seconds(timeline.longest_gap_at()));
    json["gaps_ms"] = nlohmann::ordered_json::array();   // [begin, length], both in milliseconds
    for (const Gap& gap : timeline.gaps()) {
        json["gaps_ms"].push_back({rounded(to_ms(gap.at.count())), rounded(to_ms(gap.length.count()))});
    }
    json["began_monotonic_s"] = rounded(static_cast<double>(timeline.began().ns) / 1e9);
    json["seconds"] = rounded(to_seconds(timeline.elapsed()));
    json["failed_definite"] = timeline.failed_of_class(ErrorClass::definite);
    json["failed_indefinite"] = timeline.failed_of_class(ErrorClass::indefinite);
    json["failed_redirect"] = timeline.failed_of_class(ErrorClass::redirect);
    json["failures"] = timeline.failures();
    json["unanswered"] = report.unanswered;
    json["backlog"] = report.backlog;
    json["connections"] = options.connections;
    json["in_flight"] = options.slots();
    json["rate"] = options.rate;
    json["keys"] = options.keys;
    json["key_bytes"] = options.key_bytes;
    json["value_bytes"] = options.value_bytes;
    json["target"] = options.to_leader ? "leader" : "all";
    json["retries"] = report.client.retries;
    json["connects"] = report.client.connects;
    json["connections_lost"] = report.client.connections_lost;
    json["client_cpu_us"] = rounded(report.client_cpu_us / requests);
    json["nodes_counted"] = report.servers.nodes;
    json["log_flushes"] = report.servers.sum.log_flushes;
    json["log_bytes_written"] = report.servers.sum.log_bytes_written;
    json["log_entry_bytes"] = report.servers.sum.log_entry_bytes;
    json["server_cpu_us"] = rounded(static_cast<double>(report.servers.sum.cpu_us) / requests);
    json["interrupted"] = report.interrupted;
    return json.dump(2) + "\n";
}

}  // namespace ringload
