#include "shard/sessions.h"

#include <algorithm>

#include "shard/forwards.h"
#include "shard/hash_walks.h"
#include "shard/streams.h"
#include "shard/watches.h"

namespace ringfort::shard {

Sessions::Sessions(Context& context) : context_(context), retired_(context.world.network) {}

Sessions::~Sessions() = default;

void Sessions::start() {
    context_.world.network.set_listener(env::ConnectionClass::client, *this);
}

void Sessions::on_accepted(env::ConnectionId connection, std::string_view) {
    if (live_ >= context_.config.connections_max || context_.stopping) {
        context_.world.network.close(connection);
        return;
    }
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(sessions_.size()));
        sessions_.emplace_back();
        generations_.push_back(1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    const std::uint64_t id = (std::uint64_t{generations_[slot]} << 32) | slot;
    sessions_[slot] = std::make_unique<Session>(context_, connection, id);
    live_++;
    context_.world.network.set_handler(connection, *sessions_[slot]);
}

Session* Sessions::find(std::uint64_t id) const {
    const std::size_t slot = id & 0xffff'ffffU;
    return slot < sessions_.size() && generations_[slot] == id >> 32 ? sessions_[slot].get() : nullptr;
}

void Sessions::reply(const Origin& origin, const api::Response& response) {
    if (Session* session = find(origin.place)) {
        session->reply(origin, response);
    }
}

void Sessions::relay(const Origin& origin, std::uint8_t kind, std::uint8_t flags, Bytes body) {
    if (Session* session = find(origin.place)) {
        session->relay(origin, kind, flags, body);
    }
}

std::size_t Sessions::held_bytes(std::uint64_t id) const {
    const Session* session = find(id);
    return session != nullptr ? session->held_bytes() : 0;
}

void Sessions::on_closed(Session& session) {
    const std::uint64_t id = session.id();
    const auto slot = static_cast<std::uint32_t>(id & 0xffff'ffffU);
    context_.streams->on_origin_gone(OriginKind::session, id);
    context_.hash_walks->on_origin_gone(OriginKind::session, id);
    context_.watches->on_session_gone(session);
    context_.forwards->on_session_gone(session);
    closed_.push_back(std::move(sessions_[slot]));
    generations_[slot]++;
    free_.push_back(slot);
    live_--;
}

ShardId Sessions::shard_for(const wire::ClientHello& hello) const {
    if (hello.has_shard) {
        return hello.shard.value < context_.config.shard_count ? hello.shard : context_.config.shard;
    }
    if (context_.directory == nullptr || !context_.directory->bootstrapped()) {
        return context_.config.shard;
    }
    // Where the key's range lives; without a key the first range's shard: with one range that saves every hop.
    return shard_of(context_.directory->range_of(hello.key).id, context_.config.shard_count);
}

// ------------------------------------------------------------------------------------------------ the turn

void Sessions::mark_dirty(Session& session) {
    if (dirty_.empty() || dirty_.back() != session.id()) {
        dirty_.push_back(session.id());
    }
}

void Sessions::mark_blocked(Session& session) {
    blocked_.push_back(session.id());
}

void Sessions::post(ShardId to, env::Mail&& mail) {
    if (!unposted_.empty() || !context_.world.mailbox.try_send(to, std::move(mail))) {
        unposted_.emplace_back(to, std::move(mail));
        context_.want_timers(context_.now);   // no news tells that there is room
    }
}

void Sessions::flush() {
    while (!unposted_.empty() &&
           context_.world.mailbox.try_send(unposted_.front().first, std::move(unposted_.front().second))) {
        unposted_.pop_front();
    }
    if (!unposted_.empty()) {
        context_.want_timers(context_.now);
    }
    for (std::size_t i = 0; i < dirty_.size(); i++) {
        if (Session* session = find(dirty_[i])) {
            session->flush();
        }
    }
    dirty_.clear();
    resume_blocked();
    closed_.clear();
    retired_.collect();
}

void Sessions::resume_blocked() {
    resuming_.swap(blocked_);
    for (const std::uint64_t id : resuming_) {
        Session* session = find(id);
        if (session != nullptr && session->may_resume()) {
            session->resume();   // marks itself again where it must
        } else if (session != nullptr && session->blocked()) {
            blocked_.push_back(id);
        }
    }
    resuming_.clear();
}

void Sessions::on_timers(Instant now) {
    for (std::size_t i = 0; i < sessions_.size(); i++) {
        if (sessions_[i] && now >= sessions_[i]->deadline()) {
            sessions_[i]->on_late();
        }
    }
}

Instant Sessions::next_deadline() const {
    // Hellos that never come, and ends, are looked for once a second: their bounds are not sharp.
    return live_ > 0 ? context_.now + 1s : never;
}

HeldView Sessions::held() const {
    HeldView view;
    for (const auto& session : sessions_) {
        if (session) {
            view.replies += session->held_bytes();
            view.requests += session->unused_bytes();
        }
    }
    return view;
}

void Sessions::list_pools(PoolList& out) const {
    std::size_t in_flight = 0;
    std::size_t set_aside = 0;
    std::size_t forwarded = 0;
    std::size_t reserved = 0;
    for (const auto& session : sessions_) {
        in_flight = std::max(in_flight, session ? session->in_flight() : 0);
        set_aside += session ? session->set_aside_bytes() : 0;
        forwarded += session ? session->forwarded().request_bytes : 0;
        reserved = std::max(reserved, session ? session->forwarded().reserved_bytes : 0);
    }
    out.push_back({"bytes of requests set aside", set_aside});
    out.push_back({"requests in flight on one connection", in_flight, context_.config.bounds.connection_requests});
    // At the bound every session may have one more.
    out.push_back({"bytes of own requests that another place answers", forwarded,
                   context_.config.bounds.forward_bytes + live_ * (context_.request_bytes() + 64 * kib)});
    out.push_back({"bytes of replies to come on one connection", reserved, context_.config.bounds.session_replies_bytes});
    out.push_back({"mail for other shards", unposted_.size()});
    out.push_back({"sessions at a bound", blocked_.size()});
}

void Sessions::say_goodbye() {
    for (std::size_t i = 0; i < sessions_.size(); i++) {
        if (sessions_[i]) {
            sessions_[i]->say_goodbye();
        }
    }
}

}  // namespace ringfort::shard
