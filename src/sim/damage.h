// Loud harm to data directories, within the budget (damage_budget.h): picks the places that may be harmed, and harms them.
// Each function says whether it found one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "sim/damage_budget.h"
#include "sim/disk_log.h"

namespace ringfort::sim {

class Damage {
  public:
    Damage(Cluster& cluster, Prng& random);

    const DamageBudget& budget() const { return budget_; }
    // Whether its directory was harmed so since it was last made anew that it may refuse to start; an operator wipes it
    // then.
    bool may_refuse(std::size_t node) const { return may_refuse_[node]; }
    bool may_wipe(std::size_t node) const { return budget_.may_remove(node); }
    // Nothing was ever done to what it holds.
    bool sound(std::size_t node) const { return sound_[node]; }
    // For a while the disk does not read what it holds: a start then may find that some of it is lost.
    void note_read_errors(std::size_t node) { may_refuse_[node] = true; }
    // It went back to what it was: perhaps in part only, if its power was cut.
    void note_rollback(std::size_t node, FaultKind how);

    // Up to some tens of bytes or sectors: of the log anywhere, its oldest or its newest file, a checkpoint, a small file.
    bool flip_bits(std::size_t node);
    bool spoil_sectors(std::size_t node);
    // A write of the last moments turns out never to have reached its place; misdirected: it lies in another.
    bool lose_write(std::size_t node);
    bool misdirect_write(std::size_t node);
    // Requires of the next two: no process on the node, its disk quiet.
    bool lose_file(std::size_t node);
    void wipe(std::size_t node);

  private:
    // A stretch of a file.
    struct Place {
        std::string file;
        std::uint64_t begin{0};
        std::uint64_t end{0};
    };
    class View;

    std::optional<Place> pick_place(std::size_t node, const View& view);
    std::optional<Place> pick_in_log(const View& view);
    std::optional<Place> pick_checkpoint(std::size_t node);
    bool may_harm_file(std::size_t node, const std::string& name) const;
    bool harm_write(std::size_t node, bool misdirected);
    bool land_elsewhere(std::size_t node, const View& view, const DiskMedia::RecentWrite& write);
    template <class Harm>
    bool harm_places(std::size_t node, Harm harm);
    void note_harm(std::size_t node);

    Cluster& cluster_;
    Prng& random_;
    DamageBudget budget_;
    std::vector<bool> may_refuse_;   // by node
    std::vector<bool> sound_;        // by node
};

}  // namespace ringfort::sim
