#include "shard/background_pace.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::shard {

namespace {

__extension__ using Product = unsigned __int128;

constexpr std::int64_t second_ns = 1'000'000'000;
// A shard that was busy elsewhere for a moment makes up for so much of it.
constexpr Duration catch_up_max{5ms};

}  // namespace

Duration time_at_rate(std::uint64_t bytes, std::uint64_t rate) {
    return Duration(static_cast<std::int64_t>(bytes * static_cast<std::uint64_t>(second_ns) / rate));
}

bool LogRace::behind(std::uint64_t done_bytes, std::uint64_t log_written) const {
    ASSERT(log_written >= log_begin);
    if (log_bytes == 0) {
        return true;
    }
    const std::uint64_t grown = std::min(log_written - log_begin, log_bytes);
    return Product{done_bytes} * log_bytes < Product{grown} * work_bytes;
}

bool LogRace::well_ahead(std::uint64_t done_bytes, std::uint64_t log_written) const {
    ASSERT(log_written >= log_begin);
    return log_bytes > 0 && Product{done_bytes} * log_bytes * 4 >= Product{log_written - log_begin} * 5 * work_bytes;
}

BackgroundPace::BackgroundPace(std::uint64_t rate_ceiling) : rate_ceiling_(rate_ceiling) {
    ASSERT(rate_ceiling >= rate_begin);
}

bool BackgroundPace::held(Instant now) const {
    return facts_.oldest != never && quiet_ > Duration(0) && now - facts_.oldest > 2 * slow_flush();
}

Instant BackgroundPace::next_at(Instant now) const {
    return held(now) ? next_at_floor_ : next_;
}

void BackgroundPace::went(Instant now, std::uint64_t bytes) {
    pieces_++;
    went_bytes_ += bytes;
    next_at_floor_ = now + time_at_rate(bytes, rate_floor);
    next_ = std::min(std::max(next_, now - catch_up_max) + time_at_rate(bytes, rate_), next_at_floor_);
}

void BackgroundPace::observe(Instant now, const FlushFacts& facts) {
    ASSERT(facts.count >= facts_.count && facts.time >= facts_.time);
    facts_ = facts;
    if (now - begin_ >= window) {
        end_window(now);
    }
}

void BackgroundPace::end_window(Instant now) {
    const std::uint64_t flushes = facts_.count - at_begin_.count;
    const bool quiet = went_bytes_ == 0 && went_before_ == 0;
    Verdict verdict = held(now) ? Verdict::congested : Verdict::calm;
    if (flushes > 0) {
        const Duration mean = (facts_.time - at_begin_.time) / static_cast<std::int64_t>(flushes);
        if (quiet_ > Duration(0) && mean > slow_flush()) {
            verdict = mean > 2 * slow_flush() ? Verdict::badly_congested : Verdict::congested;
        }
        // At the floor it cannot be this work that slows them: the load has grown, or somebody else is at the disk.
        if (quiet || mean < quiet_ || quiet_ == Duration(0) || rate_ == rate_floor) {
            learn(mean);
        }
    }
    if (quiet) {
        rate_ = std::min(rate_, rate_begin);
    } else {
        adapt(now, verdict);
    }
    begin_ = now;
    at_begin_ = facts_;
    went_before_ = went_bytes_;
    went_bytes_ = 0;
}

Duration BackgroundPace::slow_flush() const {
    return std::max(quiet_ * slower_max, quiet_ + 4 * quiet_varies_) + slower_always;
}

void BackgroundPace::learn(Duration mean) {
    if (quiet_ == Duration(0)) {
        quiet_ = mean;
        return;
    }
    // Another node's work on a disk that is shared must not soon pass for quiet.
    quiet_varies_ += (std::chrono::abs(mean - quiet_) - quiet_varies_) / 16;
    quiet_ += (mean - quiet_) / (mean > quiet_ ? 32 : 8);
}

void BackgroundPace::adapt(Instant now, Verdict verdict) {
    const auto lasted = static_cast<std::uint64_t>((now - begin_).count());
    // What could have gone: the rate holds the work up only if about that much went.
    const std::uint64_t possible = rate_ * std::min<std::uint64_t>(lasted, second_ns) / second_ns;
    const bool congested = verdict != Verdict::calm;
    if (congested) {
        const std::uint64_t lower = verdict == Verdict::badly_congested ? rate_ / 2 : rate_ / 4 * 3;
        known_ = was_congested_ ? known_ : std::max(lower, rate_floor);
        rate_ = std::max(lower, rate_floor);
    } else if (went_bytes_ >= possible / 4 * 3) {
        rate_ = std::min(rate_ + rate_ / (rate_ < known_ ? 4 : 8), rate_ceiling_);
        known_ = std::max(known_, rate_ / 2);
    }
    was_congested_ = congested;
    ASSERT(rate_ >= rate_floor && rate_ <= rate_ceiling_);
}

}  // namespace ringfort::shard
