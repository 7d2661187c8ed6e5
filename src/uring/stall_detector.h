// Finds turns that use more CPU than a turn may. Thread CPU time is a system call, so it is read only about every 100 us,
// and again after a turn whose wall time was over the bound; being descheduled does not count as a stall.
#pragma once

#include <cstdint>

#include "base/bounds.h"
#include "base/instant.h"

namespace ringfort::uring {

enum class StallAction : std::uint8_t { count, abort };

class StallDetector {
  public:
    explicit StallDetector(StallAction action, Duration bound = limits::step_budget)
        : action_(action), bound_(bound) {}

    void begin_turn();
    // The CPU time of a turn over the bound, at most 100 us too little; 0: none.
    Duration end_turn();
    std::uint64_t stall_count() const { return stall_count_; }
    Duration longest() const { return longest_; }

  private:
    static constexpr Duration sample_interval = 100us;

    StallAction action_;
    Duration bound_;
    Instant turn_begin_{};
    Instant sampled_at_{};
    Duration cpu_sample_{0};
    std::uint64_t stall_count_{0};
    Duration longest_{0};
};

}  // namespace ringfort::uring
