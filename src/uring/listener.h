// Sockets: listening ones, made before any shard runs so that a bad address refuses the start; numeric addresses; options
// every connection has.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "env/network.h"
#include "uring/start_fault.h"

namespace ringfort::uring {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t bytes{0};
};

// nullopt: the host is a name.
std::optional<SocketAddress> numeric_address(const env::Address& address);
// Blocks on the resolver. nullopt: no such name.
std::optional<SocketAddress> resolve(const env::Address& address);

// A listening socket. A host name is resolved here; port 0 takes a free one.
StartResult<int> listen_on(const env::Address& address);
std::uint16_t port_of(int listening_fd);

// No delay, keepalive, and an end to connections whose other side is gone without a word.
void set_stream_options(int fd);
// "10.0.0.1:2379" of the other side; empty if it is gone already.
std::string remote_name(int fd);

}  // namespace ringfort::uring
