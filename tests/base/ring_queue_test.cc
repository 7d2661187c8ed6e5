#include "base/ring_queue.h"

#include <gtest/gtest.h>

#include <memory>

namespace ringfort {

TEST(RingQueue, keeps_order_over_many_turns_and_knows_its_bound) {
    RingQueue<int> queue(4);
    int pushed = 0, popped = 0;
    for (int turn = 0; turn < 100; turn++) {
        while (!queue.full()) {
            queue.push(pushed++);
        }
        EXPECT_EQ(queue.count(), queue.capacity());
        EXPECT_EQ(queue.back(), pushed - 1);
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(queue.front(), popped);
            EXPECT_EQ(queue.pop(), popped++);
        }
    }
    queue.clear();
    EXPECT_TRUE(queue.empty());
}

TEST(RingQueue, holds_nothing_that_has_left_it) {
    const auto item = std::make_shared<int>(7);
    RingQueue<std::shared_ptr<int>> queue(2);
    for (int turn = 0; turn < 3; turn++) {
        queue.push(item);
        queue.push(item);
        EXPECT_EQ(queue.pop(), item);
        queue.pop_back();
        EXPECT_EQ(item.use_count(), 1);
    }
    queue.push(item);
    {
        const RingQueue<std::shared_ptr<int>> copy = queue;
        RingQueue<std::shared_ptr<int>> moved = std::move(queue);
        EXPECT_EQ(item.use_count(), 3);
        EXPECT_EQ(copy[0], moved[0]);
        moved.clear();
        EXPECT_EQ(item.use_count(), 2);
        EXPECT_TRUE(moved.empty());
    }
    EXPECT_EQ(item.use_count(), 1);
}

TEST(RingQueueDeath, pushing_over_the_bound_is_a_bug) {
    RingQueue<int> queue(2);
    queue.push(1);
    queue.push(2);
    EXPECT_DEATH(queue.push(3), "!full");
}

}  // namespace ringfort
