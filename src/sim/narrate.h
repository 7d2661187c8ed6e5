// One line of a run's trace: when, who, what.
#pragma once

#include <string_view>

#include "base/instant.h"

namespace ringfort::sim {

// `    1.234567 n1: what`, to stderr.
void narrate(Instant at, std::string_view who, std::string_view what);

}  // namespace ringfort::sim
