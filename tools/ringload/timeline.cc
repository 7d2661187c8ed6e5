#include "timeline.h"

#include <algorithm>

namespace ringload {

using ringfort::api::Errc;
using ringfort::api::ErrorClass;

Timeline::Timeline(Duration interval) : interval_(interval) {}

void Timeline::begin(Instant now) {
    const Duration interval = interval_;
    *this = Timeline(interval);
    begin_ = now;
    end_ = now;
    last_acknowledged_ = now;
    interval_end_ = now + interval_;
}

void Timeline::acknowledged(Instant now, std::int64_t latency_ns) {
    advance(now);
    note_gap(now);
    last_acknowledged_ = now;
    current_.record(latency_ns);
    live_.record(latency_ns);
}

void Timeline::failed(Instant now, Errc code) {
    advance(now);
    failed_count_++;
    current_failed_++;
    live_failed_++;
    failed_by_code_[std::min<std::size_t>(static_cast<std::size_t>(code), codes_max - 1)]++;
}

void Timeline::end(Instant now) {
    advance(now);
    close_interval();
    note_gap(now);
    end_ = now;
}

void Timeline::note_gap(Instant now) {
    const Gap gap{last_acknowledged_ - begin_, now - last_acknowledged_};
    if (gap.length > longest_gap_.length) {
        longest_gap_ = gap;
    }
    if (gap.length >= gap_min && gaps_.size() < gaps_max) {
        gaps_.push_back(gap);
    }
}

void Timeline::advance(Instant now) {
    while (now >= interval_end_) {
        close_interval();
        interval_end_ = interval_end_ + interval_;
    }
}

void Timeline::close_interval() {
    intervals_.push_back({.acknowledged = current_.count(),
                          .failed = current_failed_,
                          .p50_ns = current_.percentile(0.5),
                          .p99_ns = current_.percentile(0.99),
                          .max_ns = current_.max()});
    total_.add(current_);
    current_.clear();
    current_failed_ = 0;
    if (intervals_.size() < intervals_max) {
        return;
    }
    // Of two joined pieces the worse percentile stands: a spike does not vanish.
    for (std::size_t i = 0; i < intervals_.size() / 2; i++) {
        const Interval& a = intervals_[2 * i];
        const Interval& b = intervals_[2 * i + 1];
        intervals_[i] = {.acknowledged = a.acknowledged + b.acknowledged,
                         .failed = a.failed + b.failed,
                         .p50_ns = std::max(a.p50_ns, b.p50_ns),
                         .p99_ns = std::max(a.p99_ns, b.p99_ns),
                         .max_ns = std::max(a.max_ns, b.max_ns)};
    }
    intervals_.resize(intervals_.size() / 2);
    interval_ *= 2;
}

Interval Timeline::take_live() {
    const Interval result{.acknowledged = live_.count(),
                          .failed = live_failed_,
                          .p50_ns = live_.percentile(0.5),
                          .p99_ns = live_.percentile(0.99),
                          .max_ns = live_.max()};
    live_.clear();
    live_failed_ = 0;
    return result;
}

std::uint64_t Timeline::failed_of_class(ErrorClass error_class) const {
    std::uint64_t count = 0;
    for (std::size_t code = 0; code < codes_max; code++) {
        const bool known = ringfort::api::known_error(static_cast<std::uint16_t>(code));
        // Nothing is known of a write that failed with an unknown error.
        const ErrorClass is = known ? ringfort::api::error_class(static_cast<Errc>(code)) : ErrorClass::indefinite;
        count += is == error_class ? failed_by_code_[code] : 0;
    }
    return count;
}

std::string Timeline::failures() const {
    std::string text;
    for (std::size_t code = 0; code < codes_max; code++) {
        if (failed_by_code_[code] > 0) {
            const bool known = ringfort::api::known_error(static_cast<std::uint16_t>(code));
            text += text.empty() ? "" : ", ";
            text += known ? std::string(ringfort::api::error_name(static_cast<Errc>(code))) : "unknown";
            text += ": " + std::to_string(failed_by_code_[code]);
        }
    }
    return text;
}

double Timeline::per_second() const {
    const double seconds = std::chrono::duration<double>(elapsed()).count();
    return seconds > 0 ? static_cast<double>(total_.count()) / seconds : 0;
}

}  // namespace ringload
