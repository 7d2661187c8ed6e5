// One node's clocks: a monotonic one with its own start and drift, and a wall clock that may jump.
#pragma once

#include "env/clock.h"
#include "sim/event_queue.h"

namespace ringfort::sim {

class SimClock final : public env::Clock {
  public:
    struct Options {
        Duration start{0};               // monotonic reading at true time 0
        std::int64_t drift_ppm{0};       // > 0: runs fast; |drift| < 500'000
        WallTime wall_start{1'700'000'000'000'000'000};
    };
    SimClock(const EventQueue& queue, const Options& options);

    Instant now() const override { return local(queue_.now()); }
    WallTime wall() const override { return {wall_start_.ns + (now() - start_).count()}; }

    // The monotonic clock never jumps; only its rate changes, from now on.
    void set_drift(std::int64_t drift_ppm);
    void jump_wall(Duration by) { wall_start_.ns += by.count(); }

    // The first true time at which now() >= `local`. `never` stays never.
    Instant true_time(Instant local) const;

  private:
    Instant local(Instant true_time) const;

    const EventQueue& queue_;
    Instant start_;
    Instant anchor_true_{0};   // where the present rate began, in true time
    Instant anchor_local_;     // and on this clock
    std::int64_t drift_ppm_;
    WallTime wall_start_;
};

}  // namespace ringfort::sim
