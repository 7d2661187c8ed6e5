#include "uring/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "uring/poll_window.h"
#include "world_fixture.h"

namespace ringfort::uring {
namespace {

using env::ConnectionClass;

// Echoes on one connection; ends when told to.
class EchoDriver final : public TurnDriver, public env::ListenerHandler, public env::ConnectionHandler {
  public:
    explicit EchoDriver(ShardWorld& world) : world_(world) {
        world_.network().set_listener(ConnectionClass::client, *this);
    }
    void on_accepted(env::ConnectionId connection, std::string_view) override {
        id_ = connection;
        world_.network().set_handler(connection, *this);
    }
    void on_received(Bytes bytes) override {
        sending_.assign(bytes.begin(), bytes.end());
        world_.network().send(id_, sending_);
    }
    void on_sent() override {}
    void on_closed(env::CloseReason) override {}
    Instant turn() override {
        world_.network().dispatch(ConnectionClass::client);
        return never;
    }
    bool has_work() const override { return true; }
    void stop() override { loop->end(); }
    Loop* loop{nullptr};

  private:
    ShardWorld& world_;
    env::ConnectionId id_{0};
    std::vector<std::byte> sending_;
};

// Median round trip of 128 bytes against a loop that polls for `poll`.
Duration ping_pong(Duration poll, LoopCounters& counters) {
    TempDirectory directory;
    LogWriter log(STDERR_FILENO, env::LogLevel::error);
    NoHalt halt;
    MailboxHub hub(1);
    const int listening = *listen_on({"127.0.0.1", 0});
    std::atomic<bool> stop{false};
    std::thread server([&] {
        WorldOptions options;
        options.disk.directory = directory.fd();
        auto world = ShardWorld::create(options, hub, log, halt);
        EchoDriver driver(**world);
        Loop loop(**world, driver, {.poll = poll, .on_stall = StallAction::count, .stop_requested = &stop});
        driver.loop = &loop;
        (*world)->network().add_listening_socket(listening, ConnectionClass::client);
        loop.run();
        counters = loop.counters();
    });
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const SocketAddress to = *numeric_address({"127.0.0.1", port_of(listening)});
    EXPECT_EQ(0, connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.bytes));
    set_stream_options(fd);
    std::vector<Duration> samples;
    char message[128] = {};
    for (int i = 0; i < 3000; i++) {
        const Instant begin = monotonic_now();
        EXPECT_EQ(128, send(fd, message, sizeof(message), 0));
        EXPECT_EQ(128, recv(fd, message, sizeof(message), MSG_WAITALL));
        samples.push_back(monotonic_now() - begin);
    }
    stop = true;
    hub.doorbell(0).ring();
    server.join();
    close(fd);
    close(listening);
    std::nth_element(samples.begin(), samples.begin() + 1500, samples.end());
    return samples[1500];
}

TEST(Loop, polls_only_when_told_to_and_stops_from_another_thread) {
    LoopCounters asleep;
    LoopCounters polling;
    const Duration without = ping_pong(0us, asleep);
    const Duration with = ping_pong(200us, polling);
    RecordProperty("ping_pong_ns", static_cast<int>(without.count()));
    RecordProperty("ping_pong_polling_ns", static_cast<int>(with.count()));
    std::printf("ping-pong p50: %.1f us asleep, %.1f us polling\n", static_cast<double>(without.count()) / 1000,
                static_cast<double>(with.count()) / 1000);
    EXPECT_EQ(0U, asleep.polls_won + asleep.polls_lost);
    EXPECT_GE(asleep.sleeps, 1000U);
    EXPECT_GT(polling.polls_won, 1000U);
}

TEST(PollWindow, credit_is_earned_by_events_that_come_soon_and_spent_by_waiting) {
    PollWindow window(200us);
    EXPECT_EQ(0ns, window.next()) << "an idle shard sleeps at once";
    window.on_wait(200us);
    EXPECT_EQ(200us, window.next());
    for (int i = 0; i < 100; i++) {
        window.on_wait(50us);
    }
    int waits = 0;
    while (window.next() > 0ns) {
        window.on_wait(100ms);
        waits++;
    }
    EXPECT_LE(waits, 16) << "a shard that fell idle stops polling soon";
    for (int i = 0; i < 100; i++) {
        window.on_wait(100ms);
    }
    window.on_wait(50us);
    EXPECT_EQ(200us, window.next()) << "however long it was idle";
    EXPECT_EQ(0ns, PollWindow(0ns).next());
}

TEST(PollWindow, a_shard_with_much_to_do_polls_for_a_moment_only) {
    PollWindow window(200us);
    window.on_wait(50us);
    for (int i = 0; i < 1000; i++) {
        window.on_time(100us, 300us);
        EXPECT_EQ(200us, window.next()) << "a fourth of the time is not yet much";
    }
    for (int i = 0; i < 1000; i++) {
        window.on_time(101us, 300us);
    }
    EXPECT_EQ(60us, window.next());
    window.on_time(0us, 10ms);
    EXPECT_EQ(200us, window.next()) << "that was long ago";
    window.on_time(std::chrono::hours(24 * 365), 0us);
    EXPECT_EQ(60us, window.next());
    window.on_time(0us, std::chrono::hours(24 * 365));
    EXPECT_EQ(200us, window.next());
}

TEST(PollWindow, a_core_that_others_take_time_after_time_is_polled_on_seldom) {
    PollWindow window(200us);
    for (int i = 0; i < 100; i++) {
        window.on_wait(50us);
    }
    // Four times in a row, and once not: as on any machine.
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++) {
            window.on_poll(true);
        }
        window.on_poll(false);
        EXPECT_FALSE(window.core_is_shared());
        EXPECT_EQ(200us, window.next());
    }
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(200us, window.next());
        window.on_poll(true);
    }
    for (int tries = 0; tries < 3; tries++) {
        EXPECT_TRUE(window.core_is_shared());
        int soon = 0;
        for (; window.next() == 0ns && soon < 100; soon++) {
            window.on_wait(50us);
        }
        EXPECT_EQ(soon, 9);
        window.on_poll(true);
    }
    for (int i = 0; i < 9; i++) {
        window.on_wait(50us);
    }
    window.on_poll(false);
    EXPECT_FALSE(window.core_is_shared());
    EXPECT_EQ(200us, window.next());
}

void burn(Duration cpu) {
    const std::int64_t until = read_clock_ns(CLOCK_THREAD_CPUTIME_ID) + cpu.count();
    while (read_clock_ns(CLOCK_THREAD_CPUTIME_ID) < until) {
    }
}

TEST(StallDetector, counts_turns_that_burn_cpu_and_not_those_that_wait) {
    StallDetector stalls(StallAction::count);
    stalls.begin_turn();
    burn(3ms);
    EXPECT_GT(stalls.end_turn(), 2ms);
    stalls.begin_turn();
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(0ns, stalls.end_turn());
    stalls.begin_turn();
    EXPECT_EQ(0ns, stalls.end_turn());
    EXPECT_EQ(1U, stalls.stall_count());
}

TEST(StallDetectorDeathTest, aborts_when_asked_to) {
    EXPECT_DEATH(
        {
            StallDetector stalls(StallAction::abort);
            stalls.begin_turn();
            burn(3ms);
            stalls.end_turn();
        },
        "a turn used");
}

}  // namespace
}  // namespace ringfort::uring
