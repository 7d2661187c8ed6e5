#include "sim/checkers/replicas.h"

namespace ringfort::sim {

namespace {

std::string place(NodeId node, const shard::ReplicaView& view) {
    return "range " + std::to_string(view.range.value) + " on node " + std::to_string(node.value) + ": ";
}

}  // namespace

std::string ReplicaJudge::observe(NodeId node, const shard::ReplicaView& view) {
    const Progress now{view.term, view.commit, view.applied, view.state_hash, view.role, view.incarnation};
    Progress& progress = progress_[{node, view.range}];
    if (now == progress) {
        return {};   // as after the turn before
    }
    if (view.role == raft::Role::leader) {
        const auto [found, added] = leaders_.emplace(std::pair(view.range, view.term), node);
        if (!added && found->second != node) {
            return place(node, view) + "leads term " + std::to_string(view.term.value) + ", which node " +
                   std::to_string(found->second.value) + " led";
        }
    }
    const auto [directory, first] = directories_.emplace(std::tuple(node, view.range, view.incarnation), view.instance);
    if (!first && directory->second != view.instance) {
        return place(node, view) + "incarnation " + std::to_string(view.incarnation.value) +
               " is that of another data directory";
    }
    if (view.term < progress.term || view.commit < progress.commit || view.applied < progress.applied) {
        return place(node, view) + "term, commit or applied index went back";
    }
    if (view.applied > view.commit) {
        return place(node, view) + "applied " + std::to_string(view.applied.value) + " beyond commit " +
               std::to_string(view.commit.value);
    }
    const bool moved = view.applied != progress.applied || view.state_hash != progress.state_hash;
    if (moved && !excused_.contains(node)) {
        const auto [found, added] = hashes_.emplace(std::pair(view.range, view.applied), view.state_hash);
        if (!added && found->second != view.state_hash) {
            return place(node, view) + "another state than a replica before it at applied index " +
                   std::to_string(view.applied.value);
        }
    }
    progress = now;
    return {};
}

void ReplicaJudge::forget(NodeId node) {
    std::erase_if(progress_, [&](const auto& item) { return item.first.first == node; });
}

}  // namespace ringfort::sim
