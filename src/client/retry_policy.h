// When a request is tried again without asking its caller: the whole rule, as pure functions.
//
//   answered with          read            write           why a write may be tried again
//   not_leader             follow          follow          it was not proposed; the answer says where to go
//   stale_route            later           later           it was not proposed
//   no_leader              later           later           never proposed; the connection moves on to another node
//   stopped, unhealthy     elsewhere       elsewhere       refused at the door of that node
//   leader_changed         later           give up
//   anything else          give up         give up         among them too_many_requests: the caller slows down
//   connection lost:
//     never left           elsewhere       elsewhere       the bytes were not handed to the network
//     had left             elsewhere       give up         indefinite
//   A read of which a part was handed out is never tried again: its caller would see that part twice. One whose parts
//   are only gathered begins afresh.
#pragma once

#include <cstdint>

#include "api/types.h"
#include "base/instant.h"
#include "base/prng.h"

namespace ringfort::client {

enum class Verdict : std::uint8_t {
    give_up,      // the caller gets the error
    follow,       // at once, where the redirect says
    elsewhere,    // at once, on another connection if there is one
    later,        // after a pause
};

struct RetryFacts {
    bool read{false};
    bool left{true};           // the bytes were handed to the network
    bool handed_out{false};   // a part of the answer, for good
};

// Whether the request changes nothing, or the same however often it is sent: ranges, watches, status, member list,
// transactions of ranges alone, what a lease's time and keys are; and keep-alives.
bool is_read(const api::Operation& operation);

Verdict after_error(api::Errc code, const RetryFacts& facts);
// Whether it is what the cluster or the way to it had, and not the request: who may repeat that may try again by himself.
bool may_pass(api::Errc code);
// Whether a recipe asks again by itself, after recipe_pause.
bool recipe_asks_again(api::Errc code);
inline constexpr Duration recipe_pause{200'000'000};
Verdict after_connection_lost(const RetryFacts& facts);

// Pauses grow by doubling from `first` to `last` and are spread over [half, one and a half) of that, so that many
// clients do not come back together. `attempt` counts from 1.
Duration pause_before(std::uint32_t attempt, Duration first, Duration last, Prng& prng);

}  // namespace ringfort::client
