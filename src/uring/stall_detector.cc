#include "uring/stall_detector.h"

#include <algorithm>
#include <cstdio>

#include "base/assertion.h"
#include "uring/clock_source.h"

namespace ringfort::uring {

void StallDetector::begin_turn() {
    turn_begin_ = monotonic_now();
    if (turn_begin_ - sampled_at_ >= sample_interval) {
        cpu_sample_ = Duration(read_clock_ns(CLOCK_THREAD_CPUTIME_ID));
        sampled_at_ = turn_begin_;
    }
}

Duration StallDetector::end_turn() {
    const Instant now = monotonic_now();
    if (now - turn_begin_ <= bound_) {
        return 0ns;
    }
    // CPU since the sample, less all that could have been used between the sample and this turn.
    const Duration cpu = Duration(read_clock_ns(CLOCK_THREAD_CPUTIME_ID)) - cpu_sample_ - (turn_begin_ - sampled_at_);
    sampled_at_ = Instant{};
    if (cpu <= bound_) {
        return 0ns;
    }
    stall_count_++;
    longest_ = std::max(longest_, cpu);
    if (action_ == StallAction::abort) {
        std::fprintf(stderr, "ringfort: a turn used %lld us of CPU\n", static_cast<long long>(cpu.count() / 1000));
        ASSERT(cpu <= bound_);
    }
    return cpu;
}

}  // namespace ringfort::uring
