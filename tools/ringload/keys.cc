#include "keys.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ringload {

using ringfort::Prng;

// With s the exponent, H is an integral of h(x) = x^-s. Near s = 1 both H and its inverse need the series of
// (e^t - 1) / t and log(1 + t) / t, which expm1 and log1p give without losing digits.
namespace {
double expm1_over(double t) {
    return std::abs(t) > 1e-8 ? std::expm1(t) / t : 1 + t / 2;
}
double log1p_over(double t) {
    return std::abs(t) > 1e-8 ? std::log1p(t) / t : 1 - t / 2;
}
}  // namespace

Zipf::Zipf(std::uint64_t count, double exponent) : count_(static_cast<double>(count)), exponent_(exponent) {
    integral_first_ = integral(1.5) - 1;
    integral_last_ = integral(count_ + 0.5);
    cut_ = 2 - inverse(integral(2.5) - weight(2));
}

double Zipf::weight(double x) const {
    return std::exp(-exponent_ * std::log(x));
}
double Zipf::integral(double x) const {
    const double log_x = std::log(x);
    return expm1_over((1 - exponent_) * log_x) * log_x;
}
double Zipf::inverse(double x) const {
    const double t = std::max(x * (1 - exponent_), -1.0);
    return std::exp(log1p_over(t) * x);
}

std::uint64_t Zipf::next(Prng& prng) const {
    while (true) {
        const double unit = static_cast<double>(prng.next() >> 11) * 0x1p-53;
        const double u = integral_last_ + unit * (integral_first_ - integral_last_);
        const double x = inverse(u);
        const double rank = std::clamp(std::round(x), 1.0, count_);
        if (rank - x <= cut_ || u >= integral(rank + 0.5) - weight(rank)) {
            return static_cast<std::uint64_t>(rank);
        }
    }
}

KeyChooser::KeyChooser(std::uint64_t count, Distribution distribution, double zipf_exponent, std::uint64_t seed)
    : count_(count), distribution_(distribution), zipf_(count, zipf_exponent), prng_(seed) {}

std::uint64_t KeyChooser::next() {
    switch (distribution_) {
        case Distribution::uniform: return prng_.below(count_);
        case Distribution::sequential: return sequence_++ % count_;
        case Distribution::zipf: break;
    }
    // A prime larger than any count: the ranks are permuted, not merged.
    constexpr std::uint64_t prime = 1'099'511'627'791;
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<Wide>(zipf_.next(prng_) - 1) * prime % count_);
}

KeyFormat::KeyFormat(std::string prefix, std::size_t key_bytes, std::uint64_t count)
    : prefix_(std::move(prefix)), key_bytes_(key_bytes), count_(count) {}

std::string KeyFormat::problem() const {
    const std::size_t digits = std::to_string(count_ - 1).size();
    if (count_ == 0) {
        return "--keys must be at least 1";
    }
    if (prefix_.size() + digits > key_bytes_) {
        return "--key-bytes " + std::to_string(key_bytes_) + " has no room for the prefix and " +
               std::to_string(digits) + " digits";
    }
    return {};
}

std::string_view KeyFormat::write(std::uint64_t number, char* out) const {
    std::copy(prefix_.begin(), prefix_.end(), out);
    for (std::size_t at = key_bytes_; at > prefix_.size(); at--) {
        out[at - 1] = static_cast<char>('0' + number % 10);
        number /= 10;
    }
    return {out, key_bytes_};
}

void write_sequence(std::uint64_t sequence, char* value, std::size_t value_bytes) {
    for (std::size_t at = std::min(value_bytes, sequence_digits); at > 0; at--) {
        value[at - 1] = "0123456789abcdef"[sequence & 15];
        sequence >>= 4;
    }
}

bool carries_sequence(std::string_view value, std::uint64_t sequence) {
    char expected[sequence_digits];
    const std::size_t digits = std::min(value.size(), sequence_digits);
    write_sequence(sequence, expected, digits);
    return value.substr(0, digits) == std::string_view(expected, digits);
}

std::optional<std::uint64_t> sequence_of(std::string_view value) {
    std::uint64_t sequence = 0;
    const char* const end = value.data() + sequence_digits;
    if (value.size() < sequence_digits || std::from_chars(value.data(), end, sequence, 16).ptr != end) {
        return std::nullopt;
    }
    return sequence;
}

}  // namespace ringload
