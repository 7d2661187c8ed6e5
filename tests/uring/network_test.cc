#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "world_fixture.h"

namespace ringfort::uring {
namespace {

using env::CloseReason;
using env::ConnectionClass;
using env::ConnectionId;

std::vector<std::byte> pattern(std::size_t bytes, std::uint64_t seed) {
    Prng prng(seed);
    std::vector<std::byte> out(bytes);
    for (std::byte& b : out) {
        b = static_cast<std::byte>(prng.next());
    }
    return out;
}

// Sends back what it receives, one send at a time, everything that came meanwhile in the next.
class Echo final : public env::ConnectionHandler {
  public:
    explicit Echo(env::Network& network) : network_(network) {}
    void on_received(Bytes bytes) override {
        misaligned += (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8) != 0 ? 1 : 0;
        waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
        flush();
    }
    void on_sent() override {
        sending_.clear();
        flush();
    }
    void on_closed(CloseReason reason) override {
        closed = true;
        close_reason = reason;
    }
    void flush() {
        if (!closed && sending_.empty() && !waiting_.empty()) {
            sending_.swap(waiting_);
            network_.send(id, sending_);
        }
    }
    ConnectionId id{0};
    bool closed{false};
    CloseReason close_reason{};
    int misaligned{0};

  private:
    env::Network& network_;
    std::vector<std::byte> waiting_;
    std::vector<std::byte> sending_;
};

class EchoServer final : public env::ListenerHandler {
  public:
    explicit EchoServer(env::Network& network) : network_(network) {}
    void on_accepted(ConnectionId connection, std::string_view remote) override {
        EXPECT_TRUE(remote.starts_with("127.")) << remote;
        sessions.push_back(std::make_unique<Echo>(network_));
        sessions.back()->id = connection;
        network_.set_handler(connection, *sessions.back());
    }
    std::vector<std::unique_ptr<Echo>> sessions;

  private:
    env::Network& network_;
};

// A client's end: sends bytes, collects what comes.
class Client final : public env::ConnectionHandler {
  public:
    Client(env::Network& network, const env::Address& to, ConnectionClass cls = ConnectionClass::client)
        : network_(network), id(network.connect(to, cls, *this)) {}
    void on_connected() override { connected = true; }
    void on_received(Bytes bytes) override { received.insert(received.end(), bytes.begin(), bytes.end()); }
    void on_sent() override { sent_count++; }
    void on_closed(CloseReason reason) override {
        closed = true;
        close_reason = reason;
    }

  private:
    env::Network& network_;

  public:
    ConnectionId id;
    bool connected{false};
    bool closed{false};
    CloseReason close_reason{};
    int sent_count{0};
    std::vector<std::byte> received;
};

// A plain blocking socket: what a stranger does.
class PlainSocket {
  public:
    explicit PlainSocket(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(0, ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)));
    }
    ~PlainSocket() { end(); }
    PlainSocket(const PlainSocket&) = delete;
    PlainSocket& operator=(const PlainSocket&) = delete;
    void end() {
        if (fd_ >= 0) {
            ::close(fd_);
            fd_ = -1;
        }
    }
    int fd() const { return fd_; }
    bool readable() const {
        pollfd p{.fd = fd_, .events = POLLIN, .revents = 0};
        return poll(&p, 1, 0) > 0;
    }

  private:
    int fd_;
};

struct EchoNode {
    explicit EchoNode(Features features = Features::all(), NetworkOptions options = {})
        : world(directory.fd(), features, options), server(world.network()) {
        auto fd = listen_on({"127.0.0.1", 0});
        EXPECT_TRUE(fd);
        listening = *fd;
        address = {"127.0.0.1", port_of(listening)};
        world.network().add_listening_socket(listening, ConnectionClass::client);
        world.network().set_listener(ConnectionClass::client, server);
    }
    ~EchoNode() {
        world.end();
        ::close(listening);
    }
    TempDirectory directory;
    TestWorld world;
    EchoServer server;
    int listening{-1};
    env::Address address;
};

std::vector<Features> masks() {
    const Features all = Features::all();
    return {all,
            all.without(Feature::multishot_receive),
            all.without(Feature::multishot_accept),
            all.without(Feature::registered_ring),
            all.without(Feature::message_ring),
            all.without(Feature::taskrun_flag),
            all.without(Feature::defer_taskrun),
            all.without(Feature::defer_taskrun).without(Feature::single_issuer),
            all.without(Feature::coop_taskrun).without(Feature::taskrun_flag),
            Features::none()};
}

// How much has arrived, and when.
class Meter final : public env::ConnectionHandler, public env::ListenerHandler {
  public:
    explicit Meter(env::Network& network) : network_(network) {}
    void on_accepted(ConnectionId connection, std::string_view) override {
        accepted++;
        network_.set_handler(connection, *this);
    }
    void on_received(Bytes bytes) override { received += bytes.size(); }
    void on_sent() override {}
    void on_closed(CloseReason) override {}
    std::size_t accepted{0};
    std::size_t received{0};

  private:
    env::Network& network_;
};

TEST(Network, a_turn_takes_so_much_and_the_next_ones_the_rest) {
    NetworkOptions options;
    options.dispatch_bytes = 64 * kib;
    EchoNode node(Features::all(), options);
    Meter meter(node.world.network());
    node.world.network().set_listener(ConnectionClass::client, meter);
    std::vector<std::unique_ptr<PlainSocket>> clients;
    constexpr std::size_t count = 16;
    for (std::size_t i = 0; i < count; i++) {
        clients.push_back(std::make_unique<PlainSocket>(node.address.port));
    }
    ASSERT_TRUE(node.world.turn_until([&] { return meter.accepted == count; }));
    const std::vector<std::byte> bytes = pattern(32 * kib, 1);
    for (const auto& client : clients) {
        ASSERT_EQ(::send(client->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }
    std::size_t most = 0;
    ASSERT_TRUE(node.world.turn_until([&, before = std::size_t{0}]() mutable {
        most = std::max(most, meter.received - before);
        before = meter.received;
        return meter.received == count * bytes.size();
    }));
    EXPECT_GE(most, options.dispatch_bytes) << "nothing was left over";
    EXPECT_LT(most, options.dispatch_bytes + options.client_buffer_bytes);
}

class NetworkMask : public ::testing::TestWithParam<std::size_t> {
  protected:
    Features mask() const { return masks()[GetParam()]; }
};

TEST_P(NetworkMask, many_connections_get_back_what_they_sent) {
    EchoNode node(mask());
    constexpr std::size_t count = 100;
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < count; i++) {
        clients.push_back(std::make_unique<Client>(node.world.network(), node.address));
    }
    ASSERT_TRUE(node.world.turn_until([&] {
        return std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c->connected; });
    }));
    std::vector<std::vector<std::byte>> sent;
    for (std::size_t i = 0; i < count; i++) {
        sent.push_back(pattern(1 + (i * 701), i));
        node.world.network().send(clients[i]->id, sent[i]);
    }
    ASSERT_TRUE(node.world.turn_until([&] {
        for (std::size_t i = 0; i < count; i++) {
            if (clients[i]->received.size() < sent[i].size()) {
                return false;
            }
        }
        return true;
    }));
    for (std::size_t i = 0; i < count; i++) {
        EXPECT_EQ(sent[i], clients[i]->received);
        EXPECT_EQ(1, clients[i]->sent_count);
    }
    for (const auto& session : node.server.sessions) {
        EXPECT_EQ(0, session->misaligned);
    }
}

TEST_P(NetworkMask, sixteen_mebibytes_come_back_whole) {
    EchoNode node(mask());
    Client client(node.world.network(), node.address);
    ASSERT_TRUE(node.world.turn_until([&] { return client.connected; }));
    const std::vector<std::byte> sent = pattern(std::size_t{16} * mib, 7);
    node.world.network().send(client.id, sent);
    ASSERT_TRUE(node.world.turn_until([&] { return client.received.size() >= sent.size(); }));
    EXPECT_EQ(sent, client.received);
}

INSTANTIATE_TEST_SUITE_P(Masks, NetworkMask, ::testing::Range<std::size_t>(0, masks().size()));

TEST(Network, a_paused_connection_gets_nothing_and_loses_nothing) {
    EchoNode node;
    Client client(node.world.network(), node.address);
    ASSERT_TRUE(node.world.turn_until([&] { return client.connected && !node.server.sessions.empty(); }));
    const ConnectionId session = node.server.sessions[0]->id;
    node.world.network().pause_receive(session);
    const std::vector<std::byte> sent = pattern(std::size_t{4} * mib, 3);
    node.world.network().send(client.id, sent);
    const Instant until = monotonic_now() + 100ms;
    node.world.turn_until([&] { return monotonic_now() >= until; });
    EXPECT_TRUE(client.received.empty());
    EXPECT_EQ(0, client.sent_count) << "the socket's buffers took more than they should";
    node.world.network().resume_receive(session);
    ASSERT_TRUE(node.world.turn_until([&] { return client.received.size() >= sent.size(); }));
    EXPECT_EQ(sent, client.received);
}

TEST(Network, pausing_at_every_delivery_keeps_the_order) {
    class Stutter final : public env::ListenerHandler, public env::ConnectionHandler {
      public:
        explicit Stutter(env::Network& network) : network_(network) {}
        void on_accepted(ConnectionId connection, std::string_view) override {
            id = connection;
            network_.set_handler(connection, *this);
        }
        void on_received(Bytes bytes) override {
            EXPECT_FALSE(paused);
            received.insert(received.end(), bytes.begin(), bytes.end());
            network_.pause_receive(id);
            paused = true;
        }
        void on_sent() override {}
        void on_closed(CloseReason) override { closed = true; }
        void resume() {
            if (paused) {
                paused = false;
                network_.resume_receive(id);
            }
        }
        ConnectionId id{0};
        bool paused{false};
        bool closed{false};
        std::vector<std::byte> received;

      private:
        env::Network& network_;
    };
    EchoNode node;
    Stutter stutter(node.world.network());
    node.world.network().set_listener(ConnectionClass::client, stutter);
    Client client(node.world.network(), node.address);
    ASSERT_TRUE(node.world.turn_until([&] { return client.connected && stutter.id != 0; }));
    const std::vector<std::byte> sent = pattern(std::size_t{3} * mib, 5);
    node.world.network().send(client.id, sent);
    ASSERT_TRUE(node.world.turn_until([&] {
        stutter.resume();
        return client.sent_count == 1;
    }));
    node.world.network().close(client.id);
    ASSERT_TRUE(node.world.turn_until([&] {
        stutter.resume();
        return stutter.closed;
    }));
    EXPECT_EQ(sent, stutter.received) << "the end overtook bytes, or bytes each other";
}

TEST(Network, orderly_end_is_told_once_after_all_bytes) {
    EchoNode node;
    PlainSocket stranger(node.address.port);
    const std::vector<std::byte> sent = pattern(100'000, 1);
    ASSERT_EQ(static_cast<ssize_t>(sent.size()), ::send(stranger.fd(), sent.data(), sent.size(), 0));
    ASSERT_EQ(0, ::shutdown(stranger.fd(), SHUT_WR));
    ASSERT_TRUE(node.world.turn_until(
        [&] { return !node.server.sessions.empty() && node.server.sessions[0]->closed; }));
    EXPECT_EQ(CloseReason::peer_closed, node.server.sessions[0]->close_reason);
    EXPECT_TRUE(node.world.turn_until([&] { return node.world.network().connection_count() == 0; }));
}

TEST(Network, reset_is_told_as_reset) {
    EchoNode node;
    PlainSocket stranger(node.address.port);
    ASSERT_TRUE(node.world.turn_until([&] { return !node.server.sessions.empty(); }));
    const linger now{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(0, setsockopt(stranger.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
    stranger.end();
    ASSERT_TRUE(node.world.turn_until([&] { return node.server.sessions[0]->closed; }));
    EXPECT_EQ(CloseReason::reset, node.server.sessions[0]->close_reason);
}

TEST(Network, connecting_to_a_closed_port_is_refused) {
    EchoNode node;
    auto fd = listen_on({"127.0.0.1", 0});
    ASSERT_TRUE(fd);
    const std::uint16_t port = port_of(*fd);
    ::close(*fd);
    Client client(node.world.network(), {"127.0.0.1", port});
    ASSERT_TRUE(node.world.turn_until([&] { return client.closed; }));
    EXPECT_EQ(CloseReason::refused, client.close_reason);
    EXPECT_FALSE(client.connected);
}

TEST(Network, names_are_resolved_and_unknown_ones_refused) {
    EchoNode node;
    Client known(node.world.network(), {"localhost", node.address.port});
    Client unknown(node.world.network(), {"no-such-host.invalid", node.address.port});
    ASSERT_TRUE(node.world.turn_until([&] { return (known.connected || known.closed) && unknown.closed; }));
    EXPECT_TRUE(known.connected);
    EXPECT_EQ(CloseReason::refused, unknown.close_reason);
}

TEST(Network, connections_over_the_bound_are_closed_and_one_below_serves) {
    NetworkOptions options;
    options.connections_max = 4;
    EchoNode node(Features::all(), options);
    std::vector<std::unique_ptr<PlainSocket>> strangers;
    for (int i = 0; i < 4; i++) {
        strangers.push_back(std::make_unique<PlainSocket>(node.address.port));
    }
    ASSERT_TRUE(node.world.turn_until([&] { return node.server.sessions.size() == 4; }));
    PlainSocket fifth(node.address.port);
    ASSERT_TRUE(node.world.turn_until([&] { return fifth.readable(); }));
    char byte = 0;
    EXPECT_LE(recv(fifth.fd(), &byte, 1, 0), 0);
    EXPECT_EQ(1U, node.world.network().counters().refused);
    strangers.pop_back();
    ASSERT_TRUE(node.world.turn_until([&] { return node.world.network().connection_count() == 3; }));
    PlainSocket sixth(node.address.port);
    EXPECT_TRUE(node.world.turn_until([&] { return node.server.sessions.size() == 5; }));
}

TEST(Network, ids_are_never_used_again) {
    EchoNode node;
    std::vector<ConnectionId> seen;
    for (int i = 0; i < 20; i++) {
        Client client(node.world.network(), node.address);
        EXPECT_EQ(seen.end(), std::find(seen.begin(), seen.end(), client.id));
        seen.push_back(client.id);
        ASSERT_TRUE(node.world.turn_until([&] { return client.connected; }));
        node.world.network().close(client.id);
        ASSERT_TRUE(node.world.turn_until([&] { return node.world.network().connection_count() == 0; }));
    }
}

TEST(Network, bytes_sent_before_a_close_arrive_although_input_is_unread) {
    class Refuse final : public env::ListenerHandler, public env::ConnectionHandler {
      public:
        explicit Refuse(env::Network& network) : network_(network) {}
        void on_accepted(ConnectionId connection, std::string_view) override {
            id_ = connection;
            network_.set_handler(connection, *this);
        }
        void on_received(Bytes) override {
            if (!sent_) {
                sent_ = true;
                network_.send(id_, as_bytes("no, thank you"));
            }
        }
        void on_sent() override { network_.close(id_); }
        void on_closed(CloseReason) override {}

      private:
        env::Network& network_;
        ConnectionId id_{0};
        bool sent_{false};
    };
    EchoNode node;
    Refuse refuse(node.world.network());
    node.world.network().set_listener(ConnectionClass::client, refuse);
    PlainSocket stranger(node.address.port);
    const std::vector<std::byte> flood = pattern(200'000, 9);
    ASSERT_LT(0, ::send(stranger.fd(), flood.data(), flood.size(), MSG_DONTWAIT));
    std::string answer;
    bool ended = false;
    ASSERT_TRUE(node.world.turn_until([&] {
        char buffer[64];
        const ssize_t got = recv(stranger.fd(), buffer, sizeof(buffer), MSG_DONTWAIT);
        if (got > 0) {
            answer.append(buffer, static_cast<std::size_t>(got));
        }
        ended = ended || got == 0;
        return ended || (got < 0 && errno != EAGAIN);
    }));
    EXPECT_EQ("no, thank you", answer);
    EXPECT_TRUE(ended) << "a reset instead of an orderly end";
}

TEST(Network, a_reader_that_does_not_read_does_not_hold_up_a_close) {
    EchoNode node;
    PlainSocket stranger(node.address.port);
    ASSERT_TRUE(node.world.turn_until([&] { return !node.server.sessions.empty(); }));
    const ConnectionId id = node.server.sessions[0]->id;
    const std::vector<std::byte> large = pattern(std::size_t{32} * mib, 2);
    node.world.network().send(id, large);
    node.world.turn(10ms);
    EXPECT_TRUE(node.world.network().send_in_flight(id));
    node.world.network().close(id);
    EXPECT_TRUE(node.world.turn_until([&] { return !node.world.network().send_in_flight(id); }, 1s));
    EXPECT_TRUE(node.world.turn_until([&] { return node.world.network().connection_count() == 0; }, 1s));
}

TEST(Network, a_flood_on_one_connection_leaves_buffers_for_others) {
    NetworkOptions options;
    options.client_buffer_count = 8;
    options.client_buffer_bytes = 4096;
    options.buffers_per_connection_max = 2;
    EchoNode node(Features::all(), options);
    Client flood(node.world.network(), node.address);
    Client small(node.world.network(), node.address);
    ASSERT_TRUE(node.world.turn_until([&] { return flood.connected && small.connected; }));
    const std::vector<std::byte> much = pattern(std::size_t{4} * mib, 11);
    const std::vector<std::byte> little = pattern(100, 12);
    node.world.network().send(flood.id, much);
    node.world.network().send(small.id, little);
    ASSERT_TRUE(node.world.turn_until([&] { return small.received.size() == little.size(); }));
    ASSERT_TRUE(node.world.turn_until([&] { return flood.received.size() == much.size(); }));
    EXPECT_EQ(much, flood.received);
    const NetworkCounters& counters = node.world.network().counters();
    EXPECT_GT(counters.held_too_many + counters.buffers_exhausted, 0U);
}

TEST(Network, a_flood_waits_for_its_own_buffers_when_a_turn_hands_out_few) {
    NetworkOptions options;
    // Both ends of a connection receive here, and some more may come in one go before a receive is ended: a quarter of
    // the ring each is far more than that.
    options.client_buffer_count = 512;
    options.client_buffer_bytes = 4096;
    options.buffers_per_connection_max = 2;
    options.dispatch_bytes = options.client_buffer_bytes;
    EchoNode node(Features::all(), options);
    Client flood(node.world.network(), node.address);
    ASSERT_TRUE(node.world.turn_until([&] { return flood.connected; }));
    const std::vector<std::byte> much = pattern(std::size_t{8} * mib, 13);
    node.world.network().send(flood.id, much);
    ASSERT_TRUE(node.world.turn_until([&] { return flood.received.size() == much.size(); }));
    EXPECT_EQ(much, flood.received);
    const NetworkCounters& counters = node.world.network().counters();
    EXPECT_EQ(0U, counters.buffers_exhausted);
    EXPECT_GT(counters.held_too_many, 1U);
}

}  // namespace
}  // namespace ringfort::uring
