// The result of a run as a table, as JSON, and as a page with plots.
#pragma once

#include <cstdint>
#include <string>

#include "cluster.h"
#include "options.h"
#include "timeline.h"

namespace ringload {

struct Report {
    const Options* options{nullptr};
    const Timeline* timeline{nullptr};
    ringfort::client::CoreCounters client;
    ServerWork servers;
    std::uint64_t unanswered{0};         // still under way when the run ended
    std::uint64_t backlog{0};            // open loop: due and never started
    std::uint64_t answered_in_all{0};    // of which the counters tell: those of the warm-up too
    double client_cpu_us{0};             // of this process, during the run and its warm-up
    std::string first_failure;
    // Of loads that mix them, else null.
    const Histogram* reads{nullptr};
    const Histogram* writes{nullptr};
    bool interrupted{false};
};

// 1234567 -> "1,234,567"
std::string with_commas(std::uint64_t number);
std::string latency_text(std::int64_t ns);
// Three digits behind the point are enough for whoever reads JSON.
double rounded(double value);

std::string as_table(const Report& report);
std::string as_json(const Report& report);
// A whole page: no scripts, nothing from elsewhere.
std::string as_html(const Report& report);
// To standard output, whole. False: it could not be, and standard error has heard so.
bool print_result(const std::string& text);
// "12,345 /s  p50 0.80 ms  p99 2.10 ms ..." of the second that ended.
std::string live_line(double second, const Interval& interval, double interval_seconds, std::size_t under_way);

}  // namespace ringload
