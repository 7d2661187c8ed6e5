#include <gtest/gtest.h>

#include "sim/simulation.h"

namespace ringfort::sim {

// Every event of a run follows from its seed: two runs of one seed agree in all of them, and other seeds do not.
TEST(Determinism, two_runs_of_a_seed_are_the_same_event_by_event) {
    std::uint64_t former = 0;
    for (const std::uint64_t seed : {2u, 7u, 20u}) {
        RunRequest request;
        request.seed = seed;
        request.duration = 3s;
        const RunOptions options = draw_options(request);
        const Verdict first = simulate(options);
        const Verdict second = simulate(options);
        EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
        EXPECT_EQ(first.events, second.events) << "seed " << seed;
        EXPECT_NE(first.hash, former);
        former = first.hash;
    }
}

}  // namespace ringfort::sim
