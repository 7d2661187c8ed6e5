// Cancels of requests that wait where nobody can look them up: they are met when their turn comes.
//
// Requests wait in places (a batch, a round) that are numbered as they begin. A cancel can only mean one that waited when
// it came: once all places of that time are gone it is forgotten. Else those that came too late would stay for as long as
// anything waits, and take the room of others.
//
// Bound: beyond it a cancel is ignored, which the protocol permits.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <utility>

#include "base/assertion.h"
#include "shard/origin.h"

namespace ringfort::shard {

class EarlyCancels {
  public:
    static constexpr std::size_t count_max = 4096;

    void note(const Origin& origin) {
        if (size() < count_max) {
            young_.insert(key_of(origin));
        }
    }
    // Whether it was noted; it is forgotten. Also for a request that begins: a cancel of one before it is not meant for it.
    bool take(const Origin& origin) {
        if (empty()) {
            return false;
        }
        const Key key = key_of(origin);
        return young_.erase(key) + old_.erase(key) > 0;
    }
    bool empty() const { return size() == 0; }
    std::size_t size() const { return young_.size() + old_.size(); }
    void clear() {
        young_.clear();
        old_.clear();
    }
    // The numbers of the oldest place that something waits in, and of the newest one there was.
    void forget(std::uint64_t oldest, std::uint64_t newest) {
        ASSERT(oldest <= newest && old_through_ <= newest);
        if (oldest > old_through_) {
            old_ = std::exchange(young_, {});
            old_through_ = newest;
        }
    }

  private:
    using Key = std::array<std::uint64_t, 3>;
    static Key key_of(const Origin& origin) {
        return {static_cast<std::uint64_t>(origin.kind), origin.place, origin.token};
    }

    std::set<Key> young_;
    std::set<Key> old_;              // what they mean waits in places up to this one:
    std::uint64_t old_through_{0};
};

}  // namespace ringfort::shard
