// Finds what a state at a revision consists of, in the order of its keys, ahead of the one who writes a checkpoint of it or
// hashes it: of each key the versions from the newest at that revision down to the one that is visible at the floor, which
// is the compacted revision; a removal at the floor or before is nothing.
//
// A version is found through the one that superseded it, and is mostly not in the cache: one chain after the other, the
// walk would wait for memory at every version. So a group of keys is taken together, and their chains are walked side by
// side, each step's memory on its way while the other chains take theirs. How many keys a group has follows from
// how long chains are: what is found of all of them has a bounded room, which they share equally.
//
// What is held from one call to the next stays: the pinned floor keeps every version of the checkpoint, and all
// newer ones. Keys made since the cut have nothing in it, so that a group's keys may be taken long before they are written.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "kv/store_state.h"

namespace ringfort::kv {

class CheckpointScan {
  public:
    // Requires: the floor, which is the compacted revision of now, is pinned while this lives, and not behind `revision`.
    CheckpointScan(const StoreState& state, api::Revision revision);

    enum class Front : std::uint8_t { found, spent, end };
    // found: record(), version() and last() tell what comes next. spent: the budget ended before it was known.
    Front look(WorkBudget& budget) { return gathered_ && known() ? Front::found : find_front(budget); }
    const KeyRecord& record() const { return *lanes_[front_].record; }
    const Version& version() const { return *found(front_)[at_].version; }
    // Of its key.
    bool last() const { return lanes_[front_].next == nullptr && at_ + 1 == lanes_[front_].count; }
    void pop() {
        at_++;
        bring_value();
    }

    api::Revision revision() const { return revision_; }
    api::Revision floor() const { return floor_; }

  private:
    // At once, so that few keys with long chains and many with one version both keep the memory busy.
    static constexpr std::uint32_t lanes_min = 4, lanes_max = 64;
    static constexpr std::uint32_t found_max = 8192;   // versions, of all lanes
    static constexpr std::uint32_t values_ahead = 6;

    // A key of the group, and its chain.
    struct Lane {
        const KeyRecord* record;
        const Version* next;     // of the chain, not looked at; null: it ended
        std::uint32_t count;     // found, and not given up
    };

    struct Found {
        const Version* version;
        std::uint32_t bytes;     // of it; that it need not be read to bring it near
    };

    Found* found(std::uint32_t lane) { return found_.data() + lane * room_; }
    const Found* found(std::uint32_t lane) const { return found_.data() + lane * room_; }
    // Whether it is known what comes next and if it is its key's last.
    bool known() const {
        return front_ < lane_count_ && at_ + (lanes_[front_].next == nullptr ? 0 : 1) < lanes_[front_].count;
    }
    Front find_front(WorkBudget& budget);
    bool begin_group(WorkBudget& budget);
    void choose_lanes();
    bool gather(WorkBudget& budget);
    void look_at_next(std::uint32_t lane);
    void continue_front();
    void begin_values();
    void bring_value();

    const StoreState& state_;
    const api::Revision revision_;
    const api::Revision floor_;

    std::string position_;              // the next key to take
    KeyTree::Cursor cursor_;            // there, while the tree has the shape it was taken in
    std::uint64_t cursor_shape_{0};
    bool cursor_set_{false};

    std::array<Lane, lanes_max> lanes_;
    std::uint32_t lane_count_{0};       // of this group
    std::uint32_t lanes_wanted_{lanes_max};
    std::uint32_t room_{found_max / lanes_max};   // of each lane, in found_
    std::uint32_t group_found_{0};
    bool overfull_{false};              // a chain of the group did not fit its room
    bool gathered_{false};              // nothing can be found before something is popped
    std::vector<Found> found_;
    std::uint32_t front_{0};            // lane
    std::uint32_t at_{0};               // in it
    std::uint32_t ahead_lane_{0};       // the version whose value is brought near next
    std::uint32_t ahead_at_{0};
};

}  // namespace ringfort::kv
