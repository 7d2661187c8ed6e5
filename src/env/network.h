// The network as the core sees it: byte streams with backpressure. Implementations: uring/, sim/, and plain sockets for
// the client library. Callbacks run only inside dispatch().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"

namespace ringfort::env {

struct Address {
    std::string host;   // name or numeric address; names are resolved off the shard's thread
    std::uint16_t port{0};
    bool operator==(const Address&) const = default;
};

// Clients and peers are dispatched at different points of the turn and have separate buffer rings.
enum class ConnectionClass : std::uint8_t { peer, client };

// A connection of this shard; 0 is none; never reused while the process lives.
using ConnectionId = std::uint64_t;

enum class CloseReason : std::uint8_t {
    peer_closed,    // orderly end of stream
    reset,          // any error of an established connection
    refused,        // connect failed
    no_resources,   // no descriptor or buffer to take it
};

// Who gets a connection's events. Outlives the connection or closes it.
class ConnectionHandler {
  public:
    virtual ~ConnectionHandler() = default;
    // Of connect() only; before anything else.
    virtual void on_connected() {}
    // Bytes are valid during the call and start at an address aligned to 8 whenever the stream position since the last
    // call that ended on a multiple of 8 allows it; check, do not assume.
    virtual void on_received(Bytes bytes) = 0;
    // The send handed over last has left (is in the kernel) whole: its memory is free again.
    virtual void on_sent() = 0;
    // Last event of the connection; not called after close().
    virtual void on_closed(CloseReason reason) = 0;
};

class ListenerHandler {
  public:
    virtual ~ListenerHandler() = default;
    // Sets the handler with set_handler() before returning, or closes it.
    virtual void on_accepted(ConnectionId connection, std::string_view remote) = 0;
};

class Network {
  public:
    virtual ~Network() = default;

    // Listening starts before the shard does and is reported by the shell: the core only names its handlers.
    virtual void set_listener(ConnectionClass cls, ListenerHandler& handler) = 0;
    virtual ConnectionId connect(const Address& address, ConnectionClass cls, ConnectionHandler& handler) = 0;
    virtual void set_handler(ConnectionId connection, ConnectionHandler& handler) = 0;

    // One send in flight per connection. Requires: the last one's on_sent() came; bytes stay valid until on_sent() or
    // on_closed(), or until released() after a close() of ours.
    virtual void send(ConnectionId connection, Bytes bytes) = 0;
    // Backpressure: no on_received() until resumed (what the kernel had already given may still be delivered once).
    virtual void pause_receive(ConnectionId connection) = 0;
    virtual void resume_receive(ConnectionId connection) = 0;
    // No more events of it. Memory of a send in flight may be used by the kernel until send_in_flight() is false.
    virtual void close(ConnectionId connection) = 0;
    virtual bool send_in_flight(ConnectionId connection) const = 0;

    // Gives the connection to another shard of the node, with bytes received and not yet consumed. There it appears as
    // on_accepted() of the same class followed by on_received(bytes), before anything received later. Requires: no send
    // in flight.
    virtual void hand_over(ConnectionId connection, ShardId to, Bytes unconsumed) = 0;

    virtual void dispatch(ConnectionClass cls) = 0;
};

}  // namespace ringfort::env
