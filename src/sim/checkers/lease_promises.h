// The promises of leases, held against what clients asked and were told, and nothing else: where nobody can look at the
// replicas, only answers and watches say when a lease ended. By name:
//
//   early    it ended by itself, or somebody was told that it is not there, before an acknowledged grant or keep-alive,
//            counted from when it was asked for, was over
//   late     it was there long after all that was asked for it was over
//   whole    its keys went at more than one revision
//   back     it was there, or a key was put on it, behind its end
//
// Its end is a removal that a watch with prev_kv was told and that nobody asked for; or what an answer says.
//
// Late: a lease has to end within LeaseBounds::late of its time. Not counted is what its leader could not count: stalls
// (DomainTimes), and a second for each change of leaders. Of one that was renewed it is late_renewed: a client tries
// keep-alives again elsewhere, and what a node that stood still or was cut off had of them renews the lease once it goes on.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sim/history.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

struct LeaseBounds {
    std::int64_t drift_ppm_max{1000};   // of the leader's clock against the one of the records, to the fast side
    Duration late{5'000'000'000};
    Duration late_renewed{25'000'000'000};
    Duration leader_change{1'000'000'000};
};

struct LeaseReport {
    std::string violation;        // empty: none
    // Acknowledged.
    std::uint64_t granted{0};
    std::uint64_t renewals{0};
    std::uint64_t revoked{0};     // leases
    std::uint64_t expired{0};     // ended by themselves, as somebody was told
    std::uint64_t alive{0};       // granted, and nobody was told of their end
};

// `operations`, `watches`: of one domain, all of them.
LeaseReport check_lease_promises(std::span<const RecordedOperation* const> operations,
                                 std::span<const RecordedWatch* const> watches, const LeaseBounds& bounds = {});

}  // namespace ringfort::sim
