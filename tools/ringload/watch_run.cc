#include "watch_run.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <sys/resource.h>

#include "cluster.h"
#include "history.h"
#include "report.h"
#include "watch_load.h"
#include "watch_report.h"

namespace ringload {

namespace client = ringfort::client;

double own_cpu_us() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

namespace {

constexpr Duration look_interval = std::chrono::milliseconds(200);
constexpr Duration live_interval = std::chrono::seconds(1);

double seconds_between(Instant from, Instant to) {
    return std::chrono::duration<double>(to - from).count();
}

// The puts have connections of their own, one to each node, so that none waits behind events.
Options options_of_puts(const Options& options) {
    Options puts = options;
    puts.op = "put";
    puts.connections = options.endpoints.size();
    puts.concurrent = options.concurrent > 0 || options.open_loop() ? options.concurrent : options.in_flight;
    return puts;
}

struct Puts {
    Puts(const Options& all, client::SocketNetwork& network, client::SystemClock& clock, WriteObserver& observer)
        : options(options_of_puts(all)),
          core(network, clock, all.seed + 1, core_options(options)),
          load(options, core, clock, none) {
        load.observe(observer);
    }

    const Options options;
    HistoryWriter none;
    client::Core core;
    Load load;
};

class Run {
  public:
    Run(const Options& options, const volatile std::sig_atomic_t& interrupted)
        : options_(options),
          interrupted_(interrupted),
          network_({.spin = std::chrono::microseconds(options.poll_us)}),
          core_(network_, clock_, options.seed, core_options(options)),
          watches_(options, core_, clock_) {
        report_.options = &options;
        report_.watches = &watches_;
    }

    // False: not all watches could be made; standard error knows why.
    bool create();
    void hold();
    int report();

  private:
    void turn();
    void measure(Instant now);
    bool over(Instant now) const;
    void show(double second, const std::string& line) const;

    const Options& options_;
    const volatile std::sig_atomic_t& interrupted_;
    client::SystemClock clock_;
    client::SocketNetwork network_;
    client::Core core_;
    WatchLoad watches_;
    std::unique_ptr<Puts> puts_;
    bool measured_{false};
    Instant hold_until_{ringfort::never};   // of idle ones
    WatchReport report_;
};

// Both cores share the network, and each one's turn may bring frames for the other: what the watches' core has to send
// then (credit, of which half is left) goes with its next turn.
void Run::turn() {
    const Instant next = std::min(core_.turn(), clock_.now() + look_interval);
    watches_.step();
    if (puts_ != nullptr) {
        puts_->load.turn(network_, next);
    } else if (watches_.settled()) {
        network_.wait(next);
    } else {
        network_.wait(std::min(next, clock_.now() + std::chrono::milliseconds(1)));
    }
}

void Run::show(double second, const std::string& line) const {
    if (options_.live) {
        std::fprintf(stderr, "%6.1f s  %s\n", second, line.c_str());
    }
}

bool Run::create() {
    const std::vector<NodeCounters> before = ask_nodes(options_);
    const Instant begin = clock_.now();
    const Duration patience = 2 * std::chrono::milliseconds(options_.timeout_ms);
    Instant live_at = begin + live_interval;
    Instant progress_at = begin;
    std::size_t open = 0;
    watches_.step();
    while (!watches_.settled() && interrupted_ == 0) {
        turn();
        const Instant now = clock_.now();
        if (watches_.open_count() > open) {
            open = watches_.open_count();
            progress_at = now;
        } else if (now - progress_at > patience) {
            break;
        }
        if (now >= live_at) {
            show(seconds_between(begin, now), with_commas(open) + " of " + with_commas(watches_.count()) + " watches");
            live_at = live_at + live_interval;
        }
    }
    report_.created_seconds = seconds_between(begin, clock_.now());
    report_.creation = work_between(before, ask_nodes(options_));
    if (watches_.open_count() == watches_.count()) {
        return true;
    }
    std::fprintf(stderr, "ringload: %s of %s watches could be made%s\n", with_commas(watches_.open_count()).c_str(),
                 with_commas(watches_.count()).c_str(),
                 interrupted_ != 0             ? " before the interruption"
                 : watches_.last_end().empty() ? ""
                                               : (": " + watches_.last_end()).c_str());
    return false;
}

// The warm-up ends.
void Run::measure(Instant now) {
    if (!measured_ && (puts_ == nullptr || puts_->load.measuring())) {
        measured_ = true;
        watches_.begin();
        if (options_.idle) {
            hold_until_ = now + Duration(static_cast<std::int64_t>(options_.seconds * 1e9));
        }
    }
}

// Everything asked for is answered, and everything answered is told, or nothing has been for as long as a request may take.
bool Run::over(Instant now) const {
    if (puts_ == nullptr) {
        return interrupted_ != 0 || now >= hold_until_;
    }
    const bool told = watches_.received_count() >= watches_.expected_count() || watches_.ended_count() > 0;
    const bool silent = now - watches_.last_event_at() > std::chrono::milliseconds(options_.timeout_ms);
    return puts_->load.finished() && (told || silent);
}

void Run::hold() {
    const std::vector<NodeCounters> before = ask_nodes(options_);
    const double cpu_before = own_cpu_us();
    const Instant begin = clock_.now();
    if (!options_.idle) {
        puts_ = std::make_unique<Puts>(options_, network_, clock_, watches_);
        puts_->load.begin();
    }
    Instant live_at = begin + live_interval;
    for (Instant now = begin; !over(now); now = clock_.now()) {
        measure(now);
        turn();
        if (interrupted_ != 0 && puts_ != nullptr) {
            puts_->load.stop();
        }
        if (now >= live_at) {
            const Interval events = watches_.events().take_live();
            const Interval puts = puts_ != nullptr ? puts_->load.timeline().take_live() : Interval{};
            show(seconds_between(begin, now), live_line(events, puts, watches_.open_count()));
            live_at = live_at + live_interval;
        }
    }
    watches_.end();
    report_.seconds = seconds_between(begin, clock_.now());
    report_.received = watches_.received_count();
    report_.client_cpu_us = own_cpu_us() - cpu_before;
    report_.servers = work_between(before, ask_nodes(options_));
}

int Run::report() {
    if (puts_ != nullptr) {
        puts_->load.end();
        report_.puts = &puts_->load;
    }
    report_.client = core_.counters();
    report_.interrupted = interrupted_ != 0;
    const bool printed = print_result(options_.json ? as_json(report_) : as_table(report_));
    const bool worked = watches_.open_count() > 0 &&
                        (puts_ == nullptr || puts_->load.timeline().acknowledged_count() > 0);
    // Where a watch has ended nobody knows what is missing.
    return printed && worked && report_.missing() == 0 && watches_.ended_count() == 0 ? 0 : 1;
}

}  // namespace

int watch_and_report(const Options& options, const volatile std::sig_atomic_t& interrupted) {
    Run run(options, interrupted);
    if (!run.create()) {
        return 1;
    }
    run.hold();
    return run.report();
}

}  // namespace ringload
