// What commands about leases carry. A lease ends by its range's lease clock (kv/lease_table.h), which leaders move: each
// of these commands brings its proposer's reading.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

#include "api/types.h"
#include "base/ids.h"

namespace ringfort::kv {

// A reading of a range's lease clock: what its leaders have counted, one after the other, in nanoseconds.
struct LeaseTime {
    std::int64_t ns{0};
    constexpr auto operator<=>(const LeaseTime&) const = default;
};
// Beyond any reading: a deadline so far off never comes.
inline constexpr LeaseTime lease_never{INT64_MAX};
// No reading is later: there is room to count on.
inline constexpr std::int64_t lease_clock_max_ns = INT64_MAX / 4;

// Who proposed it, and when by the lease clock.
struct LeaseStamp {
    Term term{};
    LeaseTime at{};
};

struct LeaseGrant {
    LeaseStamp stamp;
    api::LeaseId id{0};     // never 0: the proposer has drawn one
    std::int64_t ttl{0};    // seconds
};

struct LeaseRevoke {
    LeaseStamp stamp;
    api::LeaseId id{0};
};

// Renews those of them that exist, each to its whole time.
struct LeaseKeepAlive {
    LeaseStamp stamp;
    std::span<const api::LeaseId> ids;
};

// Its time is over. Void if the lease was renewed or granted anew since (another version), or another leader has begun
// to keep the leases.
struct LeaseExpire {
    LeaseStamp stamp;
    api::LeaseId id{0};
    LogIndex version{};
};

// So much time has passed; and who keeps the leases from here on.
struct LeaseTick {
    LeaseStamp stamp;
};

// Of one LeaseKeepAlive. Part of the command's form: more do not decode.
inline constexpr std::size_t lease_keep_alive_ids_max = 128 * 1024;

}  // namespace ringfort::kv
