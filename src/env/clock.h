// Time outside of the shard: the only way the core learns it. Implementations: uring/ (real) and sim/ (virtual).
#pragma once

#include "base/instant.h"

namespace ringfort::env {

class Clock {
  public:
    virtual ~Clock() = default;
    // Monotonic, read once a turn.
    virtual Instant now() const = 0;
    // For what people read and for the proposer's time in commands; may jump.
    virtual WallTime wall() const = 0;
};

}  // namespace ringfort::env
