// What shards hold: never more than its bound, and nothing once nothing is asked for any more. The credit of every link is
// whole then, as the two ends of it count it, and a node has open and on its disk what its logs and checkpoints need.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "shard/inspect.h"

namespace ringfort::sim {

// What one shard holds. `who`: for people.
struct Holdings {
    std::string who;
    NodeId node{};
    ShardId shard{};
    shard::PoolList pools;
    shard::HeldView held;
    std::vector<shard::LinkView> links;
};

// Files of one node, when no checkpoint is being written, loaded, sent or received.
struct NodeFiles {
    std::string who;
    std::uint64_t open{0};
    std::uint64_t scrubbed{0};                 // open to be read and compared, at most one a shard
    std::uint64_t log_files{0};                // as its shards count them; those for later use are not open
    std::vector<std::string> names{};          // on its disk
    std::vector<std::string> checkpoints{};    // that its logs name
    // Its disk was damaged: segments may stay that nobody knows, and are not judged.
    bool segments_excused{false};
};

// All return what is wrong, empty if nothing is.
std::string check_bounds(const Holdings& holdings);
// Requires: all shards of these nodes, nothing was asked for a while. Of links to others one end says nothing.
std::string check_rest(std::span<const Holdings> all);
std::string check_files(const NodeFiles& files);

}  // namespace ringfort::sim
