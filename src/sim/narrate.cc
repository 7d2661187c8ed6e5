#include "sim/narrate.h"

#include <cstdio>

namespace ringfort::sim {

void narrate(Instant at, std::string_view who, std::string_view what) {
    std::fprintf(stderr, "%8lld.%06lld %.*s: %.*s\n", static_cast<long long>(at.ns / 1'000'000'000),
                 static_cast<long long>(at.ns % 1'000'000'000 / 1000), static_cast<int>(who.size()), who.data(),
                 static_cast<int>(what.size()), what.data());
}

}  // namespace ringfort::sim
