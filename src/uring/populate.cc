#include "uring/populate.h"

#include <sys/mman.h>

namespace ringfort::uring {

void populate(void* memory, std::size_t bytes) {
    constexpr int populate_write = 23;   // MADV_POPULATE_WRITE; headers older than the kernel lack it
    static_cast<void>(::madvise(memory, bytes, populate_write));
}

}  // namespace ringfort::uring
