// env::Mailbox over the node's MailboxHub.
#pragma once

#include <vector>

#include "env/mailbox.h"
#include "uring/mailbox_hub.h"
#include "uring/ring.h"

namespace ringfort::uring {

class ShardMailbox final : public env::Mailbox {
  public:
    ShardMailbox(Ring& ring, MailboxHub& hub, ShardId self);
    ~ShardMailbox() override;

    ShardId self() const override { return self_; }
    std::size_t shard_count() const override { return hub_.shard_count(); }
    [[nodiscard]] bool try_send(ShardId to, env::Mail&& mail) override;
    std::size_t free_slots(ShardId to) const override;
    void dispatch(env::MailHandler& handler) override;

    // Marks a shard as sent to by another part of the shell: it is rung with the others.
    void note_sent(ShardId to);
    // Rings every sleeping shard that got something this turn. At the end of the turn, before submitting.
    void ring_doorbells();
    bool has_mail() const { return hub_.has_mail(self_.value); }
    MailboxHub& hub() { return hub_; }

  private:
    struct Target {
        explicit Target(ShardMailbox* mailbox);
        Completion message;      // completes only if the ring message failed
        std::size_t shard{0};
        bool sent{false};        // this turn
    };
    static void on_message_failed(Completion& completion, int result, std::uint32_t flags);

    Ring& ring_;
    MailboxHub& hub_;
    ShardId self_;
    std::vector<std::unique_ptr<Target>> targets_;
    std::vector<std::size_t> sent_to_;   // targets with `sent`
};

}  // namespace ringfort::uring
