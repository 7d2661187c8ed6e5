// Wakes a shard from a thread that has no ring, and from shards whose kernel lacks ring messages: an eventfd that the
// shard's ring always reads.
#pragma once

#include <cstdint>

#include "uring/completion.h"
#include "uring/ring.h"

namespace ringfort::uring {

class Doorbell {
  public:
    Doorbell();
    ~Doorbell();
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;

    // From any thread; never blocks.
    void ring();
    // On the shard's thread: from now on a ring wakes this ring.
    void attach(Ring& ring);
    int fd() const { return fd_; }
    // The target of ring messages: what they deliver wakes the shard and says nothing else.
    Completion& message_target() { return message_; }

  private:
    static void on_read(Completion& completion, int result, std::uint32_t flags);
    void arm();

    int fd_;
    std::uint64_t count_{0};
    Ring* ring_{nullptr};
    Completion read_;
    Completion message_;
};

}  // namespace ringfort::uring
