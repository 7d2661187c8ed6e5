// What is said of a run while it goes on and when it is over.
#include "timeline.h"

#include <gtest/gtest.h>

namespace ringload {
namespace {

using namespace std::chrono_literals;

Instant at(Duration time) {
    return Instant{7'000'000'000} + time;
}

TEST(Timeline, tells_each_answer_in_one_live_line_whatever_interval_is_open_then) {
    Timeline timeline(100ms);
    timeline.begin(at(0ms));
    std::uint64_t told = 0;
    std::uint64_t told_failed = 0;
    // Lines in the middle of intervals: what is open then has been told already when it closes.
    for (int ms = 1; ms <= 1000; ms++) {
        timeline.acknowledged(at(std::chrono::milliseconds(ms)), ms);
        if (ms % 10 == 0) {
            timeline.failed(at(std::chrono::milliseconds(ms)), ringfort::api::Errc::timed_out);
        }
        if (ms % 250 == 0) {
            const Interval live = timeline.take_live();
            EXPECT_EQ(live.acknowledged, 250U) << ms;
            EXPECT_EQ(live.failed, 25U) << ms;
            EXPECT_EQ(live.max_ns, ms);
            told += live.acknowledged;
            told_failed += live.failed;
        }
    }
    timeline.end(at(1000ms));
    EXPECT_EQ(told, timeline.acknowledged_count());
    EXPECT_EQ(told_failed, timeline.failed_count());
    EXPECT_EQ(timeline.take_live().acknowledged, 0U);
}

TEST(Timeline, longest_gap_is_the_longest_time_without_an_acknowledgement_at_either_end_too) {
    for (const auto& [times, length, begin] :
         {std::tuple(std::vector<Duration>{300ms, 350ms, 400ms}, Duration(300ms), Duration(0ms)),
          std::tuple(std::vector<Duration>{100ms, 350ms, 400ms}, Duration(250ms), Duration(100ms)),
          std::tuple(std::vector<Duration>{100ms, 150ms, 200ms}, Duration(300ms), Duration(200ms)),
          std::tuple(std::vector<Duration>{}, Duration(500ms), Duration(0ms))}) {
        Timeline timeline;
        timeline.begin(at(0ms));
        for (const Duration time : times) {
            timeline.failed(at(time - 1ms), ringfort::api::Errc::no_leader);   // ends no gap
            timeline.acknowledged(at(time), 1);
        }
        timeline.end(at(500ms));
        EXPECT_EQ(timeline.longest_gap(), length);
        EXPECT_EQ(timeline.longest_gap_at(), begin);
    }
}

TEST(Timeline, joined_intervals_keep_every_answer_and_the_worst_latency) {
    Timeline timeline(1ms);
    timeline.begin(at(0ms));
    constexpr std::size_t count = 3 * Timeline::intervals_max;
    for (std::size_t ms = 0; ms < count; ms++) {
        timeline.acknowledged(at(std::chrono::milliseconds(ms)), ms == 17 ? 1'000'000 : 5);
    }
    timeline.end(at(std::chrono::milliseconds(count)));
    EXPECT_LT(timeline.intervals().size(), Timeline::intervals_max);
    std::uint64_t sum = 0;
    std::int64_t worst = 0;
    for (const Interval& interval : timeline.intervals()) {
        sum += interval.acknowledged;
        worst = std::max(worst, interval.max_ns);
    }
    EXPECT_EQ(sum, count);
    EXPECT_EQ(worst, 1'000'000);
    EXPECT_GE(timeline.interval() * static_cast<std::int64_t>(timeline.intervals().size()),
              std::chrono::milliseconds(count));
}

}  // namespace
}  // namespace ringload
