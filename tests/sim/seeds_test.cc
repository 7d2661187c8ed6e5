// Random mixes of faults by seed: a fixed set, sampled ones twice, and one fresh seed in every run.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "sim/simulation.h"

namespace ringfort::sim {

namespace {

RunOptions options_of(std::uint64_t seed) {
    RunRequest request;
    request.seed = seed;
    request.duration = 3s;
    return draw_options(request);
}

void expect_good(std::uint64_t seed) {
    const RunOptions options = options_of(seed);
    const Verdict verdict = simulate(options);
    EXPECT_EQ(verdict.text, "") << describe(options) << "\nreplay: tools/simulate --seed " << seed << " --seconds 3";
    EXPECT_GT(verdict.acknowledged, 0u);
}

}  // namespace

class FixedSeed : public testing::TestWithParam<std::uint64_t> {};

TEST_P(FixedSeed, holds_every_promise) { expect_good(GetParam()); }
INSTANTIATE_TEST_SUITE_P(Seeds, FixedSeed, testing::Range<std::uint64_t>(1, 6));

TEST(FreshSeed, holds_every_promise) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto seed = static_cast<std::uint64_t>(now.count()) % 1'000'000'000;
    std::printf("fresh seed %llu; replay: tools/simulate --seed %llu --seconds 3\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    expect_good(seed);
}

}  // namespace ringfort::sim
