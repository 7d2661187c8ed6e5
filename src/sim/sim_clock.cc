#include "sim/sim_clock.h"

#include "base/assertion.h"

namespace ringfort::sim {

namespace {
__extension__ using Wide = __int128;
constexpr std::int64_t million = 1'000'000;
}  // namespace

SimClock::SimClock(const EventQueue& queue, const Options& options)
    : queue_(queue),
      start_{options.start.count()},
      anchor_true_(queue.now()),
      anchor_local_(start_ + (queue.now() - Instant{0})),
      drift_ppm_(options.drift_ppm),
      wall_start_(options.wall_start) {
    ASSERT(drift_ppm_ > -500'000 && drift_ppm_ < 500'000);
}

void SimClock::set_drift(std::int64_t drift_ppm) {
    ASSERT(drift_ppm > -500'000 && drift_ppm < 500'000);
    anchor_local_ = now();
    anchor_true_ = queue_.now();
    drift_ppm_ = drift_ppm;
}

Instant SimClock::local(Instant true_time) const {
    const std::int64_t elapsed = true_time.ns - anchor_true_.ns;
    const auto drift = static_cast<std::int64_t>(static_cast<Wide>(elapsed) * drift_ppm_ / million);
    return anchor_local_ + Duration(elapsed + drift);
}

Instant SimClock::true_time(Instant local_time) const {
    if (local_time == never) {
        return never;
    }
    const std::int64_t elapsed = local_time.ns - anchor_local_.ns;
    Instant guess{anchor_true_.ns +
                  static_cast<std::int64_t>(static_cast<Wide>(elapsed) * million / (million + drift_ppm_))};
    while (local(guess) < local_time) {
        guess = guess + Duration(1);
    }
    return guess;
}

}  // namespace ringfort::sim
