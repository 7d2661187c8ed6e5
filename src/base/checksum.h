// The project's one checksum: XXH3, 64 bits, chosen per CPU by the library's dispatching build.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace ringfort {

std::uint64_t checksum(Bytes bytes, std::uint64_t seed = 0);

}  // namespace ringfort
