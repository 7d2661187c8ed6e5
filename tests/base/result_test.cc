#include "base/result.h"

#include <gtest/gtest.h>

#include "base/assertion.h"

namespace ringfort {

enum class Fault { first, second };

Result<int, Fault> half(int x) {
    if (x % 2 != 0) {
        return failure(Fault::first);
    }
    return x / 2;
}

Result<int, Fault> quarter(int x) {
    TRY(half(x));
    TRY_ASSIGN(const int h, half(x));
    return half(h);
}

TEST(Result, try_passes_the_error_on_and_the_value_through) {
    EXPECT_EQ(*quarter(8), 2);
    EXPECT_EQ(quarter(6).error(), Fault::first);
    EXPECT_FALSE(quarter(7));
}

TEST(AssertDeath, prints_the_whole_expression_and_the_place) {
    const int one = 1;
    EXPECT_DEATH(ASSERT(one == 2 || one == 3), "one == 2 \\|\\| one == 3 at .*result_test.cc");
}

}  // namespace ringfort
