// Comparing what may be long: bytes looked at are work like any other.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/work_budget.h"

namespace ringfort::kv {

// As a.compare(b) does, charged for what it has to look at: texts that differ early cost little, however long they are.
inline int compare_texts(std::string_view a, std::string_view b, WorkBudget& budget) {
    constexpr std::size_t piece_bytes = 512;
    const std::size_t common = std::min(a.size(), b.size());
    for (std::size_t at = 0; at < common; at += piece_bytes) {
        const std::size_t bytes = std::min(piece_bytes, common - at);
        budget.take(0, static_cast<std::int64_t>(bytes));
        if (const int order = std::memcmp(a.data() + at, b.data() + at, bytes); order != 0) {
            return order;
        }
    }
    return a.size() < b.size() ? -1 : (a.size() > b.size() ? 1 : 0);
}

}  // namespace ringfort::kv
