// Payloads of config and fence entries, little-endian. Both stand in logs and checkpoints: the forms never change,
// a new form takes a new version.
//
//   configuration: u32 version (1), u32 voters, u32 outgoing, u32 learners, u32 learners_next, then the node ids, u64
//                  each, in that order; every list strictly rising, at most 2 * members_max in all
//   fence:         u32 version (1), u32 zero, u64 member, u64 incarnation
#include <algorithm>

#include "raft/types.h"

namespace ringfort::raft {
namespace {

constexpr std::uint32_t format_version = 1;
constexpr std::size_t configuration_head_bytes = 20;
constexpr std::size_t fence_bytes = 24;

void put(std::vector<std::byte>& out, std::size_t& at, const auto& value) {
    store(out.data() + at, value);
    at += sizeof(value);
}

bool strictly_rising(const std::vector<NodeId>& nodes) {
    return std::adjacent_find(nodes.begin(), nodes.end(), [](NodeId a, NodeId b) { return a >= b; }) == nodes.end();
}

}  // namespace

std::vector<std::byte> encode(const Configuration& configuration) {
    const std::vector<NodeId>* lists[] = {&configuration.voters, &configuration.outgoing, &configuration.learners,
                                          &configuration.learners_next};
    std::size_t node_count = 0;
    for (const auto* list : lists) {
        node_count += list->size();
    }
    std::vector<std::byte> out(configuration_head_bytes + (node_count * sizeof(std::uint64_t)));
    std::size_t at = 0;
    put(out, at, format_version);
    for (const auto* list : lists) {
        put(out, at, static_cast<std::uint32_t>(list->size()));
    }
    for (const auto* list : lists) {
        for (const NodeId node : *list) {
            put(out, at, node.value);
        }
    }
    return out;
}

bool decode(Bytes payload, Configuration& out) {
    out = Configuration{};
    if (payload.size() < configuration_head_bytes || load<std::uint32_t>(payload.data()) != format_version) {
        return false;
    }
    std::vector<NodeId>* lists[] = {&out.voters, &out.outgoing, &out.learners, &out.learners_next};
    std::array<std::size_t, 4> counts{};
    std::size_t node_count = 0;
    for (std::size_t i = 0; i < counts.size(); i++) {
        counts[i] = load<std::uint32_t>(payload.data() + 4 + (4 * i));
        if (counts[i] > limits::members_max) {
            return false;
        }
        node_count += counts[i];
    }
    // No configuration names more: a node stands in two lists at most, outside of a change in one.
    if (node_count > 2 * limits::members_max) {
        return false;
    }
    if (payload.size() != configuration_head_bytes + (node_count * sizeof(std::uint64_t))) {
        return false;
    }
    const std::byte* from = payload.data() + configuration_head_bytes;
    for (std::size_t i = 0; i < counts.size(); i++) {
        lists[i]->reserve(counts[i]);
        for (std::size_t n = 0; n < counts[i]; n++, from += sizeof(std::uint64_t)) {
            lists[i]->push_back(NodeId(load<std::uint64_t>(from)));
        }
        if (!strictly_rising(*lists[i]) || (!lists[i]->empty() && !lists[i]->front())) {
            return false;
        }
    }
    return true;
}

std::vector<std::byte> encode(const Fence& fence) {
    std::vector<std::byte> out(fence_bytes);
    std::size_t at = 0;
    put(out, at, format_version);
    put(out, at, std::uint32_t{0});
    put(out, at, fence.member.value);
    put(out, at, fence.incarnation.value);
    return out;
}

bool decode(Bytes payload, Fence& out) {
    out = Fence{};
    if (payload.size() != fence_bytes || load<std::uint32_t>(payload.data()) != format_version ||
        load<std::uint32_t>(payload.data() + 4) != 0) {
        return false;
    }
    out.member = NodeId(load<std::uint64_t>(payload.data() + 8));
    out.incarnation = Incarnation(load<std::uint64_t>(payload.data() + 16));
    return bool(out.member);
}

}  // namespace ringfort::raft
