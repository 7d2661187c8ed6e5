// Which key each operation touches, and what the keys and values look like.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/prng.h"

namespace ringload {

// Ranks 1 .. count with frequency ~ 1 / rank^exponent (rejection-inversion, Hoermann and Derflinger 1996): constant
// time whatever the count.
class Zipf {
  public:
    Zipf(std::uint64_t count, double exponent);
    std::uint64_t next(ringfort::Prng& prng) const;

  private:
    double integral(double x) const;
    double inverse(double x) const;
    double weight(double x) const;

    double count_;
    double exponent_;
    double integral_first_;
    double integral_last_;
    double cut_;
};

enum class Distribution : std::uint8_t { uniform, zipf, sequential };

class KeyChooser {
  public:
    KeyChooser(std::uint64_t count, Distribution distribution, double zipf_exponent, std::uint64_t seed);
    // 0 .. count - 1. Zipf's popular keys are scattered over the key space.
    std::uint64_t next();

  private:
    std::uint64_t count_;
    Distribution distribution_;
    Zipf zipf_;
    ringfort::Prng prng_;
    std::uint64_t sequence_{0};
};

// `prefix`, then the number in decimal with leading zeros: exactly `key_bytes` long, in number order.
class KeyFormat {
  public:
    KeyFormat(std::string prefix, std::size_t key_bytes, std::uint64_t count);
    // Why keys so numbered do not fit; empty: they do.
    std::string problem() const;
    std::size_t key_bytes() const { return key_bytes_; }
    const std::string& prefix() const { return prefix_; }
    // Requires: `out` has room for key_bytes().
    std::string_view write(std::uint64_t number, char* out) const;

  private:
    std::string prefix_;
    std::size_t key_bytes_;
    std::uint64_t count_;
};

// A value begins with the sequence number of the write that made it, as far as it has room: 16 hexadecimal digits.
inline constexpr std::size_t sequence_digits = 16;
void write_sequence(std::uint64_t sequence, char* value, std::size_t value_bytes);
// Whether the value could be of that write. Values of less than 16 bytes keep the number's low digits.
bool carries_sequence(std::string_view value, std::uint64_t sequence);
// Nothing if the value does not begin with a whole one.
std::optional<std::uint64_t> sequence_of(std::string_view value);

}  // namespace ringload
