// What the simulator's judges and tests may see of a shard. Nothing here changes anything.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "raft/types.h"
#include "shard/shard.h"

namespace ringfort::shard {

struct ReplicaView {
    RangeId range{};
    raft::Role role{};
    Term term{};
    NodeId leader{};
    LogIndex commit{};
    LogIndex applied{};
    raft::EntryId last{};
    std::uint64_t state_hash{0};   // at `applied`
    bool in_doubt{false};
    std::uint64_t live_bytes{0};   // of the store; 0 for the directory
    std::size_t pending{0};        // answers owed
};

std::vector<ReplicaView> inspect(Shard& shard);

}  // namespace ringfort::shard
