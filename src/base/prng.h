// Seeded pseudo-random numbers (xoshiro256**, Blackman and Vigna 2018). The only source of randomness in the core:
// std distributions differ between libraries, so ranges are drawn here.
#pragma once

#include <array>
#include <cstdint>

namespace ringfort {

class Prng {
  public:
    explicit Prng(std::uint64_t seed);

    std::uint64_t next();
    // Uniform in [0, bound). Requires: bound > 0.
    std::uint64_t below(std::uint64_t bound);
    // Uniform in [first, last], both included.
    std::uint64_t between(std::uint64_t first, std::uint64_t last);
    // True once in `bound` times on average; chance(0) is never.
    bool one_in(std::uint64_t bound) { return bound != 0 && below(bound) == 0; }
    // True in `per_million` of a million cases.
    bool per_million(std::uint32_t share) { return below(1'000'000) < share; }
    // A generator with a stream of its own, drawn from this one.
    Prng fork() { return Prng(next()); }

  private:
    std::array<std::uint64_t, 4> state_;
};

}  // namespace ringfort
