#include "uring/shard_mailbox.h"

#include "base/assertion.h"

namespace ringfort::uring {

ShardMailbox::Target::Target(ShardMailbox* mailbox) : message(&ShardMailbox::on_message_failed, mailbox) {}

ShardMailbox::ShardMailbox(Ring& ring, MailboxHub& hub, ShardId self) : ring_(ring), hub_(hub), self_(self) {
    ASSERT(self.value < hub.shard_count());
    for (std::size_t i = 0; i < hub.shard_count(); i++) {
        targets_.push_back(std::make_unique<Target>(this));
        targets_.back()->shard = i;
    }
    sent_to_.reserve(hub.shard_count());
    hub_.doorbell(self.value).attach(ring);
    hub_.set_ring(self.value, ring.fd());
}

ShardMailbox::~ShardMailbox() {
    hub_.set_ring(self_.value, -1);
}

bool ShardMailbox::try_send(ShardId to, env::Mail&& mail) {
    if (!hub_.mail_to(self_.value, to.value).try_push(std::move(mail))) {
        return false;
    }
    note_sent(to);
    return true;
}

std::size_t ShardMailbox::free_slots(ShardId to) const {
    return hub_.mail_to(self_.value, to.value).free_slots();
}

void ShardMailbox::note_sent(ShardId to) {
    ASSERT(to.value < targets_.size());
    Target& target = *targets_[to.value];
    if (!target.sent) {
        target.sent = true;
        sent_to_.push_back(to.value);
    }
}

void ShardMailbox::dispatch(env::MailHandler& handler) {
    for (std::size_t from = 0; from < hub_.shard_count(); from++) {
        SpscQueue<env::Mail>* queue = hub_.mail_from(from, self_.value);
        if (queue == nullptr) {
            continue;
        }
        // At most one queue's capacity in a turn: a sender that never stops does not hold the turn.
        env::Mail mail;
        for (std::size_t i = 0; i < queue->capacity() && queue->try_pop(mail); i++) {
            handler.on_mail(ShardId(from), std::move(mail));
        }
    }
}

void ShardMailbox::ring_doorbells() {
    for (const std::size_t to : sent_to_) {
        targets_[to]->sent = false;
        // A mail to oneself is seen by the loop before it sleeps.
        if (to == self_.value || !hub_.must_ring(to)) {
            continue;
        }
        const int target_ring = hub_.ring_fd(to);
        if (target_ring < 0 || !ring_.features().has(Feature::message_ring)) {
            hub_.doorbell(to).ring();
            continue;
        }
        io_uring_sqe* sqe = ring_.next_request(&targets_[to]->message);
        const auto target_data = reinterpret_cast<std::uintptr_t>(&hub_.doorbell(to).message_target());
        io_uring_prep_msg_ring(sqe, target_ring, 0, target_data, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    sent_to_.clear();
}

void ShardMailbox::on_message_failed(Completion& completion, int result, std::uint32_t) {
    if (result >= 0) {
        return;
    }
    auto* self = static_cast<ShardMailbox*>(completion.context);
    for (const std::unique_ptr<Target>& target : self->targets_) {
        if (&target->message == &completion) {
            self->hub_.doorbell(target->shard).ring();
        }
    }
    // A full completion queue passes; anything else means that this kernel cannot do it.
    if (result != -EOVERFLOW) {
        self->ring_.drop_feature(Feature::message_ring);
    }
}

}  // namespace ringfort::uring
