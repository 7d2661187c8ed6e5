// Bytes of RingNetwork's connections: receiving, sending, and delivery to the handlers.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assertion.h"
#include "uring/ring_network.h"

namespace ringfort::uring {

using env::CloseReason;
using env::ConnectionClass;
using env::ConnectionId;
using State = Connection::State;

namespace {

constexpr std::size_t drain_bytes_max = 256 * kib;
constexpr std::size_t send_bytes_max = std::size_t{1} * gib;   // the kernel counts in int

}  // namespace

// ---- receiving

void RingNetwork::arm_receive(Connection& connection) {
    if (connection.receive_armed) {
        return;
    }
    connection.receive_armed = true;
    connection.receive_cancelled = false;
    io_uring_sqe* sqe = ring_.next_request(&connection.receive);
    connection.receive_multishot = ring_.features().has(Feature::multishot_receive);
    if (connection.receive_multishot) {
        io_uring_prep_recv_multishot(sqe, connection.fd, nullptr, 0, 0);
    } else {
        io_uring_prep_recv(sqe, connection.fd, nullptr, buffers(connection.cls).buffer_bytes(), 0);
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffers(connection.cls).group();
}

void RingNetwork::cancel_receive(Connection& connection) {
    if (connection.receive_armed && !connection.receive_cancelled) {
        connection.receive_cancelled = true;
        ring_.cancel(connection.receive);
    }
}

void RingNetwork::on_receive(Completion& completion, int result, std::uint32_t flags) {
    auto& connection = *static_cast<Connection*>(completion.context);
    RingNetwork& self = *connection.owner;
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        BufferRing& buffers = self.buffers(connection.cls);
        const auto buffer = static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
        buffers.note_taken();
        if (result > 0) {
            self.note_received(connection, buffer, static_cast<std::uint32_t>(result));
        } else {
            buffers.put_back(buffer);
        }
    }
    if ((flags & IORING_CQE_F_MORE) == 0) {
        connection.receive_armed = false;
        self.receive_ended(connection, result);
    }
}

void RingNetwork::note_received(Connection& connection, std::uint16_t buffer, std::uint32_t bytes) {
    counters_.receives++;
    counters_.bytes_received += bytes;
    if (connection.closed_by_us()) {
        buffers(connection.cls).put_back(buffer);
        connection.drained_bytes += bytes;
        if (connection.drained_bytes > drain_bytes_max) {
            ::shutdown(connection.fd, SHUT_RDWR);
        }
        return;
    }
    connection.buffers_held++;
    if (connection.buffers_held >= options_.buffers_per_connection_max && !connection.receive_cancelled) {
        counters_.held_too_many++;
        cancel_receive(connection);
    }
    ready_[static_cast<std::size_t>(connection.cls)].push_back(
        {.connection = connection.id, .kind = EventKind::received, .buffer = buffer, .bytes = bytes});
}

// No request receives for this connection any more; `result` is how the last one ended.
void RingNetwork::receive_ended(Connection& connection, int result) {
    const bool no_multishot = result == -EINVAL && connection.receive_multishot;
    const bool passes = result == -ECANCELED || result == -ENOBUFS || result == -EINTR || result == -EAGAIN;
    const bool over = result <= 0 && !passes && !no_multishot;
    if (result == -ENOBUFS) {
        counters_.buffers_exhausted++;
    }
    if (no_multishot) {
        ring_.drop_feature(Feature::multishot_receive);
    }
    switch (connection.state) {
        case State::open:
            if (over) {
                fail(connection, result == 0 ? CloseReason::peer_closed : CloseReason::reset);
            } else {
                want_armed(connection);
            }
            return;
        case State::handing_over: push(connection, EventKind::handed_over); return;
        case State::draining:
            if (!over && connection.drained_bytes <= drain_bytes_max) {
                want_armed(connection);
                return;
            }
            release_if_quiet(connection);
            return;
        case State::aborting: release_if_quiet(connection); return;
        case State::ended:
        case State::resolving:
        case State::connecting: return;
    }
    UNREACHABLE();
}

// Armed at the end of a dispatch of its class, when its buffers are back.
void RingNetwork::want_armed(Connection& connection) {
    if (!connection.listed_for_arming) {
        connection.listed_for_arming = true;
        wants_armed_[static_cast<std::size_t>(connection.cls)].push_back(connection.id);
    }
}

// A dispatch hands out only so much: one that still holds its share of the buffers stays listed. As long as it does its
// events are ready, so that another dispatch of this class follows, and each delivers at least one event.
void RingNetwork::arm_wanted(ConnectionClass cls) {
    std::erase_if(wants_armed_[static_cast<std::size_t>(cls)], [this](const ConnectionId id) {
        Connection* connection = find(id);
        if (connection == nullptr) {
            return true;
        }
        const bool open = connection->state == State::open && !connection->paused;
        if (open && connection->buffers_held >= options_.buffers_per_connection_max) {
            return false;
        }
        connection->listed_for_arming = false;
        if (open || connection->state == State::draining) {
            arm_receive(*connection);
        }
        return true;
    });
}

void RingNetwork::pause_receive(ConnectionId id) {
    Connection* connection = find(id);
    if (connection == nullptr || connection->paused) {
        return;
    }
    connection->paused = true;
    if (connection->state == State::open) {
        cancel_receive(*connection);
    }
}

void RingNetwork::resume_receive(ConnectionId id) {
    Connection* connection = find(id);
    if (connection == nullptr || !connection->paused) {
        return;
    }
    connection->paused = false;
    if (!connection->spilled.empty() && !connection->spill_announced) {
        connection->spill_announced = true;
        push(*connection, EventKind::spilled);
    }
    if (connection->state == State::ended && connection->end_waits && connection->spilled.empty()) {
        connection->end_waits = false;
        announce_end(*connection);
    }
    if (connection->state == State::open) {
        want_armed(*connection);
    }
}

// ---- sending

void RingNetwork::send(ConnectionId id, Bytes bytes) {
    Connection* connection = find(id);
    ASSERT(connection != nullptr);
    ASSERT(!connection->send_active);
    ASSERT(!bytes.empty());
    if (connection->state != State::open) {
        // The end is known here and on its way to the handler.
        ASSERT(connection->state == State::ended);
        return;
    }
    counters_.sends++;
    connection->send_active = true;
    connection->send_rest = bytes;
    queue_send(*connection);
}

void RingNetwork::queue_send(Connection& connection) {
    io_uring_sqe* sqe = ring_.next_request(&connection.send);
    io_uring_prep_send(sqe, connection.fd, connection.send_rest.data(),
                       std::min(connection.send_rest.size(), send_bytes_max), MSG_NOSIGNAL | MSG_WAITALL);
}

void RingNetwork::on_send(Completion& completion, int result, std::uint32_t) {
    auto& connection = *static_cast<Connection*>(completion.context);
    RingNetwork& self = *connection.owner;
    if (result > 0) {
        self.counters_.bytes_sent += static_cast<std::uint64_t>(result);
        connection.send_rest = connection.send_rest.subspan(static_cast<std::size_t>(result));
    }
    const bool again = result > 0 || result == -EINTR || result == -EAGAIN;
    if (again && !connection.send_rest.empty() && !connection.closed_by_us()) {
        self.queue_send(connection);
        return;
    }
    connection.send_active = false;
    if (connection.closed_by_us()) {
        self.release_if_quiet(connection);
    } else if (connection.state == State::ended) {
        self.announce_end(connection);
    } else if (connection.send_rest.empty()) {
        self.push(connection, EventKind::sent);
    } else {
        self.fail(connection, CloseReason::reset);
    }
}

// ---- delivery

void RingNetwork::dispatch(ConnectionClass cls) {
    ASSERT(dispatching_.empty());
    std::vector<Event>& ready = ready_[static_cast<std::size_t>(cls)];
    dispatching_.swap(ready);
    std::size_t bytes = 0;
    auto next = dispatching_.begin();
    for (; next != dispatching_.end() && bytes < options_.dispatch_bytes; ++next) {
        bytes += next->kind == EventKind::received ? next->bytes : 0;
        deliver(*next, cls);
    }
    // The rest is the next turn's, before what came meanwhile.
    ready.insert(ready.begin(), next, dispatching_.end());
    dispatching_.clear();
    arm_wanted(cls);
}

void RingNetwork::deliver(const Event& event, ConnectionClass cls) {
    Connection* connection = find(event.connection);
    if (event.kind == EventKind::received) {
        if (connection != nullptr) {
            const BufferRing& buffers = *buffers_[static_cast<std::size_t>(cls)];
            deliver_received(*connection, {buffers.buffer(event.buffer), event.bytes});
        }
        buffers(cls).put_back(event.buffer);
        return;
    }
    if (connection == nullptr || connection->closed_by_us()) {
        return;
    }
    switch (event.kind) {
        case EventKind::accepted: deliver_accepted(*connection); return;
        case EventKind::connected: {
            want_armed(*connection);
            connection->handler->on_connected();
            return;
        }
        case EventKind::spilled:
            connection->spill_announced = false;
            if (!connection->paused && connection->state != State::handing_over) {
                deliver_spilled(*connection);
            }
            return;
        case EventKind::sent:
            if (connection->handler != nullptr) {
                connection->handler->on_sent();
            }
            return;
        case EventKind::ended: deliver_ended(*connection); return;
        case EventKind::handed_over: move_out(*connection); return;
        case EventKind::received: break;
    }
    UNREACHABLE();
}

void RingNetwork::deliver_received(Connection& connection, Bytes bytes) {
    ASSERT(connection.buffers_held > 0);
    connection.buffers_held--;
    const bool wanted = connection.state == State::open || connection.state == State::ended;
    if (wanted && !connection.paused && connection.spilled.empty()) {
        connection.handler->on_received(bytes);
    } else if (wanted || connection.state == State::handing_over) {
        connection.spilled.insert(connection.spilled.end(), bytes.begin(), bytes.end());
        if (wanted && !connection.paused && !connection.spill_announced) {
            connection.spill_announced = true;
            push(connection, EventKind::spilled);
        }
    }
}

void RingNetwork::deliver_spilled(Connection& connection) {
    const std::vector<std::byte> bytes = std::move(connection.spilled);
    connection.spilled.clear();
    const ConnectionId id = connection.id;
    if (!bytes.empty()) {
        connection.handler->on_received(bytes);
    }
    Connection* still = find(id);
    if (still != nullptr && still->state == State::ended && still->end_waits && !still->paused) {
        still->end_waits = false;
        announce_end(*still);
    }
}

void RingNetwork::deliver_ended(Connection& connection) {
    if (connection.state != State::ended) {
        return;   // on its way to another shard, which will see the end itself
    }
    connection.end_announced = false;
    if (connection.reason == CloseReason::peer_closed && (connection.paused || !connection.spilled.empty())) {
        connection.end_waits = true;   // the handler paused after the end was announced
        return;
    }
    env::ConnectionHandler* handler = connection.handler;
    const CloseReason reason = connection.reason;
    connection.state = State::aborting;
    connection.handler = nullptr;
    if (connection.receive_armed) {
        ::shutdown(connection.fd, SHUT_RDWR);
    }
    release_if_quiet(connection);
    handler->on_closed(reason);
}

}  // namespace ringfort::uring
