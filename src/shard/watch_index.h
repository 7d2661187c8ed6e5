// Finds the watches of a key: an interval tree, so that a write pays for the watches it matches and the logarithm of
// those it does not.
//
// A treap over the distinct intervals (groups) in the order of their first keys; each node knows which group below it
// ends last. Watches of the same interval hang in one group: a thousand of them cost one way down. The other way weighed, a
// hash table for single keys beside the tree, is faster for these, but stops the shard while it grows or needs a structure
// of its own that does not.
#pragma once

#include <string>
#include <vector>

#include "base/prng.h"
#include "shard/watcher.h"

namespace ringfort::shard {

class WatchIndex {
  public:
    WatchIndex(Watchers& watchers, std::uint64_t seed) : watchers_(watchers), prng_(seed) {}

    void insert(std::uint32_t watcher);
    // Tells what was its group if the group went with it; else no_slot.
    std::uint32_t erase(std::uint32_t watcher);
    std::size_t groups() const { return groups_.used(); }
    // What a group takes.
    static constexpr std::size_t group_bytes = 20;

    // Where a search for a key goes on: behind this interval.
    struct After {
        bool any{false};
        std::string begin, end;
        bool no_end{false};
    };
    // Groups with the key, in order, from behind `after`, which is moved on; at most `found_max` of them.
    void find(std::string_view key, std::size_t found_max, After& after, std::vector<std::uint32_t>& found) const;
    std::uint32_t first_of(std::uint32_t group) const { return groups_[group].first; }

  private:
    struct Group {
        std::uint32_t left{no_slot}, right{no_slot};
        std::uint32_t priority{0};
        std::uint32_t last_end{no_slot};    // the group that ends last, of those here and below
        std::uint32_t first{no_slot};       // its watches, never none
    };
    static_assert(sizeof(Group) == group_bytes);

    const Watcher& of(std::uint32_t group) const { return watchers_[groups_[group].first]; }
    void update(std::uint32_t group);
    std::uint32_t merge(std::uint32_t left, std::uint32_t right);
    struct Halves {
        std::uint32_t below, rest;
    };
    Halves split(std::uint32_t root, const Watcher& at);
    std::uint32_t insert_below(std::uint32_t root, std::uint32_t group);
    std::uint32_t erase_below(std::uint32_t root, std::uint32_t group);
    void find_below(std::uint32_t root, std::string_view key, std::size_t found_max, const After& after,
                    std::vector<std::uint32_t>& found) const;
    std::uint32_t find_group(const Watcher& watcher) const;

    Watchers& watchers_;
    Prng prng_;
    SlotPool<Group> groups_;
    std::uint32_t root_{no_slot};
};

}  // namespace ringfort::shard
