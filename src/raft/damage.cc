#include "raft/damage.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::raft {

void DamagedSet::add(DamagedEntry entry) {
    const auto behind = std::find_if(items_.begin(), items_.end(), [&](const DamagedEntry& other) {
        return other.id.index >= entry.id.index;
    });
    ASSERT(behind == items_.end() || behind->id.index > entry.id.index);
    items_.insert(behind, std::move(entry));
}

DamagedEntry* DamagedSet::find(LogIndex index) {
    const auto found = std::find_if(items_.begin(), items_.end(),
                                    [&](const DamagedEntry& entry) { return entry.id.index == index; });
    return found == items_.end() ? nullptr : &*found;
}

std::optional<LogIndex> DamagedSet::first_from(LogIndex index) const {
    for (const DamagedEntry& entry : items_) {
        if (entry.id.index >= index) {
            return entry.id.index;
        }
    }
    return std::nullopt;
}

bool DamagedSet::has_kind(EntryKind kind) const {
    return std::any_of(items_.begin(), items_.end(), [&](const DamagedEntry& entry) { return entry.kind == kind; });
}

void DamagedSet::erase(LogIndex index) {
    std::erase_if(items_, [&](const DamagedEntry& entry) { return entry.id.index == index; });
}

void DamagedSet::truncate(LogIndex from) {
    std::erase_if(items_, [&](const DamagedEntry& entry) { return entry.id.index >= from; });
}

void DamagedSet::compact(LogIndex through) {
    std::erase_if(items_, [&](const DamagedEntry& entry) { return entry.id.index <= through; });
}

void DamagedSet::forget_answers() {
    for (DamagedEntry& entry : items_) {
        entry.never.clear();
    }
}

bool Search::has_asked(NodeId node) const {
    return std::find(asked.begin(), asked.end(), node) != asked.end();
}

void Search::ask_again(NodeId node) {
    if (outstanding == node) {
        outstanding = NodeId{};
    }
    if (passing == node) {
        passing = NodeId{};
    }
    std::erase(asked, node);
}

void Search::clear() {
    outstanding = NodeId{};
    passing = NodeId{};
    asked.clear();
    compacted.clear();
}

}  // namespace ringfort::raft
