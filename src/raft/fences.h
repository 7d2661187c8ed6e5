// The fences in this log. A fence makes its member count again, but only the incarnation it names.
#pragma once

#include <vector>

#include "raft/types.h"

namespace ringfort::raft {

class FenceTable {
  public:
    struct Item {
        LogIndex index{};
        Fence fence;
    };
    void insert(LogIndex index, const Fence& fence);   // a repaired entry may come between
    void truncate(LogIndex from);
    void compact(LogIndex through);
    // The highest incarnation that a fence names; 0: none does. The member was in it, for it was proposed on its word.
    Incarnation newest_of(NodeId member) const;
    // The first fence of this member and incarnation behind `after`; 0: none.
    LogIndex find(NodeId member, Incarnation incarnation, LogIndex after) const;

  private:
    std::vector<Item> items_;  // by index
};

}  // namespace ringfort::raft
