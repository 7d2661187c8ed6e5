#include "uring/helper_thread.h"

#include <csignal>

#include "base/assertion.h"

namespace ringfort::uring {

HelperThread::~HelperThread() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    given_.notify_one();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void HelperThread::give(std::unique_ptr<HelperJob> job) {
    pending_++;
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(job));
    }
    if (thread_.joinable()) {
        given_.notify_one();
        return;
    }
    thread_ = std::thread([this] { run(); });
}

void HelperThread::take_finished() {
    if (pending_ == 0) {
        return;
    }
    std::vector<std::unique_ptr<HelperJob>> finished;
    {
        // Held by the helper only while it moves one pointer.
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    ASSERT(finished.size() <= pending_);
    pending_ -= finished.size();
    for (const std::unique_ptr<HelperJob>& job : finished) {
        job->finish();
    }
}

void HelperThread::run() {
    // Signals are the main thread's business.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    std::unique_lock lock(mutex_);
    while (true) {
        given_.wait(lock, [this] { return ending_ || !queue_.empty(); });
        if (ending_) {
            return;
        }
        std::unique_ptr<HelperJob> job = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        job->run();
        lock.lock();
        finished_.push_back(std::move(job));
        doorbell_.ring();
    }
}

}  // namespace ringfort::uring
