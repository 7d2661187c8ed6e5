// A disk operation of a job that looks at it when its turn comes.
#pragma once

#include <utility>

#include "env/disk.h"

namespace ringfort::shard {

// The job must not be destroyed while `op.in_flight`.
struct JobOperation {
    env::DiskOperation op;
    bool finished{false};   // completed since it was last looked at

    JobOperation() {
        op.callback = [](env::DiskOperation& operation) {
            static_cast<JobOperation*>(operation.context)->finished = true;
        };
        op.context = this;
    }
    bool take() { return std::exchange(finished, false); }
};

}  // namespace ringfort::shard
