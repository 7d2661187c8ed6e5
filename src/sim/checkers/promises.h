// What replicas promised, by the disks: terms and votes. A node votes once in a term, over all its lives; its term never
// falls; and a leader was elected by votes that were durable with a quorum of nodes that count.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace ringfort::sim {

class PromiseBook {
  public:
    explicit PromiseBook(std::size_t nodes) : quorum_(nodes / 2 + 1) {}

    // All return what is wrong, empty if nothing is.

    // The node, counted from 0, has these promises durable. May be told again.
    std::string on_durable(std::size_t node, RangeId range, const raft::HardState& promises);
    // Its disk went back to what it was: what the node promised since then nobody tells it.
    void forget(std::size_t node);
    // From now on the node may have promised anything.
    void on_move(std::size_t node) { moved_ |= 1u << node; }
    // A replica leads in its term.
    std::string on_leader(RangeId range, Term term, NodeId leader) const;
    // The leader of the term says that something new is committed: those who helped had its term durable.
    std::string on_commit(RangeId range, Term term) const;

  private:
    struct Promise {
        Incarnation incarnation{};
        Term term{};
        NodeId vote{};
    };
    struct Vote {
        std::size_t node;
        NodeId candidate;
    };
    std::size_t quorum_;
    std::uint32_t moved_{0};   // bit: the node has
    std::map<std::pair<std::size_t, RangeId>, Promise> newest_;
    std::map<std::pair<RangeId, Term>, std::vector<Vote>> votes_;   // of replicas that count
    std::map<RangeId, std::vector<Term>> terms_;                    // by node: the highest that was durable
};

}  // namespace ringfort::sim
