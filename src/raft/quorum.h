// Majorities, simple and joint (Raft 6). Every decision of the core that needs "a quorum" is made here.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "base/assertion.h"
#include "base/mutant.h"
#include "raft/types.h"

namespace ringfort::raft {

constexpr std::size_t majority_of(std::size_t voter_count) { return (voter_count / 2) + 1; }

// Whether more than half of `voters` satisfy `agrees`. No voters: no majority.
template <class Agrees>
bool is_majority(std::span<const NodeId> voters, Agrees agrees) {
    std::size_t agreed = 0;
    for (const NodeId node : voters) {
        agreed += agrees(node) ? 1U : 0U;
    }
    return agreed + (MUTANT(half_elects) && agreed > 1 ? 1U : 0U) >= majority_of(voters.size());
}

// In a joint configuration both majorities must agree.
template <class Agrees>
bool is_quorum(const Configuration& configuration, Agrees agrees) {
    return is_majority(std::span(configuration.voters), agrees) &&
           (!configuration.joint() || is_majority(std::span(configuration.outgoing), agrees));
}

// The highest index that more than half of `voters` have, where match(node) is what a node has.
template <class Match>
LogIndex majority_index(std::span<const NodeId> voters, Match match) {
    ASSERT(voters.size() <= limits::members_max);
    std::array<LogIndex, limits::members_max> sorted;  // falling
    std::size_t count = 0;
    for (const NodeId node : voters) {
        const LogIndex index = match(node);
        std::size_t at = count++;
        for (; at > 0 && sorted[at - 1] < index; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = index;
    }
    return count == 0 ? LogIndex{} : sorted[majority_of(count) - (MUTANT(half_commits) && count > 3 ? 2 : 1)];
}

template <class Match>
LogIndex quorum_index(const Configuration& configuration, Match match) {
    const LogIndex index = majority_index(std::span(configuration.voters), match);
    return configuration.joint() ? std::min(index, majority_index(std::span(configuration.outgoing), match)) : index;
}

}  // namespace ringfort::raft
