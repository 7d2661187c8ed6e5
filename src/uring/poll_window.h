// Decides whether to poll for a while before sleeping. Waking a sleeping core costs tens of microseconds; polling pays
// when the next event usually comes within the window, and is waste when the shard is idle. So polling lives on credit:
// earned by events that came soon, spent by windows in which none came.
#pragma once

#include <algorithm>

#include "base/instant.h"

namespace ringfort::uring {

class PollWindow {
  public:
    explicit PollWindow(Duration longest) : longest_(longest) {}

    // How long to poll now; 0: sleep at once.
    Duration next() const { return credit_ > 0 ? longest_ : 0ns; }
    // How long it took from running out of work to the next event, polling and sleep together.
    void on_wait(Duration waited) {
        if (waited <= longest_) {
            credit_ = std::min(credit_ + 2, credit_max);
        } else if (waited <= 4 * longest_) {
            credit_ += credit_ == 0 ? 1 : 0;   // near: go on trying, without trust
        } else {
            credit_ -= credit_ > 0 ? 1 : 0;
        }
    }

    // Whether others had the core while this thread polled. Once in a while they do on any machine; time after time they
    // have work of their own, the core is not idle and needs no waking, and polling only takes turns from them: then some
    // events that come soon have to pass before each further try.
    void on_poll(bool core_taken) {
        taken_in_a_row_ = core_taken ? taken_in_a_row_ + 1 : 0;
        if (core_is_shared()) {
            credit_ = -credit_max;
        }
    }
    bool core_is_shared() const { return taken_in_a_row_ >= shared_after; }

  private:
    static constexpr int credit_max = 16;
    static constexpr int shared_after = 5;
    Duration longest_;
    int credit_{0};
    int taken_in_a_row_{0};
};

}  // namespace ringfort::uring
