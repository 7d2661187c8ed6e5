// Everything outside of one shard, real: ring, disk, network, clock, mailbox, log lines, the way to end the process.
// Made and used on the shard's own thread.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "env/world.h"
#include "uring/clock_source.h"
#include "uring/log_writer.h"
#include "uring/mailbox_hub.h"
#include "uring/ring.h"
#include "uring/ring_disk.h"
#include "uring/ring_network.h"
#include "uring/shard_mailbox.h"

namespace ringfort::uring {

// Who is told that a shard wants the process to end. Called on the shard's thread.
class HaltListener {
  public:
    virtual ~HaltListener() = default;
    virtual void on_halt(ShardId shard, env::Halt how, std::string_view reason) = 0;
};

struct WorldOptions {
    ShardId shard{};
    std::uint64_t seed{0};
    RingOptions ring;
    DiskOptions disk;
    NetworkOptions network;
    int lock_fd{-1};   // held by the ring until the last write ended; -1: none
};

class ShardWorld {
  public:
    static StartResult<std::unique_ptr<ShardWorld>> create(const WorldOptions& options, MailboxHub& hub,
                                                           LogWriter& log, HaltListener& halt);
    // Requires: drained, or nothing was ever begun.
    ~ShardWorld();
    ShardWorld(const ShardWorld&) = delete;
    ShardWorld& operator=(const ShardWorld&) = delete;

    // Ends all connections and waits for the kernel to let go of all memory. Called while what it was lent by (operations,
    // read buffers, bytes being sent) still lives; no callback runs. False: the kernel holds on to some of it (a disk that
    // hangs), and that memory must not be given back.
    bool drain();

    env::World& world() { return *world_; }
    Ring& ring() { return *ring_; }
    RingDisk& disk() { return *disk_; }
    RingNetwork& network() { return *network_; }
    TurnClock& clock() { return clock_; }
    ShardMailbox& mailbox() { return *mailbox_; }
    ShardLog& log() { return log_; }

  private:
    class ShardProcess final : public env::Process {
      public:
        ShardProcess(ShardId shard, HaltListener& listener) : shard_(shard), listener_(listener) {}
        void halt(env::Halt how, std::string_view reason) override { listener_.on_halt(shard_, how, reason); }
        std::uint64_t cpu_us() const override;
        std::uint64_t resident_bytes() const override;

      private:
        ShardId shard_;
        HaltListener& listener_;
    };

    ShardWorld(std::unique_ptr<Ring> ring, const WorldOptions& options, MailboxHub& hub, LogWriter& log,
               HaltListener& halt);
    bool drained() const { return network_->idle() && disk_->idle(); }

    // Destroyed in the reverse order: the ring outlives what uses it.
    std::unique_ptr<Ring> ring_;
    TurnClock clock_;
    std::unique_ptr<ShardMailbox> mailbox_;
    std::unique_ptr<RingNetwork> network_;
    std::unique_ptr<RingDisk> disk_;
    ShardLog log_;
    ShardProcess process_;
    std::optional<env::World> world_;   // always there once created
};

}  // namespace ringfort::uring
