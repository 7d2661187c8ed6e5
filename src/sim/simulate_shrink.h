// Makes a failing run smaller while it fails in the same way: a shorter time, fewer nodes, clients, operations and
// faults, a calmer world. The result is a replay line short enough to read its trace.
#pragma once

#include <chrono>

#include "sim/replay.h"

namespace ringfort::sim {

struct ShrinkOptions {
    RunRequest request;                    // of the run that fails
    std::chrono::seconds at_most{600};     // real time; then the smallest found so far is it
};

// The exit code of the failure that remains; 0: the run does not fail.
int run_shrink(const ShrinkOptions& options);

}  // namespace ringfort::sim
