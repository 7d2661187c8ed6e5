// A bare round trip over loopback TCP between two processes: the floor under every request of a single client.
//   ping_pong [round trips] [--poll]      prints one JSON object: p50_us, p99_us
// 128 bytes each way, blocking sockets; with --poll both sides ask without blocking and yield in between.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t message_bytes = 128;
using Message = std::array<char, message_bytes>;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::_Exit(1);
}

void must(int result, const char* what) {
    if (result < 0) {
        fail(what);
    }
}

// False: the other side has ended.
bool receive(int stream, Message& message, bool poll) {
    std::size_t have = 0;
    while (have < message.size()) {
        const ssize_t got = recv(stream, message.data() + have, message.size() - have, poll ? MSG_DONTWAIT : 0);
        if (got > 0) {
            have += static_cast<std::size_t>(got);
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            sched_yield();
        } else {
            return false;
        }
    }
    return true;
}

void send_whole(int stream, const Message& message) {
    if (send(stream, message.data(), message.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(message.size())) {
        fail("send");
    }
}

int configured(int stream) {
    must(stream, "socket");
    const int on = 1;
    must(setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    return stream;
}

void echo(int listener, bool poll) {
    const int stream = configured(accept(listener, nullptr, nullptr));
    Message message{};
    while (receive(stream, message, poll)) {
        send_whole(stream, message);
    }
}

std::vector<double> measure(const sockaddr_in& address, std::size_t count, bool poll) {
    const int stream = configured(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(stream, reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
    std::vector<double> microseconds;
    microseconds.reserve(count);
    Message message{};
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        send_whole(stream, message);
        if (!receive(stream, message, poll)) {
            fail("receive");
        }
        const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
        microseconds.push_back(taken.count());
    }
    close(stream);
    return microseconds;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = 20000;
    bool poll = false;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--poll") {
            poll = true;
        } else {
            count = std::strtoul(argv[i], nullptr, 10);
        }
    }
    if (count == 0) {
        std::fprintf(stderr, "ping_pong: round trips must be a number above 0\n");
        return 2;
    }
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    must(listener, "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    must(bind(listener, reinterpret_cast<const sockaddr*>(&address), length), "bind");
    must(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
    must(listen(listener, 1), "listen");
    const pid_t child = fork();
    must(child, "fork");
    if (child == 0) {
        echo(listener, poll);
        std::_Exit(0);
    }
    std::vector<double> microseconds = measure(address, count, poll);
    waitpid(child, nullptr, 0);
    std::sort(microseconds.begin(), microseconds.end());
    std::printf("{\"round_trips\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", count, microseconds[(count - 1) / 2],
                microseconds[(count - 1) * 99 / 100]);
    return 0;
}
