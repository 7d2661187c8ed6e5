// The trace of a run as prose: one line for each thing that happened, with its time and who did it. This is the
// part of the replicas; node logs, faults and operations of clients are told where they happen, in the same form.
#pragma once

#include <map>
#include <string_view>
#include <utility>

#include "shard/inspect.h"
#include "sim/event_queue.h"

namespace ringfort::sim {

// Tells who leads since when, what leaders commit and what replicas come and go in doubt. Followers that follow, and
// progress below a leader's commit, are no news.
class Narrator {
  public:
    explicit Narrator(const EventQueue& queue) : queue_(queue) {}
    void look(NodeId node, std::string_view name, const shard::ReplicaView& view);
    void on_end(NodeId node, std::string_view name);

  private:
    const EventQueue& queue_;
    std::map<std::pair<NodeId, RangeId>, shard::ReplicaView> told_;
};

}  // namespace ringfort::sim
