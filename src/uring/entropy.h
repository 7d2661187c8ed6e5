#pragma once

#include <cstdint>

namespace ringfort::uring {

// From the kernel; never 0.
std::uint64_t random_number();

}  // namespace ringfort::uring
