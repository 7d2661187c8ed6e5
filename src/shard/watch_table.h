// Finds a watch by its sink and its request id.
//
// Clients choose request ids: the hash has a seed they do not know, so that nobody fills one bucket. The table grows by one
// bucket with a watch, and each time one bucket is divided (linear hashing): no watch pays for the growth of a large table.
// The other way weighed, a small table for each sink, bounds what one client can do to another without any seed, but has to
// grow in steps as well, since a sink may have 64 Ki watches, and takes room for each of many connections with one watch.
#pragma once

#include <deque>

#include "shard/watcher.h"

namespace ringfort::shard {

class WatchTable {
  public:
    WatchTable(Watchers& watchers, std::uint64_t seed) : watchers_(watchers), seed_(seed) {}

    // no_slot: there is none.
    std::uint32_t find(std::uint32_t sink, std::uint64_t request_id) const;
    // Requires: its sink and request id are set, and no other watch has both.
    void insert(std::uint32_t watcher);
    // Requires: it is there.
    void erase(std::uint32_t watcher);
    // Of the fullest bucket, for tests.
    std::size_t longest() const;

  private:
    // Requires: there are buckets.
    std::size_t bucket_of(std::uint32_t sink, std::uint64_t request_id) const;
    void push(std::size_t bucket, std::uint32_t watcher);
    void grow();

    Watchers& watchers_;
    const std::uint64_t seed_;
    std::deque<std::uint32_t> buckets_;   // first of each, linked by table_next; grows without moving what it holds
    std::size_t count_{0};
};

}  // namespace ringfort::shard
