#include "uring/ring_network.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::uring {

using env::CloseReason;
using env::ConnectionClass;
using env::ConnectionId;
using State = Connection::State;

namespace {

constexpr unsigned slot_bits = 24;
constexpr Duration drain_longest = 500ms;
constexpr Duration end_longest = 1s;   // what a half-closed peer may take to read our last bytes

std::size_t index_of(ConnectionClass cls) {
    return static_cast<std::size_t>(cls);
}

}  // namespace

StartResult<std::unique_ptr<RingNetwork>> RingNetwork::create(Ring& ring, ShardMailbox& mailbox,
                                                              const TurnClock& clock,
                                                              const NetworkOptions& options) {
    std::unique_ptr<RingNetwork> network(new RingNetwork(ring, mailbox, clock, options));
    TRY_ASSIGN(network->buffers_[index_of(ConnectionClass::peer)],
               BufferRing::create(ring, 0, options.peer_buffer_count, options.peer_buffer_bytes));
    TRY_ASSIGN(network->buffers_[index_of(ConnectionClass::client)],
               BufferRing::create(ring, 1, options.client_buffer_count, options.client_buffer_bytes));
    return network;
}

RingNetwork::RingNetwork(Ring& ring, ShardMailbox& mailbox, const TurnClock& clock, const NetworkOptions& options)
    : ring_(ring), mailbox_(mailbox), clock_(clock), options_(options),
      resolver_(mailbox.hub().doorbell(mailbox.self().value)) {
    ASSERT(options.connections_max < (std::size_t{1} << slot_bits));
    ASSERT(options.buffers_per_connection_max > 0 && options.dispatch_bytes > 0);
}

RingNetwork::~RingNetwork() {
    for (const Slot& slot : slots_) {
        if (slot.connection && slot.connection->fd >= 0) {
            ::close(slot.connection->fd);
        }
    }
    for (const auto& [shard, handed] : hand_over_waits_) {
        ::close(handed.fd);
    }
}

// ---- the table of connections

Connection* RingNetwork::find(ConnectionId id) const {
    const std::uint64_t slot = id & ((std::uint64_t{1} << slot_bits) - 1);
    if (slot >= slots_.size()) {
        return nullptr;
    }
    Connection* connection = slots_[slot].connection.get();
    return connection != nullptr && connection->id == id ? connection : nullptr;
}

Connection& RingNetwork::add_connection(int fd, ConnectionClass cls, State state) {
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const std::uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    Slot& slot = slots_[index];
    slot.generation++;
    slot.connection = std::make_unique<Connection>(this, &RingNetwork::on_receive, &RingNetwork::on_send,
                                                   &RingNetwork::on_connect);
    Connection& connection = *slot.connection;
    connection.id = (slot.generation << slot_bits) | index;
    connection.fd = fd;
    connection.cls = cls;
    connection.state = state;
    connection_count_++;
    return connection;
}

void RingNetwork::set_handler(ConnectionId id, env::ConnectionHandler& handler) {
    Connection* connection = find(id);
    ASSERT(connection != nullptr);
    ASSERT(!connection->closed_by_us());
    connection->handler = &handler;
}

bool RingNetwork::release_if_quiet(Connection& connection) {
    if (!connection.quiet()) {
        return false;
    }
    release(connection);
    return true;
}

void RingNetwork::release(Connection& connection) {
    ASSERT(connection.quiet());
    if (connection.fd >= 0) {
        io_uring_prep_close(ring_.next_request(nullptr), connection.fd);
    }
    const auto index = static_cast<std::uint32_t>(connection.id & ((std::uint64_t{1} << slot_bits) - 1));
    ASSERT(slots_[index].connection.get() == &connection);
    slots_[index].connection.reset();
    free_slots_.push_back(index);
    ASSERT(connection_count_ > 0);
    connection_count_--;
}

void RingNetwork::push(Connection& connection, EventKind kind) {
    ready_[index_of(connection.cls)].push_back({.connection = connection.id, .kind = kind});
}

bool RingNetwork::has_ready() const {
    return !ready_[0].empty() || !ready_[1].empty();
}

// ---- the end of a connection

// The other side is gone, or the connection failed. Called while reaping, and for sends that found it so.
void RingNetwork::fail(Connection& connection, CloseReason reason) {
    if (connection.state != State::open && connection.state != State::connecting &&
        connection.state != State::resolving) {
        return;
    }
    connection.state = State::ended;
    connection.reason = reason;
    if (reason != CloseReason::peer_closed && connection.fd >= 0) {
        ::shutdown(connection.fd, SHUT_RDWR);
    } else if (connection.send_active) {
        linger(connection, end_longest);
    }
    announce_end(connection);
}

// on_closed() comes when the kernel has let go of the send and everything received before was delivered.
void RingNetwork::announce_end(Connection& connection) {
    ASSERT(connection.state == State::ended);
    if (connection.end_announced || connection.send_active) {
        return;
    }
    if (connection.reason == CloseReason::peer_closed && (connection.paused || !connection.spilled.empty())) {
        connection.end_waits = true;
        return;
    }
    connection.end_announced = true;
    push(connection, EventKind::ended);
}

void RingNetwork::close(ConnectionId id) {
    Connection* connection = find(id);
    if (connection == nullptr || connection->closed_by_us() || connection->state == State::handing_over) {
        return;
    }
    connection->handler = nullptr;
    connection->spilled.clear();
    const bool established = connection->state == State::open && connection->fd >= 0;
    if (established && !connection->send_active) {
        connection->state = State::draining;
        ::shutdown(connection->fd, SHUT_WR);
        linger(*connection, drain_longest);
        arm_receive(*connection);
        return;
    }
    connection->state = State::aborting;
    if (connection->connect_active) {
        ring_.cancel(connection->connect);
    }
    if (connection->fd >= 0) {
        ::shutdown(connection->fd, SHUT_RDWR);
    }
    release_if_quiet(*connection);
}

bool RingNetwork::send_in_flight(ConnectionId id) const {
    const Connection* connection = find(id);
    return connection != nullptr && connection->send_active;
}

void RingNetwork::linger(Connection& connection, Duration longest) {
    const Instant until = clock_.now() + longest;
    lingering_.push_back({.connection = connection.id, .until = until});
    next_deadline_ = std::min(next_deadline_, until);
}

void RingNetwork::check_deadlines() {
    const Instant now = clock_.now();
    if (now < next_deadline_) {
        return;
    }
    next_deadline_ = never;
    if (accept_again_ <= now) {
        accept_again_ = never;
        for (const std::unique_ptr<Listening>& listening : listening_) {
            arm_accept(*listening);
        }
    }
    next_deadline_ = accept_again_;
    std::erase_if(lingering_, [&](const Lingering& entry) {
        const Connection* connection = find(entry.connection);
        if (connection == nullptr) {
            return true;
        }
        if (entry.until > now) {
            next_deadline_ = std::min(next_deadline_, entry.until);
            return false;
        }
        // Whatever is in flight ends now.
        ::shutdown(connection->fd, SHUT_RDWR);
        return true;
    });
}

// ---- to another shard

void RingNetwork::hand_over(ConnectionId id, ShardId to, Bytes unconsumed) {
    Connection* connection = find(id);
    ASSERT(to != mailbox_.self());
    ASSERT(to.value < mailbox_.shard_count());
    if (connection == nullptr || connection->closed_by_us()) {
        return;
    }
    ASSERT(!connection->send_active);
    ASSERT(connection->state == State::open || connection->state == State::ended);
    std::vector<std::byte> bytes(unconsumed.begin(), unconsumed.end());
    bytes.insert(bytes.end(), connection->spilled.begin(), connection->spilled.end());
    connection->spilled = std::move(bytes);
    connection->handler = nullptr;
    connection->target = to;
    connection->state = State::handing_over;
    if (connection->receive_armed) {
        cancel_receive(*connection);
    } else {
        // Behind what was received and is not dispatched yet.
        push(*connection, EventKind::handed_over);
    }
}

void RingNetwork::move_out(Connection& connection) {
    ASSERT(connection.state == State::handing_over);
    ASSERT(connection.quiet());
    hand_over_waits_.emplace_back(connection.target, HandedConnection{.fd = connection.fd,
                                                                      .cls = connection.cls,
                                                                      .bytes = std::move(connection.spilled)});
    connection.fd = -1;
    release(connection);
    flush_handed();
}

// ---- once a turn, and the end

void RingNetwork::begin_turn() {
    resolver_.take_finished();
    if (!hand_over_waits_.empty()) {
        flush_handed();
    }
    if (mailbox_.shard_count() > 1) {
        adopt_handed();
    }
    check_deadlines();
}

void RingNetwork::shut_down() {
    shutting_down_ = true;
    for (const std::unique_ptr<Listening>& listening : listening_) {
        if (listening->armed) {
            ring_.cancel(listening->accept);
        }
    }
    for (Slot& slot : slots_) {
        Connection* connection = slot.connection.get();
        if (connection == nullptr) {
            continue;
        }
        connection->handler = nullptr;
        connection->state = State::aborting;
        if (connection->connect_active) {
            ring_.cancel(connection->connect);
        }
        if (connection->fd >= 0) {
            ::shutdown(connection->fd, SHUT_RDWR);
        }
        release_if_quiet(*connection);
    }
}

bool RingNetwork::idle() const {
    return connection_count_ == 0 &&
           std::none_of(listening_.begin(), listening_.end(), [](const auto& l) { return l->armed; });
}

}  // namespace ringfort::uring
