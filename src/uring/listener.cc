#include "uring/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace ringfort::uring {
namespace {

std::optional<SocketAddress> look_up(const env::Address& address, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(address.port);
    if (getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found) != 0) {
        return std::nullopt;
    }
    SocketAddress result;
    std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
    result.bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return result;
}

sockaddr* generic(SocketAddress& address) {
    return reinterpret_cast<sockaddr*>(&address.storage);
}

void set_option(int fd, int level, int name, int value) {
    // What a kernel does not know costs nothing but the option.
    setsockopt(fd, level, name, &value, sizeof(value));
}

}  // namespace

std::optional<SocketAddress> numeric_address(const env::Address& address) {
    return look_up(address, AI_NUMERICHOST);
}

std::optional<SocketAddress> resolve(const env::Address& address) {
    return look_up(address, 0);
}

StartResult<int> listen_on(const env::Address& address) {
    const auto fault = [&](std::string_view why) {
        return failure(StartFault{StartFaultKind::address_unavailable,
                                  fmt::format("cannot listen on {}:{}: {}", address.host, address.port, why)});
    };
    auto local = resolve(address);
    if (!local) {
        return fault("the name cannot be resolved");
    }
    const int fd = socket(local->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fault(std::strerror(errno));
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, generic(*local), local->bytes) != 0 || listen(fd, SOMAXCONN) != 0) {
        const int error = errno;
        close(fd);
        return fault(std::strerror(error));
    }
    return fd;
}

std::uint16_t port_of(int listening_fd) {
    SocketAddress local;
    local.bytes = sizeof(local.storage);
    if (getsockname(listening_fd, generic(local), &local.bytes) != 0) {
        return 0;
    }
    // The port lies at the same place for both families.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&local.storage)->sin_port);
}

void set_stream_options(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
}

std::string remote_name(int fd) {
    SocketAddress remote;
    remote.bytes = sizeof(remote.storage);
    char host[NI_MAXHOST] = "";
    char port[NI_MAXSERV] = "";
    if (getpeername(fd, generic(remote), &remote.bytes) != 0 ||
        getnameinfo(generic(remote), remote.bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return {};
    }
    return remote.storage.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                                : fmt::format("{}:{}", host, port);
}

}  // namespace ringfort::uring
