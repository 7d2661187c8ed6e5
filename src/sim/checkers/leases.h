// When leases end, and that they do.
//
// Watches every replica's leases, turn by turn, and hears at the end what clients were told. Nothing here looks at how time
// is kept: only at true time, within what clocks may drift.
//
//   early     a lease ended by itself before an acknowledged grant or keep-alive, counted from when it was asked for, was
//             over
//   renewed   it has another version than the granted one, and nobody ever asked to keep it alive
//   moved     two replicas disagree about one version of a lease
//   denied    somebody was told that it is not there while it was, or could put a key on it when it was gone
//
// That a lease ends in time is liveness: Simulation waits for it (leases_end).
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "shard/inspect.h"
#include "sim/history.h"

namespace ringfort::sim {

class LeaseJudge {
  public:
    // Clocks run by no more than so much too fast.
    explicit LeaseJudge(std::int64_t drift_ppm_max) : drift_ppm_max_(drift_ppm_max) {}

    // A replica's leases after a turn. Returns what is wrong, empty if nothing is.
    std::string observe(const shard::LeasesView& view, Instant now);
    // What clients asked and were told, all of it.
    std::string check(std::span<const RecordedOperation* const> operations) const;
    // Of those seen that have: between which revisions.
    std::vector<LeaseEnd> ends() const;
    // Of those seen that have not ended.
    std::size_t alive() const;

  private:
    struct Seen {
        LogIndex last{};                                // the highest applied index it was there at,
        api::Revision last_revision{0};                 // with this revision
        Instant ended{never};                           // when the first replica had applied its end
        LogIndex ended_by{};                            // which had applied so much,
        api::Revision ended_by_revision{0};             // with this revision
        std::map<LogIndex, kv::LeaseFacts> versions;
    };
    // What clients did with one lease.
    struct Told {
        const Seen* seen{nullptr};                      // of replicas
        const RecordedOperation* granted{nullptr};      // acknowledged
        Instant lives_until{0};                         // at least, by what was acknowledged
        const RecordedOperation* by{nullptr};
        bool may_be_renewed{false};
        bool may_be_revoked{false};
        const RecordedOperation* revoked{nullptr};      // acknowledged
    };
    std::map<api::LeaseId, Told> told(std::span<const RecordedOperation* const> operations) const;
    std::string check_ends(const std::map<api::LeaseId, Told>& told) const;
    std::string check_denied(const RecordedOperation& operation, const std::map<api::LeaseId, Told>& told) const;

    std::int64_t drift_ppm_max_;
    std::map<std::pair<RangeId, api::LeaseId>, Seen> seen_;
    std::map<RangeId, std::set<api::LeaseId>> present_;   // those that have not ended
};

}  // namespace ringfort::sim
