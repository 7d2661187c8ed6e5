// Patience with a disk: what it cannot do is asked for again some times before it is believed, each time after a pause.
// Errors pass (a controller is reset, a disk in a network comes back, files open elsewhere are closed), and what a start
// believes to be lost is given up: on two of three nodes at once that loses it for good.
#pragma once

#include <utility>

#include "base/assertion.h"
#include "base/instant.h"

namespace ringfort::shard {

class Patience {
  public:
    static constexpr unsigned tries = 5;
    static constexpr Duration pause{1s};

    bool spent() const { return used_ >= tries; }
    // Another try, after a pause. Requires: !spent().
    void wait() {
        ASSERT(!spent() && !waiting_);
        used_++;
        waiting_ = retrying_ = true;
        until_ = never;
    }
    bool waiting() const { return waiting_; }
    // true, once: the pause is over. It begins when this is first asked.
    bool over(Instant now) {
        ASSERT(waiting_);
        until_ = until_ == never ? now + pause : until_;
        waiting_ = now < until_;
        return !waiting_;
    }
    // Of the pause; a time long gone as long as it has not begun. Requires: waiting().
    Instant deadline() const { return until_ == never ? Instant{} : until_; }
    // The disk did something of what it could not.
    void renew() {
        used_ = 0;
        retrying_ = false;
    }
    // It has done something, or what it could not do is believed. Only what was done at a later try shows that waiting
    // helps: once it was in vain, what else cannot be done is believed at once.
    void tried(bool done) {
        if (std::exchange(retrying_, false) && done) {
            renew();
        }
    }

  private:
    unsigned used_{0};
    bool waiting_{false};
    bool retrying_{false};   // what is being done failed before
    Instant until_{never};
};

}  // namespace ringfort::shard
