// The network between simulated hosts: byte streams as TCP gives them, with everything that can happen to them.
//
// A stream never loses, repeats or reorders bytes; trouble shows as delay, as silence, or as a reset. A blocked path
// (one direction of a pair of hosts) holds bytes back until it is unblocked; acknowledgements are held back alike, so
// that the sender's socket buffer fills; a path may also carry little only. A host without power answers nothing; after it
// is up again it answers bytes of connections it no longer knows with a reset, so that a connection nobody writes to stays
// half-open for ever. Each connection has its own delays: what was sent later over another one may arrive earlier.
//
// SimNetwork is the world's; each shard's hold on it is a NetworkPort (network_port.h), which dies with its process.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "env/network.h"
#include "sim/event_queue.h"

namespace ringfort::sim {

class NetworkPort;

using HostId = std::uint32_t;

struct NetworkProfile {
    Duration latency{100us};
    Duration jitter{100us};
    // Segments that wait (queues, retransmission): most a little; each doubling is half as likely, up to tail_max.
    std::uint32_t tail_per_million{1000};
    Duration tail_max{30ms};
    std::uint32_t loss_per_million{0};          // segments that wait for a retransmission: 200 ms and more
    std::uint64_t bytes_per_second{1'000'000'000};
    std::size_t socket_buffer_bytes{256 * 1024};
    std::uint32_t split_per_million{100'000};   // segments that arrive in two parts; the same for deliveries
    std::uint32_t misaligned_per_million{100'000};
    std::uint32_t reset_per_million{0};         // segments that end, part of them arrived, in a reset of the connection
    // Connects that open two connections: of the other one nobody holds the near end, and the far end does not hear of it.
    std::uint32_t ghosts_per_million{0};
    Duration connect_timeout{10s};              // until a connect to silence is refused
};

struct NetworkCounters {
    std::uint64_t segments{0};
    std::uint64_t bytes{0};
    std::uint64_t connections{0};
    std::uint64_t resets{0};
    std::uint64_t ghosts{0};
    std::uint64_t lost{0};
    std::uint64_t held_back{0};
};

class SimNetwork {
  public:
    SimNetwork(EventQueue& queue, std::uint64_t seed, const NetworkProfile& profile);
    ~SimNetwork();
    SimNetwork(const SimNetwork&) = delete;
    SimNetwork& operator=(const SimNetwork&) = delete;

    HostId add_host(std::string name);
    const std::string& host_name(HostId host) const { return hosts_[host].name; }
    std::size_t host_count() const { return hosts_.size(); }
    NetworkProfile& profile() { return profile_; }
    const NetworkCounters& counters() const { return counters_; }

    // A live port takes connections to (its host, `port`). Several may share one: each connection goes to one by lot.
    void listen(NetworkPort& port, std::uint16_t number, env::ConnectionClass cls);

    // ---- faults
    // Power of the machine. Off: requires that its ports are detached with Death::silent.
    void set_host_up(HostId host, bool up);
    void block(HostId from, HostId to);
    void unblock(HostId from, HostId to);
    bool blocked(HostId from, HostId to) const;
    // Blocked, or slower than the profile says.
    bool hindered(HostId from, HostId to) const;
    void unblock_all();
    // Added to the latency of the path.
    void set_extra_latency(HostId from, HostId to, Duration extra);
    void clear_extra_latency();
    // Bytes a second of the path; 0: the profile's. Socket buffers before it fill.
    void set_rate(HostId from, HostId to, std::uint64_t bytes_per_second);
    // Resets every connection between the two, or one of all by lot.
    void reset_between(HostId a, HostId b);
    void reset_any();
    // Every connection between the two ends at `gone`; `left` does not hear of it before it writes, and what is on its way
    // to `left` arrives.
    void break_half(HostId gone, HostId left);

    // ---- for judges
    std::size_t open_connections() const;

  private:
    friend class NetworkPort;

    enum class SideState : std::uint8_t { connecting, accepting, open, closed };
    // One end of a connection, and the bytes that leave it.
    struct Side {
        NetworkPort* owner{nullptr};      // null: the process is gone, or there is none yet
        HostId host{0};
        SideState state{SideState::closed};
        env::ConnectionHandler* handler{nullptr};
        bool queued{false};               // in its owner's ready queue
        bool connected_due{false};
        bool sent_due{false};
        bool send_active{false};
        bool paused{false};
        bool close_due{false};
        env::CloseReason close_reason{env::CloseReason::reset};
        bool unread_lost{false};          // close_due by a reset that overtakes what was not read
        std::vector<std::byte> handed;    // by a sibling, to be read before the stream's bytes
        Bytes pending;                    // of the send in flight, not yet taken by the socket

        std::vector<std::byte> buffer;    // stream bytes [base, accepted)
        std::uint64_t base{0};
        std::uint64_t accepted{0};
        std::uint64_t sent{0};            // on the path, or beyond it
        std::uint64_t arrived{0};         // at the other side's socket
        std::uint64_t consumed{0};        // by the other side's handler
        std::uint64_t acknowledged{0};    // Invariant: acknowledged <= consumed <= arrived <= sent <= accepted
        Instant last_arrival{0};          // segments stay in order
        bool held_back{false};            // waits for the path
        bool fin_sent{false};
        bool window_due{false};           // an acknowledgement that matters is on its way
    };
    struct Connection {
        std::uint64_t generation{0};
        bool used{false};
        env::ConnectionClass cls{env::ConnectionClass::peer};
        std::uint16_t port{0};
        Instant connect_deadline{0};
        Side side[2];                     // 0 connected, 1 accepted
    };
    struct Host {
        std::string name;
        bool up{true};
    };
    struct Path {
        bool blocked{false};
        Duration extra{0};
        std::uint64_t bytes_per_second{0};   // 0: the profile's
        Instant busy_until{0};
    };
    struct Listener {
        HostId host;
        std::uint16_t number;
        env::ConnectionClass cls;
        NetworkPort* port;
    };

    // An end's id: generation, slot and side; checked on every use, so that late events find nothing.
    static env::ConnectionId make_id(std::uint64_t generation, std::size_t slot, std::size_t side);
    Connection* find(env::ConnectionId id, std::size_t& side);
    env::ConnectionId id_of(const Connection& connection, std::size_t side) const;
    Path& path(HostId from, HostId to) { return paths_[from * hosts_.size() + to]; }
    bool passable(HostId from, HostId to) { return hosts_[from].up && hosts_[to].up && !path(from, to).blocked; }
    Connection& new_connection(std::uint16_t port, env::ConnectionClass cls);
    void open_ghost(const Connection& original, NetworkPort& port);
    Instant arrival_time(Side& from, HostId to, std::size_t bytes);
    Duration hop(HostId from, HostId to);

    env::ConnectionId connect(NetworkPort& port, const env::Address& address, env::ConnectionClass cls,
                              env::ConnectionHandler& handler);
    NetworkPort* pick_listener(HostId host, std::uint16_t number, env::ConnectionClass cls);
    void start_send(Connection& connection, std::size_t side, Bytes bytes);
    void push(Connection& connection, std::size_t side);       // pending -> socket buffer
    void transmit(Connection& connection, std::size_t side);   // socket buffer -> path
    void acknowledge(Connection& connection, std::size_t side);
    // silent: the other side is not told (it knows, or the power is gone).
    void close_side(Connection& connection, std::size_t side, bool silent);
    void reset_side(Connection& connection, std::size_t side);
    void reset_later(Connection& connection, std::size_t side);
    void ready(Connection& connection, std::size_t side);
    void maybe_free(Connection& connection);
    void release_path(HostId from, HostId to);
    void detach(NetworkPort& port, bool silent);

    static void on_syn(void* context, std::uint64_t id, std::uint64_t);
    static void on_connected(void* context, std::uint64_t id, std::uint64_t refused);
    static void on_segment(void* context, std::uint64_t id, std::uint64_t through);
    static void on_window(void* context, std::uint64_t id, std::uint64_t);
    static void on_reset(void* context, std::uint64_t id, std::uint64_t);
    static void on_send_released(void* context, std::uint64_t id, std::uint64_t);

    EventQueue& queue_;
    Prng random_;
    NetworkProfile profile_;
    NetworkCounters counters_;
    std::vector<Host> hosts_;
    std::vector<Path> paths_;    // [from * hosts + to]
    std::vector<Listener> listeners_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<std::size_t> free_;
};

}  // namespace ringfort::sim
