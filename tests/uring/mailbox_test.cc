// No real files or sockets: this one is also run under the thread sanitizer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "uring/log_writer.h"
#include "uring/shard_mailbox.h"
#include "uring/clock_source.h"

namespace ringfort::uring {
namespace {

TEST(SpscQueue, is_full_at_its_capacity_and_keeps_what_it_refuses) {
    SpscQueue<std::unique_ptr<int>> queue(3);
    ASSERT_EQ(4U, queue.capacity());
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(4U - static_cast<unsigned>(i), queue.free_slots());
        ASSERT_TRUE(queue.try_push(std::make_unique<int>(i)));
    }
    auto fifth = std::make_unique<int>(4);
    EXPECT_FALSE(queue.try_push(std::move(fifth)));
    ASSERT_NE(nullptr, fifth);
    std::unique_ptr<int> item;
    for (int i = 0; i < 4; i++) {
        ASSERT_TRUE(queue.try_pop(item));
        EXPECT_EQ(i, *item);
    }
    EXPECT_FALSE(queue.try_pop(item));
    EXPECT_TRUE(queue.try_push(std::move(fifth)));
}

TEST(SpscQueue, moves_everything_in_order_between_two_threads) {
    constexpr std::uint64_t count = 200'000;
    SpscQueue<std::uint64_t> queue(64);
    std::thread producer([&] {
        for (std::uint64_t i = 0; i < count;) {
            if (queue.try_push(std::uint64_t{i})) {
                i++;
            } else {
                std::this_thread::yield();
            }
        }
    });
    std::uint64_t expected = 0;
    while (expected < count) {
        std::uint64_t item = 0;
        if (queue.try_pop(item)) {
            ASSERT_EQ(expected, item);
            expected++;
        } else {
            std::this_thread::yield();
        }
    }
    producer.join();
}

// One shard of a ping-pong: answers each mail until the last, sleeping as the loop does.
class Player final : public env::MailHandler {
  public:
    Player(MailboxHub& hub, std::size_t self, Features allowed, std::uint64_t rounds)
        : ring_(*Ring::create({.allowed = allowed})), mailbox_(*ring_, hub, ShardId(self)), rounds_(rounds) {}

    void on_mail(ShardId from, env::Mail mail) override {
        EXPECT_EQ(next_, mail.words[0]);
        next_ += 2;
        seen_ = mail.words[0];
        if (mail.words[0] < rounds_) {
            mail.words[0]++;
            EXPECT_TRUE(mailbox_.try_send(from, std::move(mail)));
        }
    }
    void run(bool serves) {
        MailboxHub& hub = mailbox_.hub();
        const std::size_t self = mailbox_.self().value;
        next_ = serves ? 2 : 1;
        if (serves) {
            env::Mail first{.kind = 1, .words = {1}, .buffer = nullptr};
            EXPECT_TRUE(mailbox_.try_send(ShardId(1 - self), std::move(first)));
        }
        const Instant deadline = monotonic_now() + 30s;
        while (seen_ + 1 < rounds_ && monotonic_now() < deadline) {
            ring_->reap();
            mailbox_.dispatch(*this);
            mailbox_.ring_doorbells();
            if (seen_ + 1 >= rounds_) {
                break;
            }
            if (hub.fall_asleep(self)) {
                ring_->submit_and_wait(5s);   // a lost wake-up is seen as a slow test
                hub.wake_up(self);
            } else {
                ring_->submit();
            }
        }
        ring_->submit();
        EXPECT_GE(seen_ + 1, rounds_);
    }

  private:
    std::unique_ptr<Ring> ring_;
    ShardMailbox mailbox_;
    std::uint64_t rounds_;
    std::uint64_t next_{0};
    std::uint64_t seen_{0};
};

class Doorbells : public ::testing::TestWithParam<Features> {};

TEST_P(Doorbells, no_wake_up_is_lost_between_sleeping_shards) {
    constexpr std::uint64_t rounds = 3000;
    MailboxHub hub(2);
    const Instant begin = monotonic_now();
    // Both rings stay until both threads have ended: a message may still be on its way.
    std::atomic<int> ended{0};
    const auto play = [&](std::size_t self) {
        Player player(hub, self, GetParam(), rounds);
        player.run(self == 0);
        ended++;
        while (ended < 2) {
            std::this_thread::yield();
        }
    };
    std::thread other([&] { play(1); });
    play(0);
    other.join();
    EXPECT_LT(monotonic_now() - begin, 5s) << "a wait ran into its limit";
}

INSTANTIATE_TEST_SUITE_P(Features, Doorbells,
                         ::testing::Values(Features::all(), Features::all().without(Feature::message_ring),
                                           Features::all().without(Feature::defer_taskrun), Features::none()));

TEST(Mailbox, refuses_when_full_and_takes_again_after_dispatch) {
    class Count final : public env::MailHandler {
      public:
        void on_mail(ShardId from, env::Mail) override {
            EXPECT_EQ(ShardId(0), from);
            count++;
        }
        std::size_t count{0};
    };
    MailboxHub hub(2);
    auto ring = Ring::create({});
    ASSERT_TRUE(ring);
    ShardMailbox sender(**ring, hub, ShardId(0));
    auto other_ring = Ring::create({});
    ASSERT_TRUE(other_ring);
    ShardMailbox receiver(**other_ring, hub, ShardId(1));
    std::size_t sent = 0;
    const std::size_t room = sender.free_slots(ShardId(1));
    while (sender.try_send(ShardId(1), env::Mail{})) {
        sent++;
    }
    EXPECT_EQ(room, sent);
    EXPECT_EQ(0U, sender.free_slots(ShardId(1)));
    env::Mail kept{.kind = 5, .words = {}, .buffer = std::make_unique<env::MailBuffer>()};
    EXPECT_FALSE(sender.try_send(ShardId(1), std::move(kept)));
    EXPECT_NE(nullptr, kept.buffer) << "a refused mail is untouched";
    Count count;
    receiver.dispatch(count);
    EXPECT_EQ(sent, count.count);
    EXPECT_TRUE(sender.try_send(ShardId(1), std::move(kept)));
}

std::string drain(int fd) {
    std::string text;
    char buffer[65536];
    ssize_t got = 0;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
}

TEST(LogWriter, lines_of_many_threads_arrive_whole_with_level_and_origin) {
    int pipe_fds[2];
    ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
    std::string text;
    std::thread reader([&] { text = drain(pipe_fds[0]); });
    {
        LogWriter log(pipe_fds[1], env::LogLevel::info);
        std::vector<std::thread> writers;
        for (std::uint64_t t = 0; t < 4; t++) {
            writers.emplace_back([&, t] {
                ShardLog shard(log, ShardId(t));
                for (int i = 0; i < 100; i++) {
                    shard.write(env::LogLevel::warning, "a line of text");
                    shard.write(env::LogLevel::debug, "below the level");
                }
            });
        }
        for (std::thread& writer : writers) {
            writer.join();
        }
        EXPECT_EQ(0U, log.dropped());
    }
    close(pipe_fds[1]);
    reader.join();
    close(pipe_fds[0]);
    EXPECT_EQ(400, std::count(text.begin(), text.end(), '\n'));
    EXPECT_EQ(std::string::npos, text.find("below"));
    EXPECT_NE(std::string::npos, text.find(" warning [shard 3] a line of text\n"));
}

TEST(LogWriter, a_reader_that_hangs_costs_lines_and_their_number_is_told) {
    int pipe_fds[2];
    ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
    ASSERT_LE(4096, fcntl(pipe_fds[1], F_SETPIPE_SZ, 4096));
    const std::string longest(2 * LogWriter::line_bytes_max, 'z');
    std::string text;
    std::thread reader;
    {
        LogWriter log(pipe_fds[1], env::LogLevel::info);
        const Instant begin = monotonic_now();
        for (std::size_t i = 0; i < LogWriter::lines_max + 100; i++) {
            log.write(env::LogLevel::error, "", longest);
        }
        EXPECT_LT(monotonic_now() - begin, 1s) << "a writer waited for the reader";
        EXPECT_GE(log.dropped(), 50U);
        reader = std::thread([&] { text = drain(pipe_fds[0]); });
    }
    close(pipe_fds[1]);
    reader.join();
    EXPECT_NE(std::string::npos, text.find("zzz...\n"));
    EXPECT_NE(std::string::npos, text.find("log lines were dropped"));
    close(pipe_fds[0]);
}

TEST(LogWriter, ends_soon_although_nobody_reads) {
    int pipe_fds[2];
    ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
    ASSERT_LE(4096, fcntl(pipe_fds[1], F_SETPIPE_SZ, 4096));
    const Instant begin = monotonic_now();
    {
        LogWriter log(pipe_fds[1], env::LogLevel::info);
        for (int i = 0; i < 100; i++) {
            log.write(env::LogLevel::error, "", std::string(500, 'y'));
        }
    }
    EXPECT_LT(monotonic_now() - begin, 3s);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

}  // namespace
}  // namespace ringfort::uring
