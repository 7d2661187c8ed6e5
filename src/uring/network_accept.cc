// How connections of RingNetwork begin: accepted, handed over by another shard, or connected from here.
#include <sys/socket.h>
#include <unistd.h>

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

constexpr Duration accept_pause = 100ms;

}  // namespace

RingNetwork::Listening::Listening(RingNetwork* network, int listening_fd, ConnectionClass c)
    : accept(&RingNetwork::on_accept, this), owner(network), fd(listening_fd), cls(c) {}

// ---- accepting

void RingNetwork::add_listening_socket(int fd, ConnectionClass cls) {
    listening_.push_back(std::make_unique<Listening>(this, fd, cls));
    arm_accept(*listening_.back());
}

void RingNetwork::set_listener(ConnectionClass cls, env::ListenerHandler& handler) {
    listeners_[static_cast<std::size_t>(cls)] = &handler;
    for (const std::unique_ptr<Listening>& listening : listening_) {
        arm_accept(*listening);
    }
}

// Nothing is taken from the kernel's backlog before somebody wants it.
void RingNetwork::arm_accept(Listening& listening) {
    if (listening.armed || shutting_down_ || listeners_[static_cast<std::size_t>(listening.cls)] == nullptr) {
        return;
    }
    listening.armed = true;
    io_uring_sqe* sqe = ring_.next_request(&listening.accept);
    if (ring_.features().has(Feature::multishot_accept)) {
        io_uring_prep_multishot_accept(sqe, listening.fd, nullptr, nullptr, SOCK_CLOEXEC);
    } else {
        io_uring_prep_accept(sqe, listening.fd, nullptr, nullptr, SOCK_CLOEXEC);
    }
}

void RingNetwork::on_accept(Completion& completion, int result, std::uint32_t flags) {
    auto* listening = static_cast<Listening*>(completion.context);
    RingNetwork& self = *listening->owner;
    if (result >= 0) {
        self.add_accepted(result, listening->cls);
    }
    if ((flags & IORING_CQE_F_MORE) != 0) {
        return;
    }
    listening->armed = false;
    if (result >= 0 || result == -ECONNABORTED || result == -EINTR) {
        self.arm_accept(*listening);
        return;
    }
    if (result == -EINVAL && self.ring_.features().has(Feature::multishot_accept)) {
        self.ring_.drop_feature(Feature::multishot_accept);
        self.arm_accept(*listening);
        return;
    }
    if (result == -ECANCELED) {
        return;
    }
    // Out of descriptors or memory: the backlog waits a moment.
    self.counters_.accept_failures++;
    self.accept_again_ = monotonic_now() + accept_pause;
    self.next_deadline_ = std::min(self.next_deadline_, self.accept_again_);
}

void RingNetwork::add_accepted(int fd, ConnectionClass cls) {
    if (connection_count_ >= options_.connections_max || shutting_down_) {
        counters_.refused++;
        ::close(fd);
        return;
    }
    counters_.accepted++;
    set_stream_options(fd);
    push(add_connection(fd, cls, State::open), EventKind::accepted);
}

void RingNetwork::deliver_accepted(Connection& connection) {
    env::ListenerHandler* listener = listeners_[static_cast<std::size_t>(connection.cls)];
    ASSERT(listener != nullptr);
    const ConnectionId id = connection.id;
    listener->on_accepted(id, remote_name(connection.fd));
    Connection* still = find(id);
    if (still == nullptr || still->closed_by_us() || still->state == State::handing_over) {
        return;
    }
    ASSERT(still->handler != nullptr);
    if (!still->spilled.empty() && !still->paused) {
        deliver_spilled(*still);
        still = find(id);
    }
    if (still != nullptr && still->state == State::open) {
        want_armed(*still);
    }
}

// ---- from other shards

void RingNetwork::adopt_handed() {
    for (std::size_t from = 0; from < mailbox_.shard_count(); from++) {
        SpscQueue<HandedConnection>* queue =
            mailbox_.hub().connections_from(from, mailbox_.self().value);
        HandedConnection handed;
        while (queue != nullptr && queue->try_pop(handed)) {
            adopt(std::move(handed));
        }
    }
}

void RingNetwork::adopt(HandedConnection handed) {
    if (connection_count_ >= options_.connections_max || shutting_down_ ||
        listeners_[static_cast<std::size_t>(handed.cls)] == nullptr) {
        counters_.refused++;
        ::close(handed.fd);
        return;
    }
    Connection& connection = add_connection(handed.fd, handed.cls, State::open);
    connection.spilled = std::move(handed.bytes);
    push(connection, EventKind::accepted);
}

void RingNetwork::flush_handed() {
    std::erase_if(hand_over_waits_, [&](std::pair<ShardId, HandedConnection>& entry) {
        auto& queue = mailbox_.hub().connections_to(mailbox_.self().value, entry.first.value);
        if (!queue.try_push(std::move(entry.second))) {
            return false;
        }
        mailbox_.note_sent(entry.first);
        return true;
    });
}

// ---- connecting

class ResolveJob final : public HelperJob {
  public:
    ResolveJob(RingNetwork& network, ConnectionId connection, env::Address address)
        : network_(network), connection_(connection), address_(std::move(address)) {}
    void run() override { result_ = resolve(address_); }
    void finish() override { network_.finish_resolve(connection_, result_); }

  private:
    RingNetwork& network_;
    ConnectionId connection_;
    env::Address address_;
    std::optional<SocketAddress> result_;
};

ConnectionId RingNetwork::connect(const env::Address& address, ConnectionClass cls,
                                  env::ConnectionHandler& handler) {
    Connection& connection = add_connection(-1, cls, State::resolving);
    connection.handler = &handler;
    if (const auto numeric = numeric_address(address)) {
        connection.address = *numeric;
        begin_connect(connection);
    } else {
        connection.resolve_active = true;
        resolver_.give(std::make_unique<ResolveJob>(*this, connection.id, address));
    }
    return connection.id;
}

void RingNetwork::finish_resolve(ConnectionId id, const std::optional<SocketAddress>& address) {
    Connection* connection = find(id);
    ASSERT(connection != nullptr);
    connection->resolve_active = false;
    if (connection->closed_by_us()) {
        release_if_quiet(*connection);
        return;
    }
    if (!address) {
        fail(*connection, CloseReason::refused);
        return;
    }
    connection->address = *address;
    begin_connect(*connection);
}

void RingNetwork::begin_connect(Connection& connection) {
    connection.fd = ::socket(connection.address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection.fd < 0) {
        fail(connection, CloseReason::no_resources);
        return;
    }
    set_stream_options(connection.fd);
    connection.state = State::connecting;
    connection.connect_active = true;
    io_uring_prep_connect(ring_.next_request(&connection.connect), connection.fd,
                          reinterpret_cast<const sockaddr*>(&connection.address.storage), connection.address.bytes);
}

void RingNetwork::on_connect(Completion& completion, int result, std::uint32_t) {
    auto& connection = *static_cast<Connection*>(completion.context);
    RingNetwork& self = *connection.owner;
    connection.connect_active = false;
    if (connection.closed_by_us()) {
        self.release_if_quiet(connection);
    } else if (result == 0) {
        connection.state = State::open;
        self.push(connection, EventKind::connected);
    } else {
        self.fail(connection, CloseReason::refused);
    }
}

}  // namespace ringfort::uring
