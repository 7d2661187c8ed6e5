#include "uring/slice_chooser.h"

#include <algorithm>

namespace ringfort::uring {

bool SliceChooser::look(Instant now, const Waits& waits) {
    const auto times = static_cast<std::int64_t>(waits.times - before_.times);
    const Duration mean = times > 0 ? (waits.waited - before_.waited) / times : 0ns;
    const bool first = looked_ == Instant{};
    looked_ = now;
    before_ = waits;
    if (first) {
        return long_;
    }
    if (long_) {
        if (now - long_since_ >= good_for) {
            quiet_needed_ = quiet_first;
        }
        if (mean > crowded_wait) {
            long_ = false;
            crowded_at_ = now;
        }
        return long_;
    }
    if (mean > quiet_wait) {
        crowded_at_ = now;
    } else if (now - crowded_at_ >= quiet_needed_) {
        long_ = true;
        long_since_ = now;
        quiet_needed_ = std::min(quiet_needed_ * 2, quiet_max);
    }
    return long_;
}

}  // namespace ringfort::uring
