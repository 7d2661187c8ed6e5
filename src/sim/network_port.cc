#include "sim/network_port.h"

#include <algorithm>
#include <cstring>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

std::size_t slot_of(env::ConnectionClass cls) { return static_cast<std::size_t>(cls); }

constexpr std::size_t piece_bytes_max = 64 * 1024;   // a receive buffer of the real network
constexpr int poison = 0xdd;

}  // namespace

NetworkPort::NetworkPort(SimNetwork& network, HostId host, Waker waker)
    : network_(network), host_(host), waker_(waker), scratch_(piece_bytes_max / 8 + 1) {}

void NetworkPort::detach(Death death) {
    if (!detached_) {
        detached_ = true;
        network_.detach(*this, death == Death::silent);
    }
}

bool NetworkPort::has_work() const {
    return !ready_[0].empty() || !ready_[1].empty() || !accepted_[0].empty() || !accepted_[1].empty();
}

NetworkPort::Side* NetworkPort::own(env::ConnectionId id) {
    std::size_t side = 0;
    Connection* connection = network_.find(id, side);
    if (connection == nullptr || connection->side[side].owner != this ||
        connection->side[side].state == SimNetwork::SideState::closed) {
        return nullptr;
    }
    return &connection->side[side];
}

NetworkPort::Side& NetworkPort::must_own(env::ConnectionId id) {
    Side* side = own(id);
    ASSERT(side != nullptr);
    return *side;
}

void NetworkPort::set_listener(env::ConnectionClass cls, env::ListenerHandler& handler) {
    listeners_[slot_of(cls)] = &handler;
    if (!accepted_[slot_of(cls)].empty()) {
        waker_();
    }
}

env::ConnectionId NetworkPort::connect(const env::Address& address, env::ConnectionClass cls,
                                       env::ConnectionHandler& handler) {
    ASSERT(!detached_);
    return network_.connect(*this, address, cls, handler);
}

void NetworkPort::set_handler(env::ConnectionId connection, env::ConnectionHandler& handler) {
    must_own(connection).handler = &handler;
}

void NetworkPort::send(env::ConnectionId connection, Bytes bytes) {
    std::size_t side = 0;
    Connection* found = network_.find(connection, side);
    ASSERT(own(connection) != nullptr);
    ASSERT(found->side[side].state == SimNetwork::SideState::open);
    network_.start_send(*found, side, bytes);
}

void NetworkPort::pause_receive(env::ConnectionId connection) { must_own(connection).paused = true; }

void NetworkPort::resume_receive(env::ConnectionId connection) {
    Side& own_side = must_own(connection);
    own_side.paused = false;
    std::size_t side = 0;
    Connection* found = network_.find(connection, side);
    const Side& other = found->side[1 - side];
    if (other.arrived > other.consumed || own_side.close_due) {
        network_.ready(*found, side);
    }
}

void NetworkPort::close(env::ConnectionId connection) {
    if (detached_) {
        return;
    }
    std::size_t side = 0;
    Connection* found = network_.find(connection, side);
    ASSERT(own(connection) != nullptr);
    network_.close_side(*found, side, false);
}

bool NetworkPort::send_in_flight(env::ConnectionId connection) const {
    std::size_t side = 0;
    const Connection* found = network_.find(connection, side);
    return found != nullptr && found->side[side].send_active;
}

void NetworkPort::hand_over(env::ConnectionId connection, ShardId to, Bytes unconsumed) {
    ASSERT(to.value < siblings_.size());
    std::size_t side = 0;
    Connection* found = network_.find(connection, side);
    Side& mine = must_own(connection);
    ASSERT(!mine.send_active);
    Side& other = found->side[1 - side];
    // What was given to us and not used is read again.
    ASSERT(unconsumed.size() <= other.consumed);
    other.buffer.insert(other.buffer.begin(), unconsumed.begin(), unconsumed.end());
    other.base -= unconsumed.size();
    other.consumed -= unconsumed.size();
    other.acknowledged = std::min(other.acknowledged, other.consumed);
    mine.owner = siblings_[to.value];
    mine.handler = nullptr;
    mine.queued = false;
    mine.paused = false;
    mine.state = SimNetwork::SideState::accepting;
    siblings_[to.value]->accept(connection, found->cls);
}

void NetworkPort::accept(env::ConnectionId id, env::ConnectionClass cls) {
    accepted_[slot_of(cls)].push_back(id);
    waker_();
}

void NetworkPort::dispatch(env::ConnectionClass cls) {
    const std::size_t slot = slot_of(cls);
    if (listeners_[slot] != nullptr) {
        for (std::size_t left = accepted_[slot].size(); left > 0; left--) {
            const env::ConnectionId id = accepted_[slot].front();
            accepted_[slot].pop_front();
            Side* side = own(id);
            if (side == nullptr) {
                continue;
            }
            side->state = SimNetwork::SideState::open;
            std::size_t index = 0;
            const Connection* found = network_.find(id, index);
            listeners_[slot]->on_accepted(id, network_.host_name(found->side[1 - index].host));
            side = own(id);
            if (side != nullptr) {
                ASSERT(side->handler != nullptr);
                network_.ready(*network_.find(id, index), index);
            }
        }
    }
    for (std::size_t left = ready_[slot].size(); left > 0; left--) {
        const env::ConnectionId id = ready_[slot].front();
        ready_[slot].pop_front();
        deliver(id);
    }
}

void NetworkPort::deliver(env::ConnectionId id) {
    Side* side = own(id);
    if (side == nullptr || side->handler == nullptr) {
        return;
    }
    side->queued = false;
    if (side->connected_due) {
        side->connected_due = false;
        side->handler->on_connected();
        if ((side = own(id)) == nullptr) {
            return;
        }
    }
    if (side->sent_due) {
        side->sent_due = false;
        side->send_active = false;
        side->handler->on_sent();
        if ((side = own(id)) == nullptr) {
            return;
        }
    }
    const bool overtaken = side->close_due && side->unread_lost;
    if (!overtaken && !deliver_bytes(id)) {
        return;
    }
    side = own(id);
    if (side != nullptr && side->close_due) {
        env::ConnectionHandler* handler = side->handler;
        const auto reason = side->close_reason;
        std::size_t index = 0;
        Connection* found = network_.find(id, index);
        side->send_active = false;
        network_.close_side(*found, index, true);
        handler->on_closed(reason);
    }
}

// True once all that arrived was taken; false if the receiver paused or is gone.
bool NetworkPort::deliver_bytes(env::ConnectionId id) {
    while (true) {
        Side* side = own(id);
        if (side == nullptr || side->handler == nullptr) {
            return false;
        }
        std::size_t index = 0;
        Connection* found = network_.find(id, index);
        Side& other = found->side[1 - index];
        const std::uint64_t waiting = other.arrived - other.consumed;
        if (waiting == 0) {
            return true;
        }
        if (side->paused) {
            // A reset is noticed even so; an orderly end stands behind the bytes.
            return side->close_due && side->close_reason != env::CloseReason::peer_closed;
        }
        std::size_t take = std::min<std::uint64_t>(waiting, piece_bytes_max - 8);
        if (take > 1 && network_.random_.per_million(network_.profile_.split_per_million)) {
            take = network_.random_.between(1, take);
        }
        // At the stream's own alignment, or by lot anywhere.
        std::size_t shift = other.consumed % 8;
        if (network_.random_.per_million(network_.profile_.misaligned_per_million)) {
            shift = network_.random_.below(8);
        }
        std::byte* at = reinterpret_cast<std::byte*>(scratch_.data()) + shift;
        std::memcpy(at, other.buffer.data() + (other.consumed - other.base), take);
        other.consumed += take;
        network_.acknowledge(*found, 1 - index);
        side->handler->on_received({at, take});
        std::memset(at, poison, take);
    }
}

}  // namespace ringfort::sim
