// The kernel's randomness: the seed of everything that is random in a node. The core only sees seeded generators.
#pragma once

#include <cstdint>

namespace ringfort::uring {

// From the kernel; never 0.
std::uint64_t random_number();

}  // namespace ringfort::uring
