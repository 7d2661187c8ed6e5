#include "sim/number_set.h"

#include <algorithm>
#include <charconv>

namespace ringfort::sim {

bool NumberSet::contains(std::uint64_t number) const {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const auto& range) { return range.first <= number && number <= range.second; });
}

std::string NumberSet::text() const {
    std::string out;
    for (const auto& [first, last] : ranges_) {
        out += (out.empty() ? "" : ",") + std::to_string(first) + (last > first ? "-" + std::to_string(last) : "");
    }
    return out;
}

bool NumberSet::parse(std::string_view text, NumberSet& out) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (true) {
        std::uint64_t first = 0;
        auto read = std::from_chars(at, end, first);
        std::uint64_t last = first;
        if (read.ec == std::errc{} && read.ptr != end && *read.ptr == '-') {
            read = std::from_chars(read.ptr + 1, end, last);
        }
        if (read.ec != std::errc{} || last < first) {
            return false;
        }
        out.add(first, last);
        if (read.ptr == end) {
            return true;
        }
        if (*read.ptr != ',') {
            return false;
        }
        at = read.ptr + 1;
    }
}

}  // namespace ringfort::sim
