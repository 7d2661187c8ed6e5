#include "base/mark.h"

// The bounds of the section, from the linker; none if the program has no mark.
extern "C" {
extern ringfort::Mark __start_ringfort_marks[] __attribute__((weak));
extern ringfort::Mark __stop_ringfort_marks[] __attribute__((weak));
}

namespace ringfort {

std::span<Mark> all_marks() {
    return __start_ringfort_marks == nullptr ? std::span<Mark>{} : std::span(__start_ringfort_marks, __stop_ringfort_marks);
}

}  // namespace ringfort
