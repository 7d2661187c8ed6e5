#include "uring/loop.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "uring/shard_world.h"
#include "uring/thread_setup.h"

namespace ringfort::uring {
namespace {

// The longest sleep: a bound on how late a lost wake-up would be noticed.
constexpr Duration sleep_longest = 1s;
// A yield that takes longer may have given the core to somebody else.
constexpr Duration yield_longest = 2us;

// How often another thread had the core instead of this one.
std::int64_t switches() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

}  // namespace

Loop::Loop(ShardWorld& world, TurnDriver& driver, const LoopOptions& options)
    : world_(world), driver_(driver), options_(options), stalls_(options.on_stall), window_(options.poll),
      core_waits_(open_core_waits()) {}

Loop::~Loop() {
    if (core_waits_ >= 0) {
        ::close(core_waits_);
    }
}

void Loop::run() {
    ask_for_slice(core_waits_ >= 0);
    while (!ended_) {
        const Instant deadline = one_turn();
        if (ended_) {
            break;
        }
        if (work_waits()) {
            world_.ring().submit();
        } else {
            wait(deadline);
        }
    }
}

void Loop::choose_slice(Instant now) {
    if (core_waits_ < 0 || !slice_.due(now)) {
        return;
    }
    const std::optional<SliceChooser::Waits> waits = read_core_waits(core_waits_);
    if (!waits) {
        return;
    }
    const bool before = slice_.is_long();
    if (slice_.look(now, *waits) != before) {
        ask_for_slice(!before);
        world_.log().write(env::LogLevel::debug, before ? "others have the cores for long: normal time slices"
                                                        : "the cores are free: long time slices");
    }
}

// Completions are only noted while they are reaped; the turn acts on them, in an order of its own. What the turn queued
// goes to the kernel in one call afterwards.
Instant Loop::one_turn() {
    counters_.turns++;
    world_.ring().reap();
    world_.clock().update();
    world_.disk().collect();
    world_.network().begin_turn();
    if (!stop_told_ && options_.stop_requested != nullptr &&
        options_.stop_requested->load(std::memory_order_acquire)) {
        stop_told_ = true;
        driver_.stop();
    }
    stalls_.begin_turn();
    const Instant deadline = driver_.turn();
    if (const Duration stall = stalls_.end_turn(); stall > 0ns) {
        world_.log().write(env::LogLevel::debug, fmt::format("a turn used {} us of CPU", stall.count() / 1000));
    }
    world_.mailbox().ring_doorbells();
    return std::min(deadline, world_.network().next_deadline());
}

bool Loop::work_waits() const {
    return world_.network().has_ready() || world_.disk().has_ready() || world_.mailbox().has_mail();
}

void Loop::wait(Instant deadline) {
    Ring& ring = world_.ring();
    const Instant begin = monotonic_now();
    const bool may_poll = options_.poll > 0ns && driver_.has_work();
    const Duration polling = may_poll ? window_.next() : 0ns;
    if (polling > 0ns) {
        ring.submit();
        if (poll(std::min(deadline, begin + polling))) {
            counters_.polls_won++;
            window_.on_wait(wait_ended(begin) - begin);
            return;
        }
        counters_.polls_lost++;
    }
    MailboxHub& hub = world_.mailbox().hub();
    const std::size_t self = world_.mailbox().self().value;
    if (!hub.fall_asleep(self)) {
        ring.submit();
        wait_ended(begin);
        return;
    }
    counters_.sleeps++;
    const Instant now = monotonic_now();
    ring.submit_and_wait(std::min(sleep_longest, deadline - now));
    hub.wake_up(self);
    const Instant woken = wait_ended(begin);
    if (may_poll) {
        // A timer says nothing about whether polling would have caught an event.
        window_.on_wait(woken < deadline ? woken - begin : 1s);
    }
}

Instant Loop::wait_ended(Instant begin) {
    const Instant now = monotonic_now();
    window_.on_time(begin - woken_, now - begin);
    choose_slice(now);
    woken_ = now;
    return now;
}

// Yields between looks: a thread that only spins takes the core from whoever would bring the event.
bool Loop::poll(Instant until) {
    const auto won = [&] { return world_.ring().completion_waits() || world_.mailbox().has_mail(); };
    const std::int64_t switches_before = switches();
    bool core_taken = false;
    for (Instant now = monotonic_now(); now < until && !won();) {
        sched_yield();
        const Instant back = monotonic_now();
        core_taken = core_taken || (back - now > yield_longest && switches() != switches_before);
        if (core_taken && window_.core_is_shared()) {
            break;
        }
        now = back;
    }
    window_.on_poll(core_taken);
    return won();
}

}  // namespace ringfort::uring
