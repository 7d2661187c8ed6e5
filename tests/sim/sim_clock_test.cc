#include "sim/sim_clock.h"

#include <gtest/gtest.h>

namespace ringfort::sim {

TEST(SimClock, true_time_is_the_first_moment_that_reads_so) {
    for (const std::int64_t drift : {-200'000, -300, -1, 0, 1, 77, 100'000}) {
        EventQueue queue;
        queue.run_until(Instant{12345});
        SimClock clock(queue, {.start = 3s, .drift_ppm = drift});
        for (const std::int64_t ahead : {0, 1, 999, 1'000'000, 1'234'567'891}) {
            const Instant wanted = clock.now() + Duration(ahead);
            const Instant at = clock.true_time(wanted);
            EventQueue& same = queue;
            ASSERT_GE(at, same.now());
            same.run_until(at);
            EXPECT_GE(clock.now(), wanted);
            EXPECT_LT(clock.now() - wanted, Duration(3));
        }
    }
}

TEST(SimClock, a_change_of_rate_never_moves_the_reading_back) {
    EventQueue queue;
    SimClock clock(queue, {.start = 1s, .drift_ppm = 1000});
    queue.run_until(Instant{1'000'000'000});
    EXPECT_EQ(clock.now(), (Instant{2'001'000'000}));
    clock.set_drift(-1000);
    EXPECT_EQ(clock.now(), (Instant{2'001'000'000}));
    queue.run_until(Instant{2'000'000'000});
    EXPECT_EQ(clock.now(), (Instant{3'000'000'000}));
    EXPECT_EQ(clock.true_time(never), never);
}

TEST(SimClock, the_wall_clock_jumps_and_the_monotonic_one_does_not) {
    EventQueue queue;
    SimClock clock(queue, {});
    const auto wall = clock.wall();
    const auto now = clock.now();
    clock.jump_wall(-5s);
    EXPECT_EQ(clock.now(), now);
    EXPECT_EQ(clock.wall().ns, wall.ns - 5'000'000'000);
}

}  // namespace ringfort::sim
