// The env's populate hint.
#pragma once

#include <cstddef>

namespace ringfort::uring {

// Kernels before 5.14 do not know it. Requires: whole pages.
void populate(void* memory, std::size_t bytes);

}  // namespace ringfort::uring
