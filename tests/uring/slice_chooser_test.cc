#include "uring/slice_chooser.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "uring/thread_setup.h"

namespace ringfort::uring {
namespace {

struct Chosen {
    SliceChooser chooser;
    SliceChooser::Waits waits;
    Instant now{1};

    Chosen() { chooser.look(now, waits); }

    // Windows in which the thread got a core ten times and waited for each so long.
    bool windows(int count, Duration each) {
        for (int i = 0; i < count; i++) {
            now = now + SliceChooser::window;
            EXPECT_TRUE(chooser.due(now));
            waits.waited += each * 10;
            waits.times += 10;
            chooser.look(now, waits);
            EXPECT_FALSE(chooser.due(now + SliceChooser::window - 1ns));
        }
        return chooser.is_long();
    }
    // How long it takes until the slice is long again.
    Duration until_long(Duration each) {
        const Instant begin = now;
        while (!windows(1, each) && now - begin < 200s) {
        }
        return now - begin;
    }
};

TEST(SliceChooser, is_long_while_the_thread_gets_a_core_soon) {
    Chosen c;
    EXPECT_TRUE(c.windows(1000, SliceChooser::crowded_wait));
}

TEST(SliceChooser, is_normal_after_one_window_in_which_others_have_the_cores_for_long) {
    Chosen c;
    EXPECT_TRUE(c.windows(10, 30us));
    EXPECT_FALSE(c.windows(1, SliceChooser::crowded_wait + 1us));
}

TEST(SliceChooser, stays_normal_for_as_long_as_they_have_them) {
    Chosen c;
    EXPECT_FALSE(c.windows(1, 100ms));
    EXPECT_FALSE(c.windows(10'000, SliceChooser::quiet_wait + 1us));
    EXPECT_EQ(c.until_long(SliceChooser::quiet_wait), SliceChooser::quiet_first);
}

TEST(SliceChooser, waits_twice_as_long_each_time_it_was_long_in_vain) {
    Chosen c;
    Duration expected = SliceChooser::quiet_first;
    for (int i = 0; i < 10; i++) {
        EXPECT_FALSE(c.windows(1, 100ms));
        EXPECT_EQ(c.until_long(0ns), expected);
        expected = std::min(expected * 2, SliceChooser::quiet_max);
    }
    EXPECT_TRUE(c.windows(static_cast<int>(SliceChooser::good_for / SliceChooser::window), 0ns));
    EXPECT_FALSE(c.windows(1, 100ms));
    EXPECT_EQ(c.until_long(0ns), SliceChooser::quiet_first);
}

TEST(SliceChooser, what_was_waited_before_the_first_look_does_not_count) {
    SliceChooser chooser;
    EXPECT_TRUE(chooser.look(Instant{1}, {.waited = 10s, .times = 1}));
    EXPECT_TRUE(chooser.look(Instant{1} + SliceChooser::window, {.waited = 10s + 1ms, .times = 2}));
}

TEST(SliceChooser, a_window_in_which_the_thread_never_slept_says_nothing_bad) {
    Chosen c;
    c.now = c.now + SliceChooser::window;
    EXPECT_TRUE(c.chooser.look(c.now, c.waits));
}

TEST(Slice, leaves_the_threads_policy_and_nice_value_as_they_are) {
    int nice_long = 0;
    int nice_normal = 0;
    int policy = 0;
    std::thread([&] {
        const auto self = static_cast<id_t>(syscall(SYS_gettid));
        const sched_param none{};
        ASSERT_EQ(sched_setscheduler(0, SCHED_BATCH, &none), 0);
        ASSERT_EQ(setpriority(PRIO_PROCESS, self, 5), 0);
        ask_for_slice(true);
        nice_long = getpriority(PRIO_PROCESS, self);
        ask_for_slice(false);
        nice_normal = getpriority(PRIO_PROCESS, self);
        policy = sched_getscheduler(0);
    }).join();
    EXPECT_EQ(nice_long, 5);
    EXPECT_EQ(nice_normal, 5);
    EXPECT_EQ(policy, SCHED_BATCH);
}

TEST(CoreWaits, of_this_thread_are_told_where_the_kernel_counts_them) {
    const int file = open_core_waits();
    if (file < 0) {
        GTEST_SKIP() << "no schedstat";
    }
    const auto first = read_core_waits(file);
    ASSERT_TRUE(first.has_value());
    EXPECT_GE(first->waited, 0ns);
    EXPECT_FALSE(read_core_waits(-1).has_value());
}

}  // namespace
}  // namespace ringfort::uring
