#include "base/checksum.h"

#include <xxh_x86dispatch.h>

namespace ringfort {

std::uint64_t checksum(Bytes bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace ringfort
