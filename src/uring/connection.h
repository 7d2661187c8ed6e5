// One TCP connection of a shard, as the network keeps it.
//
// Life: resolving -> connecting -> open, or accepted -> open. From open:
//   ended         the other side closed or failed; waits for the send in flight, then on_closed() and away
//   draining      closed by us with nothing in flight: our end is shut, what still comes is thrown away for a moment, so
//                 that the last bytes sent are not lost to a reset
//   aborting      closed by us in the middle of something: waits for the kernel to let go
//   handing_over  waits for the receive in flight to end, then goes to another shard
// It is freed when no request of it is in flight.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "env/network.h"
#include "uring/completion.h"
#include "uring/listener.h"

namespace ringfort::uring {

class RingNetwork;

struct Connection {
    enum class State : std::uint8_t { resolving, connecting, open, ended, draining, aborting, handing_over };

    Connection(RingNetwork* network, Completion::Callback received, Completion::Callback sent,
               Completion::Callback connected)
        : receive(received, this), send(sent, this), connect(connected, this), owner(network) {}

    // ---- requests in flight
    Completion receive;
    Completion send;
    Completion connect;
    bool receive_armed{false};
    bool receive_multishot{false};   // how it was armed last
    bool receive_cancelled{false};   // the armed receive was asked to end
    bool send_active{false};
    bool connect_active{false};
    bool resolve_active{false};

    RingNetwork* const owner;
    env::ConnectionId id{0};
    int fd{-1};
    env::ConnectionClass cls{};
    State state{State::open};
    env::ConnectionHandler* handler{nullptr};
    env::CloseReason reason{};           // in state ended
    bool end_announced{false};           // its event is queued
    bool end_waits{false};               // bytes before the end are still to be delivered
    bool paused{false};
    bool listed_for_arming{false};
    std::uint16_t buffers_held{0};       // received and not yet dispatched
    Bytes send_rest;                     // handed to send(), not yet taken by the kernel
    // Received while paused, or came with a hand-over: copied, so that no buffer of the ring waits for a session.
    std::vector<std::byte> spilled;
    bool spill_announced{false};
    bool needs_accept_event{false};
    ShardId target{};                    // in state handing_over
    std::size_t drained_bytes{0};        // in state draining
    SocketAddress address;               // of connect()

    bool quiet() const {
        return !receive_armed && !send_active && !connect_active && !resolve_active;
    }
    bool closed_by_us() const { return state == State::draining || state == State::aborting; }
};

}  // namespace ringfort::uring
