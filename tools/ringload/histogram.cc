#include "histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ringload {

namespace {
constexpr int exponents = 43 - 10 + 1;
constexpr std::size_t bucket_count = std::size_t{exponents + 1} << 10;
}  // namespace

Histogram::Histogram() : counts_(bucket_count) {}

// Exponent e covers [2^(10+e), 2^(11+e)) in steps of 2^e; e = 0 also covers [0, 1024).
std::size_t Histogram::bucket_of(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    const int width = static_cast<int>(std::bit_width(bits));
    const int exponent = std::max(width - linear_bits - 1, 0);
    return (static_cast<std::size_t>(exponent) << linear_bits) + static_cast<std::size_t>(bits >> exponent);
}

std::int64_t Histogram::upper_edge(std::size_t bucket) {
    const std::size_t half = std::size_t{1} << linear_bits;
    if (bucket < 2 * half) {
        return static_cast<std::int64_t>(bucket);
    }
    const std::size_t exponent = (bucket >> linear_bits) - 1;
    const std::size_t mantissa = bucket - (exponent << linear_bits);
    return static_cast<std::int64_t>(((mantissa + 1) << exponent) - 1);
}

void Histogram::record(std::int64_t value) {
    value = std::clamp<std::int64_t>(value, 0, value_max);
    const std::size_t bucket = bucket_of(value);
    counts_[bucket]++;
    if (count_ == 0) {
        first_used_ = bucket;
        end_used_ = bucket + 1;
        min_ = value;
    }
    first_used_ = std::min(first_used_, bucket);
    end_used_ = std::max(end_used_, bucket + 1);
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    sum_ += static_cast<double>(value);
    count_++;
}

void Histogram::add(const Histogram& other) {
    if (other.count_ == 0) {
        return;
    }
    for (std::size_t bucket = other.first_used_; bucket < other.end_used_; bucket++) {
        counts_[bucket] += other.counts_[bucket];
    }
    first_used_ = count_ == 0 ? other.first_used_ : std::min(first_used_, other.first_used_);
    end_used_ = std::max(end_used_, other.end_used_);
    min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
    sum_ += other.sum_;
    count_ += other.count_;
}

void Histogram::clear() {
    std::fill(counts_.begin() + static_cast<std::ptrdiff_t>(first_used_),
              counts_.begin() + static_cast<std::ptrdiff_t>(end_used_), 0U);
    first_used_ = 0;
    end_used_ = 0;
    count_ = 0;
    min_ = 0;
    max_ = 0;
    sum_ = 0;
}

double Histogram::mean() const {
    return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::int64_t Histogram::percentile(double share) const {
    if (count_ == 0) {
        return 0;
    }
    const double exact = std::ceil(share * static_cast<double>(count_));
    const auto wanted = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::max(exact, 1.0)), 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t bucket = first_used_; bucket < end_used_; bucket++) {
        seen += counts_[bucket];
        if (seen >= wanted) {
            return std::min(upper_edge(bucket), max_);
        }
    }
    return max_;
}

}  // namespace ringload
