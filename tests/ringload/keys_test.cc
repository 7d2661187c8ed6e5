// Which keys are chosen how often, and what they look like.
#include "keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace ringload {
namespace {

constexpr int draws = 200'000;

std::vector<int> counts_of(KeyChooser& chooser, std::uint64_t keys) {
    std::vector<int> counts(keys);
    for (int i = 0; i < draws; i++) {
        const std::uint64_t key = chooser.next();
        EXPECT_LT(key, keys);
        counts[key]++;
    }
    return counts;
}

TEST(Keys, uniform_ones_come_equally_often) {
    KeyChooser chooser(50, Distribution::uniform, 0.99, 1);
    for (const int count : counts_of(chooser, 50)) {
        EXPECT_NEAR(count, draws / 50, draws / 50 / 10);
    }
}

TEST(Keys, sequential_ones_come_in_order_and_begin_anew) {
    KeyChooser chooser(3, Distribution::sequential, 0.99, 1);
    for (std::uint64_t i = 0; i < 10; i++) {
        EXPECT_EQ(chooser.next(), i % 3);
    }
}

TEST(Keys, of_one_seed_are_the_same_and_of_another_others) {
    for (const Distribution distribution : {Distribution::uniform, Distribution::zipf}) {
        KeyChooser a(1'000'000, distribution, 0.99, 7);
        KeyChooser b(1'000'000, distribution, 0.99, 7);
        KeyChooser c(1'000'000, distribution, 0.99, 8);
        int same = 0;
        for (int i = 0; i < 100; i++) {
            const std::uint64_t key = a.next();
            EXPECT_EQ(key, b.next());
            same += key == c.next() ? 1 : 0;
        }
        EXPECT_LT(same, 50);
    }
}

TEST(Keys, zipf_ranks_come_as_often_as_its_law_says) {
    for (const double exponent : {0.5, 0.99, 1.0, 1.5}) {
        constexpr std::uint64_t ranks = 1000;
        double total = 0;
        for (std::uint64_t rank = 1; rank <= ranks; rank++) {
            total += std::pow(static_cast<double>(rank), -exponent);
        }
        const Zipf zipf(ranks, exponent);
        ringfort::Prng prng(2);
        std::vector<int> counts(ranks + 1);
        for (int i = 0; i < draws; i++) {
            const std::uint64_t rank = zipf.next(prng);
            ASSERT_GE(rank, 1U);
            ASSERT_LE(rank, ranks);
            counts[rank]++;
        }
        for (const std::uint64_t rank : {1U, 2U, 3U, 10U}) {
            const double expected = draws * std::pow(static_cast<double>(rank), -exponent) / total;
            EXPECT_NEAR(counts[rank], expected, 5 * std::sqrt(expected)) << "rank " << rank << " of exponent " << exponent;
        }
        const auto tail = [&](std::uint64_t from) {
            double sum = 0;
            for (std::uint64_t rank = from; rank <= ranks; rank++) {
                sum += std::pow(static_cast<double>(rank), -exponent);
            }
            return sum / total * draws;
        };
        int seen = 0;
        for (std::uint64_t rank = 501; rank <= ranks; rank++) {
            seen += counts[rank];
        }
        EXPECT_NEAR(seen, tail(501), 5 * std::sqrt(tail(501)));
    }
}

TEST(Keys, zipf_of_one_key_is_that_key) {
    const Zipf zipf(1, 0.99);
    ringfort::Prng prng(1);
    for (int i = 0; i < 1000; i++) {
        ASSERT_EQ(zipf.next(prng), 1U);
    }
}

TEST(Keys, zipf_scatters_its_ranks_over_all_keys_and_merges_none) {
    constexpr std::uint64_t keys = 100;
    KeyChooser chooser(keys, Distribution::zipf, 0.99, 3);
    std::vector<int> counts = counts_of(chooser, keys);
    EXPECT_TRUE(std::all_of(counts.begin(), counts.end(), [](int count) { return count > 0; }));
    const auto first = static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    counts[first] = 0;
    const auto second = static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    EXPECT_GT(std::max(first, second) - std::min(first, second), 1U) << "the popular ones lie side by side";
}

TEST(Keys, are_as_long_as_asked_for_and_in_the_order_of_their_numbers) {
    const KeyFormat format("key/", 10, 1'000'000);
    EXPECT_EQ(format.problem(), "");
    char room[10];
    std::string last;
    for (const std::uint64_t number : {0U, 1U, 9U, 10U, 99'999U, 999'999U}) {
        const std::string key(format.write(number, room));
        EXPECT_EQ(key.size(), 10U);
        EXPECT_TRUE(key.starts_with("key/"));
        EXPECT_GT(key, last);
        last = key;
    }
    EXPECT_EQ(last, "key/999999");
}

TEST(Keys, that_do_not_fit_are_told_at_the_bound) {
    EXPECT_EQ(KeyFormat("k", 8, 10'000'000).problem(), "");
    EXPECT_NE(KeyFormat("k", 8, 10'000'001).problem(), "");
    EXPECT_EQ(KeyFormat("", 1, 10).problem(), "");
    EXPECT_NE(KeyFormat("", 1, 11).problem(), "");
    EXPECT_NE(KeyFormat("k", 8, 0).problem().find("--keys"), std::string::npos);
}

TEST(Keys, values_carry_the_sequence_of_their_write_as_far_as_they_have_room) {
    constexpr std::uint64_t sequence = 0x0123456789abcdef;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{40}}) {
        std::string value(bytes, '.');
        write_sequence(sequence, value.data(), value.size());
        EXPECT_TRUE(carries_sequence(value, sequence));
        EXPECT_EQ(carries_sequence(value, sequence + 1), bytes == 0);
        const std::size_t digits = std::min(bytes, sequence_digits);
        EXPECT_EQ(value.substr(digits), std::string(bytes - digits, '.'));
    }
    std::string value(16, '.');
    write_sequence(sequence, value.data(), value.size());
    EXPECT_EQ(value, "0123456789abcdef");
}

}  // namespace
}  // namespace ringload
