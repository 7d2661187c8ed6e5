#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

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

TEST(Result, holds_what_can_only_be_moved_and_a_value_of_the_errors_type) {
    Result<std::unique_ptr<int>, Fault> owned = std::make_unique<int>(7);
    ASSERT_TRUE(owned);
    const std::unique_ptr<int> taken = *std::move(owned);
    EXPECT_EQ(*taken, 7);
    const Result<std::string, std::string> text = std::string("fine");
    EXPECT_TRUE(text.has_value());
    const Result<std::string, std::string> fault = failure(std::string("not fine"));
    EXPECT_FALSE(fault.has_value());
    EXPECT_EQ(fault.error(), "not fine");
}

TEST(ResultDeath, the_value_of_a_failure_and_the_error_of_a_success_are_bugs) {
    const Result<int, Fault> bad = half(1);
    const Result<int, Fault> good = half(2);
    EXPECT_DEATH((void)*bad, "result.h");
    EXPECT_DEATH((void)good.error(), "result.h");
}

TEST(AssertDeath, prints_the_whole_expression_and_the_place) {
    const int one = 1;
    EXPECT_DEATH(ASSERT(one == 2 || one == 3), "one == 2 \\|\\| one == 3 at .*result_test.cc");
}

}  // namespace ringfort
