// The mailboxes of one simulated process: a bounded queue for every pair of shards.
#pragma once

#include <memory>
#include <vector>

#include "base/ring_queue.h"
#include "env/mailbox.h"
#include "sim/event_queue.h"

namespace ringfort::sim {

class SimMailbox;

class MailboxGroup {
  public:
    // Requires: shard_count > 0, capacity > 0.
    MailboxGroup(std::size_t shard_count, std::size_t capacity);
    ~MailboxGroup();
    MailboxGroup(const MailboxGroup&) = delete;
    MailboxGroup& operator=(const MailboxGroup&) = delete;

    SimMailbox& mailbox(ShardId shard);
    std::size_t shard_count() const { return boxes_.size(); }
    // Rung when mail arrives for the shard.
    void set_waker(ShardId shard, Waker waker);

  private:
    friend class SimMailbox;
    RingQueue<env::Mail>& queue(ShardId from, ShardId to);

    std::vector<std::unique_ptr<SimMailbox>> boxes_;
    std::vector<RingQueue<env::Mail>> queues_;   // [from * count + to]
    std::vector<std::size_t> capacity_;          // as asked for: RingQueue rounds up
    std::vector<Waker> wakers_;
};

class SimMailbox final : public env::Mailbox {
  public:
    SimMailbox(MailboxGroup& group, ShardId self) : group_(group), self_(self) {}
    ShardId self() const override { return self_; }
    std::size_t shard_count() const override { return group_.shard_count(); }
    bool try_send(ShardId to, env::Mail&& mail) override;
    std::size_t free_slots(ShardId to) const override;
    void dispatch(env::MailHandler& handler) override;

  private:
    MailboxGroup& group_;
    ShardId self_;
};

}  // namespace ringfort::sim
