// Strict serializability of one domain's history, by its revisions.
//
// Every acknowledged write names the revision it made, so the serial order is known but for writes of unknown outcome:
// revisions nobody acknowledged must be explained by them. The checker replays revision by revision; at a gap it tries
// the unknown writes, and goes back when a later answer contradicts the choice. Then real time: an operation invoked
// after another one was answered stands behind it. Reads must be true at their revision; reads that may be stale are
// exempt only from being recent.
//
// Leases: a revision that nobody asked for may also be the end of a lease, with the keys that then hung on it: when it was
// seen to end, or, if nobody looked, any time after what was acknowledged.
#pragma once

#include <span>
#include <string>

#include "sim/history.h"

namespace ringfort::sim {

struct SerializabilityReport {
    std::string violation;            // empty: none
    bool inconclusive{false};         // the search gave up; not a violation
    std::uint64_t writes{0};          // acknowledged
    std::uint64_t reads{0};           // answered; includes writes that changed nothing
    std::uint64_t unknown{0};         // writes of unknown outcome
    std::uint64_t unknown_placed{0};  // of them, found in the history
    std::uint64_t steps{0};
};

// `operations`: of one domain, all of them, values of puts distinct. `steps_max` bounds the search.
SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations,
                                            std::uint64_t steps_max = 2'000'000);
// `ends`: of every lease that ended, in whatever domain.
SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations,
                                            std::span<const LeaseEnd> ends, std::uint64_t steps_max = 2'000'000);

}  // namespace ringfort::sim
