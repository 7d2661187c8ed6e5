// What the file `peers` says: which instances belong to the cluster, and which incarnation this member is in.
//
//   ringfort peers 1             first line, exactly
//   NODE INSTANCE INCARNATION    decimal, a line for each peer; an instance not heard of yet is 0
//   own INCARNATION              or "own INCARNATION lost": this member's former data was lost
//   checksum 0123456789abcdef    XXH3 of all bytes before this line
//
// It is durable before the first promise: a data directory that has it was in use. It lies beside the shards' folders and
// in none of them, so that whatever becomes of a shard's folder, its lost log is not taken for one that never was.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ringfort::shard {

inline constexpr std::string_view peer_memory_file = "peers";

struct PeerMemory {
    struct Peer {
        NodeId node{};
        InstanceId instance{};
        Incarnation incarnation{};
        bool operator==(const Peer&) const = default;
    };
    std::vector<Peer> peers;
    Incarnation own{1};
    bool lost{false};
    bool operator==(const PeerMemory&) const = default;
};

std::string encode_peer_memory(const PeerMemory& memory);
// nullopt: not what encode_peer_memory() writes.
std::optional<PeerMemory> decode_peer_memory(std::string_view text);

}  // namespace ringfort::shard
