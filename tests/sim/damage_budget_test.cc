#include "sim/damage_budget.h"

#include <gtest/gtest.h>

#include <set>

namespace ringfort::sim {
namespace {

constexpr std::uint64_t ranges = 5;
constexpr std::uint64_t indices = 120;

TEST(DamageBudget, a_minority_of_the_copies_of_any_entry_may_be_harmed) {
    for (std::uint64_t seed = 0; seed < 60; seed++) {
        for (const std::size_t nodes : {1u, 2u, 3u, 4u, 5u, 7u}) {
            Prng random(seed);
            const DamageBudget budget(nodes, false, random);
            EXPECT_EQ(budget.any(), nodes > 2);
            for (std::uint64_t range = 0; range < ranges; range++) {
                for (std::uint64_t index = 1; index <= indices; index++) {
                    std::size_t harmed = 0;
                    for (std::size_t node = 0; node < nodes; node++) {
                        // A checkpoint stands for every entry.
                        const bool covered = budget.may_harm_checkpoints(node, RangeId(range));
                        const bool entry = budget.may_harm(node, RangeId(range), LogIndex(index));
                        EXPECT_TRUE(entry || !(covered || budget.may_lose_all(node)));
                        harmed += entry ? 1u : 0u;
                    }
                    EXPECT_EQ(harmed, (nodes - 1) / 2);
                }
            }
        }
    }
}

TEST(DamageBudget, every_node_may_be_harmed_somewhere_unless_others_may_lose_everything) {
    std::set<bool> scattered;
    for (std::uint64_t seed = 0; seed < 40; seed++) {
        Prng random(seed);
        const DamageBudget budget(3, false, random);
        std::set<std::size_t> harmed;
        std::size_t wiped = 0;
        for (std::size_t node = 0; node < 3; node++) {
            wiped += budget.may_wipe(node) ? 1u : 0u;
            for (std::uint64_t index = 1; index <= indices; index++) {
                for (std::uint64_t range = 0; range < ranges; range++) {
                    if (budget.may_harm(node, RangeId(range), LogIndex(index))) {
                        harmed.insert(node);
                    }
                }
            }
        }
        EXPECT_EQ(harmed.size(), wiped > 0 ? 1u : 3u);
        EXPECT_TRUE(wiped == 0 || budget.may_wipe(budget.goes_back()));
        scattered.insert(wiped == 0);
    }
    EXPECT_EQ(scattered.size(), 2u);
}

TEST(DamageBudget, beyond_it_all_copies_may_be_harmed_but_some_directory_stays) {
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        Prng random(seed);
        const DamageBudget budget(3, true, random);
        std::size_t wiped = 0;
        for (std::size_t node = 0; node < 3; node++) {
            EXPECT_TRUE(budget.may_harm(node, RangeId(1), LogIndex(1)));
            EXPECT_TRUE(budget.may_harm_checkpoints(node, RangeId(1)));
            EXPECT_TRUE(budget.may_lose_all(node));
            wiped += budget.may_wipe(node) ? 1u : 0u;
        }
        EXPECT_LT(wiped, 2u);
    }
}

TEST(DamageBudget, an_operator_removes_no_directory_that_alone_knows_the_cluster) {
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        Prng random(seed);
        const DamageBudget alone(1, true, random);
        EXPECT_FALSE(alone.may_remove(0));
        const DamageBudget three(3, true, random);
        EXPECT_TRUE(three.may_remove(three.goes_back()));
    }
}

}  // namespace
}  // namespace ringfort::sim
