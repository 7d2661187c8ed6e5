// One node goes back to what it was and does not know it: its flushes lied and its power is cut, or an old copy of its
// data directory is put back. Within the budget (damage_budget.h): only once enough others hold what it forgets.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "sim/cluster.h"

namespace ringfort::sim {

class SilentRollback {
  public:
    explicit SilentRollback(Cluster& cluster) : cluster_(cluster) {}

    // From here on its flushes lie, or the copy is taken now. false: another is under way, or the cluster is too small.
    bool begin(FaultKind how, std::size_t node);
    // The process ends; what it is known to have said is noted. false: it does not run, or nothing is under way.
    bool end_life();
    // Goes back, if it may. Requires: end_life() was true.
    enum class Step : std::uint8_t { wait, done, called_off };
    Step go_back();
    // Not that node, or not any more: what its flushes said comes true.
    void call_off();
    bool under_way() const { return node_.has_value(); }
    std::size_t node() const { return *node_; }   // Requires: under_way()
    // Whether the node that went back last counts again with all that it forgot. Until then the others are what is left of
    // it, and none of them may be harmed.
    bool made_good();

  private:
    bool others_hold_it();

    Cluster& cluster_;
    std::optional<std::size_t> node_;   // none: nothing is under way
    FaultKind how_{FaultKind::old_copy};
    DiskMedia::Copy copy_;
    InstanceId instance_{};
    std::vector<shard::ReplicaView> forgotten_;
    Instant give_up_at_{};
    std::optional<std::size_t> gone_back_;           // a node not known to have made good
    std::vector<shard::ReplicaView> to_make_good_;   // what it forgot
};

}  // namespace ringfort::sim
