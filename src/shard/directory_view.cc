#include "shard/directory_view.h"

#include <algorithm>

#include "base/checksum.h"

namespace ringfort::shard {

kv::DirectoryState initial_directory(const NodeConfig& config) {
    std::vector<kv::MemberRecord> members;
    for (const InitialMember& member : config.members) {
        kv::MemberRecord record;
        record.id = member.id;
        record.name = member.name;
        record.peer_urls = member.peer_urls;
        record.client_urls = member.client_urls;
        members.push_back(std::move(record));
    }
    return kv::bootstrap_state(config.cluster_id, std::move(members), config.initial_domains, config.settings);
}

namespace {

// Ids are never 0 (0 means none) and fit a signed 64-bit number, which some clients read them into.
std::uint64_t nonzero(std::uint64_t hash) {
    const std::uint64_t positive = hash & 0x7fff'ffff'ffff'ffffULL;
    return positive == 0 ? 1 : positive;
}

}  // namespace

NodeId initial_member_id(std::string_view name, std::string_view peer_url, std::string_view token) {
    std::uint64_t hash = checksum(as_bytes(name), 1);
    hash = checksum(as_bytes(peer_url), hash);
    return NodeId(nonzero(checksum(as_bytes(token), hash)));
}

ClusterId initial_cluster_id(const std::vector<InitialMember>& members, std::string_view token) {
    std::vector<std::uint64_t> ids;
    for (const InitialMember& member : members) {
        ids.push_back(member.id.value);
    }
    std::sort(ids.begin(), ids.end());
    std::uint64_t hash = checksum(as_bytes(token), 2);
    for (const std::uint64_t id : ids) {
        hash = checksum(Bytes(reinterpret_cast<const std::byte*>(&id), sizeof(id)), hash);
    }
    return ClusterId(nonzero(hash));
}

}  // namespace ringfort::shard
