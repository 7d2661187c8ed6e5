// Which way of making a log write durable is best now: a dsync write (A), or plain writes and one sync behind them (B).
//
// A is cheaper. But without FUA the kernel finishes a dsync write on the CPU that took the disk's interrupt; a thread
// that does not sleep there holds it up until the next timer tick: latencies then plateau at 4 ms (8 ms) instead of
// 0.1. That is seen here, and B is used for a while, then A is tried again, at growing intervals.
#pragma once

#include <array>
#include <cstdint>

#include "base/instant.h"
#include "env/disk.h"
#include "uring/start_fault.h"

namespace ringfort::uring {

// Medians over a recycled file, measured at start.
struct RecipeMeasurement {
    Duration dsync{0};
    Duration write_then_sync{0};
};

class RecipeChooser {
  public:
    static constexpr Duration plateau = 3500us;        // just under a tick of 250 Hz
    static constexpr std::size_t window = 16;          // dsync writes judged together
    static constexpr Duration pause_first = 2s;
    static constexpr Duration pause_max = 60s;

    explicit RecipeChooser(const RecipeMeasurement& measured);

    env::Durability preferred(Instant now);
    // A dsync write small enough to be flush-bound took this long.
    void on_dsync_write(Instant now, Duration took);
    std::uint64_t trap_count() const { return trap_count_; }

  private:
    bool dsync_best_at_rest_;       // by the measurement at start
    bool plateau_is_abnormal_;      // a disk that always takes this long is slow, not trapped
    bool dsync_{true};
    std::array<bool, window> slow_{};
    std::size_t judged_{0};
    std::size_t slow_count_{0};     // Invariant: the number of true in slow_
    Duration pause_{pause_first};
    Instant dsync_again_{};         // valid while !dsync_
    Instant dsync_since_{};
    std::uint64_t trap_count_{0};
};

// Times both recipes through a ring on a scratch file in the directory. `path` is the directory's name for people.
StartResult<RecipeMeasurement> measure_recipes(int directory, const std::string& path);

}  // namespace ringfort::uring
