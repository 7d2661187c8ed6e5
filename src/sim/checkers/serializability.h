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

class KvModel;

struct SerializabilityReport {
    std::string violation;            // empty: none
    bool inconclusive{false};         // the search gave up; not a violation
    std::uint64_t writes{0};          // acknowledged
    std::uint64_t reads{0};           // answered; includes writes that changed nothing
    std::uint64_t unknown{0};         // writes of unknown outcome
    std::uint64_t unknown_placed{0};  // of them, found in the history
    std::uint64_t lease_ends{0};      // that took keys along, asked for or not
    std::uint64_t steps{0};
};

inline constexpr std::uint64_t search_steps_max = 2'000'000;

// What somebody else than the clients that wrote saw of the domain: it decides where writes of unknown outcome stand.
class Witness {
  public:
    virtual ~Witness() = default;
    // Pairs, each as it was at its mod_revision.
    virtual std::span<const RecordedKv> seen() const = 0;
    // The highest revision of which it saw a change.
    virtual api::Revision newest() const = 0;
    // Why the newest revision of the model cannot be as it is; empty if it can. `acknowledged`: its write is known.
    virtual std::string contradiction(const KvModel& model, bool acknowledged) const = 0;
};

// `operations`: of one domain, all of them, values of puts distinct. `steps_max` bounds the search.
SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations,
                                            std::uint64_t steps_max = search_steps_max);
// `ends`: of every lease that ended, in whatever domain.
SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations,
                                            std::span<const LeaseEnd> ends, std::uint64_t steps_max = search_steps_max);

struct SearchAids {
    const std::span<const LeaseEnd>* ends{nullptr};   // null: nobody looked
    const Witness* witness{nullptr};
    KvModel* model{nullptr};   // where to leave what was found; meaningless if there is a violation or the search gave up
};
SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations, const SearchAids& aids,
                                            std::uint64_t steps_max = search_steps_max);

}  // namespace ringfort::sim
