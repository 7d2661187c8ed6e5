// The network of plain sockets, against raw sockets of the test on loopback.
#include "client/socket_network.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace ringfort::client {
namespace {

// The other side: a blocking listener, and what it accepted.
class Peer {
  public:
    Peer() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t bytes = sizeof(address);
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), bytes), 0);
        EXPECT_EQ(::listen(listener_, 8), 0);
        EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
        port_ = ntohs(address.sin_port);
    }
    ~Peer() {
        hang_up();
        ::close(listener_);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    env::Address address() const { return {"127.0.0.1", port_}; }
    void accept() { fd_ = ::accept(listener_, nullptr, nullptr); }
    void write(std::string_view bytes) const {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    std::string read(std::size_t bytes) const {
        std::string text(bytes, '\0');
        std::size_t have = 0;
        while (have < bytes) {
            const ssize_t got = ::recv(fd_, text.data() + have, bytes - have, 0);
            if (got <= 0) {
                break;
            }
            have += static_cast<std::size_t>(got);
        }
        text.resize(have);
        return text;
    }
    void hang_up() {
        if (fd_ >= 0) {
            ::close(fd_);
            fd_ = -1;
        }
    }
    void reset() {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        hang_up();
    }

  private:
    int listener_{-1};
    int fd_{-1};
    std::uint16_t port_{0};
};

struct Recorder final : env::ConnectionHandler {
    void on_connected() override { events += "connected "; }
    void on_received(Bytes bytes) override {
        misaligned += (reinterpret_cast<std::uintptr_t>(bytes.data()) & 7) != (received.size() & 7) ? 1U : 0U;
        received += as_text(bytes);
        if (on_bytes) {
            on_bytes();
        }
    }
    void on_sent() override { events += "sent "; }
    void on_closed(env::CloseReason reason) override {
        closed = reason;
        events += "closed ";
    }

    std::string events;
    std::string received;
    std::size_t misaligned{0};
    std::optional<env::CloseReason> closed;
    std::function<void()> on_bytes;
};

class ClientSockets : public testing::Test {
  protected:
    void turn(Duration most = 50ms) {
        network.wait(clock.now() + most);
        network.dispatch(env::ConnectionClass::client);
    }
    template <class Condition>
    void until(Condition condition) {
        const Instant end = clock.now() + 10s;
        while (!condition()) {
            ASSERT_LT(clock.now(), end) << "waited for too long";
            turn();
        }
    }
    env::ConnectionId connect() {
        const env::ConnectionId id = network.connect(peer.address(), env::ConnectionClass::client, recorder);
        peer.accept();
        until([this] { return recorder.events == "connected "; });
        recorder.events.clear();
        return id;
    }

    SystemClock clock;
    SocketNetwork network;
    Peer peer;
    Recorder recorder;
};

TEST_F(ClientSockets, nothing_is_told_from_inside_a_call) {
    const env::ConnectionId id = network.connect(peer.address(), env::ConnectionClass::client, recorder);
    EXPECT_EQ(recorder.events, "");
    peer.accept();
    until([this] { return recorder.events == "connected "; });
    network.send(id, as_bytes("abc"));
    EXPECT_EQ(recorder.events, "connected ");
    EXPECT_TRUE(network.send_in_flight(id));
    until([this] { return recorder.events == "connected sent "; });
    EXPECT_FALSE(network.send_in_flight(id));
    EXPECT_EQ(peer.read(3), "abc");
}

TEST_F(ClientSockets, a_send_larger_than_the_kernels_buffers_leaves_whole_and_is_told_once) {
    const env::ConnectionId id = connect();
    std::string large(24 << 20, '\0');
    for (std::size_t i = 0; i < large.size(); i++) {
        large[i] = static_cast<char>(i * 31 >> 3);
    }
    network.send(id, as_bytes(large));
    turn(1ms);
    EXPECT_EQ(recorder.events, "");
    EXPECT_TRUE(network.send_in_flight(id));
    std::string got;
    std::thread reader([&] { got = peer.read(large.size()); });
    until([this] { return recorder.events == "sent "; });
    reader.join();
    EXPECT_TRUE(got == large);
    turn(5ms);
    EXPECT_EQ(recorder.events, "sent ");
}

TEST_F(ClientSockets, bytes_come_in_order_and_keep_the_streams_alignment) {
    connect();
    std::string expected;
    for (std::size_t i = 0; i < 300; i++) {
        const std::string part(i * 7 % 1000 + 1, static_cast<char>('a' + i % 26));
        peer.write(part);
        expected += part;
        if (i % 3 == 0) {
            turn();
        }
    }
    until([&] { return recorder.received.size() == expected.size(); });
    EXPECT_EQ(recorder.received, expected);
    EXPECT_EQ(recorder.misaligned, 0U);
}

TEST_F(ClientSockets, what_was_sent_before_the_end_is_delivered_before_it) {
    connect();
    peer.write("last words");
    peer.hang_up();
    until([this] { return recorder.closed.has_value(); });
    EXPECT_EQ(recorder.received, "last words");
    EXPECT_EQ(recorder.closed, env::CloseReason::peer_closed);
    EXPECT_EQ(recorder.events, "closed ");
}

TEST_F(ClientSockets, a_reset_is_told_as_one) {
    connect();
    peer.reset();
    until([this] { return recorder.closed.has_value(); });
    EXPECT_EQ(recorder.closed, env::CloseReason::reset);
}

TEST_F(ClientSockets, a_send_to_one_that_has_gone_ends_in_closed_and_not_in_sent) {
    const env::ConnectionId id = connect();
    peer.reset();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::string bytes(1000, 'x');
    network.send(id, as_bytes(bytes));
    until([this] { return recorder.closed.has_value(); });
    EXPECT_EQ(recorder.events, "closed ");
}

TEST_F(ClientSockets, nobody_at_the_port_is_refused) {
    env::Address nobody;
    {
        const Peer gone;
        nobody = gone.address();
    }
    network.connect(nobody, env::ConnectionClass::client, recorder);
    EXPECT_EQ(recorder.events, "");
    until([this] { return recorder.closed.has_value(); });
    EXPECT_EQ(recorder.closed, env::CloseReason::refused);
    EXPECT_EQ(recorder.events, "closed ");
}

TEST_F(ClientSockets, a_name_that_is_none_is_refused_and_asked_for_again_the_next_time) {
    for (int i = 0; i < 2; i++) {
        recorder.closed.reset();
        network.connect({"no host has this name", 2379}, env::ConnectionClass::client, recorder);
        until([this] { return recorder.closed.has_value(); });
        EXPECT_EQ(recorder.closed, env::CloseReason::refused);
    }
}

TEST_F(ClientSockets, a_name_with_an_address_nobody_listens_at_reaches_the_next_one) {
    // localhost may be [::1] first, where nobody listens.
    const env::Address name{"localhost", peer.address().port};
    for (int i = 0; i < 3 && recorder.events.find("connected") == std::string::npos; i++) {
        recorder.closed.reset();
        network.connect(name, env::ConnectionClass::client, recorder);
        until([this] { return recorder.closed || recorder.events.find("connected") != std::string::npos; });
    }
    EXPECT_NE(recorder.events.find("connected"), std::string::npos);
}

TEST_F(ClientSockets, a_closed_connection_tells_nothing_more) {
    const env::ConnectionId id = connect();
    peer.write("unread");
    network.send(id, as_bytes("abc"));
    network.close(id);
    EXPECT_FALSE(network.send_in_flight(id));
    turn(20ms);
    turn(1ms);
    EXPECT_EQ(recorder.events, "");
    EXPECT_EQ(recorder.received, "");
    // The descriptor is given back: the peer sees the end.
    EXPECT_EQ(peer.read(4), "abc");
}

TEST_F(ClientSockets, a_handler_may_close_its_own_and_another_connection_with_events_waiting) {
    const env::ConnectionId first = connect();
    Peer other_peer;
    Recorder other;
    const env::ConnectionId second = network.connect(other_peer.address(), env::ConnectionClass::client, other);
    other_peer.accept();
    until([&] { return other.events == "connected "; });
    std::size_t calls = 0;
    recorder.on_bytes = other.on_bytes = [&] {
        calls++;
        network.close(first);
        network.close(second);
    };
    peer.write("a");
    other_peer.write("b");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    turn();
    turn(1ms);
    EXPECT_EQ(calls, 1U);
}

TEST_F(ClientSockets, a_paused_connection_receives_nothing_until_it_is_resumed) {
    const env::ConnectionId id = connect();
    network.pause_receive(id);
    peer.write("waits");
    turn(20ms);
    EXPECT_EQ(recorder.received, "");
    network.send(id, as_bytes("abc"));    // the other direction goes on
    until([this] { return recorder.events == "sent "; });
    network.resume_receive(id);
    until([this] { return recorder.received == "waits"; });
}

TEST_F(ClientSockets, wait_ends_in_time_and_at_once_for_what_is_past) {
    const Instant begin = clock.now();
    network.wait(begin + 30ms);
    EXPECT_GE(clock.now() - begin, 30ms);
    EXPECT_LT(clock.now() - begin, 5s);
    network.wait(begin);
}

TEST_F(ClientSockets, wake_from_another_thread_ends_an_endless_wait_and_one_not_yet_begun) {
    network.wake();
    network.wait(never);
    network.dispatch(env::ConnectionClass::client);
    std::thread waker([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        network.wake();
    });
    network.wait(never);
    waker.join();
}

TEST_F(ClientSockets, a_wake_met_by_a_dispatch_ends_the_wait_behind_it) {
    network.wake();
    network.dispatch(env::ConnectionClass::client);
    const Instant begin = clock.now();
    network.wait(begin + 10s);
    EXPECT_LT(clock.now() - begin, 5s);
    const Instant idle = clock.now();
    network.wait(idle + 20ms);
    EXPECT_GE(clock.now() - idle, 20ms) << "one wait, and no more";
}

TEST_F(ClientSockets, polling_before_sleep_finds_what_comes) {
    SocketNetwork polling({.spin = 200ms});
    Recorder events;
    polling.connect(peer.address(), env::ConnectionClass::client, events);
    peer.accept();
    const Instant begin = clock.now();
    polling.wait(never);
    polling.dispatch(env::ConnectionClass::client);
    EXPECT_EQ(events.events, "connected ");
    EXPECT_LT(clock.now() - begin, 5s);
    // With nothing to come it still sleeps no longer than asked.
    const Instant idle = clock.now();
    polling.wait(idle + 20ms);
    EXPECT_GE(clock.now() - idle, 20ms);
}

}  // namespace
}  // namespace ringfort::client
