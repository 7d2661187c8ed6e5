// One run from its options to a verdict: the cluster forms, works under faults, is healed, and must converge.
#pragma once

#include <cstdint>
#include <string>

#include "sim/run_options.h"

namespace ringfort::sim {

enum class VerdictKind : std::uint8_t { ok, liveness, safety };

struct Verdict {
    VerdictKind kind{VerdictKind::ok};
    std::string text;                 // what is wrong; empty if nothing is
    Duration simulated{0};
    std::uint64_t hash{0};            // of all events: two runs of a seed agree
    std::uint64_t events{0};
    std::uint64_t turns{0};
    std::uint64_t faults{0};
    std::uint64_t operations{0};
    std::uint64_t acknowledged{0};
    std::uint64_t failed{0};
    std::uint64_t unknown{0};
    std::uint64_t leaders{0};         // (range, term) pairs that had one
    bool inconclusive{false};
};

Verdict simulate(const RunOptions& options);
// One line of figures.
std::string describe(const Verdict& verdict);

}  // namespace ringfort::sim
