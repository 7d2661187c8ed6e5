#include "sim/sim_network.h"

#include <algorithm>

#include "base/assertion.h"
#include "sim/network_port.h"

namespace ringfort::sim {

namespace {

constexpr std::uint64_t fin_bit = std::uint64_t{1} << 63;
constexpr std::uint64_t slot_bits = 20;
constexpr std::size_t connections_max = std::size_t{1} << slot_bits;

Duration up_to(Prng& random, Duration bound) {
    return Duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound.count()) + 1)));
}

Duration heavy_tailed(Prng& random, Duration bound) {
    int halvings = 8;
    while (halvings > 0 && random.one_in(2)) {
        halvings--;
    }
    return up_to(random, bound / (std::int64_t{1} << halvings));
}

}  // namespace

SimNetwork::SimNetwork(EventQueue& queue, std::uint64_t seed, const NetworkProfile& profile)
    : queue_(queue), random_(seed), profile_(profile) {}

SimNetwork::~SimNetwork() = default;

// ------------------------------------------------------------------------------------------- hosts, ids

HostId SimNetwork::add_host(std::string name) {
    ASSERT(connections_.empty());
    hosts_.push_back({std::move(name), true});
    paths_.assign(hosts_.size() * hosts_.size(), Path{});
    return static_cast<HostId>(hosts_.size() - 1);
}

void SimNetwork::listen(NetworkPort& port, std::uint16_t number, env::ConnectionClass cls) {
    listeners_.push_back({port.host(), number, cls, &port});
}

env::ConnectionId SimNetwork::make_id(std::uint64_t generation, std::size_t slot, std::size_t side) {
    return (generation << (slot_bits + 1)) | (slot << 1) | side;
}

env::ConnectionId SimNetwork::id_of(const Connection& connection, std::size_t side) const {
    const std::size_t slot = connection.generation >> 40;   // see new_connection(): the slot rides above the count
    return make_id(connection.generation & ((std::uint64_t{1} << 40) - 1), slot, side);
}

SimNetwork::Connection* SimNetwork::find(env::ConnectionId id, std::size_t& side) {
    const std::size_t slot = (id >> 1) & (connections_max - 1);
    side = id & 1;
    if (id == 0 || slot >= connections_.size()) {
        return nullptr;
    }
    Connection& connection = *connections_[slot];
    return connection.used && id_of(connection, side) == id ? &connection : nullptr;
}

// ------------------------------------------------------------------------------------------- connecting

SimNetwork::Connection& SimNetwork::new_connection(std::uint16_t port, env::ConnectionClass cls) {
    if (free_.empty()) {
        ASSERT(connections_.size() < connections_max);
        free_.push_back(connections_.size());
        connections_.push_back(std::make_unique<Connection>());
        connections_.back()->generation = static_cast<std::uint64_t>(free_.back()) << 40;
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    Connection& connection = *connections_[slot];
    connection.generation++;
    connection.used = true;
    connection.cls = cls;
    connection.port = port;
    connection.side[0] = Side{};
    connection.side[1] = Side{};
    counters_.connections++;
    return connection;
}

env::ConnectionId SimNetwork::connect(NetworkPort& port, const env::Address& address, env::ConnectionClass cls,
                                      env::ConnectionHandler& handler) {
    Connection& connection = new_connection(address.port, cls);
    connection.connect_deadline = queue_.now() + profile_.connect_timeout;
    Side& mine = connection.side[0];
    mine.owner = &port;
    mine.host = port.host();
    mine.state = SideState::connecting;
    mine.handler = &handler;
    const env::ConnectionId id = id_of(connection, 0);
    const auto known = std::find_if(hosts_.begin(), hosts_.end(), [&](const Host& h) { return h.name == address.host; });
    if (known == hosts_.end()) {
        queue_.schedule_in(profile_.latency, &SimNetwork::on_connected, this, id, 1);
        return id;
    }
    connection.side[1].host = static_cast<HostId>(known - hosts_.begin());
    queue_.schedule_in(hop(mine.host, connection.side[1].host), &SimNetwork::on_syn, this, id);
    return id;
}

Duration SimNetwork::hop(HostId from, HostId to) {
    Duration out = profile_.latency + up_to(random_, profile_.jitter) + path(from, to).extra;
    if (random_.per_million(profile_.tail_per_million)) {
        out += heavy_tailed(random_, profile_.tail_max);
    }
    return out;
}

void SimNetwork::on_syn(void* context, std::uint64_t id, std::uint64_t) {
    auto& self = *static_cast<SimNetwork*>(context);
    std::size_t side = 0;
    Connection* connection = self.find(id, side);
    if (connection == nullptr || connection->side[0].state != SideState::connecting) {
        return;
    }
    const HostId from = connection->side[0].host;
    const HostId to = connection->side[1].host;
    if (!self.passable(from, to) || !self.passable(to, from)) {
        const bool give_up = self.queue_.now() >= connection->connect_deadline;
        const Instant next = std::min(self.queue_.now() + 1s, connection->connect_deadline);
        if (give_up) {
            on_connected(context, id, 1);
        } else {
            self.queue_.schedule(next, &SimNetwork::on_syn, context, id);
        }
        return;
    }
    NetworkPort* port = self.pick_listener(to, connection->port, connection->cls);
    if (port != nullptr) {
        connection->side[1].owner = port;
        connection->side[1].state = SideState::accepting;
        port->accept(self.id_of(*connection, 1), connection->cls);
        if (self.random_.per_million(self.profile_.ghosts_per_million)) {
            self.open_ghost(*connection, *port);
        }
    }
    self.queue_.schedule_in(self.hop(to, from), &SimNetwork::on_connected, context, id, port == nullptr ? 1 : 0);
}

// As a repeated handshake leaves it whose first answer was taken for lost.
void SimNetwork::open_ghost(const Connection& original, NetworkPort& port) {
    const HostId from = original.side[0].host;
    Connection& ghost = new_connection(original.port, original.cls);
    counters_.ghosts++;
    ghost.side[0].host = from;
    ghost.side[1].host = port.host();
    ghost.side[1].owner = &port;
    ghost.side[1].state = SideState::accepting;
    port.accept(id_of(ghost, 1), ghost.cls);
}

NetworkPort* SimNetwork::pick_listener(HostId host, std::uint16_t number, env::ConnectionClass cls) {
    NetworkPort* picked = nullptr;
    std::uint64_t seen = 0;
    for (const auto& listener : listeners_) {
        if (listener.host == host && listener.number == number && listener.cls == cls && random_.one_in(++seen)) {
            picked = listener.port;
        }
    }
    return picked;
}

void SimNetwork::on_connected(void* context, std::uint64_t id, std::uint64_t refused) {
    auto& self = *static_cast<SimNetwork*>(context);
    std::size_t side = 0;
    Connection* connection = self.find(id, side);
    if (connection == nullptr || connection->side[0].state != SideState::connecting) {
        return;
    }
    Side& mine = connection->side[0];
    mine.state = SideState::open;
    if (refused != 0) {
        mine.close_due = true;
        mine.close_reason = env::CloseReason::refused;
    } else {
        mine.connected_due = true;
    }
    self.ready(*connection, 0);
}

// ------------------------------------------------------------------------------------------- bytes

void SimNetwork::start_send(Connection& connection, std::size_t side, Bytes bytes) {
    Side& from = connection.side[side];
    ASSERT(!from.send_active);
    ASSERT(!bytes.empty());
    from.send_active = true;
    from.pending = bytes;
    push(connection, side);
}

void SimNetwork::push(Connection& connection, std::size_t side) {
    Side& from = connection.side[side];
    const std::uint64_t used = from.accepted - from.acknowledged;
    const std::size_t room = used < profile_.socket_buffer_bytes ? profile_.socket_buffer_bytes - used : 0;
    const std::size_t take = std::min(room, from.pending.size());
    if (take > 0) {
        // Consumed bytes leave the front of the buffer when they are most of it.
        const std::size_t gone = from.consumed - from.base;
        if (gone > 0 && gone * 2 >= from.buffer.size()) {
            from.buffer.erase(from.buffer.begin(), from.buffer.begin() + static_cast<std::ptrdiff_t>(gone));
            from.base += gone;
        }
        from.buffer.insert(from.buffer.end(), from.pending.begin(),
                           from.pending.begin() + static_cast<std::ptrdiff_t>(take));
        from.accepted += take;
        from.pending = from.pending.subspan(take);
        transmit(connection, side);
    }
    if (from.pending.empty() && from.send_active && !from.sent_due) {
        from.sent_due = true;
        ready(connection, side);
    }
}

Instant SimNetwork::arrival_time(Side& from, HostId to, std::size_t bytes) {
    Path& way = path(from.host, to);
    const std::uint64_t rate = way.bytes_per_second > 0 ? way.bytes_per_second : profile_.bytes_per_second;
    const auto wire_ns = bytes * 1'000'000'000 / rate;
    way.busy_until = std::max(way.busy_until, queue_.now()) + Duration(static_cast<std::int64_t>(wire_ns));
    Instant at = way.busy_until + hop(from.host, to);
    if (random_.per_million(profile_.loss_per_million)) {
        counters_.lost++;
        at = at + 200ms * (std::int64_t{1} << random_.below(3));
    }
    at = std::max(at, from.last_arrival);
    from.last_arrival = at;
    return at;
}

void SimNetwork::transmit(Connection& connection, std::size_t side) {
    Side& from = connection.side[side];
    const HostId to = connection.side[1 - side].host;
    if (from.held_back || !passable(from.host, to)) {
        counters_.held_back += from.held_back ? 0 : 1;
        from.held_back = true;
        return;
    }
    ASSERT(from.sent >= from.arrived && from.sent <= from.accepted);
    const std::uint64_t bytes = from.accepted - from.sent;
    counters_.segments++;
    counters_.bytes += bytes;
    const env::ConnectionId id = id_of(connection, side);
    if (random_.per_million(profile_.reset_per_million)) {
        counters_.resets++;
        const std::uint64_t part = from.sent + random_.below(bytes + 1);
        queue_.schedule(arrival_time(from, to, part - from.sent), &SimNetwork::on_segment, this, id, part);
        from.sent = part;
        queue_.schedule(arrival_time(from, to, bytes), &SimNetwork::on_reset, this, id);
        queue_.schedule(arrival_time(from, to, bytes), &SimNetwork::on_reset, this, id_of(connection, 1 - side));
        return;
    }
    if (bytes > 1 && random_.per_million(profile_.split_per_million)) {
        const std::uint64_t part = from.sent + random_.between(1, bytes - 1);
        queue_.schedule(arrival_time(from, to, part - from.sent), &SimNetwork::on_segment, this, id, part);
    }
    from.sent = from.accepted;
    const std::uint64_t fin = from.fin_sent ? fin_bit : 0;
    queue_.schedule(arrival_time(from, to, bytes), &SimNetwork::on_segment, this, id, from.accepted | fin);
}

void SimNetwork::on_segment(void* context, std::uint64_t id, std::uint64_t through) {
    auto& self = *static_cast<SimNetwork*>(context);
    std::size_t side = 0;
    Connection* connection = self.find(id, side);
    if (connection == nullptr) {
        return;
    }
    Side& from = connection->side[side];
    Side& to = connection->side[1 - side];
    if (!self.passable(from.host, to.host)) {
        self.counters_.held_back += from.held_back ? 0 : 1;
        from.held_back = true;
        return;
    }
    const bool fin = (through & fin_bit) != 0;
    through &= ~fin_bit;
    if (to.state == SideState::closed) {
        if (!fin || through > from.arrived) {
            self.reset_later(*connection, side);
        }
        from.arrived = std::max(from.arrived, through);
        return;
    }
    from.arrived = std::max(from.arrived, through);
    if (fin && from.arrived == from.accepted && !to.close_due) {
        to.close_due = true;
        to.close_reason = env::CloseReason::peer_closed;
    }
    self.ready(*connection, 1 - side);
}

// The other side has read: its acknowledgement travels back and may open the window.
void SimNetwork::acknowledge(Connection& connection, std::size_t side) {
    Side& from = connection.side[side];
    const Side& reader = connection.side[1 - side];
    if (from.pending.empty() && passable(reader.host, from.host)) {
        from.acknowledged = from.consumed;
        return;
    }
    if (!from.window_due) {
        from.window_due = true;
        queue_.schedule_in(hop(reader.host, from.host), &SimNetwork::on_window, this, id_of(connection, side));
    }
}

void SimNetwork::on_window(void* context, std::uint64_t id, std::uint64_t) {
    auto& self = *static_cast<SimNetwork*>(context);
    std::size_t side = 0;
    Connection* connection = self.find(id, side);
    if (connection == nullptr) {
        return;
    }
    Side& from = connection->side[side];
    if (!self.passable(connection->side[1 - side].host, from.host)) {
        return;   // release_path() sends it again: window_due stays set
    }
    from.window_due = false;
    from.acknowledged = from.consumed;
    if (from.state == SideState::open) {
        self.push(*connection, side);
    }
}

void SimNetwork::ready(Connection& connection, std::size_t side) {
    Side& end = connection.side[side];
    if (end.owner == nullptr || end.state == SideState::closed || end.queued || end.handler == nullptr) {
        return;
    }
    end.queued = true;
    end.owner->ready_[static_cast<std::size_t>(connection.cls)].push_back(id_of(connection, side));
    end.owner->waker_();
}

// ------------------------------------------------------------------------------------------- endings

void SimNetwork::close_side(Connection& connection, std::size_t side, bool silent) {
    Side& mine = connection.side[side];
    Side& other = connection.side[1 - side];
    ASSERT(mine.state != SideState::closed);
    mine.state = SideState::closed;
    mine.handler = nullptr;
    mine.pending = {};
    mine.sent_due = false;
    if (mine.send_active) {
        queue_.schedule_in(up_to(random_, 1ms), &SimNetwork::on_send_released, this, id_of(connection, side));
    }
    if (!silent && other.state != SideState::closed) {
        if (other.arrived > other.consumed) {
            reset_later(connection, 1 - side);
        } else {
            mine.fin_sent = true;
            transmit(connection, side);
        }
    }
    maybe_free(connection);
}

void SimNetwork::on_send_released(void* context, std::uint64_t id, std::uint64_t) {
    auto& self = *static_cast<SimNetwork*>(context);
    std::size_t side = 0;
    if (Connection* connection = self.find(id, side)) {
        connection->side[side].send_active = false;
        self.maybe_free(*connection);
    }
}

void SimNetwork::maybe_free(Connection& connection) {
    const Side& a = connection.side[0];
    const Side& b = connection.side[1];
    if (connection.used && a.state == SideState::closed && b.state == SideState::closed && !a.send_active &&
        !b.send_active) {
        connection.used = false;
        free_.push_back(connection.generation >> 40);
    }
}

// A reset is on its way to this side.
void SimNetwork::reset_later(Connection& connection, std::size_t side) {
    counters_.resets++;
    const HostId from = connection.side[1 - side].host;
    queue_.schedule_in(hop(from, connection.side[side].host), &SimNetwork::on_reset, this, id_of(connection, side));
}

void SimNetwork::on_reset(void* context, std::uint64_t id, std::uint64_t) {
    auto& self = *static_cast<SimNetwork*>(context);
    std::size_t side = 0;
    Connection* connection = self.find(id, side);
    // A reset that meets a blocked path is lost; the next bytes ask for another.
    if (connection != nullptr && self.passable(connection->side[1 - side].host, connection->side[side].host)) {
        self.reset_side(*connection, side);
    }
}

void SimNetwork::reset_side(Connection& connection, std::size_t side) {
    Side& end = connection.side[side];
    if (end.state == SideState::closed) {
        return;
    }
    if (end.state == SideState::connecting) {
        on_connected(this, id_of(connection, side), 1);
        return;
    }
    if (!end.close_due || end.close_reason == env::CloseReason::peer_closed) {
        end.close_due = true;
        end.close_reason = env::CloseReason::reset;
        end.unread_lost = random_.one_in(2);
    }
    ready(connection, side);
}

void SimNetwork::detach(NetworkPort& port, bool silent) {
    std::erase_if(listeners_, [&](const Listener& listener) { return listener.port == &port; });
    for (auto& slot : connections_) {
        for (std::size_t side = 0; side < 2 && slot->used; side++) {
            Side& end = slot->side[side];
            if (end.owner != &port) {
                continue;
            }
            end.owner = nullptr;
            end.send_active = false;
            if (end.state != SideState::closed) {
                close_side(*slot, side, silent);
            } else {
                maybe_free(*slot);
            }
        }
    }
}

// ------------------------------------------------------------------------------------------- faults

void SimNetwork::set_host_up(HostId host, bool up) {
    ASSERT(host < hosts_.size());
    const bool was = hosts_[host].up;
    hosts_[host].up = up;
    if (up && !was) {
        for (HostId other = 0; other < hosts_.size(); other++) {
            release_path(host, other);
            release_path(other, host);
        }
    }
}

void SimNetwork::block(HostId from, HostId to) { path(from, to).blocked = true; }

void SimNetwork::unblock(HostId from, HostId to) {
    if (path(from, to).blocked) {
        path(from, to).blocked = false;
        release_path(from, to);
    }
}

bool SimNetwork::blocked(HostId from, HostId to) const { return paths_[from * hosts_.size() + to].blocked; }

bool SimNetwork::hindered(HostId from, HostId to) const {
    const Path& way = paths_[from * hosts_.size() + to];
    return way.blocked || way.extra > Duration(0) || way.bytes_per_second > 0;
}

void SimNetwork::unblock_all() {
    for (HostId from = 0; from < hosts_.size(); from++) {
        for (HostId to = 0; to < hosts_.size(); to++) {
            unblock(from, to);
        }
    }
}

// What was held back on the path is sent again, as after a retransmission timer.
void SimNetwork::release_path(HostId from, HostId to) {
    if (!passable(from, to)) {
        return;
    }
    for (auto& connection : connections_) {
        for (std::size_t side = 0; side < 2 && connection->used; side++) {
            Side& sender = connection->side[side];
            Side& reader = connection->side[1 - side];
            if (sender.host == from && reader.host == to && sender.held_back) {
                sender.held_back = false;
                sender.sent = sender.arrived;
                sender.last_arrival = std::max(sender.last_arrival, queue_.now() + up_to(random_, 400ms));
                transmit(*connection, side);
            }
            if (reader.host == from && sender.host == to && sender.window_due) {
                queue_.schedule_in(hop(from, to), &SimNetwork::on_window, this, id_of(*connection, side));
            }
        }
    }
}

void SimNetwork::set_extra_latency(HostId from, HostId to, Duration extra) { path(from, to).extra = extra; }

void SimNetwork::clear_extra_latency() {
    for (auto& way : paths_) {
        way.extra = Duration(0);
    }
}

void SimNetwork::set_rate(HostId from, HostId to, std::uint64_t bytes_per_second) {
    path(from, to).bytes_per_second = bytes_per_second;
    path(from, to).busy_until = queue_.now();
}

void SimNetwork::reset_between(HostId a, HostId b) {
    for (auto& connection : connections_) {
        const HostId first = connection->side[0].host;
        const HostId second = connection->side[1].host;
        if (connection->used && ((first == a && second == b) || (first == b && second == a))) {
            counters_.resets++;
            reset_side(*connection, 0);
            reset_side(*connection, 1);
        }
    }
}

void SimNetwork::reset_any() {
    if (!connections_.empty()) {
        Connection& connection = *connections_[random_.below(connections_.size())];
        if (connection.used) {
            counters_.resets++;
            reset_side(connection, 0);
            reset_side(connection, 1);
        }
    }
}

void SimNetwork::break_half(HostId gone, HostId left) {
    for (auto& connection : connections_) {
        for (std::size_t side = 0; side < 2 && connection->used; side++) {
            if (connection->side[side].host == gone && connection->side[1 - side].host == left &&
                connection->side[side].state == SideState::open) {
                counters_.resets++;
                reset_side(*connection, side);
            }
        }
    }
}

std::size_t SimNetwork::open_connections() const {
    std::size_t count = 0;
    for (const auto& connection : connections_) {
        count += connection->used ? 1u : 0u;
    }
    return count;
}

}  // namespace ringfort::sim
