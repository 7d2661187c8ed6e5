#include "base/bytes.h"

#include <bit>

namespace ringfort {

static_assert(std::endian::native == std::endian::little, "disk and wire forms are little-endian in memory");

}  // namespace ringfort
