// One core's world: its replicas, log, links, sessions and timers. Talks to env only; the shell calls turn().
#pragma once

#include <memory>

#include "env/world.h"
#include "shard/node_config.h"

namespace ringfort::shard {

class Shard {
  public:
    Shard(env::World& world, const NodeConfig& config);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    // Begins recovery; serving starts by itself once the log is read and the cluster is known.
    void start();
    // One turn of the loop. Returns when the next is wanted at the latest even if nothing completes; a turn is also due
    // whenever the disk, the network or the mailbox has something to dispatch.
    Instant turn();
    // Orderly stop: hands over leaderships, answers what is pending, refuses new work, then world.process.halt(stopped).
    // Ends within 5 s by itself.
    void stop();

    // Serving: recovered, the directory is known, and every replica here knows a leader and has applied what its log held
    // at the start. Reads and writes are answered, or forwarded to who answers. (The shell prints it; tests wait for it.)
    bool ready() const;
    // Whether polling before sleeping may pay: the shard has connections or replicas that do work.
    bool has_work() const;

    // For simulation and tests: state of the replicas, invariants.
    struct Impl;
    Impl& impl() { return *impl_; }
    void check_invariants() const;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace ringfort::shard
