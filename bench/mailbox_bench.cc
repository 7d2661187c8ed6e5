// One value from shard to shard and back: queue alone, both sides asleep each time, both sides polling.
#include <benchmark/benchmark.h>
#include <sched.h>

#include <atomic>
#include <thread>

#include "uring/shard_mailbox.h"

namespace ringfort::uring {
namespace {

void queue_only(benchmark::State& state) {
    SpscQueue<env::Mail> queue(1024);
    env::Mail mail;
    for (auto _ : state) {
        benchmark::DoNotOptimize(queue.try_push(std::move(mail)));
        benchmark::DoNotOptimize(queue.try_pop(mail));
    }
}
BENCHMARK(queue_only);

class Side final : public env::MailHandler {
  public:
    Side(MailboxHub& hub, std::size_t self, bool polls)
        : ring_(*Ring::create({})), mailbox_(*ring_, hub, ShardId(self)), polls_(polls) {}
    void on_mail(ShardId, env::Mail) override { got_ = true; }
    void send(std::size_t to) {
        benchmark::DoNotOptimize(mailbox_.try_send(ShardId(to), env::Mail{}));
        mailbox_.ring_doorbells();
        ring_->submit();
    }
    // False: ended.
    bool receive(const std::atomic<bool>& ended) {
        got_ = false;
        const std::size_t self = mailbox_.self().value;
        while (true) {
            ring_->reap();
            mailbox_.dispatch(*this);
            if (got_ || ended.load(std::memory_order_relaxed)) {
                return got_;
            }
            if (polls_) {
                sched_yield();
            } else if (mailbox_.hub().fall_asleep(self)) {
                ring_->submit_and_wait(100ms);
                mailbox_.hub().wake_up(self);
            }
        }
    }

  private:
    std::unique_ptr<Ring> ring_;
    ShardMailbox mailbox_;
    bool polls_;
    bool got_{false};
};

void round_trip(benchmark::State& state) {
    const bool polls = state.range(0) != 0;
    MailboxHub hub(2);
    std::atomic<bool> ended{false};
    std::atomic<bool> up{false};
    std::thread other([&] {
        Side side(hub, 1, polls);
        up = true;
        while (side.receive(ended)) {
            side.send(0);
        }
    });
    while (!up) {
        sched_yield();
    }
    {
        Side side(hub, 0, polls);
        for (auto _ : state) {
            side.send(1);
            side.receive(ended);
        }
        ended = true;
        other.join();
    }
}
BENCHMARK(round_trip)->ArgName("polling")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace ringfort::uring
