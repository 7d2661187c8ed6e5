#include "base/prng.h"

#include <bit>

#include "base/assertion.h"

namespace ringfort {

Prng::Prng(std::uint64_t seed) {
    // splitmix64 spreads the seed over the state, as the generator's authors advise.
    for (auto& word : state_) {
        seed += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        word = z ^ (z >> 31);
    }
}

std::uint64_t Prng::next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

std::uint64_t Prng::below(std::uint64_t bound) {
    ASSERT(bound > 0);
    // Lemire's multiply-shift; the bias of at most bound / 2^64 does not matter here.
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
}

std::uint64_t Prng::between(std::uint64_t first, std::uint64_t last) {
    ASSERT(first <= last);
    return last - first == UINT64_MAX ? next() : first + below(last - first + 1);
}

}  // namespace ringfort
