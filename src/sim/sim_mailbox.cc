#include "sim/sim_mailbox.h"

#include "base/assertion.h"

namespace ringfort::sim {

MailboxGroup::MailboxGroup(std::size_t shard_count, std::size_t capacity)
    : capacity_(shard_count * shard_count, capacity), wakers_(shard_count) {
    ASSERT(shard_count > 0);
    for (std::size_t i = 0; i < shard_count; i++) {
        boxes_.push_back(std::make_unique<SimMailbox>(*this, ShardId(i)));
    }
    for (std::size_t i = 0; i < shard_count * shard_count; i++) {
        queues_.emplace_back(capacity);
    }
}

MailboxGroup::~MailboxGroup() = default;

SimMailbox& MailboxGroup::mailbox(ShardId shard) {
    ASSERT(shard.value < boxes_.size());
    return *boxes_[shard.value];
}

void MailboxGroup::set_waker(ShardId shard, Waker waker) {
    ASSERT(shard.value < wakers_.size());
    wakers_[shard.value] = waker;
}

RingQueue<env::Mail>& MailboxGroup::queue(ShardId from, ShardId to) {
    ASSERT(from.value < boxes_.size() && to.value < boxes_.size());
    return queues_[from.value * boxes_.size() + to.value];
}

bool SimMailbox::try_send(ShardId to, env::Mail&& mail) {
    if (free_slots(to) == 0) {
        return false;
    }
    group_.queue(self_, to).push(std::move(mail));
    group_.wakers_[to.value]();
    return true;
}

std::size_t SimMailbox::free_slots(ShardId to) const {
    const std::size_t used = group_.queue(self_, to).count();
    const std::size_t capacity = group_.capacity_[self_.value * group_.shard_count() + to.value];
    ASSERT(used <= capacity);
    return capacity - used;
}

void SimMailbox::dispatch(env::MailHandler& handler) {
    for (std::size_t from = 0; from < group_.shard_count(); from++) {
        auto& queue = group_.queue(ShardId(from), self_);
        // Mail sent to oneself while handling waits for the next dispatch.
        for (std::size_t left = queue.count(); left > 0; left--) {
            handler.on_mail(ShardId(from), queue.pop());
        }
    }
}

}  // namespace ringfort::sim
