// What the shards of one node share: a queue from each to each, and who sleeps.
//
// A shard about to sleep says so and then looks at its queues once more; a sender pushes and then asks whether the
// receiver sleeps. Both use one read-modify-write on `asleep`, which puts them in an order: either the sender sees the
// flag and rings, or the receiver sees the mail.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "env/mailbox.h"
#include "env/network.h"
#include "uring/doorbell.h"
#include "uring/spsc_queue.h"

namespace ringfort::uring {

// A connection on its way to another shard: its socket, and bytes received and not consumed.
struct HandedConnection {
    int fd{-1};
    env::ConnectionClass cls{};
    std::vector<std::byte> bytes;
};

class MailboxHub {
  public:
    explicit MailboxHub(std::size_t shard_count);
    ~MailboxHub();
    MailboxHub(const MailboxHub&) = delete;
    MailboxHub& operator=(const MailboxHub&) = delete;

    std::size_t shard_count() const { return shards_.size(); }
    Doorbell& doorbell(std::size_t shard) { return shards_[shard]->doorbell; }

    // The queues of a pair; made by the producer at first use. Requires: called on `from`'s thread.
    SpscQueue<env::Mail>& mail_to(std::size_t from, std::size_t to) { return made(from, to).mail; }
    SpscQueue<HandedConnection>& connections_to(std::size_t from, std::size_t to) {
        return made(from, to).connections;
    }
    // As the consumer sees them: null while the producer never sent anything.
    SpscQueue<env::Mail>* mail_from(std::size_t from, std::size_t to);
    SpscQueue<HandedConnection>* connections_from(std::size_t from, std::size_t to);

    // On `shard`'s thread. true: it may sleep, whoever sends now will ring. false: something came.
    bool fall_asleep(std::size_t shard);
    void wake_up(std::size_t shard);
    // By whoever sent something to it, after the push: true if the shard sleeps and the caller has to ring.
    bool must_ring(std::size_t shard);
    bool has_mail(std::size_t shard) const;

    // The shard's ring for messages; -1 while it has none.
    void set_ring(std::size_t shard, int fd) { shards_[shard]->ring_fd.store(fd, std::memory_order_release); }
    int ring_fd(std::size_t shard) const { return shards_[shard]->ring_fd.load(std::memory_order_acquire); }

  private:
    struct Pair {
        explicit Pair(std::size_t mails) : mail(mails), connections(connections_max) {}
        SpscQueue<env::Mail> mail;
        SpscQueue<HandedConnection> connections;
    };
    struct alignas(64) ShardState {
        std::atomic<bool> asleep{false};
        std::atomic<int> ring_fd{-1};
        Doorbell doorbell;
    };
    static constexpr std::size_t connections_max = 64;

    Pair& made(std::size_t from, std::size_t to);
    Pair* existing(std::size_t from, std::size_t to) const;

    std::size_t mails_per_pair_;
    std::vector<std::unique_ptr<ShardState>> shards_;
    std::vector<std::atomic<Pair*>> pairs_;   // [from * shard_count + to]; owned
};

}  // namespace ringfort::uring
