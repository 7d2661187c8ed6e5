#include "server/node.h"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "base/assertion.h"
#include "base/prng.h"
#include "uring/thread_setup.h"

namespace ringfort::server {

// Counts a shard as ready as soon as it says so.
class Node::ReadyWatch final : public uring::TurnDriver {
  public:
    ReadyWatch(Node& node, ShardDriver& driver) : node_(node), driver_(driver) {}
    Instant turn() override {
        const Instant deadline = driver_.turn();
        if (!told_ && driver_.ready()) {
            told_ = true;
            node_.note_ready();
        }
        return deadline;
    }
    bool has_work() const override { return driver_.has_work(); }
    void stop() override { driver_.stop(); }

  private:
    Node& node_;
    ShardDriver& driver_;
    bool told_{false};
};

Node::Node(const NodeOptions& options, uring::LogWriter& log, DriverFactory factory)
    : options_(options), log_(log), factory_(std::move(factory)), hub_(options.shard_count),
      loops_(options.shard_count), worlds_made_(static_cast<std::ptrdiff_t>(options.shard_count)) {}

ExitCode Node::run() {
    running_ = options_.shard_count;
    for (std::size_t i = 0; i < options_.shard_count; i++) {
        threads_.emplace_back([this, i] { run_shard(i); });
    }
    while (running_.load(std::memory_order_acquire) > 0) {
        if (watch_.wait(stop_began_ ? 50ms : 1s)) {
            take_signal();
        }
        check_stop_deadline();
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
    const std::lock_guard lock(outcome_mutex_);
    return outcome_.value_or(ExitCode::ok);
}

// ---- a shard's thread

void Node::run_shard(std::size_t index) {
    uring::name_thread(fmt::format("shard-{}", index));
    if (!options_.shard_cpus.empty() && !uring::pin_thread(options_.shard_cpus[index])) {
        log_.write(env::LogLevel::warning, fmt::format("shard {}", index),
                   fmt::format("cannot be pinned to CPU {}: it floats", options_.shard_cpus[index]));
    }
    uring::WorldOptions world_options = options_.world;
    world_options.shard = ShardId(index);
    world_options.seed = Prng(options_.world.seed + index).next();
    {
        auto world = uring::ShardWorld::create(world_options, hub_, log_, *this);
        if (!world) {
            note_fault(world.error());
        }
        // Either all shards start or none.
        worlds_made_.arrive_and_wait();
        if (!start_failed_.load(std::memory_order_acquire)) {
            const std::unique_ptr<ShardDriver> driver = factory_((*world)->world(), ShardId(index));
            for (const ListeningSocket& socket : options_.listening) {
                if (index == 0) {
                    (*world)->network().add_listening_socket(socket.fd, socket.cls);
                }
            }
            uring::LoopOptions loop_options = options_.loop;
            loop_options.stop_requested = &stop_requested_;
            ReadyWatch watch(*this, *driver);
            uring::Loop loop(**world, watch, loop_options);
            loops_[index] = &loop;
            driver->start();
            loop.run();
            loops_[index] = nullptr;
            if (!(*world)->drain()) {
                const std::lock_guard lock(outcome_mutex_);
                end_at_once(outcome_.value_or(ExitCode::stop_timed_out),
                            "the disk does not finish what was asked of it: ended without waiting for it");
            }
        }
    }
    running_.fetch_sub(1, std::memory_order_acq_rel);
    watch_.wake();
}

void Node::note_ready() {
    if (ready_count_.fetch_add(1, std::memory_order_acq_rel) + 1 == options_.shard_count) {
        log_.write(env::LogLevel::info, "", "ready to serve client requests");
    }
}

void Node::note_fault(const uring::StartFault& fault) {
    const std::lock_guard lock(outcome_mutex_);
    if (!outcome_) {
        outcome_ = exit_code(fault.kind);
        log_.write(env::LogLevel::error, "", fault.sentence);
    }
    start_failed_.store(true, std::memory_order_release);
}

void Node::on_halt(ShardId shard, env::Halt how, std::string_view reason) {
    if (how != env::Halt::stopped) {
        log_.write(env::LogLevel::error, fmt::format("shard {}", shard.value), reason);
    }
    {
        const std::lock_guard lock(outcome_mutex_);
        if (how != env::Halt::stopped && outcome_.value_or(ExitCode::ok) == ExitCode::ok) {
            outcome_ = exit_code(how);
        }
    }
    ASSERT(loops_[shard.value] != nullptr);
    loops_[shard.value]->end();
    stop_requested_.store(true, std::memory_order_release);
    watch_.wake();
}

// ---- the main thread

void Node::take_signal() {
    if (stop_began_) {
        end_at_once(ExitCode::interrupted, "ended at once by a second signal");
    }
    log_.write(env::LogLevel::info, "", "stopping: leaderships are handed over, pending requests answered");
    stop_requested_.store(true, std::memory_order_release);
}

void Node::check_stop_deadline() {
    if (!stop_requested_.load(std::memory_order_acquire)) {
        return;
    }
    const Instant now = uring::monotonic_now();
    if (!stop_began_) {
        stop_began_ = now;
        for (std::size_t i = 0; i < options_.shard_count; i++) {
            hub_.doorbell(i).ring();
        }
    }
    if (now - *stop_began_ > options_.stop_longest) {
        end_at_once(ExitCode::stop_timed_out, "the orderly stop did not end in time; nothing acknowledged is lost");
    }
}

void Node::end_at_once(ExitCode code, std::string_view sentence) {
    // Not through the log writer: its thread may hang on the reader of stderr.
    std::fprintf(stderr, "ringfort: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
    std::_Exit(static_cast<int>(code));
}

}  // namespace ringfort::server
