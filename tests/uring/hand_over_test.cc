// A connection accepted by one shard and served by another.
#include <atomic>
#include <thread>
#include <vector>

#include "uring/loop.h"
#include "world_fixture.h"

namespace ringfort::uring {
namespace {

using env::CloseReason;
using env::ConnectionClass;
using env::ConnectionId;

// Hands every connection over with its first bytes (shard 0), or echoes (shard 1).
class Shard final : public env::ListenerHandler, public env::ConnectionHandler, public TurnDriver {
  public:
    explicit Shard(ShardWorld& world) : world_(world) { world_.network().set_listener(ConnectionClass::client, *this); }
    void on_accepted(ConnectionId connection, std::string_view) override {
        id_ = connection;
        world_.network().set_handler(connection, *this);
    }
    void on_received(Bytes bytes) override {
        if (world_.mailbox().self() == ShardId(0)) {
            world_.network().hand_over(id_, ShardId(1), bytes);
            return;
        }
        waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
        flush();
    }
    void on_sent() override {
        sending_.clear();
        flush();
    }
    void on_closed(CloseReason) override { id_ = 0; }
    Instant turn() override {
        world_.network().dispatch(ConnectionClass::client);
        return never;
    }
    bool has_work() const override { return true; }
    void stop() override { loop->end(); }
    Loop* loop{nullptr};

  private:
    void flush() {
        if (sending_.empty() && !waiting_.empty() && id_ != 0) {
            sending_.swap(waiting_);
            world_.network().send(id_, sending_);
        }
    }
    ShardWorld& world_;
    ConnectionId id_{0};
    std::vector<std::byte> waiting_;
    std::vector<std::byte> sending_;
};

TEST(HandOver, bytes_before_during_and_after_it_come_back_in_order) {
    TempDirectory directory;
    LogWriter log(STDERR_FILENO, env::LogLevel::error);
    NoHalt halt;
    MailboxHub hub(2);
    const auto listening = listen_on({"127.0.0.1", 0});
    ASSERT_TRUE(listening);
    std::atomic<bool> stop{false};
    std::atomic<int> made{0};
    std::vector<std::thread> threads;
    for (std::uint64_t index = 0; index < 2; index++) {
        threads.emplace_back([&, index] {
            WorldOptions options;
            options.shard = ShardId(index);
            options.disk.directory = directory.fd();
            auto world = ShardWorld::create(options, hub, log, halt);
            ASSERT_TRUE(world);
            Shard shard(**world);
            LoopOptions loop_options;
            loop_options.stop_requested = &stop;
            Loop loop(**world, shard, loop_options);
            shard.loop = &loop;
            made++;
            while (made < 2) {
                std::this_thread::yield();
            }
            if (index == 0) {
                (*world)->network().add_listening_socket(*listening, ConnectionClass::client);
            }
            loop.run();
        });
    }
    TestWorld client_world(directory.fd());
    class Dialer final : public env::ConnectionHandler {
      public:
        void on_connected() override { connected = true; }
        void on_received(Bytes bytes) override { received.insert(received.end(), bytes.begin(), bytes.end()); }
        void on_sent() override { sent_count++; }
        void on_closed(CloseReason) override { FAIL() << "the connection was lost"; }
        bool connected{false};
        int sent_count{0};
        std::vector<std::byte> received;
    };
    std::vector<std::byte> bytes(3 * mib);
    for (std::size_t i = 0; i < bytes.size(); i++) {
        bytes[i] = static_cast<std::byte>((i * 31) ^ (i >> 13));
    }
    for (int round = 0; round < 20; round++) {
        Dialer client;
        const ConnectionId id =
            client_world.network().connect({"127.0.0.1", port_of(*listening)}, ConnectionClass::client, client);
        EXPECT_TRUE(client_world.turn_until([&] { return client.connected; }));
        client_world.network().send(id, bytes);
        EXPECT_TRUE(client_world.turn_until([&] { return client.received.size() == bytes.size(); }));
        EXPECT_TRUE(bytes == client.received) << round;
        client_world.network().close(id);
        EXPECT_TRUE(client_world.turn_until([&] { return client_world.network().connection_count() == 0; }));
    }
    stop = true;
    hub.doorbell(0).ring();
    hub.doorbell(1).ring();
    for (std::thread& thread : threads) {
        thread.join();
    }
    close(*listening);
}

}  // namespace
}  // namespace ringfort::uring
