#include "base/assertion.h"

#include <cstdio>
#include <cstdlib>

namespace ringfort {

void assertion_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "ringfort: assertion failed: %s at %s:%d\n", expression, file, line);
    std::fflush(stderr);
    std::abort();
}

}  // namespace ringfort
