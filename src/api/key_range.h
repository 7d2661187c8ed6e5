// Intervals of keys: etcd's three ways of naming them, normalised to half-open intervals.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/types.h"

namespace ringfort::api {

// [begin, end); no end: to the end of the key space.
struct Interval {
    std::string_view begin;
    std::optional<std::string_view> end;

    bool contains(std::string_view key) const { return key >= begin && (!end || key < *end); }
    bool empty() const { return end && *end <= begin; }
};

// Whether the range names exactly one key (range_end empty).
inline bool is_point(const KeyRange& range) { return range.range_end.empty(); }

// The interval of a non-point range. range_end <= key gives an empty interval, as etcd has it.
inline Interval interval_of(const KeyRange& range) {
    if (range.range_end.size() == 1 && range.range_end[0] == '\0') {
        return {range.key, std::nullopt};
    }
    return {range.key, range.range_end};
}

// The smallest range_end that covers every key with this prefix; "\0" (no end) for an all-0xff or empty prefix.
std::string prefix_end(std::string_view prefix);

}  // namespace ringfort::api
