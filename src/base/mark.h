// MARK("what happened here") beside a rare branch counts how often it was taken. The simulator's report names the marks
// that were never reached: such a branch is dead code, or a fault is missing.
//
// Marks are in every build, so that the code that is simulated is the code that ships: one increment of a word that
// nothing else touches, in places that are rare. Nothing decides by them. A name stands in one place only; not for
// headers and templates.
#pragma once

#include <cstdint>
#include <span>

namespace ringfort {

struct alignas(32) Mark {
    // More tells nobody anything, and what many processes counted can be added up.
    static constexpr std::uint32_t reached_max = 1U << 16;

    const char* name;
    const char* file;
    std::uint32_t line;
    std::uint32_t reached;   // up to reached_max; exact as long as one thread runs

    void note() {
        // Shards are threads: what they count together may miss some, and must not tear.
        // tidy-allow(determinism): nothing decides by it
        const std::uint32_t count = __atomic_load_n(&reached, __ATOMIC_RELAXED);
        if (count < reached_max) {
            // tidy-allow(determinism): nothing decides by it
            __atomic_store_n(&reached, count + 1, __ATOMIC_RELAXED);
        }
    }
};
// The linker lays all of them side by side: an array.
static_assert(sizeof(Mark) == 32);

// Of the whole program, in the order of linking.
std::span<Mark> all_marks();

}  // namespace ringfort

#define MARK(what)                                                                          \
    do {                                                                                    \
        [[gnu::section("ringfort_marks"), gnu::used]] static constinit ::ringfort::Mark     \
            mark_here{what, __FILE__, __LINE__, 0};                                         \
        mark_here.note();                                                                   \
    } while (false)
