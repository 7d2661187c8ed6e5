// What a run measured: latencies in all and over time, acknowledgements and their gaps, failures.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "api/errc.h"
#include "base/instant.h"
#include "histogram.h"

namespace ringload {

using ringfort::Duration;
using ringfort::Instant;

// A piece of the run. Latencies in nanoseconds.
struct Interval {
    std::uint64_t acknowledged{0};
    std::uint64_t failed{0};
    std::int64_t p50_ns{0};
    std::int64_t p99_ns{0};
    std::int64_t max_ns{0};
};

// A time without any acknowledgement; `at` counts from the begin of the run.
struct Gap {
    Duration at{0};
    Duration length{0};
};

class Timeline {
  public:
    explicit Timeline(Duration interval = std::chrono::milliseconds(100));

    // Begins anew here: what was recorded before is forgotten.
    void begin(Instant now);
    void acknowledged(Instant now, std::int64_t latency_ns);
    void failed(Instant now, ringfort::api::Errc code);
    // The run is over: closes the last interval and the last gap. Then the results below hold.
    void end(Instant now);

    const Histogram& latencies() const { return total_; }
    std::uint64_t acknowledged_count() const { return total_.count() + current_.count(); }
    std::uint64_t failed_count() const { return failed_count_; }
    std::uint64_t failed_of_class(ringfort::api::ErrorClass error_class) const;
    // "no_leader: 12, timed_out: 3"; empty if nothing failed.
    std::string failures() const;
    Duration elapsed() const { return end_ - begin_; }
    Instant began() const { return begin_; }
    // The longest time in which nothing was acknowledged, and when it began, counted from begin().
    Duration longest_gap() const { return longest_gap_.length; }
    Duration longest_gap_at() const { return longest_gap_.at; }
    // In the order of time: those of gap_min or more, the first gaps_max of them.
    const std::vector<Gap>& gaps() const { return gaps_; }
    double per_second() const;

    const std::vector<Interval>& intervals() const { return intervals_; }
    Duration interval() const { return interval_; }
    // What happened since the last call, for the live line.
    Interval take_live();

    // More pieces are joined in pairs, and each then covers twice the time.
    static constexpr std::size_t intervals_max = 1200;
    static constexpr Duration gap_min = std::chrono::milliseconds(20);
    static constexpr std::size_t gaps_max = 1000;

  private:
    void advance(Instant now);
    void close_interval();
    void note_gap(Instant now);

    static constexpr std::size_t codes_max = 64;   // error numbers; larger ones count as the last

    Duration interval_;
    Instant begin_{};
    Instant end_{};
    Instant interval_end_{};
    Instant last_acknowledged_{};
    Gap longest_gap_;
    std::vector<Gap> gaps_;
    Histogram total_;
    Histogram current_;             // of the open interval
    Histogram live_;                // since the last take_live(), which knows nothing of intervals
    std::uint64_t current_failed_{0};
    std::uint64_t live_failed_{0};
    std::uint64_t failed_count_{0};
    std::array<std::uint64_t, codes_max> failed_by_code_{};
    std::vector<Interval> intervals_;
};

}  // namespace ringload
