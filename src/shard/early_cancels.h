// Cancels of requests that wait where nobody can look them up: they are met when their turn comes.
//
// Bound: beyond it a cancel is ignored, which the protocol permits.
#pragma once

#include <array>
#include <cstdint>
#include <set>

#include "shard/origin.h"

namespace ringfort::shard {

class EarlyCancels {
  public:
    static constexpr std::size_t count_max = 4096;

    void note(const Origin& origin) {
        if (origins_.size() < count_max) {
            origins_.insert(key_of(origin));
        }
    }
    // Whether it was noted; it is forgotten. Also for a request that begins: a cancel of one before it is not meant for it.
    bool take(const Origin& origin) { return !origins_.empty() && origins_.erase(key_of(origin)) > 0; }
    void clear() { origins_.clear(); }

  private:
    using Key = std::array<std::uint64_t, 3>;
    static Key key_of(const Origin& origin) {
        return {static_cast<std::uint64_t>(origin.kind), origin.place, origin.token};
    }

    std::set<Key> origins_;
};

}  // namespace ringfort::shard
