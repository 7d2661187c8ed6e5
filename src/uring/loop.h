// The loop of one shard's thread: reap -> turn -> submit and wait. What a turn is, the driver knows: the shard, or a test.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/instant.h"
#include "env/world.h"
#include "uring/clock_source.h"
#include "uring/poll_window.h"
#include "uring/slice_chooser.h"
#include "uring/stall_detector.h"

namespace ringfort::uring {

class ShardWorld;

class TurnDriver {
  public:
    virtual ~TurnDriver() = default;
    // As shard::Shard: returns when the next turn is wanted at the latest.
    virtual Instant turn() = 0;
    virtual bool has_work() const = 0;
    // Begin the orderly stop. Called once, between turns.
    virtual void stop() = 0;
};

struct LoopOptions {
    Duration poll{200us};                        // 0: never poll
    StallAction on_stall{StallAction::count};
    // Set by another thread, which then rings the shard's doorbell: the driver's stop() is called. May be null.
    const std::atomic<bool>* stop_requested{nullptr};
};

struct LoopCounters {
    std::uint64_t turns{0};
    std::uint64_t sleeps{0};
    std::uint64_t polls_won{0};     // an event came while polling
    std::uint64_t polls_lost{0};
};

class Loop {
  public:
    Loop(ShardWorld& world, TurnDriver& driver, const LoopOptions& options);

    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Until end() is called from within a turn.
    void run();
    void end() { ended_ = true; }

    const LoopCounters& counters() const { return counters_; }
    const StallDetector& stalls() const { return stalls_; }

  private:
    Instant one_turn();
    bool work_waits() const;
    void wait(Instant deadline);
    bool poll(Instant until);
    void choose_slice(Instant now);
    Instant wait_ended(Instant begin);   // now

    ShardWorld& world_;
    TurnDriver& driver_;
    const LoopOptions options_;
    StallDetector stalls_;
    PollWindow window_;
    SliceChooser slice_;
    int core_waits_;               // file; -1: none, and the slice stays as the system gives it
    Instant woken_{monotonic_now()};   // when the last wait ended
    LoopCounters counters_;
    bool ended_{false};
    bool stop_told_{false};
};

}  // namespace ringfort::uring
