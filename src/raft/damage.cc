#include "raft/damage.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::raft {

std::deque<DamagedEntry>::iterator DamagedSet::from(LogIndex index) {
    return std::lower_bound(items_.begin(), items_.end(), index,
                            [](const DamagedEntry& entry, LogIndex bound) { return entry.id.index < bound; });
}

void DamagedSet::add(DamagedEntry entry) {
    const auto behind = from(entry.id.index);
    ASSERT(behind == items_.end() || behind->id.index > entry.id.index);
    items_.insert(behind, std::move(entry));
}

DamagedEntry* DamagedSet::find(LogIndex index) {
    const auto found = from(index);
    return found != items_.end() && found->id.index == index ? &*found : nullptr;
}

std::optional<LogIndex> DamagedSet::first_from(LogIndex index) const {
    const auto found = const_cast<DamagedSet*>(this)->from(index);
    return found != items_.end() ? std::optional(found->id.index) : std::nullopt;
}

bool DamagedSet::hides_configuration() const {
    return std::any_of(items_.begin(), items_.end(), [](const DamagedEntry& entry) {
        return entry.kind == EntryKind::config && !entry.known;
    });
}

void DamagedSet::erase(LogIndex index) {
    const auto found = from(index);
    if (found != items_.end() && found->id.index == index) {
        items_.erase(found);
    }
}

void DamagedSet::truncate(LogIndex from) {
    items_.erase(this->from(from), items_.end());
}

void DamagedSet::compact(LogIndex through) {
    items_.erase(items_.begin(), from(through.next()));
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
