// The planted bugs (base/mutant.h): what each is, and where it was seen in the wild or is warned of.
#pragma once

#include <span>
#include <string_view>

namespace ringfort::sim {

struct Mutant {
    std::string_view name;     // like all four a literal: it ends with a zero
    std::string_view file;     // from src/; the one place that uses it
    std::string_view bug;      // one line
    std::string_view source;   // a section of the Raft paper, an issue of another system, or a rule of this code
};

std::span<const Mutant> mutants();

enum class ChooseMutant : bool { no_such_mutant, chosen };
// From here on the process has this bug. Requires: base/mutant.h's mutants_planted.
ChooseMutant choose_mutant(std::string_view name);

}  // namespace ringfort::sim
