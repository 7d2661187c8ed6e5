// The threads of one node: a shard each, and the main one, which waits for signals. Composition only: what a shard does
// is its driver's business.
//
// Stop: a signal, or a shard that halts, has every shard's stop() called on its own thread; each ends by halting. A
// second signal, or a stop that takes too long, ends the process at once.
#pragma once

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "server/exit_codes.h"
#include "uring/loop.h"
#include "uring/shard_world.h"
#include "uring/signal_watch.h"

namespace ringfort::server {

// One shard as the node drives it.
class ShardDriver : public uring::TurnDriver {
  public:
    virtual void start() = 0;
    virtual bool ready() const = 0;
};

struct ListeningSocket {
    int fd{-1};
    env::ConnectionClass cls{};
};

struct NodeOptions {
    std::size_t shard_count{1};
    std::vector<unsigned> shard_cpus;       // one a shard; empty: not pinned
    uring::WorldOptions world;              // shard and seed are filled in for each
    uring::LoopOptions loop;
    std::vector<ListeningSocket> listening; // shard 0's
    Duration stop_longest{5500ms};          // the shards end within 5 s by themselves
};

class Node final : public uring::HaltListener {
  public:
    using DriverFactory = std::function<std::unique_ptr<ShardDriver>(env::World& world, ShardId shard)>;

    // Requires: SignalWatch::settle_signals() was called before any thread was made.
    Node(const NodeOptions& options, uring::LogWriter& log, DriverFactory factory);
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // Runs until every shard has ended.
    ExitCode run();

    void on_halt(ShardId shard, env::Halt how, std::string_view reason) override;

  private:
    class ReadyWatch;

    void run_shard(std::size_t index);
    void begin_stop();
    void note_ready();
    void note_fault(const uring::StartFault& fault);
    void take_signal();
    void check_stop_deadline();
    [[noreturn]] void end_at_once(ExitCode code, std::string_view sentence);

    const NodeOptions options_;
    uring::LogWriter& log_;
    const DriverFactory factory_;
    uring::MailboxHub hub_;
    std::vector<std::thread> threads_;
    std::vector<uring::Loop*> loops_;          // each set and used on its shard's thread only
    std::latch worlds_made_;
    uring::SignalWatch watch_;                 // woken when a shard ended, or wants all to
    std::atomic<bool> stop_requested_{false};
    std::atomic<bool> start_failed_{false};
    std::atomic<std::size_t> running_{0};
    std::atomic<std::size_t> ready_count_{0};
    std::optional<Instant> stop_began_;        // the main thread's
    std::mutex outcome_mutex_;
    std::optional<ExitCode> outcome_;          // the first reason to end; guarded by outcome_mutex_
};

}  // namespace ringfort::server
