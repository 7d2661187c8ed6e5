// A link between two nodes' shards, for judges and tests.
#pragma once

#include <array>
#include <cstdint>

#include "base/ids.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

struct LinkView {
    NodeId node{};
    ShardId remote_shard{};
    bool up{false};
    std::array<std::uint64_t, wire::link_class_count> whole{};      // the credit of a link that owes nothing
    std::array<std::int64_t, wire::link_class_count> credit{};      // what we may still send; below 0: an overdraft
    std::array<std::uint64_t, wire::link_class_count> to_grant{};   // of what came, not yet granted anew
};

}  // namespace ringfort::shard
