// Planted bugs. `MUTANT(name)` is the constant false wherever the product is built: no symbol, no cost. Only in the
// simulator of a build with -Dmutants=true, which holds nothing else, it is true once that mutant was chosen. It stands in
// the production line it spoils: `if (x || MUTANT(a_mistake))`. sim/mutants.cc lists all of them.
#pragma once

#ifdef RINGFORT_MUTANTS

#include <cstdint>
#include <string_view>

namespace ringfort {

inline constexpr bool mutants_planted = true;

// FNV-1a: computed where the program is compiled.
constexpr std::uint64_t mutant_number(std::string_view name) {
    std::uint64_t number = 0xcbf29ce484222325;
    for (const char letter : name) {
        number = (number ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    }
    return number;
}

// 0: none.
inline std::uint64_t chosen_mutant = 0;

template <std::uint64_t number>
bool is_mutant() {
    return chosen_mutant == number;
}

}  // namespace ringfort

#define MUTANT(name) (::ringfort::is_mutant<::ringfort::mutant_number(#name)>())

#else

namespace ringfort {

inline constexpr bool mutants_planted = false;

}  // namespace ringfort

#define MUTANT(name) false

#endif
