// Finds a watch by its sink and its request id.
//
// Clients choose request ids: the hash has a seed they do not know, so that nobody fills one bucket.
//
// The other way weighed, a small table for each sink, bounds what one client can do to another without any seed, but has to
// grow in steps as well, since a sink may have 64 Ki watches, and takes room for each of many connections with one watch.
#pragma once

#include "shard/growing_buckets.h"
#include "shard/watcher.h"

namespace ringfort::shard {

class WatchTable {
  public:
    WatchTable(Watchers& watchers, std::uint64_t seed) : watchers_(watchers), seed_(seed) {}

    // no_slot: there is none.
    std::uint32_t find(std::uint32_t sink, std::uint64_t request_id) const;
    // Requires: its sink and request id are set, and no other watch has both.
    void insert(std::uint32_t watcher) { buckets_.insert(*this, watcher); }
    // Requires: it is there.
    void erase(std::uint32_t watcher) { buckets_.erase(*this, watcher); }
    // Of the fullest bucket, for tests.
    std::size_t longest() { return buckets_.longest(*this); }

  private:
    friend class GrowingBuckets<WatchTable>;
    std::uint32_t& next_in_bucket(std::uint32_t watcher) { return watchers_[watcher].table_next; }
    std::uint64_t hash(std::uint32_t watcher) const {
        return hash_of(watchers_[watcher].sink, watchers_[watcher].request_id);
    }
    std::uint64_t hash_of(std::uint32_t sink, std::uint64_t request_id) const;

    Watchers& watchers_;
    const std::uint64_t seed_;
    GrowingBuckets<WatchTable> buckets_;
};

}  // namespace ringfort::shard
