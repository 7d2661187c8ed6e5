// Everything that can happen to three replicas within a scope, breadth first: the real core, every order of every
// message, from one state to the next, and the judge looks at each. So the first breach found is one of the shortest.
//
// What makes it small:
//   - A message once sent stays deliverable: late, repeated, reordered or (never delivered) lost. So there is no choice of
//     what the network does, only sets of messages that grow; and a replica that is down is one to which nothing comes.
//   - A replica takes each step once (replica_states.h), and states of the cluster are a few numbers.
//   - News of who is alive comes where it permits the most: every peer counts as alive, but who is asked for a vote takes
//     its leader for dead. (With a living leader it refuses, which changes nothing.)
//   - Replicas that begin alike are exchangeable, but for ties broken by id: in a fresh cluster node 1 stands first.
//   - Wipes, lost hard states and damage hit a node only while no other is in doubt or damaged: a minority.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "judge.h"

namespace ringfort::raft {

struct Limits {
    std::size_t states_max{5'000'000};
    std::size_t replica_states_max{400'000};   // some 8 KiB each
    std::FILE* progress{nullptr};
};

struct Report {
    bool exhaustive{false};      // else bounded: a limit was met
    std::uint64_t transitions{0};
    std::size_t states{0};       // distinct
    std::size_t replica_states{0};
    std::size_t parcels{0};
    std::size_t depth{0};        // events on the longest of the shortest paths
    std::size_t depth_done{0};   // every state within so many events was looked at
    std::string breach;          // empty: none
    std::vector<std::string> path;   // to the breach, a line an event
};

class Explorer {
  public:
    Explorer(const Scope& scope, const Limits& limits);
    Report run();
    // How the state that is being looked at came about: for when the core itself gives up.
    std::vector<std::string> path_here() const;

  private:
    struct Node {
        ClusterState state;
        Number parent{no_number};
        Action action;
    };

    ClusterState start();
    void expand(Number number);
    void expand_replica(const ClusterState& from, std::size_t node);
    void expand_losses(const ClusterState& from, std::size_t node);
    void expand_reads(const ClusterState& from, std::size_t node);
    void try_act(const ClusterState& from, Kind kind, Action action);
    void follow(const ClusterState& from, std::uint64_t left, Action action, const Outcome& outcome);
    void reach(const ClusterState& state, Action action);
    bool minority_spoilt(const ClusterState& from, std::size_t node) const;
    bool may_forget(const ClusterState& state) const;
    bool insert(const ClusterState& state);
    void grow();
    std::vector<std::string> path_to(Number number) const;
    std::string tell(const ClusterState& before, Action action) const;

    const Scope scope_;
    const Limits limits_;
    ReplicaStates replicas_;
    Judge judge_;
    std::vector<Node> nodes_;
    std::vector<Number> table_;   // open addressing over nodes_
    Number current_{no_number};
    Action action_{};
    Report report_;
};

// For people.
std::string to_text(const OwnedMessage& owned);
std::string to_text(const Facts& facts);

}  // namespace ringfort::raft
