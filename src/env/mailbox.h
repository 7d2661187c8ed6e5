// Messages between the shards of one node: fixed-capacity single-producer queues that move values.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace ringfort::env {

// Bytes that travel with a mail. Made, and destroyed, on the shard `owner`: the receiver mails it back.
struct MailBuffer {
    ShardId owner{};
    std::vector<std::byte> bytes;
};

struct Mail {
    std::uint32_t kind{0};                 // shard/mail.h gives the kinds and the meaning of words
    std::array<std::uint64_t, 4> words{};
    std::unique_ptr<MailBuffer> buffer;
};

class MailHandler {
  public:
    virtual ~MailHandler() = default;
    virtual void on_mail(ShardId from, Mail mail) = 0;
};

class Mailbox {
  public:
    virtual ~Mailbox() = default;
    virtual ShardId self() const = 0;
    virtual std::size_t shard_count() const = 0;
    // false: the queue to that shard is full; the mail is untouched. The doorbell rings at the end of the turn.
    [[nodiscard]] virtual bool try_send(ShardId to, Mail&& mail) = 0;
    virtual std::size_t free_slots(ShardId to) const = 0;
    virtual void dispatch(MailHandler& handler) = 0;
};

}  // namespace ringfort::env
