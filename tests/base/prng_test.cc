#include "base/prng.h"

#include <gtest/gtest.h>

namespace ringfort {

TEST(Prng, same_seed_gives_the_same_stream_and_another_seed_another) {
    Prng a(7), b(7), c(8);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        const auto value = a.next();
        EXPECT_EQ(value, b.next());
        differs |= value != c.next();
    }
    EXPECT_TRUE(differs);
}

TEST(Prng, between_reaches_both_ends_and_nothing_beyond) {
    Prng prng(1);
    bool first = false, last = false;
    for (int i = 0; i < 1000; i++) {
        const auto value = prng.between(3, 5);
        EXPECT_GE(value, 3u);
        EXPECT_LE(value, 5u);
        first |= value == 3;
        last |= value == 5;
    }
    EXPECT_TRUE(first && last);
    EXPECT_EQ(prng.between(9, 9), 9u);
    (void)prng.between(0, UINT64_MAX);
}

TEST(PrngDeath, an_empty_interval_is_a_bug) {
    Prng prng(1);
    EXPECT_DEATH((void)prng.below(0), "bound > 0");
}

}  // namespace ringfort
