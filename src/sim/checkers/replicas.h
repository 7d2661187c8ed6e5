// What must hold between the replicas of a range at every moment: one leader a term, and the same state at the same
// applied index, over all nodes and all their lives; and an incarnation stands for the promises of one data directory.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "shard/inspect.h"

namespace ringfort::sim {

class ReplicaJudge {
  public:
    // Looks at one replica. Returns what is wrong, empty if nothing is.
    std::string observe(NodeId node, const shard::ReplicaView& view);
    // The node's process ended: its volatile progress starts anew.
    void forget(NodeId node);
    // Its state was spoiled: it is not compared until it is right again and this is taken back.
    void excuse(NodeId node, bool excused) { excused ? void(excused_.insert(node)) : void(excused_.erase(node)); }

    std::uint64_t leaders_seen() const { return leaders_.size(); }

  private:
    struct Progress {
        Term term{};
        LogIndex commit{};
        LogIndex applied{};
        std::uint64_t state_hash{0};
        raft::Role role{};
        Incarnation incarnation{};
        bool operator==(const Progress&) const = default;
    };
    std::set<NodeId> excused_;
    std::map<std::pair<RangeId, Term>, NodeId> leaders_;
    std::map<std::pair<RangeId, LogIndex>, std::uint64_t> hashes_;   // of the state after applying the index
    std::map<std::pair<NodeId, RangeId>, Progress> progress_;
    std::map<std::tuple<NodeId, RangeId, Incarnation>, InstanceId> directories_;
};

}  // namespace ringfort::sim
