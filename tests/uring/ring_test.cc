#include "uring/ring.h"

#include <gtest/gtest.h>

namespace ringfort::uring {
namespace {

struct Counted : Completion {
    int count{0};
    Counted() : Completion(&on_completion, nullptr) {}
    static void on_completion(Completion& completion, int, std::uint32_t) { static_cast<Counted&>(completion).count++; }
};

void queue_nop(Ring& ring, Counted& counted) {
    io_uring_prep_nop(ring.next_request(&counted));
}

TEST(Ring, completions_wait_from_when_the_request_ended_until_they_are_reaped) {
    auto ring = Ring::create({});
    ASSERT_TRUE(ring);
    Counted counted;
    EXPECT_FALSE((*ring)->completion_waits());
    queue_nop(**ring, counted);
    (*ring)->submit_and_wait(1s);
    EXPECT_TRUE((*ring)->completion_waits());
    EXPECT_EQ((*ring)->reap(), 1U);
    EXPECT_EQ(counted.count, 1);
    EXPECT_FALSE((*ring)->completion_waits());
    EXPECT_EQ((*ring)->reap(), 0U);
}

// As the kernel leaves it when it sets the flag for work that has been run already.
TEST(Ring, a_flag_of_work_to_be_run_that_is_out_of_date_is_no_completion) {
    auto ring = Ring::create({});
    ASSERT_TRUE(ring);
    __atomic_fetch_or((*ring)->raw()->sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
    EXPECT_FALSE((*ring)->completion_waits());
    EXPECT_EQ((*ring)->reap(), 0U);
    Counted counted;
    queue_nop(**ring, counted);
    (*ring)->submit_and_wait(1s);
    EXPECT_EQ((*ring)->reap(), 1U) << "and hides none";
}

}  // namespace
}  // namespace ringfort::uring
