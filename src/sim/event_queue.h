// Virtual time: what happens next, in the order (time, sequence number). The only source of progress in a simulation.
//
// Events are plain values: a function, a context that outlives them, two words. Nothing is cancelled: whoever schedules
// something that may become void puts a generation or token into a word and checks it when the event arrives.
#pragma once

#include <cstdint>
#include <vector>

#include "base/instant.h"

namespace ringfort::sim {

class EventQueue {
  public:
    using Callback = void (*)(void* context, std::uint64_t a, std::uint64_t b);

    // True time of the simulated world; node clocks deviate from it.
    Instant now() const { return now_; }

    // Requires: at >= now().
    void schedule(Instant at, Callback callback, void* context, std::uint64_t a = 0, std::uint64_t b = 0);
    void schedule_in(Duration delay, Callback callback, void* context, std::uint64_t a = 0, std::uint64_t b = 0) {
        schedule(now_ + delay, callback, context, a, b);
    }

    // Runs the next event if it is due by `until`; false: there is none, and now() is `until`.
    bool run_one(Instant until);
    void run_until(Instant until) {
        while (run_one(until)) {
        }
    }
    bool empty() const { return heap_.empty(); }

    // The running hash of everything that happened; two runs of a seed must agree on it. Events add themselves;
    // components add what they decided.
    void note(std::uint64_t word) { hash_ = mix(hash_ ^ word); }
    std::uint64_t hash() const { return hash_; }
    std::uint64_t events() const { return events_; }

  private:
    struct Event {
        std::int64_t at_ns;
        std::uint64_t sequence;
        Callback callback;
        void* context;
        std::uint64_t a;
        std::uint64_t b;
    };
    static bool before(const Event& left, const Event& right) {
        return left.at_ns != right.at_ns ? left.at_ns < right.at_ns : left.sequence < right.sequence;
    }
    static std::uint64_t mix(std::uint64_t x) {
        x *= 0x9e3779b97f4a7c15ULL;
        return x ^ (x >> 29);
    }
    void sift_up(std::size_t place);
    void sift_down(std::size_t place);

    std::vector<Event> heap_;  // Invariant: a 4-ary heap by before()
    Instant now_{0};
    std::uint64_t sequence_{0};
    std::uint64_t events_{0};
    std::uint64_t hash_{0x52494e47464f5254ULL};
};

// How a component tells the scheduler of its owner that there is something to dispatch.
struct Waker {
    void (*wake)(void* context, std::uint64_t word){nullptr};
    void* context{nullptr};
    std::uint64_t word{0};
    void operator()() const {
        if (wake != nullptr) {
            wake(context, word);
        }
    }
};

}  // namespace ringfort::sim
