// Where what a watch or an observer was told waits for whoever asks for the next, on another thread perhaps.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "client/public_convert.h"
#include "ringfort/error.h"

namespace ringfort::client {

// On any thread.
template <class T>
class Inbox {
  public:
    struct Taken {
        Outcome<T> what;
        std::uint64_t token{0};
        std::uint64_t bytes{0};   // to be given back to the core, if not 0
    };

    void add(Taken one) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(one));
        there_.notify_one();
    }
    // Nothing comes any more: behind what waits everybody is told so. The first end counts.
    void end(Error error) {
        const std::lock_guard lock(mutex_);
        if (!end_) {
            end_ = std::move(error);
        }
        there_.notify_all();
    }
    // Nothing: none is there.
    std::optional<Taken> take() {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
            return end_ ? std::optional(Taken{*end_}) : std::nullopt;
        }
        Taken taken = std::move(waiting_.front());
        waiting_.pop_front();
        return taken;
    }
    // Until one is there, or so long; below 0 for ever.
    void wait(std::int64_t timeout_ms) {
        std::unique_lock lock(mutex_);
        const auto ready = [this] { return !waiting_.empty() || end_; };
        if (timeout_ms < 0) {
            there_.wait(lock, ready);
        } else {
            there_.wait_for(lock, from_ms(timeout_ms), ready);
        }
    }

  private:
    std::mutex mutex_;                // guards the rest
    std::condition_variable there_;
    std::deque<Taken> waiting_;
    std::optional<Error> end_;
};

}  // namespace ringfort::client
