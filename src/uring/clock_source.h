// The machine's clocks, and the shard's view of them: read once a turn.
#pragma once

#include <ctime>

#include "base/instant.h"
#include "env/clock.h"

namespace ringfort::uring {

inline std::int64_t read_clock_ns(clockid_t id) {
    timespec t{};
    clock_gettime(id, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}
inline Instant monotonic_now() { return {read_clock_ns(CLOCK_MONOTONIC)}; }
inline WallTime wall_now() { return {read_clock_ns(CLOCK_REALTIME)}; }

class TurnClock final : public env::Clock {
  public:
    TurnClock() { update(); }
    Instant now() const override { return now_; }
    WallTime wall() const override { return wall_now(); }
    void update() { now_ = monotonic_now(); }

  private:
    Instant now_;
};

}  // namespace ringfort::uring
