// Assertions: bugs end the process, in every build. Operating faults are not bugs: they are values (result.h).
//
// ASSERT(x)       x holds, always on, also in release.
// VERIFY(x)       x holds, but costs more than O(1): on in sanitizer builds, so in their tests and simulator runs.
// MAYBE(x)        documents that x may be either; evaluates nothing.
// UNREACHABLE()   this line is never executed.
#pragma once

namespace ringfort {

// Prints the expression and place to stderr and aborts. Never returns, never throws.
[[noreturn, gnu::cold]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace ringfort

#define ASSERT(...)                                                          \
    do {                                                                     \
        if (!(__VA_ARGS__)) [[unlikely]] {                                   \
            ::ringfort::assertion_failed(#__VA_ARGS__, __FILE__, __LINE__);  \
        }                                                                    \
    } while (false)

#define UNREACHABLE() ::ringfort::assertion_failed("unreachable", __FILE__, __LINE__)

#ifdef RINGFORT_VERIFY
#define VERIFY(...) ASSERT(__VA_ARGS__)
#else
#define VERIFY(...) static_cast<void>(sizeof(!(__VA_ARGS__)))
#endif

#define MAYBE(...) static_cast<void>(sizeof(!(__VA_ARGS__)))
