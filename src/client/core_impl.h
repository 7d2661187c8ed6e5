// The core's inside: who is on which connection, and what happens next. core.cc has the public face and the turn,
// core_requests.cc the way of a request, core_connections.cc the upkeep of connections.
#pragma once

#include <memory>
#include <vector>

#include "base/prng.h"
#include "client/connection.h"
#include "client/core.h"
#include "client/endpoint_table.h"
#include "client/pending_table.h"
#include "client/retry_policy.h"
#include "client/timer_wheel.h"

namespace ringfort::client {

// `detail` must outlive the response.
api::Response error_response(api::Errc code, std::string_view detail);

struct Core::Impl final : ConnectionOwner {
    Impl(env::Network& net, env::Clock& clk, std::uint64_t seed, const CoreOptions& opts);

    // ---- the way of a request
    std::uint64_t submit(const api::Request& request, Callback callback, void* context, Afresh afresh, Place place);
    void release(std::uint32_t index);                       // frees its slot. Requires: it is detached
    void cancel(std::uint64_t token);
    void grant(std::uint64_t token, std::uint32_t bytes, bool progress);
    void stop_at_source(Connection& connection, std::uint64_t token);
    void route(std::uint32_t index);                         // onto a connection, or to those waiting for one
    bool place(std::uint32_t index, Connection& connection); // false: answered, the server takes no frame so large
    void attach(std::uint32_t index, Connection& connection);   // its frame is in the connection's buffer
    Connection* pick(std::uint32_t avoid);
    Connection* pick_endpoint(std::uint32_t endpoint);
    bool has_room(const Connection& connection) const;
    void pump();                                             // waiting requests onto connections
    void detach(std::uint32_t index);                        // out of its list and off its connection
    // False: answered, it cannot be tried again.
    [[nodiscard]] bool reencode(std::uint32_t index, bool ask_redirect);
    void complete(std::uint32_t index, const api::Response& response);
    void complete_with(std::uint32_t index, api::Errc code, std::string_view detail);
    void rest(std::uint32_t index);                          // until its next try
    void on_timer(std::uint32_t index);
    void expire(std::uint32_t index);
    void refuse_waiting(api::Errc code);
    void deliver_refusals();

    // `index`: of the request, if it is waited for on this connection.
    void free_place(Connection& connection, const wire::FrameHeader& header, std::uint32_t index);
    void on_unwanted_piece(Connection& connection, const wire::FrameHeader& header);
    void on_piece(Connection& connection, std::uint32_t index, const api::Response& response,
                  std::uint32_t frame_bytes);
    void on_error(Connection& connection, std::uint32_t index, const api::Response& response);
    bool in_no_hurry(const Connection& connection, const Pending& slot) const;
    void follow(Connection& connection, std::uint32_t index, const api::ErrorInfo& error);

    // ---- connections
    void on_ready(Connection& connection) override;
    void on_frame(Connection& connection, const wire::FrameReader::Frame& frame) override;
    void on_goodbye(Connection& connection) override;
    void on_down(Connection& connection, bool was_ready, const DownReason& reason) override;
    void on_sendable(Connection& connection) override;
    void on_connection_timer(Connection& connection);
    void release_requests(Connection& connection);
    void start(Connection& connection);
    void keep_alive(Connection& connection);
    Duration time_to_carry(const Connection& connection);
    void move_towards(Connection& connection, std::uint32_t endpoint);
    std::uint32_t lot_among_others(std::uint32_t endpoint);
    void move_towards_leader(Connection& connection, std::uint32_t endpoint);
    void leave(Connection& connection);
    void retire_if_done(Connection& connection);
    void flush();

    Instant turn();
    Instant current_time() const { return in_turn ? now : clock.now(); }

    struct Refused {
        std::uint64_t token;
        Callback callback;
        void* context;
        api::Errc code;
    };
    std::uint64_t refuse(Callback callback, void* context, api::Errc code);

    struct Alarmed {
        Instant at;
        Alarm alarm;
        void* context;
    };
    void ring_alarms();

    env::Network& network;
    env::Clock& clock;
    const CoreOptions options;
    Prng prng;
    CoreCounters counters;
    Instant now{};
    bool in_turn{false};
    std::uint32_t frame_length{0};    // of the frame being handled

    EndpointTable endpoints;
    PendingTable pending;
    std::size_t watch_count{0};       // of the pending
    std::size_t reserved_count{0};    // likewise, those in a reserved place. Invariant: at most options.reserved_max
    PendingList waiting;
    TimerWheel request_timers;
    std::vector<std::unique_ptr<Connection>> connections;
    TimerWheel connection_timers;
    std::uint32_t ready_count{0};
    std::uint32_t pick_next{0};
    std::uint32_t answered_last{0};   // the connection
    std::vector<Connection*> sendable;        // have bytes for the send at the turn's end

    Arena reply_arena;
    Arena retry_arena;
    wire::OutBuffer scratch;
    std::vector<std::uint32_t> due;           // scratch of the turn
    std::vector<std::uint64_t> lost;          // scratch of release_requests()
    std::vector<Refused> refused;             // answered by the next turn
    std::vector<Refused> refused_now;
    std::uint64_t refused_tokens{0};
    std::vector<Alarmed> alarms;              // in the order they were set; few
};

// The request id of our own status requests; tokens never take it (their generation half is bounded by use).
inline constexpr std::uint64_t ping_request_id = UINT64_MAX;

}  // namespace ringfort::client
