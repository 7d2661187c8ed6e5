// Thousands of storms, each from its seed. A failure prints the seed; RAFT_CHAOS_SEED in the environment runs only that;
// RAFT_CHAOS_COUNT sets how many.
#include <gtest/gtest.h>

#include <cstdlib>

#include "chaos.h"

namespace ringfort::raft {
namespace {

ChaosStats run_seeds(std::uint64_t seed_count, std::uint64_t voter_count, std::uint64_t spare_count) {
    ChaosStats total;
    const char* only = std::getenv("RAFT_CHAOS_SEED");
    const std::uint64_t first = only == nullptr ? 1 : std::strtoull(only, nullptr, 10);
    if (const char* count = std::getenv("RAFT_CHAOS_COUNT")) {
        seed_count = std::strtoull(count, nullptr, 10);
    }
    const std::uint64_t end = only == nullptr ? first + seed_count : first + 1;
    for (std::uint64_t seed = first; seed < end; seed++) {
        Chaos chaos({.seed = seed, .voter_count = voter_count, .spare_count = spare_count, .steps = 1200});
        const std::string problem = chaos.run();
        EXPECT_EQ(problem, "");
        total.add(chaos.stats());
        if (!problem.empty()) {
            break;
        }
    }
    return total;
}

// Every kind of trouble must have been met, or the test says nothing about it.
void expect_eventful(const ChaosStats& stats) {
    if (std::getenv("RAFT_CHAOS_SEED") != nullptr) {
        return;
    }
    EXPECT_GT(stats.elections, 0U);
    EXPECT_GT(stats.crashes, 0U);
    EXPECT_GT(stats.wipes, 0U);
    EXPECT_GT(stats.fences_passed, 0U);
    EXPECT_GT(stats.damaged, 0U);
    EXPECT_GT(stats.rotten, 0U);
    EXPECT_GT(stats.repaired, 0U);
    EXPECT_GT(stats.dropped, 0U);
    EXPECT_GT(stats.snapshots, 0U);
    EXPECT_GT(stats.reads, 0U);
    EXPECT_GT(stats.changes, 0U);
    std::printf("elections %lu committed %lu crashes %lu wipes %lu fences %lu damaged %lu rotten %lu repaired %lu "
                "dropped %lu snapshots %lu reads %lu changes %lu\n",
                stats.elections, stats.committed, stats.crashes, stats.wipes, stats.fences_passed, stats.damaged,
                stats.rotten, stats.repaired, stats.dropped, stats.snapshots, stats.reads, stats.changes);
}

TEST(RaftChaos, three_voters_keep_every_property_and_come_to_rest) {
    expect_eventful(run_seeds(3000, 3, 0));
}

TEST(RaftChaos, five_voters_keep_every_property_and_come_to_rest) {
    expect_eventful(run_seeds(2000, 5, 0));
}

TEST(RaftChaos, changing_members_keep_every_property_and_come_to_rest) {
    expect_eventful(run_seeds(2000, 3, 2));
}

}  // namespace
}  // namespace ringfort::raft
