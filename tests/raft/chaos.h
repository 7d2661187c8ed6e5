// A cluster in a storm, from a seed: messages lost, repeated, late and out of order; crashes that lose what was not
// durable; liveness news that is false; partitions; damage and wipes within what a quorum survives; transfers and
// membership changes. Then everything is healed, and the cluster must come to rest in one state.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "checker.h"

namespace ringfort::raft {

struct ChaosPlan {
    std::uint64_t seed{1};
    std::uint64_t voter_count{3};
    std::uint64_t spare_count{0};   // nodes outside the first configuration
    int steps{600};
};

struct ChaosStats {
    std::uint64_t elections{0};
    std::uint64_t committed{0};
    std::uint64_t crashes{0};
    std::uint64_t wipes{0};
    std::uint64_t fences_passed{0};
    std::uint64_t damaged{0};
    std::uint64_t rotten{0};        // damaged while running, nothing but the id known
    std::uint64_t repaired{0};
    std::uint64_t dropped{0};       // truncations by a replica that was leader
    std::uint64_t snapshots{0};
    std::uint64_t reads{0};
    std::uint64_t changes{0};

    void add(const ChaosStats& other);
};

class Chaos {
  public:
    explicit Chaos(const ChaosPlan& plan);
    // Empty: all held. Else what broke first.
    std::string run();
    const ChaosStats& stats() const { return stats_; }

  private:
    TestNode& any_node();
    TestNode* any_running();
    TestNode* any_leader();
    void act();
    void collect(TestNode& node);
    void deliver();
    void deliver_to(const OwnedMessage& message);
    void stream();
    void propose();
    void crash();
    void restart(TestNode& node);
    void tell_lost(TestNode& node, NodeId peer);
    void tell_back(TestNode& node, NodeId peer);
    void spoil(TestNode& node);
    void rot(TestNode& node);
    void news();
    void change_membership();
    bool faulty(NodeId id) const { return faulty_.contains(id); }
    bool is_cut(NodeId a, NodeId b) const { return cuts_.contains({a, b}); }

    void heal();
    bool quiet_round();
    std::string unsettled();
    std::string state() const;

    ChaosPlan plan_;
    Prng prng_;
    Checker checker_;
    std::map<NodeId, std::unique_ptr<TestNode>> nodes_;
    std::vector<NodeId> ids_;
    std::set<NodeId> faulty_;                      // those whose disk may be spoilt: fewer than a quorum
    std::set<std::pair<NodeId, NodeId>> cuts_;     // directed
    // (a, b): b's process ended and a has not been told yet; it will be before it is told that b is back.
    std::set<std::pair<NodeId, NodeId>> owed_;
    std::vector<OwnedMessage> network_;
    std::vector<SnapshotStream> streams_;
    ChaosStats stats_;
    std::uint64_t proposals_{0};

    // Drawn from the seed: which kinds of trouble this run has.
    bool reorder_, lossy_, repeats_, partitions_, false_news_, damage_, wipes_, transfers_, compacts_;
    bool changes_;
    std::uint64_t crash_rate_, timer_rate_;        // per thousand actions
};

}  // namespace ringfort::raft
