// The client's core: endpoints, connections, requests in flight, retries, deadlines. Pure behind env::Network and
// env::Clock: the library runs it over plain sockets, the simulator over the simulated network.
//
// Rules: reads are retried on another endpoint until their deadline; a write is retried by itself only if it never left
// this process, or was refused with a definite or redirect error that invites it; everything else is the caller's.
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
    std::size_t in_flight_max{4096};     // more are refused with too_many_requests
    ClusterId cluster_id{};              // 0: any; otherwise others are refused
    std::string name;                    // for the server's log
    // Which endpoint is tried first; others follow round robin.
    std::size_t first_endpoint{0};
};

class Core {
  public:
    Core(env::Network& network, env::Clock& clock, std::uint64_t seed, const CoreOptions& options);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // Called once per reply frame: for long range replies several times, the last without `more_frames`. The response's
    // views are valid during the call. May call submit().
    using Callback = void (*)(void* context, std::uint64_t token, const api::Response& response);
    // Takes what it needs of the request before it returns. Returns the token given to the callback.
    std::uint64_t submit(const api::Request& request, Callback callback, void* context);
    // The caller no longer waits: the callback will not run. The request may still happen.
    void cancel(std::uint64_t token);

    // Dispatches the network, runs timers, sends. Returns when it wants to run again at the latest.
    Instant turn();
    // Requests submitted and not yet answered.
    std::size_t pending() const;
    bool connected() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace ringfort::client
