// A thread for calls that block: opening and zeroing files, directory syncs, name resolution. Jobs run one after the
// other in the order given; finished ones wait until the shard takes them, and its doorbell is rung.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "uring/doorbell.h"

namespace ringfort::uring {

class HelperJob {
  public:
    virtual ~HelperJob() = default;
    virtual void run() = 0;      // on the helper's thread
    virtual void finish() = 0;   // on the shard's thread, from take_finished()
};

class HelperThread {
  public:
    // `doorbell` belongs to the shard that gives the jobs.
    explicit HelperThread(Doorbell& doorbell) : doorbell_(doorbell) {}
    // Ends after the job that is running; jobs not begun are dropped.
    ~HelperThread();
    HelperThread(const HelperThread&) = delete;
    HelperThread& operator=(const HelperThread&) = delete;

    // The thread starts with the first job.
    void give(std::unique_ptr<HelperJob> job);
    // Runs finish() of the jobs done since.
    void take_finished();
    // Jobs given whose finish() has not run.
    std::size_t pending() const { return pending_; }

  private:
    void run();

    Doorbell& doorbell_;
    std::size_t pending_{0};   // the shard's side only
    std::mutex mutex_;
    std::condition_variable given_;
    std::deque<std::unique_ptr<HelperJob>> queue_;      // guarded by mutex_
    std::vector<std::unique_ptr<HelperJob>> finished_;  // guarded by mutex_
    bool ending_{false};                                // guarded by mutex_
    std::thread thread_;
};

}  // namespace ringfort::uring
