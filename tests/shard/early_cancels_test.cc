// Cancels that are met when the turn of what they mean comes, and those that mean nothing.
#include <gtest/gtest.h>

#include "shard/early_cancels.h"

namespace ringfort::shard {
namespace {

Origin origin(std::uint64_t token) {
    return {OriginKind::session, wire::ClientKind::range, 7, token};
}

TEST(EarlyCancels, are_kept_while_what_they_mean_may_wait) {
    EarlyCancels cancels;
    cancels.forget(5, 6);
    cancels.note(origin(1));   // in place 5, 6 or 7, which is opened in this turn
    cancels.forget(5, 7);
    cancels.forget(6, 8);
    cancels.forget(7, 9);
    cancels.forget(7, 9);
    EXPECT_FALSE(cancels.take(origin(2)));
    EXPECT_TRUE(cancels.take(origin(1)));
    EXPECT_FALSE(cancels.take(origin(1)));
    EXPECT_TRUE(cancels.empty());
}

// Something always waits, as under a steady load.
TEST(EarlyCancels, that_came_too_late_take_nobodys_room_for_long) {
    EarlyCancels cancels;
    std::uint64_t place = 1;
    for (std::uint64_t token = 0; token < 10 * EarlyCancels::count_max; token++) {
        cancels.note(origin(token));
        if (token % 1000 == 0) {
            place++;
            cancels.forget(place, place + 1);
        }
    }
    const Origin last = origin(UINT64_MAX);
    cancels.note(last);
    EXPECT_TRUE(cancels.take(last));
    for (int i = 0; i < 3; i++) {
        place += 2;
        cancels.forget(place, place + 1);
    }
    EXPECT_TRUE(cancels.empty());
}

TEST(EarlyCancels, beyond_the_bound_are_ignored) {
    EarlyCancels cancels;
    for (std::uint64_t token = 0; token <= EarlyCancels::count_max; token++) {
        cancels.note(origin(token));
    }
    EXPECT_TRUE(cancels.take(origin(EarlyCancels::count_max - 1)));
    EXPECT_FALSE(cancels.take(origin(EarlyCancels::count_max)));
}

}  // namespace
}  // namespace ringfort::shard
