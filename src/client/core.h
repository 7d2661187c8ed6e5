// The client's core: endpoints, connections, requests in flight, retries, deadlines. Pure behind env::Network and
// env::Clock: the library runs it over plain sockets, the simulator over the simulated network.
//
// Rules: reads are retried on another endpoint until their deadline; a write is retried by itself only if it never left
// this process, or was refused with a definite or redirect error that invites it; everything else is the caller's.
// retry_policy.h has the table.
//
// Errors made here and not by a server: connection_lost and timed_out mean that the request had left, and of a write
// that its outcome is unknown. A request that never left is answered with the definite no_leader, and `detail` says
// why nobody could be reached; too_many_requests if this client's own bounds are reached (delivered by the next turn).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/types.h"
#include "base/instant.h"
#include "env/clock.h"
#include "env/network.h"

namespace ringfort::client {

struct CoreOptions {
    std::vector<env::Address> endpoints;
    Duration dial_timeout{2s};
    Duration request_timeout{5s};        // of requests that name none; counted from submit()
    std::size_t connections{1};          // kept open at a time, spread over the endpoints in order
    std::size_t in_flight_max{4096};     // more are refused with too_many_requests; watches are among them
    std::size_t reserved_max{0};         // besides those: submitted as such
    // Of one connection; more wait here, and each answer makes place for the next on its own connection. 0: as many as the
    // server reads, and requests go round the connections.
    std::size_t requests_per_connection_max{0};
    ClusterId cluster_id{};              // 0: any; otherwise others are refused
    std::string name;                    // for the server's log
    // Which endpoint is tried first; others follow round robin.
    std::size_t first_endpoint{0};
    // Every request asks for a redirect instead of being forwarded, and the connections move to the leader's node.
    bool follow_leader{false};
    // Bytes of one long reply that may be under way before the callback has seen them; no server gives more than
    // limits::frame_bytes_max.
    std::uint32_t reply_credit_bytes{1 << 20};
    // The deadline of a read whose pieces are handed out one by one (submit() without `afresh`) begins anew with each.
    bool pieces_renew_deadline{false};
    // Bytes of encoded requests held for sending and retries; more are refused with too_many_requests.
    std::size_t held_bytes_max{256 << 20};
    // A connection that owes answers and is silent for so long is asked for its status (one that only serves watches after
    // three times as long), and closed when it stays silent for as long again: together less than one and a half times the
    // cluster's default election timeout, so that a node that stands still holds its clients up hardly longer than the
    // cluster. For the question to arrive there is a second more for each MiB asked before that the server is not known to
    // have, but not more than the last of those requests has left until its deadline: then there is nothing to carry. One
    // request less than the server's bound is sent, so that it reads the question.
    Duration keepalive_time{700ms};
};

// Since the start; for reports.
struct CoreCounters {
    std::uint64_t requests{0};
    std::uint64_t retries{0};             // tries after the first
    std::uint64_t redirects{0};           // answers that named another node
    std::uint64_t connects{0};            // connections that became ready
    std::uint64_t connections_lost{0};    // of those that were ready
    std::uint64_t protocol_errors{0};     // connections closed because of what a server sent
};

// Requires of the network: after ~Core() it neither calls back nor reads memory of sends still in flight.
class Core {
  public:
    Core(env::Network& network, env::Clock& clock, std::uint64_t seed, const CoreOptions& options);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // Called once per reply frame: for long range replies several times, the last without `more_frames`. The response's
    // views are valid during the call. May call submit().
    using Callback = void (*)(void* context, std::uint64_t token, const api::Response& response);
    // A read that gave pieces to its callback begins anew: what they held counts for nothing. May not call the core.
    using Afresh = void (*)(void* context);
    // `reserved`: small, and not to be kept out by what fills the bounds; where all such places are taken it is like others.
    enum class Place : std::uint8_t { ordinary, reserved };
    // Takes what it needs of the request before it returns. Returns the token given to the callback.
    // Without `afresh` a read is not tried again once its callback has seen a piece.
    std::uint64_t submit(const api::Request& request, Callback callback, void* context, Afresh afresh = nullptr,
                         Place place = Place::ordinary);
    // The caller no longer waits: the callback will not run. The request may still happen.
    void cancel(std::uint64_t token);
    // Of a watch, whose deadline is that of each try, ends with its first frame, and which is never tried again after it
    // (client/watch.h goes on where it ended): that many bytes of its frames are dealt with, and others may come; whether a
    // mark is wanted.
    void grant(std::uint64_t token, std::uint32_t bytes, bool progress = false);
    // Of the frame that a callback is seeing.
    std::uint32_t frame_bytes() const;

    // For those who try again by themselves: called by the first turn after `pause`, once. One for each context: the last.
    using Alarm = void (*)(void* context);
    void call_in(Duration pause, Alarm alarm, void* context);
    // It will not be called.
    void call_off(void* context);

    // Dispatches the network, runs timers, sends. Returns when it wants to run again at the latest. Requests submitted
    // between turns are sent by the next one. Not to be called from a callback.
    Instant turn();
    // Requests submitted and not yet answered, watches apart: those end when somebody says so.
    std::size_t pending() const;
    // Some connection is ready to take requests.
    bool connected() const;
    std::size_t ready_connections() const;
    const CoreCounters& counters() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace ringfort::client
