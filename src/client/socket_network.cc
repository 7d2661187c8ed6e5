#include "client/socket_network.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assertion.h"

namespace ringfort::client {

namespace {

std::int64_t read_clock(clockid_t which) {
    timespec time{};
    ASSERT(::clock_gettime(which, &time) == 0);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Instant SystemClock::now() const {
    return {read_clock(CLOCK_MONOTONIC)};
}
WallTime SystemClock::wall() const {
    return {read_clock(CLOCK_REALTIME)};
}

struct SocketNetwork::Socket {
    env::ConnectionId id{0};
    env::ConnectionHandler* handler{nullptr};
    int fd{-1};
    bool connecting{false};
    bool paused{false};
    bool done_queued{false};        // an on_sent() or on_closed() is due: the send is not over for its owner
    std::uint32_t watched{0};       // epoll events asked for
    std::uint64_t received{0};      // bytes since connected, modulo 8 used for alignment
    Bytes sending;                  // what the kernel has not taken yet
    std::string target;             // key of resolved_
};

struct SocketNetwork::Resolved {
    std::vector<std::pair<sockaddr_storage, socklen_t>> addresses;
    std::size_t next{0};            // a name with several addresses is tried round robin
};

SocketNetwork::SocketNetwork(const SocketNetworkOptions& options)
    : options_(options), buffer_(std::make_unique<std::uint64_t[]>(receive_bytes / 8 + 1)) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT(epoll_ >= 0 && wake_ >= 0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
}

SocketNetwork::~SocketNetwork() {
    for (auto& [id, socket] : sockets_) {
        ::close(socket->fd);
    }
    ::close(wake_);
    ::close(epoll_);
}

SocketNetwork::Socket* SocketNetwork::find(env::ConnectionId connection) const {
    const auto it = sockets_.find(connection);
    return it == sockets_.end() ? nullptr : it->second.get();
}

bool SocketNetwork::resolve(const env::Address& address, Resolved& resolved) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* list = nullptr;
    if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list) != 0) {
        return false;
    }
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
        sockaddr_storage storage{};
        std::memcpy(&storage, one->ai_addr, one->ai_addrlen);
        resolved.addresses.emplace_back(storage, one->ai_addrlen);
    }
    ::freeaddrinfo(list);
    return !resolved.addresses.empty();
}

env::ConnectionId SocketNetwork::connect(const env::Address& address, env::ConnectionClass,
                                         env::ConnectionHandler& handler) {
    auto owned = std::make_unique<Socket>();
    Socket& socket = *owned;
    socket.id = next_id_++;
    socket.handler = &handler;
    socket.connecting = true;
    sockets_.emplace(socket.id, std::move(owned));

    socket.target = address.host + " " + std::to_string(address.port);
    std::unique_ptr<Resolved>& resolved = resolved_[socket.target];
    if (resolved == nullptr) {
        auto fresh = std::make_unique<Resolved>();
        if (!resolve(address, *fresh)) {
            fail(socket, env::CloseReason::refused);
            return socket.id;
        }
        resolved = std::move(fresh);
    }
    if (!open_socket(socket, *resolved)) {
        const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        fail(socket, exhausted ? env::CloseReason::no_resources : env::CloseReason::refused);
    }
    return socket.id;
}

// errno says why it failed.
bool SocketNetwork::open_socket(Socket& socket, const Resolved& resolved) {
    const auto& [storage, storage_bytes] = resolved.addresses[resolved.next % resolved.addresses.size()];
    socket.fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket.fd < 0) {
        return false;
    }
    const int on = 1;
    // Frames are coalesced here: the kernel need not wait for more.
    ::setsockopt(socket.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (::connect(socket.fd, reinterpret_cast<const sockaddr*>(&storage), storage_bytes) != 0 &&
        errno != EINPROGRESS) {
        const int error = errno;
        ::close(socket.fd);
        socket.fd = -1;
        errno = error;
        return false;
    }
    watch(socket);
    return true;
}

// Level-triggered. Asks for what is wanted now: readable unless paused, writable while connecting or blocked.
void SocketNetwork::watch(Socket& socket) {
    const bool writable = socket.connecting || !socket.sending.empty();
    const std::uint32_t wanted =
        (socket.paused || socket.connecting ? 0U : std::uint32_t{EPOLLIN}) | (writable ? std::uint32_t{EPOLLOUT} : 0U);
    if (socket.fd < 0 || (wanted == socket.watched && wanted != 0)) {
        return;
    }
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = socket.id;
    if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket.fd, &event) != 0) {
        ASSERT(errno == ENOENT);
        ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket.fd, &event) == 0);
    }
    socket.watched = wanted;
}

void SocketNetwork::send(env::ConnectionId connection, Bytes bytes) {
    Socket* socket = find(connection);
    ASSERT(socket != nullptr && socket->sending.empty() && !bytes.empty());
    if (socket->fd < 0) {
        return;   // it has failed already; on_closed() is on its way
    }
    socket->sending = bytes;
    try_send(*socket);
}

void SocketNetwork::try_send(Socket& socket) {
    while (!socket.sending.empty()) {
        const ssize_t sent = ::send(socket.fd, socket.sending.data(), socket.sending.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            if (errno != EAGAIN) {
                // What the server said before it closed may still lie in the socket: reading finds the end.
                socket.sending = {};
                return;
            }
            watch(socket);
            return;
        }
        socket.sending = socket.sending.subspan(static_cast<std::size_t>(sent));
    }
    if ((socket.watched & EPOLLOUT) != 0) {
        watch(socket);
    }
    socket.done_queued = true;
    done_.push_back({.connection = socket.id, .sent = true});
}

void SocketNetwork::pause_receive(env::ConnectionId connection) {
    if (Socket* socket = find(connection)) {
        socket->paused = true;
        watch(*socket);
    }
}
void SocketNetwork::resume_receive(env::ConnectionId connection) {
    if (Socket* socket = find(connection)) {
        socket->paused = false;
        watch(*socket);
    }
}

void SocketNetwork::close(env::ConnectionId connection) {
    const auto it = sockets_.find(connection);
    ASSERT(it != sockets_.end());
    if (it->second->connecting) {
        note_unreachable(*it->second);
    }
    if (it->second->fd >= 0) {
        ::close(it->second->fd);
    }
    sockets_.erase(it);
}

// The kernel copies what it takes: a closed connection needs no memory of ours.
bool SocketNetwork::send_in_flight(env::ConnectionId connection) const {
    const Socket* socket = find(connection);
    return socket != nullptr && (!socket->sending.empty() || socket->done_queued);
}

// The next address of the name is tried next; after the last one the name is resolved anew.
void SocketNetwork::note_unreachable(const Socket& socket) {
    const auto it = resolved_.find(socket.target);
    if (it != resolved_.end() && (it->second == nullptr || ++it->second->next >= it->second->addresses.size())) {
        resolved_.erase(it);
    }
}

void SocketNetwork::fail(Socket& socket, env::CloseReason reason) {
    if (socket.connecting) {
        note_unreachable(socket);
        socket.connecting = false;
    }
    if (socket.fd >= 0) {
        ::close(socket.fd);
        socket.fd = -1;
    }
    socket.sending = {};
    socket.done_queued = true;
    done_.push_back({.connection = socket.id, .sent = false, .reason = reason});
}

// Kernels before 5.11 and strict containers have no nanosecond timeout: then milliseconds, rounded up.
static int wait_events(int epoll, epoll_event* events, int events_max, Duration timeout) {
    static thread_local bool precise = true;
    if (precise) {
        const timespec limit{timeout.count() / 1'000'000'000, timeout.count() % 1'000'000'000};
        const int count = ::epoll_pwait2(epoll, events, events_max, timeout == Duration::max() ? nullptr : &limit, nullptr);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return count;
        }
        precise = false;
    }
    const std::int64_t ms = std::min<std::int64_t>(timeout.count() / 1'000'000, 3'600'000);
    const bool round = ms * 1'000'000 < timeout.count();
    return ::epoll_wait(epoll, events, events_max, static_cast<int>(ms) + (round ? 1 : 0));
}

int SocketNetwork::poll(Duration timeout) {
    epoll_event events[events_max];
    const int count = wait_events(epoll_, events, events_max, timeout);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == 0) {
            std::uint64_t wakes = 0;
            ASSERT(::read(wake_, &wakes, sizeof(wakes)) == sizeof(wakes));
            woken_ = true;
        } else {
            const std::uint64_t connection = events[i].data.u64;   // the struct is packed: no references into it
            const std::uint32_t what = events[i].events;
            ready_.emplace_back(connection, what);
        }
    }
    return count;
}

void SocketNetwork::wait(Instant until) {
    int count = 0;
    // A wake met by dispatch() may be for what its caller had looked for before.
    if (done_.empty() && ready_.empty() && !woken_) {
        Instant now = clock_.now();
        const Instant spin_end = now + options_.spin;
        while (now < spin_end && now < until && (count = poll(0ns)) == 0) {
            ::sched_yield();
            now = clock_.now();
        }
        if (count == 0) {
            poll(until == never ? Duration::max() : std::max(until - now, Duration(0)));
        }
    }
    woken_ = false;
}

void SocketNetwork::wake() {
    const std::uint64_t one = 1;
    // EAGAIN: the counter is full, so a wake is pending anyway.
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
}

void SocketNetwork::dispatch(env::ConnectionClass cls) {
    ASSERT(cls == env::ConnectionClass::client);
    telling_.swap(done_);
    for (const Done& done : telling_) {
        Socket* socket = find(done.connection);
        if (socket == nullptr) {
            continue;   // closed by its owner
        }
        socket->done_queued = false;
        if (done.sent) {
            socket->handler->on_sent();
            continue;
        }
        env::ConnectionHandler* const handler = socket->handler;
        sockets_.erase(done.connection);
        handler->on_closed(done.reason);
    }
    telling_.clear();
    if (ready_.empty()) {
        poll(0ns);
    }
    // Handlers make no events of their own, so ready_ does not grow here.
    for (const auto& [connection, events] : ready_) {
        on_events(connection, events);
    }
    ready_.clear();
}

void SocketNetwork::on_events(env::ConnectionId connection, std::uint32_t events) {
    Socket* socket = find(connection);
    if (socket == nullptr || socket->fd < 0) {
        return;
    }
    if (socket->connecting) {
        finish_connect(*socket);
        return;
    }
    if ((events & EPOLLOUT) != 0 && !socket->sending.empty()) {
        try_send(*socket);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
        receive(*socket);
    }
}

void SocketNetwork::finish_connect(Socket& socket) {
    int error = 0;
    socklen_t error_bytes = sizeof(error);
    ASSERT(::getsockopt(socket.fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0);
    if (error != 0) {
        fail(socket, env::CloseReason::refused);
        return;
    }
    socket.connecting = false;
    watch(socket);
    socket.handler->on_connected();
}

// One read a turn: no connection keeps the others waiting, and what is left is reported again. Placed so that bytes
// keep the alignment they have in the stream: frames are multiples of 8 and can be read where they lie.
void SocketNetwork::receive(Socket& socket) {
    std::byte* const at = reinterpret_cast<std::byte*>(buffer_.get()) + (socket.received & 7);
    const ssize_t got = ::recv(socket.fd, at, receive_bytes, 0);
    if (got > 0) {
        socket.received += static_cast<std::uint64_t>(got);
        socket.handler->on_received({at, static_cast<std::size_t>(got)});
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    fail(socket, got == 0 ? env::CloseReason::peer_closed : env::CloseReason::reset);
}

void SocketNetwork::set_listener(env::ConnectionClass, env::ListenerHandler&) {
    UNREACHABLE();
}
void SocketNetwork::set_handler(env::ConnectionId connection, env::ConnectionHandler& handler) {
    Socket* socket = find(connection);
    ASSERT(socket != nullptr);
    socket->handler = &handler;
}
void SocketNetwork::hand_over(env::ConnectionId, ShardId, Bytes) {
    UNREACHABLE();
}

}  // namespace ringfort::client
