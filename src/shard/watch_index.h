// Finds the watches of a key, so that a write pays for the watches it matches, and next to nothing for the others: for those
// of single keys, which there may be a million of, a look into a hash table; for those of intervals the logarithm of their
// number, in an interval tree.
//
// Watches of the same keys hang in one group: a thousand of them are found as one. The tree is a treap over the groups of
// intervals in the order of their first keys; each node knows which group below it ends last.
#pragma once

#include <string>
#include <vector>

#include "base/prng.h"
#include "shard/growing_buckets.h"
#include "shard/watcher.h"

namespace ringfort::shard {

class WatchIndex {
  public:
    WatchIndex(Watchers& watchers, std::uint64_t seed) : watchers_(watchers), prng_(seed), hash_seed_(prng_.next()) {}

    void insert(std::uint32_t watcher);
    // Tells what was its group if the group went with it; else no_slot.
    std::uint32_t erase(std::uint32_t watcher);
    std::size_t groups() const { return groups_.used(); }
    // What a group takes.
    static constexpr std::size_t group_bytes = 20;

    // Where a search for a key goes on: behind the group of that key alone, then behind this interval.
    struct After {
        bool point{false};
        bool interval{false};
        std::string begin, end;
        bool no_end{false};
        void reset() { point = interval = false; }
    };
    // Groups with the key, from behind `after`; at most `found_max` of them, more than none. true: there may be more, and
    // `after` is moved on.
    bool find(std::string_view key, std::size_t found_max, After& after, std::vector<std::uint32_t>& found) const;
    std::uint32_t first_of(std::uint32_t group) const { return groups_[group].first; }

  private:
    struct Group {
        std::uint32_t left{no_slot}, right{no_slot};   // of a single key: `left` is the next in its bucket
        std::uint32_t priority{0};          // of a single key: its hash, so that others in its bucket are not looked at
        std::uint32_t last_end{no_slot};    // the group that ends last, of those here and below
        std::uint32_t first{no_slot};       // its watches, never none
    };
    static_assert(sizeof(Group) == group_bytes);

    friend class GrowingBuckets<WatchIndex>;
    std::uint32_t& next_in_bucket(std::uint32_t group) { return groups_[group].left; }
    std::uint64_t hash(std::uint32_t group) const { return groups_[group].priority; }
    std::uint32_t hash_of(std::string_view key) const;
    std::uint32_t find_point(std::string_view key) const;

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
    const std::uint64_t hash_seed_;            // clients choose keys
    SlotPool<Group> groups_;
    GrowingBuckets<WatchIndex> points_;        // groups of single keys
    std::uint32_t root_{no_slot};              // of the others
};

}  // namespace ringfort::shard
