#include "shard/forwards.h"

#include <algorithm>

#include "shard/mail.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

constexpr std::size_t forwards_max = 64 * 1024;
constexpr Duration retry_interval = 10ms;
constexpr std::size_t body_keep_max = 4 * kib;

}  // namespace

Forwards::Forwards(Context& context) : context_(context) {}

std::uint64_t Forwards::token_of(std::size_t slot) const {
    return (std::uint64_t{slots_[slot].generation} << 32) | slot;
}

Forwards::Slot* Forwards::find(std::uint64_t token) {
    const std::size_t slot = token & 0xffff'ffffU;
    if (slot >= slots_.size() || slots_[slot].generation != token >> 32 || slots_[slot].state == State::free) {
        return nullptr;
    }
    return &slots_[slot];
}

Forwards::Slot* Forwards::take_slot() {
    if (free_.empty()) {
        if (slots_.size() >= forwards_max) {
            return nullptr;
        }
        slots_.emplace_back();
        free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
    }
    Slot* slot = &slots_[free_.back()];
    free_.pop_back();
    count_++;
    return slot;
}

void Forwards::release(Slot& slot) {
    slot.state = State::free;
    slot.generation++;
    slot.answered_partly = false;
    slot.body.clear();
    if (slot.body.capacity() > body_keep_max) {
        std::vector<std::byte>().swap(slot.body);
    }
    free_.push_back(static_cast<std::uint32_t>(&slot - slots_.data()));
    count_--;
}

api::Errc Forwards::add(const Request& request, Bytes body) {
    Slot* slot = take_slot();
    if (slot == nullptr) {
        return api::Errc::too_many_requests;
    }
    slot->request = request;
    slot->body.assign(body.begin(), body.end());
    slot->state = State::waiting;
    if (!try_send(*slot)) {
        retry_at_ = std::min(retry_at_, context_.now + retry_interval);
        context_.want_timers(retry_at_);
    }
    return api::Errc::ok;
}

api::Errc Forwards::add_mail(const Request& request, ShardId shard, Bytes body) {
    Slot* slot = take_slot();
    if (slot == nullptr) {
        return api::Errc::too_many_requests;
    }
    slot->request = request;
    slot->shard = shard;
    env::Mail mail;
    mail.kind = static_cast<std::uint32_t>(MailKind::request);
    mail.words = {token_of(static_cast<std::size_t>(slot - slots_.data())),
                  static_cast<std::uint64_t>(request.origin.request) | (request.redirect ? 0x100U : 0U),
                  request.range.value, static_cast<std::uint64_t>((request.deadline - context_.now).count())};
    mail.buffer = std::make_unique<env::MailBuffer>();
    mail.buffer->owner = context_.config.shard;
    mail.buffer->bytes.assign(body.begin(), body.end());
    if (!context_.world.mailbox.try_send(shard, std::move(mail))) {
        slot->state = State::waiting;
        release(*slot);
        return api::Errc::too_many_requests;
    }
    slot->state = State::mailed;
    return api::Errc::ok;
}

bool Forwards::try_send(Slot& slot) {
    Replica* replica = context_.replicas->find(slot.request.range);
    if (replica == nullptr || !replica->raft().leader() || replica->raft().leader() == context_.config.self) {
        return false;
    }
    Link* link = context_.links->link_of(*replica, replica->raft().leader());
    if (link == nullptr || !link->alive()) {
        return false;
    }
    wire::Forward forward;
    forward.token = token_of(static_cast<std::size_t>(&slot - slots_.data()));
    forward.range = slot.request.range;
    forward.timeout_ns = (slot.request.deadline - context_.now).count();
    forward.kind = static_cast<std::uint8_t>(slot.request.origin.request);
    forward.body = slot.body;
    if (!link->send(forward, wire::LinkClass::forward)) {
        return false;
    }
    slot.state = State::sent;
    slot.link = link->id();
    return true;
}

void Forwards::answer(Slot& slot, api::Errc code) {
    const Origin origin = slot.request.origin;
    release(slot);
    context_.router->answer_error(origin, code, "", {});
}

void Forwards::on_reply(std::uint64_t token, std::uint8_t kind, std::uint8_t flags, Bytes body) {
    Slot* slot = find(token);
    if (slot == nullptr || slot->state == State::waiting) {
        return;   // answered meanwhile: deadline or a lost link
    }
    if ((flags & wire::flag_error) != 0 && !slot->answered_partly) {
        Arena arena(4 * kib);
        const auto response = wire::decode_response(static_cast<wire::ClientKind>(kind), flags, body, arena);
        const auto* error = response && !response->ok() ? std::get_if<api::ErrorInfo>(&response->body) : nullptr;
        if (error != nullptr && slot->state == State::sent &&
            (error->code == api::Errc::not_leader || error->code == api::Errc::stale_route ||
             error->code == api::Errc::no_leader || error->code == api::Errc::stopped)) {
            // It did not happen: wait for news of the leader and try again.
            wait_again(*slot);
            return;
        }
    }
    const Origin origin = slot->request.origin;
    if ((flags & wire::flag_more) != 0) {
        slot->answered_partly = true;
    } else {
        release(*slot);
    }
    context_.router->relay_reply(origin, kind, flags, body);
}

// What was sent to a leader that is gone: a read is asked again, a write may have happened or not.
void Forwards::lose(Slot& slot) {
    if (slot.request.write || slot.answered_partly) {
        answer(slot, api::Errc::leader_changed);
        return;
    }
    wait_again(slot);
}

// Every attempt has a token of its own: a silent link may speak again, and pieces of an answer to an earlier attempt must
// not mix with those of the next.
void Forwards::wait_again(Slot& slot) {
    slot.generation++;
    slot.state = State::waiting;
    retry_at_ = std::min(retry_at_, context_.now + retry_interval);
}

void Forwards::on_link_lost(std::uint64_t link) {
    for (Slot& slot : slots_) {
        if (slot.state == State::sent && slot.link == link) {
            lose(slot);
        }
    }
}

void Forwards::on_leader_known(RangeId range) {
    if (count_ == 0) {
        return;
    }
    for (const Slot& slot : slots_) {
        if (slot.state == State::waiting && slot.request.range == range) {
            retry_at_ = context_.now;
            context_.want_timers(retry_at_);
            return;
        }
    }
}

void Forwards::on_timers(Instant now) {
    if (now < retry_at_) {
        return;
    }
    retry_at_ = never;
    for (std::size_t i = 0; i < slots_.size(); i++) {
        Slot& slot = slots_[i];
        if (slot.state == State::free) {
            continue;
        }
        if (now >= slot.request.deadline) {
            const bool never_left = slot.state == State::waiting && !slot.answered_partly;
            if (slot.state == State::sent) {
                if (Link* link = context_.links->find(slot.link)) {
                    link->send(wire::ForwardCancel{token_of(i)}, wire::LinkClass::control);
                }
            }
            answer(slot, never_left && slot.request.write ? api::Errc::no_leader : api::Errc::timed_out);
            continue;
        }
        if (slot.state == State::waiting) {
            Replica* replica = context_.replicas->find(slot.request.range);
            if (replica != nullptr && replica->raft().is_leader()) {
                // The leader is here now: the request is handled like a new one.
                const Request request = slot.request;
                std::vector<std::byte> body;
                body.swap(slot.body);
                release(slot);
                context_.router->route_again(request.origin, body, request.deadline);
            } else {
                try_send(slot);
            }
        }
    }
    if (count_ > 0) {
        retry_at_ = std::min(retry_at_, now + retry_interval);
    }
}

Instant Forwards::next_deadline() const {
    return count_ > 0 ? std::min(retry_at_, context_.now + retry_interval) : retry_at_;
}

void Forwards::on_credit(const Origin& origin, std::uint32_t bytes) {
    for (std::size_t i = 0; i < slots_.size(); i++) {
        const Slot& slot = slots_[i];
        const Origin& of = slot.request.origin;
        if (slot.state == State::free || of.kind != origin.kind || of.place != origin.place || of.token != origin.token) {
            continue;
        }
        if (slot.state == State::mailed) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::credit);
            mail.words = {token_of(i), bytes, 0, 0};
            if (!context_.world.mailbox.try_send(slot.shard, std::move(mail))) {
                on_cancel(origin);
            }
        } else if (slot.state == State::sent) {
            if (Link* link = context_.links->find(slot.link)) {
                link->send(wire::ForwardCredit{token_of(i), bytes}, wire::LinkClass::control);
            }
        }
        return;
    }
}

void Forwards::on_cancel(const Origin& origin) {
    for (std::size_t i = 0; i < slots_.size(); i++) {
        Slot& slot = slots_[i];
        const Origin& of = slot.request.origin;
        if (slot.state == State::free || of.kind != origin.kind || of.place != origin.place || of.token != origin.token) {
            continue;
        }
        if (slot.state == State::mailed) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::cancel);
            mail.words = {token_of(i), 0, 0, 0};
            discard(context_.world.mailbox.try_send(slot.shard, std::move(mail)),
                    "the other shard finishes the reply by itself, and it is dropped here");
        } else if (slot.state == State::sent) {
            if (Link* link = context_.links->find(slot.link)) {
                link->send(wire::ForwardCancel{token_of(i)}, wire::LinkClass::control);
            }
        }
        answer(slot, api::Errc::cancelled);
        return;
    }
}

void Forwards::on_origin_gone(OriginKind kind, std::uint64_t place) {
    for (Slot& slot : slots_) {
        if (slot.state != State::free && slot.request.origin.kind == kind && slot.request.origin.place == place) {
            slot.request.origin.kind = OriginKind::none;
            if (slot.state == State::waiting) {
                release(slot);
            }
        }
    }
}

void Forwards::fail_all(api::Errc code) {
    for (Slot& slot : slots_) {
        if (slot.state != State::free) {
            answer(slot, slot.state == State::waiting ? api::Errc::stopped : code);
        }
    }
}

}  // namespace ringfort::shard
