#include "uring/entropy.h"

#include <sys/random.h>

#include "base/assertion.h"

namespace ringfort::uring {

std::uint64_t random_number() {
    std::uint64_t number = 0;
    while (number == 0) {
        // So few bytes come whole once the kernel's pool is seeded, and the call waits for that.
        ASSERT(getrandom(&number, sizeof(number), 0) == sizeof(number));
    }
    return number;
}

}  // namespace ringfort::uring
