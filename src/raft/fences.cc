#include "raft/fences.h"

#include <algorithm>

namespace ringfort::raft {

void FenceTable::insert(LogIndex index, const Fence& fence) {
    if (std::any_of(items_.begin(), items_.end(), [&](const Item& item) { return item.index == index; })) {
        return;   // known before its entry was lost
    }
    const auto place = std::find_if(items_.begin(), items_.end(), [&](const Item& item) { return item.index > index; });
    items_.insert(place, {index, fence});
}

void FenceTable::truncate(LogIndex from) {
    std::erase_if(items_, [&](const Item& item) { return item.index >= from; });
}

void FenceTable::compact(LogIndex through) {
    std::erase_if(items_, [&](const Item& item) { return item.index <= through; });
}

Incarnation FenceTable::newest_of(NodeId member) const {
    Incarnation newest{};
    for (const Item& item : items_) {
        if (item.fence.member == member) {
            newest = std::max(newest, item.fence.incarnation);
        }
    }
    return newest;
}

LogIndex FenceTable::find(NodeId member, Incarnation incarnation, LogIndex after) const {
    for (const Item& item : items_) {
        if (item.index > after && item.fence.member == member && item.fence.incarnation == incarnation) {
            return item.index;
        }
    }
    return LogIndex{};
}

}  // namespace ringfort::raft
