// Time as the core sees it: values that come in with events. Nothing in the core asks a clock.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace ringfort {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// A point of the node's monotonic clock. Comparable only within one node.
struct Instant {
    std::int64_t ns{0};

    constexpr auto operator<=>(const Instant&) const = default;
    constexpr Instant operator+(Duration d) const { return {ns + d.count()}; }
    constexpr Instant operator-(Duration d) const { return {ns - d.count()}; }
    constexpr Duration operator-(Instant other) const { return Duration(ns - other.ns); }
};
inline constexpr Instant never{INT64_MAX};

// Nanoseconds since the Unix epoch, as the proposer's wall clock said. Never used for ordering.
struct WallTime {
    std::int64_t ns{0};
    constexpr auto operator<=>(const WallTime&) const = default;
};

}  // namespace ringfort
