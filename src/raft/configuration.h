// Configurations: rules for changing them, and the history of those in the log.
#pragma once

#include <optional>
#include <vector>

#include "raft/types.h"

namespace ringfort::raft {

// The entry to append so that `current` becomes `target` (voters and learners wanted): the joint configuration if the
// voters differ, else the target itself. nullopt: the target is not a valid one, or is what is in force.
// Requires: current is not joint.
std::optional<Configuration> change(const Configuration& current, Configuration target);
// The configuration that ends a joint one. Requires: joint.joint().
Configuration leave_joint(const Configuration& joint);

// A configuration is in force from the moment it is in the log (Raft 6) until a truncation removes it again.
class ConfigurationHistory {
  public:
    struct Item {
        LogIndex index{};
        Configuration configuration;
    };

    ConfigurationHistory(LogIndex index, const Configuration& configuration) : items_{{index, configuration}} {}

    const Configuration& current() const { return items_.back().configuration; }
    LogIndex index() const { return items_.back().index; }
    const Configuration& at(LogIndex index) const;
    // Inserts in order of index: a repaired entry may come between.
    void insert(LogIndex index, const Configuration& configuration);
    void truncate(LogIndex from);
    void compact(LogIndex through);
    void restore(LogIndex index, const Configuration& configuration);

  private:
    std::vector<Item> items_;  // by index; the first is the one in force at the snapshot. Invariant: never empty
};

}  // namespace ringfort::raft
