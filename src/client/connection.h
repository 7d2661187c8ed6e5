// One connection of the client: connect, preamble and hello, frames in, frames out with one send in flight.
//
//   down -> connecting -> greeting -> ready -> down
//
// What a failure means for requests, and where to connect next, is its owner's business.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "client/core.h"
#include "client/pending_table.h"
#include "env/network.h"
#include "wire/client_codec.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::client {

class Connection;

// Why a connection ended or did not come about.
struct DownReason {
    api::Errc refusal{api::Errc::ok};    // the server answered and will not have us
    bool protocol_error{false};
    std::string_view text;               // valid during the call
};

class ConnectionOwner {
  public:
    virtual ~ConnectionOwner() = default;
    virtual void on_ready(Connection& connection) = 0;
    // A frame of an established connection. May close the connection.
    virtual void on_frame(Connection& connection, const wire::FrameReader::Frame& frame) = 0;
    // The server stops: it answers what was sent and takes no more. May close the connection.
    virtual void on_goodbye(Connection& connection) = 0;
    // The connection is down already. `was_ready`: requests may have been on it.
    virtual void on_down(Connection& connection, bool was_ready, const DownReason& reason) = 0;
    // It has something to send now.
    virtual void on_sendable(Connection& connection) = 0;
};

class Connection final : public env::ConnectionHandler {
  public:
    enum class State : std::uint8_t { down, connecting, greeting, ready };

    Connection(env::Network& network, ConnectionOwner& owner, const CoreOptions& options, std::uint32_t number);
    ~Connection() override;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Requires: down.
    void start(const env::Address& address);
    // Ends it, with on_down(). Requires: not down.
    void fail(const DownReason& reason);
    // Starts a send if there is something to send and nothing in flight.
    void flush();
    // Frees buffers of closed connections that the network has let go. True: some are still held.
    bool reap();

    // Where to append frames; then call note_appended(). Requires: ready.
    wire::OutBuffer& out() { return out_; }
    void note_appended();

    State state() const { return state_; }
    bool ready() const { return state_ == State::ready; }
    std::uint32_t number() const { return number_; }
    std::uint64_t epoch() const { return epoch_; }
    // The server's bounds, from its hello. With `requests_max` requests unanswered it reads nothing more.
    std::size_t frame_bytes_max() const;
    std::size_t requests_max() const;
    // A place is kept free, so that a server that is busy with all the others still reads, and answers, a status request.
    bool has_place() const { return unanswered + 1 < requests_max() || unanswered == 0; }

    // The owner's bookkeeping, kept here because it is per connection.
    PendingList requests;               // on this connection, oldest first
    // Sent or to be sent; those nobody waits for any more included; watches until their first frame.
    std::size_t unanswered{0};
    std::vector<std::uint64_t> watches_left;   // of them, watches nobody waits for any more
    std::uint32_t watches_open{0};      // of its requests, watches that are created
    std::uint64_t cancelled_last{0};    // a request whose reply is not wanted, and whose server was told
    std::uint32_t endpoint{0};
    std::uint32_t next_endpoint{0};     // where to start looking when it goes down
    Instant received_at{};              // of the last frame, or when it became ready
    Instant moved_at{INT64_MIN};        // last followed a leader
    bool heard{false};                  // bytes of a frame that is not whole yet came after received_at
    bool pinged{false};                 // Invariant: a status request of ours is unanswered since received_at
    Instant leave_at{};                 // while pinged: if it stays silent
    std::uint32_t pings_unanswered{0};  // answers to others of our requests may come before those to status requests
    std::uint64_t pinged_epoch{0};      // of the oldest of them, or before
    std::uint64_t carried_epoch{0};     // the server has what was appended in epochs before: it answered something later
    bool retiring{false};               // takes no more requests; closes when the last is answered
    bool queued_for_flush{false};

    void on_connected() override;
    void on_received(Bytes bytes) override;
    void on_sent() override;
    void on_closed(env::CloseReason reason) override;

  private:
    void go_down();
    void read_greeting(const wire::FrameReader::Frame& frame);
    void read_refusal(const wire::FrameReader::Frame& frame);

    // A send that was in flight when we closed: its memory is the kernel's until the network says otherwise.
    struct Held {
        env::ConnectionId id{0};
        wire::OutBuffer out;
    };

    env::Network& network_;
    ConnectionOwner& owner_;
    const CoreOptions& options_;
    const std::uint32_t number_;
    State state_{State::down};
    env::ConnectionId id_{0};
    // Counts what was handed to send: a frame appended in epoch e is still ours while epoch() == e.
    std::uint64_t epoch_{1};
    wire::OutBuffer out_;
    std::unique_ptr<wire::FrameReader> reader_;
    wire::ClientHelloReply greeting_;   // without its text
    Arena arena_{4096};                 // of greetings
    std::vector<Held> held_;
};

}  // namespace ringfort::client
