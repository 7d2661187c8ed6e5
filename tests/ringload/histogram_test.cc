// Percentiles against exact ones, and the edges of what is recorded.
#include "histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/prng.h"

namespace ringload {
namespace {

// The value at or below which that share lies, from the values themselves.
std::int64_t exact_percentile(std::vector<std::int64_t> values, double share) {
    std::sort(values.begin(), values.end());
    const double wanted = std::ceil(share * static_cast<double>(values.size()));
    const auto index = static_cast<std::size_t>(std::max(wanted, 1.0)) - 1;
    return values[std::min(index, values.size() - 1)];
}

void expect_near(std::int64_t got, std::int64_t exact, double share) {
    EXPECT_GE(got, exact) << share;
    EXPECT_LE(got, exact + exact / 1024) << share;
}

TEST(Histogram, percentiles_are_never_below_the_exact_ones_and_a_thousandth_above_at_most) {
    for (const int bits : {4, 11, 12, 20, 33, 43}) {
        ringfort::Prng prng(static_cast<std::uint64_t>(bits));
        Histogram histogram;
        std::vector<std::int64_t> values;
        for (int i = 0; i < 5000; i++) {
            // As many small as large ones.
            const std::uint64_t span = std::uint64_t{1} << prng.below(static_cast<std::uint64_t>(bits) + 1);
            values.push_back(static_cast<std::int64_t>(prng.below(span)));
            histogram.record(values.back());
        }
        for (const double share : {0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999}) {
            expect_near(histogram.percentile(share), exact_percentile(values, share), share);
        }
        EXPECT_EQ(histogram.percentile(1), *std::max_element(values.begin(), values.end()));
        EXPECT_EQ(histogram.max(), *std::max_element(values.begin(), values.end()));
        EXPECT_EQ(histogram.min(), *std::min_element(values.begin(), values.end()));
        double sum = 0;
        for (const std::int64_t value : values) {
            sum += static_cast<double>(value);
        }
        EXPECT_DOUBLE_EQ(histogram.mean(), sum / 5000);
    }
}

TEST(Histogram, keeps_values_below_2048_apart) {
    Histogram histogram;
    for (std::int64_t value = 0; value < 2048; value++) {
        histogram.record(value);
    }
    for (std::int64_t value = 0; value < 2048; value++) {
        EXPECT_EQ(histogram.percentile(static_cast<double>(value + 1) / 2048), value);
    }
}

TEST(Histogram, is_as_exact_on_both_sides_of_every_power_of_two) {
    for (int bits = 10; bits <= 43; bits++) {
        for (const std::int64_t offset : {-1, 0, 1}) {
            const std::int64_t value = std::min((std::int64_t{1} << bits) + offset, Histogram::value_max);
            Histogram histogram;
            histogram.record(value);
            histogram.record(Histogram::value_max);
            expect_near(histogram.percentile(0.5), value, 0.5);
            EXPECT_EQ(histogram.min(), value);
        }
    }
}

TEST(Histogram, takes_the_smallest_and_the_largest_value_and_brings_others_into_bounds) {
    Histogram histogram;
    EXPECT_EQ(histogram.percentile(0.5), 0);
    EXPECT_EQ(histogram.min(), 0);
    EXPECT_EQ(histogram.max(), 0);
    EXPECT_EQ(histogram.mean(), 0);
    histogram.record(-1);
    EXPECT_EQ(histogram.max(), 0);
    histogram.record(Histogram::value_max);
    EXPECT_EQ(histogram.max(), Histogram::value_max);
    histogram.record(INT64_MAX);
    EXPECT_EQ(histogram.max(), Histogram::value_max);
    EXPECT_EQ(histogram.count(), 3U);
    EXPECT_EQ(histogram.percentile(0), 0) << "a share of nothing is the smallest";
    EXPECT_EQ(histogram.percentile(1), Histogram::value_max);
}

TEST(Histogram, of_two_joined_tells_what_one_of_all_values_tells) {
    ringfort::Prng prng(3);
    Histogram all;
    Histogram parts[2];
    for (int i = 0; i < 2000; i++) {
        const auto value = static_cast<std::int64_t>(prng.below(std::uint64_t{1} << (10 + i % 20)));
        all.record(value);
        parts[i % 2].record(value);
    }
    Histogram joined;
    joined.add(Histogram());
    joined.add(parts[0]);
    joined.add(parts[1]);
    joined.add(Histogram());
    EXPECT_EQ(joined.count(), all.count());
    EXPECT_EQ(joined.min(), all.min());
    EXPECT_EQ(joined.max(), all.max());
    for (const double share : {0.01, 0.5, 0.99}) {
        EXPECT_EQ(joined.percentile(share), all.percentile(share));
    }
    joined.clear();
    EXPECT_EQ(joined.count(), 0U);
    joined.record(7);
    EXPECT_EQ(joined.percentile(0.5), 7);
    EXPECT_EQ(joined.min(), 7);
    EXPECT_EQ(joined.max(), 7);
}

}  // namespace
}  // namespace ringload
