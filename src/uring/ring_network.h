// env::Network over io_uring: multishot accept and receive into provided buffer rings (one for clients, one for peers),
// one send in flight per connection. Completions are noted while the ring is reaped and delivered, in that order, by
// dispatch() of their class.
//
// Invariants:
// - a buffer of a ring is held from its completion to the end of the dispatch that follows, never longer
// - a connection's slot is reused only when no request of it is in flight; its id never
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "env/network.h"
#include "uring/buffer_ring.h"
#include "uring/clock_source.h"
#include "uring/connection.h"
#include "uring/helper_thread.h"
#include "uring/shard_mailbox.h"

namespace ringfort::uring {

struct NetworkOptions {
    std::size_t connections_max{8192};      // of this shard; more are closed as soon as accepted
    std::uint32_t client_buffer_count{512};
    std::uint32_t client_buffer_bytes{16 * 1024};
    std::uint32_t peer_buffer_count{64};
    std::uint32_t peer_buffer_bytes{128 * 1024};
    // A connection that holds this many has its receive ended until they were dispatched.
    std::uint16_t buffers_per_connection_max{32};
    // Of one class in one turn, about: a turn does not grow with what all connections together have sent.
    std::size_t dispatch_bytes{256 * 1024};
};

struct NetworkCounters {
    std::uint64_t accepted{0};
    std::uint64_t refused{0};          // over connections_max
    std::uint64_t accept_failures{0};
    std::uint64_t receives{0};
    std::uint64_t sends{0};
    std::uint64_t bytes_received{0};
    std::uint64_t bytes_sent{0};
    std::uint64_t buffers_exhausted{0};
    std::uint64_t held_too_many{0};
};

class RingNetwork final : public env::Network {
  public:
    static StartResult<std::unique_ptr<RingNetwork>> create(Ring& ring, ShardMailbox& mailbox,
                                                            const TurnClock& clock, const NetworkOptions& options);
    ~RingNetwork() override;

    // The shell's side: a listening socket, whose closing stays with the caller.
    void add_listening_socket(int fd, env::ConnectionClass cls);

    void set_listener(env::ConnectionClass cls, env::ListenerHandler& handler) override;
    env::ConnectionId connect(const env::Address& address, env::ConnectionClass cls,
                              env::ConnectionHandler& handler) override;
    void set_handler(env::ConnectionId connection, env::ConnectionHandler& handler) override;
    void send(env::ConnectionId connection, Bytes bytes) override;
    void pause_receive(env::ConnectionId connection) override;
    void resume_receive(env::ConnectionId connection) override;
    void close(env::ConnectionId connection) override;
    bool send_in_flight(env::ConnectionId connection) const override;
    void hand_over(env::ConnectionId connection, ShardId to, Bytes unconsumed) override;
    void dispatch(env::ConnectionClass cls) override;

    // Once a turn, before dispatch: connections from other shards, resolved names, timers.
    void begin_turn();
    bool has_ready() const;
    Instant next_deadline() const { return next_deadline_; }
    // Ends everything: listeners, connections. idle() once the kernel let go of all.
    void shut_down();
    bool idle() const;

    std::size_t connection_count() const { return connection_count_; }
    const NetworkCounters& counters() const { return counters_; }

  private:
    friend class ResolveJob;

    enum class EventKind : std::uint8_t { accepted, connected, received, spilled, sent, ended, handed_over };
    struct Event {
        env::ConnectionId connection{0};
        EventKind kind{};
        std::uint16_t buffer{0};
        std::uint32_t bytes{0};
    };
    struct Listening {
        Listening(RingNetwork* network, int listening_fd, env::ConnectionClass c);
        Completion accept;
        RingNetwork* owner;
        int fd;
        env::ConnectionClass cls;
        bool armed{false};
    };
    struct Slot {
        std::unique_ptr<Connection> connection;   // null: free
        std::uint64_t generation{0};              // of the last connection here
    };
    // A connection whose waiting must end.
    struct Lingering {
        env::ConnectionId connection{0};
        Instant until{};
    };

    RingNetwork(Ring& ring, ShardMailbox& mailbox, const TurnClock& clock, const NetworkOptions& options);

    // network_accept.cc
    static void on_accept(Completion& completion, int result, std::uint32_t flags);
    void arm_accept(Listening& listening);
    void add_accepted(int fd, env::ConnectionClass cls);
    void adopt(HandedConnection handed);
    void adopt_handed();
    void flush_handed();
    void deliver_accepted(Connection& connection);
    static void on_connect(Completion& completion, int result, std::uint32_t flags);
    void begin_connect(Connection& connection);
    void finish_resolve(env::ConnectionId id, const std::optional<SocketAddress>& address);

    // network_stream.cc
    static void on_receive(Completion& completion, int result, std::uint32_t flags);
    static void on_send(Completion& completion, int result, std::uint32_t flags);
    void note_received(Connection& connection, std::uint16_t buffer, std::uint32_t bytes);
    void receive_ended(Connection& connection, int result);
    void arm_receive(Connection& connection);
    void cancel_receive(Connection& connection);
    void want_armed(Connection& connection);
    void arm_wanted(env::ConnectionClass cls);
    void queue_send(Connection& connection);
    void deliver(const Event& event, env::ConnectionClass cls);
    void deliver_received(Connection& connection, Bytes bytes);
    void deliver_spilled(Connection& connection);
    void deliver_ended(Connection& connection);

    // ring_network.cc
    Connection* find(env::ConnectionId id) const;
    Connection& add_connection(int fd, env::ConnectionClass cls, Connection::State state);
    void push(Connection& connection, EventKind kind);
    void fail(Connection& connection, env::CloseReason reason);
    void announce_end(Connection& connection);
    void linger(Connection& connection, Duration longest);
    void check_deadlines();
    void move_out(Connection& connection);
    // Frees the connection if nothing holds it. True: it is gone.
    bool release_if_quiet(Connection& connection);
    void release(Connection& connection);
    BufferRing& buffers(env::ConnectionClass cls) { return *buffers_[static_cast<std::size_t>(cls)]; }

    Ring& ring_;
    ShardMailbox& mailbox_;
    const TurnClock& clock_;
    const NetworkOptions options_;
    std::array<std::unique_ptr<BufferRing>, 2> buffers_;        // by class
    std::array<env::ListenerHandler*, 2> listeners_{};          // by class
    std::array<std::vector<Event>, 2> ready_;                   // by class, in the order reaped
    std::vector<Event> dispatching_;
    std::array<std::vector<env::ConnectionId>, 2> wants_armed_; // by class
    std::vector<std::unique_ptr<Listening>> listening_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::size_t connection_count_{0};
    std::vector<Lingering> lingering_;
    std::vector<std::pair<ShardId, HandedConnection>> hand_over_waits_;   // the other shard's queue was full
    Instant accept_again_{never};    // after running out of descriptors
    Instant next_deadline_{never};
    bool shutting_down_{false};
    NetworkCounters counters_;
    HelperThread resolver_;          // last: its jobs refer to the rest
};

}  // namespace ringfort::uring
