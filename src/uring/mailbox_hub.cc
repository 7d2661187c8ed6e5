#include "uring/mailbox_hub.h"

#include <unistd.h>

#include <algorithm>

#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::uring {

MailboxHub::MailboxHub(std::size_t shard_count)
    : mails_per_pair_(std::max<std::size_t>(64, 4096 / std::max<std::size_t>(1, shard_count))),
      pairs_(shard_count * shard_count) {
    ASSERT(shard_count >= 1);
    ASSERT(shard_count <= limits::shards_max);
    for (std::size_t i = 0; i < shard_count; i++) {
        shards_.push_back(std::make_unique<ShardState>());
    }
}

MailboxHub::~MailboxHub() {
    for (std::atomic<Pair*>& slot : pairs_) {
        std::unique_ptr<Pair> pair(slot.load());
        HandedConnection left;
        while (pair && pair->connections.try_pop(left)) {
            close(left.fd);
        }
    }
}

MailboxHub::Pair* MailboxHub::existing(std::size_t from, std::size_t to) const {
    return pairs_[(from * shards_.size()) + to].load(std::memory_order_acquire);
}

MailboxHub::Pair& MailboxHub::made(std::size_t from, std::size_t to) {
    ASSERT(from < shards_.size());
    ASSERT(to < shards_.size());
    Pair* pair = existing(from, to);
    if (pair == nullptr) {
        pair = new Pair(mails_per_pair_);
        pairs_[(from * shards_.size()) + to].store(pair, std::memory_order_release);
    }
    return *pair;
}

SpscQueue<env::Mail>* MailboxHub::mail_from(std::size_t from, std::size_t to) {
    Pair* pair = existing(from, to);
    return pair == nullptr ? nullptr : &pair->mail;
}

SpscQueue<HandedConnection>* MailboxHub::connections_from(std::size_t from, std::size_t to) {
    Pair* pair = existing(from, to);
    return pair == nullptr ? nullptr : &pair->connections;
}

bool MailboxHub::has_mail(std::size_t shard) const {
    for (std::size_t from = 0; from < shards_.size(); from++) {
        const Pair* pair = existing(from, shard);
        if (pair != nullptr && (!pair->mail.empty() || !pair->connections.empty())) {
            return true;
        }
    }
    return false;
}

bool MailboxHub::fall_asleep(std::size_t shard) {
    shards_[shard]->asleep.exchange(true, std::memory_order_acq_rel);
    if (has_mail(shard)) {
        wake_up(shard);
        return false;
    }
    return true;
}

void MailboxHub::wake_up(std::size_t shard) {
    shards_[shard]->asleep.store(false, std::memory_order_relaxed);
}

bool MailboxHub::must_ring(std::size_t shard) {
    return shards_[shard]->asleep.exchange(false, std::memory_order_acq_rel);
}

}  // namespace ringfort::uring
