#include "sim/sim_network.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>

#include "sim/network_port.h"

namespace ringfort::sim {

using env::CloseReason;
using env::ConnectionClass;

namespace {

struct End final : env::ConnectionHandler {
    void on_connected() override { connected = true; }
    void on_received(Bytes bytes) override {
        EXPECT_FALSE(closed);
        received.append(as_text(bytes));
        pieces++;
        misaligned += reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != (received.size() - bytes.size()) % 8;
        if (pause_after_piece) {
            port->pause_receive(id);
        }
    }
    void on_sent() override { sent++; }
    void on_closed(CloseReason reason) override { closed = reason; }

    NetworkPort* port{nullptr};
    env::ConnectionId id{0};
    std::string received;
    int pieces{0};
    int misaligned{0};
    int sent{0};
    bool connected{false};
    bool pause_after_piece{false};
    std::optional<CloseReason> closed;
};

struct Acceptor final : env::ListenerHandler {
    explicit Acceptor(NetworkPort& p) : port(p) {}
    void on_accepted(env::ConnectionId connection, std::string_view remote) override {
        from = std::string(remote);
        if (refuse) {
            port.close(connection);
            return;
        }
        ends.push_back(std::make_unique<End>());
        ends.back()->port = &port;
        ends.back()->id = connection;
        port.set_handler(connection, *ends.back());
    }
    NetworkPort& port;
    bool refuse{false};
    std::string from;
    std::vector<std::unique_ptr<End>> ends;
};

class NetworkTest : public testing::Test {
  protected:
    NetworkTest() { make(1, {}); }
    void make(std::uint64_t seed, const NetworkProfile& profile) {
        acceptor_.reset();
        a_.reset();
        b_.reset();
        network_ = std::make_unique<SimNetwork>(queue_, seed, profile);
        host_a_ = network_->add_host("a");
        host_b_ = network_->add_host("b");
        a_ = std::make_unique<NetworkPort>(*network_, host_a_, Waker{});
        start_b();
        near_ = std::make_unique<End>();
        near_->port = a_.get();
    }
    void start_b() {
        b_ = std::make_unique<NetworkPort>(*network_, host_b_, Waker{});
        network_->listen(*b_, 80, ConnectionClass::client);
        acceptor_ = std::make_unique<Acceptor>(*b_);
        b_->set_listener(ConnectionClass::client, *acceptor_);
    }
    void run(Duration for_how_long = 2s) {
        const Instant end = queue_.now() + for_how_long;
        for (Instant at = queue_.now(); at < end; at = at + 1ms) {
            queue_.run_until(at);
            for (auto* port : {a_.get(), b_.get()}) {
                if (port != nullptr) {
                    port->dispatch(ConnectionClass::peer);
                    port->dispatch(ConnectionClass::client);
                }
            }
        }
    }
    void connect() {
        near_->id = a_->connect({"b", 80}, ConnectionClass::client, *near_);
        run();
    }
    End& far() { return *acceptor_->ends.back(); }

    EventQueue queue_;
    std::unique_ptr<SimNetwork> network_;
    HostId host_a_{}, host_b_{};
    std::unique_ptr<NetworkPort> a_, b_;
    std::unique_ptr<Acceptor> acceptor_;
    std::unique_ptr<End> near_;
};

std::string text_of(std::size_t bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes; i++) {
        out.push_back(static_cast<char>('a' + i % 23));
    }
    return out;
}

TEST_F(NetworkTest, carries_bytes_both_ways_in_pieces_and_in_order) {
    connect();
    ASSERT_TRUE(near_->connected);
    EXPECT_EQ(acceptor_->from, "a");
    std::string all;
    for (std::size_t i = 1; i < 40; i++) {
        const auto text = text_of(i * 317);
        a_->send(near_->id, as_bytes(text));
        run(20ms);
        all += text;
        ASSERT_EQ(near_->sent, static_cast<int>(i));
        ASSERT_FALSE(a_->send_in_flight(near_->id));
    }
    b_->send(far().id, as_bytes("answer"));
    run();
    EXPECT_EQ(far().received, all);
    EXPECT_EQ(near_->received, "answer");
    EXPECT_GT(far().pieces, 39);
    EXPECT_GT(far().misaligned, 0);
    EXPECT_LT(far().misaligned, far().pieces / 2);
}

TEST_F(NetworkTest, a_reader_that_pauses_holds_the_sender_back_at_the_socket_buffer) {
    make(1, {.socket_buffer_bytes = 1000});
    connect();
    b_->pause_receive(far().id);
    const auto text = text_of(1001);
    a_->send(near_->id, as_bytes(text).first(1000));
    run();
    EXPECT_EQ(near_->sent, 1) << "a full buffer holds exactly its size";
    a_->send(near_->id, as_bytes(text).last(1));
    run();
    EXPECT_EQ(near_->sent, 1);
    EXPECT_TRUE(a_->send_in_flight(near_->id));
    EXPECT_EQ(far().received, "");
    b_->resume_receive(far().id);
    run();
    EXPECT_EQ(near_->sent, 2);
    EXPECT_EQ(far().received, text);
}

TEST_F(NetworkTest, pausing_inside_on_received_stops_after_that_piece) {
    make(1, {.split_per_million = 1'000'000});
    connect();
    far().pause_after_piece = true;
    const auto text = text_of(100);
    a_->send(near_->id, as_bytes(text));
    run();
    EXPECT_EQ(far().pieces, 1);
    EXPECT_LT(far().received.size(), 100u);
    for (int i = 0; i < 100 && far().received.size() < 100; i++) {
        b_->resume_receive(far().id);
        run(10ms);
    }
    EXPECT_EQ(far().received, text);
}

TEST_F(NetworkTest, an_orderly_close_arrives_behind_the_bytes) {
    connect();
    a_->send(near_->id, as_bytes("last words"));
    run(10ms);
    a_->close(near_->id);
    run();
    EXPECT_EQ(far().received, "last words");
    EXPECT_EQ(far().closed, CloseReason::peer_closed);
    EXPECT_FALSE(near_->closed);
    EXPECT_EQ(network_->open_connections(), 0u);
}

TEST_F(NetworkTest, close_with_a_send_in_flight_keeps_its_memory_busy_for_a_while) {
    make(1, {.socket_buffer_bytes = 10});
    connect();
    b_->pause_receive(far().id);
    a_->send(near_->id, as_bytes("more than ten bytes"));
    run(10ms);
    a_->close(near_->id);
    EXPECT_TRUE(a_->send_in_flight(near_->id));
    run();
    EXPECT_FALSE(a_->send_in_flight(near_->id));
    EXPECT_EQ(near_->sent, 0);
    EXPECT_FALSE(far().closed) << "the end stands behind unread bytes";
    b_->resume_receive(far().id);
    run();
    EXPECT_EQ(far().received, "more than ");
    EXPECT_EQ(far().closed, CloseReason::peer_closed);
}

TEST_F(NetworkTest, nobody_listening_refuses_and_silence_times_out) {
    End end;
    end.id = a_->connect({"b", 81}, ConnectionClass::client, end);
    End unknown;
    unknown.id = a_->connect({"nowhere", 80}, ConnectionClass::client, unknown);
    run(100ms);
    EXPECT_EQ(end.closed, CloseReason::refused);
    EXPECT_EQ(unknown.closed, CloseReason::refused);
    network_->block(host_a_, host_b_);
    near_->id = a_->connect({"b", 80}, ConnectionClass::client, *near_);
    run(9s);
    EXPECT_FALSE(near_->closed);
    run(3s);
    EXPECT_EQ(near_->closed, CloseReason::refused);
    EXPECT_FALSE(near_->connected);
    EXPECT_EQ(network_->open_connections(), 0u);
}

TEST_F(NetworkTest, a_blocked_path_holds_bytes_one_way_until_it_is_unblocked) {
    connect();
    network_->block(host_a_, host_b_);
    a_->send(near_->id, as_bytes("held"));
    b_->send(far().id, as_bytes("passes"));
    run();
    EXPECT_EQ(far().received, "");
    EXPECT_EQ(near_->received, "passes");
    network_->unblock(host_a_, host_b_);
    run();
    EXPECT_EQ(far().received, "held");
}

TEST_F(NetworkTest, acknowledgements_cannot_pass_a_blocked_path_either) {
    make(1, {.socket_buffer_bytes = 100});
    connect();
    network_->block(host_b_, host_a_);
    const auto text = text_of(250);
    a_->send(near_->id, as_bytes(text));
    run();
    EXPECT_EQ(far().received.size(), 100u);
    EXPECT_EQ(near_->sent, 0);
    network_->unblock(host_b_, host_a_);
    run();
    EXPECT_EQ(far().received, text);
    EXPECT_EQ(near_->sent, 1);
}

TEST_F(NetworkTest, a_killed_process_is_noticed_and_a_dead_machine_is_not) {
    connect();
    acceptor_.reset();
    b_.reset();
    run();
    EXPECT_TRUE(near_->closed);

    make(2, {});
    connect();
    b_->detach(Death::silent);
    network_->set_host_up(host_b_, false);
    run(60s);
    EXPECT_FALSE(near_->closed);
    network_->set_host_up(host_b_, true);
    start_b();
    run(60s);
    EXPECT_FALSE(near_->closed) << "half-open until somebody writes";
    a_->send(near_->id, as_bytes("anybody there?"));
    run();
    EXPECT_EQ(near_->closed, CloseReason::reset);
    EXPECT_EQ(network_->open_connections(), 0u);
}

TEST_F(NetworkTest, resets_end_both_sides_and_may_overtake_unread_bytes) {
    std::set<bool> lost;
    for (std::uint64_t seed = 0; seed < 30; seed++) {
        make(seed, {});
        connect();
        a_->send(near_->id, as_bytes("text"));
        queue_.run_until(queue_.now() + 100ms);   // arrived, not dispatched
        network_->reset_between(host_b_, host_a_);
        run();
        EXPECT_EQ(near_->closed, CloseReason::reset);
        EXPECT_EQ(far().closed, CloseReason::reset);
        lost.insert(far().received.empty());
        EXPECT_EQ(network_->open_connections(), 0u);
    }
    EXPECT_EQ(lost.size(), 2u);
}

TEST_F(NetworkTest, handed_over_connections_appear_at_the_sibling_with_unconsumed_bytes_first) {
    NetworkPort sibling(*network_, host_b_, Waker{});
    b_->set_siblings({b_.get(), &sibling});
    sibling.set_siblings({b_.get(), &sibling});
    Acceptor second(sibling);
    sibling.set_listener(ConnectionClass::client, second);
    connect();
    a_->send(near_->id, as_bytes("hello "));
    run(20ms);
    ASSERT_EQ(far().received, "hello ");
    a_->send(near_->id, as_bytes("world"));
    b_->hand_over(far().id, ShardId(1), as_bytes("llo "));
    run(20ms);
    EXPECT_EQ(second.ends.size(), 0u);
    sibling.dispatch(ConnectionClass::client);
    ASSERT_EQ(second.ends.size(), 1u);
    EXPECT_EQ(second.ends[0]->received, "llo world");
    EXPECT_EQ(far().received, "hello ");
    EXPECT_FALSE(far().closed);
}

TEST_F(NetworkTest, loss_delays_bytes_and_never_loses_them) {
    make(3, {.loss_per_million = 300'000});
    connect();
    std::string all;
    for (int i = 0; i < 30; i++) {
        const auto text = text_of(10);
        a_->send(near_->id, as_bytes(text));
        run(50ms);
        all += text;
    }
    run(5s);
    EXPECT_EQ(far().received, all);
    EXPECT_GT(network_->counters().lost, 0u);
}

TEST_F(NetworkTest, a_reset_may_come_in_the_middle_of_what_is_being_sent) {
    const auto text = text_of(100);
    std::set<bool> cut;
    for (std::uint64_t seed = 0; seed < 30; seed++) {
        make(seed, {.reset_per_million = 1'000'000});
        connect();
        a_->send(near_->id, as_bytes(text));
        run();
        EXPECT_EQ(near_->closed, CloseReason::reset);
        EXPECT_EQ(far().closed, CloseReason::reset);
        EXPECT_EQ(far().received, text.substr(0, far().received.size()));
        cut.insert(!far().received.empty() && far().received.size() < text.size());
        EXPECT_EQ(network_->open_connections(), 0u);
    }
    EXPECT_TRUE(cut.contains(true));
}

TEST_F(NetworkTest, an_end_that_breaks_alone_leaves_the_other_half_open_until_it_writes) {
    connect();
    a_->send(near_->id, as_bytes("last words"));
    network_->break_half(host_a_, host_b_);
    run(60s);
    EXPECT_EQ(near_->closed, CloseReason::reset);
    EXPECT_EQ(far().received, "last words") << "they were on their way";
    EXPECT_FALSE(far().closed);
    b_->send(far().id, as_bytes("anybody there?"));
    run();
    EXPECT_EQ(far().closed, CloseReason::reset);
    EXPECT_EQ(network_->open_connections(), 0u);
}

TEST_F(NetworkTest, a_ghost_beside_a_connection_says_nothing_and_ends_when_it_is_written_to) {
    make(1, {.ghosts_per_million = 1'000'000});
    connect();
    a_->send(near_->id, as_bytes("hello"));
    run(60s);
    ASSERT_EQ(acceptor_->ends.size(), 2u);
    End& real = *acceptor_->ends[0];
    End& ghost = *acceptor_->ends[1];
    EXPECT_EQ(real.received, "hello");
    EXPECT_EQ(ghost.received, "");
    EXPECT_FALSE(ghost.closed);
    b_->send(ghost.id, as_bytes("who are you?"));
    run();
    EXPECT_EQ(ghost.closed, CloseReason::reset);
    EXPECT_FALSE(real.closed);
    b_->close(real.id);
    run();
    EXPECT_EQ(network_->open_connections(), 0u);
}

TEST_F(NetworkTest, a_path_that_carries_little_fills_the_socket_buffer_before_it) {
    make(1, {.socket_buffer_bytes = 1000});
    connect();
    network_->set_rate(host_a_, host_b_, 1000);
    const auto text = text_of(3000);
    a_->send(near_->id, as_bytes(text));
    run(1500ms);
    EXPECT_EQ(near_->sent, 0);
    EXPECT_LT(far().received.size(), 2000u);
    network_->set_rate(host_a_, host_b_, 0);
    run();
    EXPECT_EQ(near_->sent, 1);
    EXPECT_EQ(far().received, text);
}

TEST_F(NetworkTest, what_is_sent_later_over_another_connection_may_arrive_earlier) {
    std::set<bool> overtaken;
    for (std::uint64_t seed = 0; seed < 30; seed++) {
        make(seed, {.jitter = 20ms});
        connect();
        End second;
        second.id = a_->connect({"b", 80}, ConnectionClass::client, second);
        run();
        ASSERT_EQ(acceptor_->ends.size(), 2u);
        a_->send(near_->id, as_bytes("first"));
        a_->send(second.id, as_bytes("second"));
        while (acceptor_->ends[0]->received.empty() && acceptor_->ends[1]->received.empty()) {
            run(2ms);
        }
        overtaken.insert(acceptor_->ends[0]->received.empty());
        a_->close(second.id);
        a_->close(near_->id);
        run();
    }
    EXPECT_EQ(overtaken.size(), 2u);
}

TEST_F(NetworkTest, delays_have_a_heavy_tail) {
    make(5, {.tail_per_million = 1'000'000, .tail_max = 1s});
    connect();
    std::size_t short_ones = 0;
    std::size_t long_ones = 0;
    for (int i = 0; i < 400; i++) {
        const Instant began = queue_.now();
        const std::size_t had = far().received.size();
        a_->send(near_->id, as_bytes("x"));
        while (far().received.size() == had) {
            run(2ms);
        }
        short_ones += queue_.now() - began < 50ms ? 1u : 0u;
        long_ones += queue_.now() - began > 250ms ? 1u : 0u;
        run(5ms);
    }
    EXPECT_GT(short_ones, 100u);
    EXPECT_GT(long_ones, 1u);
}

using NetworkDeathTest = NetworkTest;

TEST_F(NetworkDeathTest, two_sends_at_once_and_use_after_close_end_the_run) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    connect();
    a_->send(near_->id, as_bytes("one"));
    EXPECT_DEATH(a_->send(near_->id, as_bytes("two")), "send_active");
    a_->close(near_->id);
    EXPECT_DEATH(a_->pause_receive(near_->id), "assertion");
    EXPECT_DEATH(a_->close(near_->id), "assertion");
}

}  // namespace
}  // namespace ringfort::sim
