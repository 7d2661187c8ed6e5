#include <csignal>
#include <cstdio>
#include <string>

#include <unistd.h>

#include "cluster.h"
#include "history.h"
#include "load.h"
#include "options.h"
#include "report.h"
#include "uring/standard_files.h"
#include "verify.h"
#include "watch_run.h"

namespace {

using namespace ringload;
using ringfort::Instant;

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) {
    interrupted = 1;
}

// Until the load is over, or, once it takes nothing new, until what is under way cannot be answered any more.
void run(Load& load, ringfort::client::SocketNetwork& network, ringfort::client::SystemClock& clock, bool live,
         std::chrono::milliseconds timeout) {
    constexpr std::chrono::seconds live_interval{1};
    Instant live_at = clock.now() + live_interval;
    const Instant begin = clock.now();
    Instant give_up = ringfort::never;
    while (!load.finished()) {
        load.turn(network, std::min(live_at, clock.now() + std::chrono::milliseconds(200)));
        const Instant now = clock.now();
        if (interrupted != 0) {
            load.stop();
        }
        if (load.stopped() && give_up == ringfort::never) {
            give_up = now + timeout + std::chrono::seconds(1);
        }
        if (now >= give_up) {
            return;
        }
        if (now >= live_at) {
            const double second = std::chrono::duration<double>(now - begin).count();
            const Interval interval = load.timeline().take_live();
            if (live) {
                std::fprintf(stderr, "%s%s\n", live_line(second, interval, 1.0, load.under_way()).c_str(),
                             load.measuring() ? "" : "  (warm-up)");
            }
            live_at = live_at + live_interval;
        }
    }
}

bool write_file(const std::string& path, const std::string& text) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr) {
        return false;
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    return std::fclose(file) == 0 && written;
}

int load_and_report(const Options& options) {
    HistoryWriter history;
    if (!options.history.empty() && !history.open(options)) {
        std::perror(("ringload: " + options.history).c_str());
        return 1;
    }
    const std::string problem = prefill(options, interrupted);
    if (!problem.empty()) {
        std::fprintf(stderr, "ringload: %s\n", problem.c_str());
        return 1;
    }
    ringfort::client::SystemClock clock;
    ringfort::client::SocketNetwork network({.spin = std::chrono::microseconds(options.poll_us)});
    ringfort::client::Core core(network, clock, options.seed, core_options(options));
    Load load(options, core, clock, history);

    const std::vector<NodeCounters> before = ask_nodes(options);
    const double cpu_before = own_cpu_us();
    load.begin();
    run(load, network, clock, options.live, std::chrono::milliseconds(options.timeout_ms));
    load.end();

    Report report;
    report.options = &options;
    report.timeline = &load.timeline();
    report.client = core.counters();
    report.client_cpu_us = own_cpu_us() - cpu_before;
    report.answered_in_all = load.answered_count();
    report.unanswered = load.under_way();
    report.backlog = load.backlog();
    report.first_failure = load.first_failure();
    if (options.mixes()) {
        report.reads = &load.read_latencies();
        report.writes = &load.write_latencies();
    }
    report.interrupted = interrupted != 0;
    report.servers = work_between(before, ask_nodes(options));

    const bool printed = print_result(options.json ? as_json(report) : as_table(report));
    if (!options.html.empty() && !write_file(options.html, as_html(report))) {
        std::perror(("ringload: " + options.html).c_str());
        return 1;
    }
    if (history.is_open() && !history.finish()) {
        std::fprintf(stderr, "ringload: %s could not be written whole\n", options.history.c_str());
        return 1;
    }
    return printed && load.timeline().acknowledged_count() > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (!ringfort::uring::hold_standard_files()) {
        std::fputs("ringload: standard output is closed: nobody would see the result\n", stderr);
        return 1;
    }
    std::signal(SIGPIPE, SIG_IGN);
    Options options = read_options(argc, argv);
    const auto started_ns = static_cast<std::uint64_t>(ringfort::client::SystemClock().wall().ns);
    options.started_us = started_ns / 1000;
    if (options.seed == 0) {
        options.seed = started_ns ^ static_cast<std::uint64_t>(getpid());
    }
    if (options.verify) {
        return verify(options);
    }
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    return options.watches() ? watch_and_report(options, interrupted) : load_and_report(options);
}
