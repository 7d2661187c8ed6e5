// Harm to data directories, within a budget that the cluster must bear without loss and without stopping.
//
// The budget: damage that can be told (a checksum, a failed read, a missing file, a missing directory) hits a fixed
// minority of the nodes of a run, so that the majority of the copies of any one entry stays whole. Not in it: what
// cannot be told from a write that never ended, that is the latest writes of a file (see DiskFile::pick_written) and the
// newest segments as files; a node that loses those rolls back without a sign.
#pragma once

#include <vector>

#include "sim/cluster.h"

namespace ringfort::sim {

class Damage {
  public:
    Damage(Cluster& cluster, Prng& random);

    // Nobody: the cluster is too small to lose a copy.
    bool has_victims() const { return !victims_.empty(); }
    std::size_t pick_victim() { return victims_[random_.below(victims_.size())]; }
    // Whether its directory was harmed since it was last made anew: then it may refuse to start, and an operator wipes it.
    bool harmed(std::size_t node) const { return harmed_[node]; }
    // Nothing was ever done to what it holds.
    bool sound(std::size_t node) const { return sound_[node]; }

    void flip_bits(std::size_t node);
    void spoil_sectors(std::size_t node);
    // Requires of the next two: no process on the node, its disk quiet.
    void lose_file(std::size_t node);
    void wipe(std::size_t node);

  private:
    // A file that was written and a place in it, by lot; null if there is none.
    DiskFile* pick_place(std::size_t node, std::uint64_t& offset);

    Cluster& cluster_;
    Prng& random_;
    std::vector<std::size_t> victims_;
    std::vector<bool> harmed_;   // by node
    std::vector<bool> sound_;    // by node
};

}  // namespace ringfort::sim
