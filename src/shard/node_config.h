// What a shard must know of its node: settled by the server (flags, data directory) or by the simulator before start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/bounds.h"
#include "base/instant.h"
#include "env/network.h"
#include "kv/directory.h"
#include "shard/shard_bounds.h"

namespace ringfort::shard {

// One member as --initial-cluster names it.
struct InitialMember {
    NodeId id{};                     // initial_member_id() of name, peer address and token
    std::string name;
    env::Address peer_address;
    std::vector<std::string> peer_urls;
    std::vector<std::string> client_urls;   // known for this node only; empty for others
};

struct NodeConfig {
    ClusterId cluster_id{};
    NodeId self{};
    std::string name;
    InstanceId instance{};           // of the data directory
    Incarnation incarnation{1};      // of the data directory; the shard reports a new one through its log
    bool data_directory_fresh{false};// made by this start: nothing was ever promised from it
    std::vector<InitialMember> members;      // sorted by id, self included
    std::vector<std::string> initial_domains;  // split points, sorted
    kv::Settings settings;
    std::uint32_t shard_count{1};
    ShardId shard{};

    Duration heartbeat_interval{100ms};
    Duration election_timeout{1000ms};
    Duration request_timeout{7s};            // etcd: 5 s + 2 x election timeout
    Duration watch_progress_interval{10min};  // between marks of a watch that wants them
    std::uint64_t memory_quota_bytes{0};     // of the node, all its shards together; 0: none
    std::size_t connections_max{4096};       // client connections of this shard
    std::size_t segment_bytes{limits::segment_bytes_default};
    std::size_t log_window_bytes{32 * mib};
    Duration scrub_interval{1h};             // from the end of one reading of all that lies on the disk to the next
    // A checkpoint starts when the log since the last exceeds max(this, live data).
    std::uint64_t checkpoint_log_bytes{1 * gib};
    // Likewise when the last one is larger than twice the live data and this: what was compacted gives its space on the
    // disk back, in as many checkpoints as the data was halved. And when the log since then is, and has become quiet.
    std::uint64_t checkpoint_slack_bytes{64 * mib};
    // The log as a whole asks for one when it is larger than max(this, live data).
    std::uint64_t log_bytes_goal{1 * gib};
    enum class CompactionMode : std::uint8_t { off, periodic, revision };
    CompactionMode auto_compaction_mode{CompactionMode::off};
    Duration auto_compaction_period{0};
    std::int64_t auto_compaction_revisions{0};
    std::string version;
    ShardBounds bounds;
};

// The same on every node that was given the same flags (etcd derives its ids alike, by another hash).
NodeId initial_member_id(std::string_view name, std::string_view peer_url, std::string_view token);
ClusterId initial_cluster_id(const std::vector<InitialMember>& members, std::string_view token);
// Which shard of a node with that many shards holds a range.
inline ShardId shard_of(RangeId range, std::uint32_t shard_count) {
    return ShardId(range.value == 0 ? 0 : (range.value - 1) % shard_count);
}

}  // namespace ringfort::shard
