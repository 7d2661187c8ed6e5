// The budget: what harm to data a cluster has to bear. Injectors of faults keep to it, judges rely on it.
//
// Loud harm can be told when it is met: a checksum, a failed read, a missing file or directory, a write that never
// reached its place though later ones say it was durable. A minority of the copies of any one entry may be harmed
// loudly, on every node at once: nothing is lost, and once healed the cluster goes on. A copy of an entry is what a
// node's log holds of it, or the checkpoint that covers it. Kept like this: `m` is the greatest minority of the nodes.
// By lot, some of the m may lose everything (files, the directory, whatever a failed read hides). The rest of the m copies
// is chosen anew for every few indices of a range among the other nodes, where only the payloads of these entries are
// harmed, and what is written twice in a log in one of its places (LoggedBatch::may_lose_header()); for some ranges it is
// chosen once for all indices, and there the range's checkpoints may be harmed as well. A list of files that fails for a
// while hides nothing, and may be met on any node.
//
// Silent harm cannot be told: a node goes back to what it was (a flush that lied, an old copy of the directory put back)
// and does not know. It is in the budget for one node, and only while every other holder of the entries
// concerned takes part until that node is fenced. Kept like this: it goes back only once what it forgets, terms and
// entries, is held durably by so many others that no quorum is without one of them (SilentRollback). Never harmed is
// what cannot be told from a write that never ended: the latest batches of a log, and its newest files.
//
// Beyond the budget (an option of a run) loud harm hits any copy: the cluster may halt or stop answering, naming the range,
// but never gives a wrong answer. Some node keeps a directory that knows the cluster: a cluster of which nothing is left
// cannot tell that it ever was. Silent harm beyond the budget is not injected: nobody could judge it.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/prng.h"

namespace ringfort::sim {

class DamageBudget {
  public:
    DamageBudget(std::size_t nodes, bool beyond, Prng& random);

    bool beyond() const { return beyond_; }
    // Somewhere something may be harmed: false for a cluster too small to lose a copy.
    bool any() const { return beyond_ || minority_ > 0; }
    // The copies of all entries may be harmed there, and all else of the node.
    bool may_lose_all(std::size_t node) const { return beyond_ || may_wipe(node); }
    bool may_wipe(std::size_t node) const;
    // The one that may go back to what it was.
    std::size_t goes_back() const { return losers_.empty() ? others_.front() : losers_.front(); }
    // Its directory, which it refuses, may be removed by an operator: not the only one there is, see above.
    bool may_remove(std::size_t node) const { return may_wipe(node) || (node == goes_back() && nodes_ > 1); }
    bool may_harm(std::size_t node, RangeId range, LogIndex index) const;
    bool may_harm_checkpoints(std::size_t node, RangeId range) const;

  private:
    bool is_chosen(std::size_t node, std::uint64_t lot) const;
    bool chosen_once(RangeId range) const;

    bool beyond_;
    std::size_t nodes_;
    std::size_t minority_;              // m above
    std::uint64_t seed_;
    std::vector<std::size_t> losers_;   // that may lose everything
    std::vector<std::size_t> others_;
};

}  // namespace ringfort::sim
