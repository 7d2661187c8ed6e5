#include "sim/event_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"

namespace ringfort::sim {

namespace {
struct Log {
    std::vector<std::uint64_t> seen;
    static void add(void* context, std::uint64_t a, std::uint64_t) { static_cast<Log*>(context)->seen.push_back(a); }
};
}  // namespace

TEST(EventQueue, runs_by_time_and_in_the_order_scheduled_at_one_time) {
    EventQueue queue;
    Log log;
    queue.schedule(Instant{20}, &Log::add, &log, 3);
    queue.schedule(Instant{10}, &Log::add, &log, 1);
    queue.schedule(Instant{20}, &Log::add, &log, 4);
    queue.schedule(Instant{10}, &Log::add, &log, 2);
    queue.schedule(Instant{31}, &Log::add, &log, 5);
    queue.run_until(Instant{30});
    EXPECT_EQ(log.seen, (std::vector<std::uint64_t>{1, 2, 3, 4}));
    EXPECT_EQ(queue.now(), Instant{30});
    EXPECT_FALSE(queue.empty());
}

TEST(EventQueue, thousands_of_random_events_come_out_sorted_and_stable) {
    EventQueue queue;
    struct Order {
        EventQueue& queue;
        std::int64_t last_at{0};
        std::uint64_t last_number{0};
        std::size_t count{0};
    } order{queue};
    Prng random(1);
    for (std::uint64_t i = 0; i < 5000; i++) {
        queue.schedule(Instant{static_cast<std::int64_t>(random.below(500))},
                       [](void* context, std::uint64_t number, std::uint64_t) {
                           auto& o = *static_cast<Order*>(context);
                           EXPECT_TRUE(o.queue.now().ns > o.last_at ||
                                       (o.queue.now().ns == o.last_at && (number > o.last_number || o.count == 0)));
                           o.last_at = o.queue.now().ns;
                           o.last_number = number;
                           o.count++;
                       },
                       &order, i);
    }
    queue.run_until(Instant{1000});
    EXPECT_EQ(order.count, 5000u);
    EXPECT_EQ(queue.events(), 5000u);
}

TEST(EventQueue, the_hash_tells_two_histories_apart) {
    const auto run = [](std::uint64_t word) {
        EventQueue queue;
        Log log;
        queue.schedule(Instant{5}, &Log::add, &log, word);
        queue.run_until(Instant{9});
        return queue.hash();
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

}  // namespace ringfort::sim
