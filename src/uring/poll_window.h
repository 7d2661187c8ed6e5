// Decides whether to poll for a while before sleeping. Waking a sleeping core costs tens of microseconds; polling pays
// when the next event usually comes within the window, and is waste when the shard is idle. So polling lives on credit:
// earned by events that came soon, spent by windows in which none came. A shard with much to do serves many requests in
// every turn: a wake-up costs each of them little, and the processor is what is scarce: it polls for a moment only.
#pragma once

#include <algorithm>

#include "base/instant.h"

namespace ringfort::uring {

class PollWindow {
  public:
    explicit PollWindow(Duration longest) : longest_(longest) {}

    // How long to poll now; 0: sleep at once.
    Duration next() const {
        if (credit_ <= 0) {
            return 0ns;
        }
        return is_busy() ? std::min(longest_, longest_when_busy) : longest_;
    }
    // The shard worked for so long, and then waited for so long for whatever ended the wait.
    void on_time(Duration worked, Duration waited) {
        // A process may be stopped for days: what is longer than all it remembers counts as that.
        worked_ += std::min(worked, memory);
        elapsed_ += std::min(worked, memory) + std::min(waited, memory);
        if (elapsed_ > memory) {
            worked_ = Duration(worked_.count() * memory.count() / elapsed_.count() / 2);
            elapsed_ = memory / 2;
        }
    }
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
    static constexpr Duration longest_when_busy{60us};
    static constexpr Duration memory{10ms};   // of so much time, and with half the weight of as much before
    static constexpr int busy_share = 4;      // it works for more than one part in so many
    static constexpr int credit_max = 16;
    static constexpr int shared_after = 5;

    bool is_busy() const { return worked_ * busy_share > elapsed_; }

    Duration longest_;
    Duration worked_{0};                      // of elapsed_
    Duration elapsed_{0};
    int credit_{0};
    int taken_in_a_row_{0};
};

}  // namespace ringfort::uring
