// Memory that will be written soon, taken from the kernel in one call instead of one page fault each.
#pragma once

#include <cstddef>

namespace ringfort {

// A hint, without any effect that a program could see but time: kernels before 5.14 do not know it. Requires: a multiple of
// the page size, aligned to it.
void populate(void* memory, std::size_t bytes);

}  // namespace ringfort
