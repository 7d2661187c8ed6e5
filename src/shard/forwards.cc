#include "shard/forwards.h"

#include <algorithm>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/mail.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/sessions.h"

namespace ringfort::shard {

namespace {

constexpr Duration retry_interval = 10ms;
constexpr std::size_t slots_per_sweep = 1024;
constexpr std::size_t body_keep_max = 4 * kib;
constexpr std::size_t bucket_count = 16 * 1024;
constexpr std::uint32_t nowhere = UINT32_MAX;

// A sender stops after the piece that uses its credit up, which may be larger by one pair.
constexpr std::size_t overdraft_bytes = limits::reply_piece_bytes;
// Of one reply: at first, when it may well be short, and when it has proved long.
constexpr auto first_credit_bytes = static_cast<std::int64_t>(ShardBounds::first_reply_credit_bytes);
constexpr std::int64_t passed_bytes_max = 1 * static_cast<std::int64_t>(mib);
constexpr std::int64_t owed_bytes_max = 64 * static_cast<std::int64_t>(mib);

std::size_t reservation(std::int64_t passed) {
    return passed > 0 ? static_cast<std::size_t>(passed) + overdraft_bytes : 0;
}

bool same(const Origin& a, const Origin& b) {
    return a.kind == b.kind && a.place == b.place && a.token == b.token;
}

// Nothing happened at the place that answered so: news of the leader will come.
bool comes_back(api::Errc code) {
    return code == api::Errc::not_leader || code == api::Errc::stale_route || code == api::Errc::no_leader ||
           code == api::Errc::stopped;
}

}  // namespace

Forwards::Forwards(Context& context) : context_(context), buckets_(bucket_count, nowhere) {
    ASSERT(context.config.bounds.session_replies_bytes >= ShardBounds::session_replies_bytes_min);
}

// ------------------------------------------------------------------------------------------------ slots

std::uint64_t Forwards::token_of(const Slot& slot) const {
    return (std::uint64_t{slot.generation} << 32) | index_of(slot);
}

Forwards::Slot* Forwards::find(std::uint64_t token) {
    const std::size_t slot = token & 0xffff'ffffU;
    if (slot >= slots_.size() || slots_[slot].generation != token >> 32 || slots_[slot].state == State::free) {
        return nullptr;
    }
    return &slots_[slot];
}

std::uint32_t& Forwards::bucket_of(const Origin& origin) {
    const std::uint64_t mixed = (origin.place * 0x9e37'79b9'7f4a'7c15U + origin.token) * 0xbf58'476d'1ce4'e5b9U;
    return buckets_[(mixed >> 32) % bucket_count];
}

Forwards::Slot* Forwards::find(const Origin& origin) {
    for (std::uint32_t at = bucket_of(origin); at != nowhere; at = slots_[at].origin_next) {
        if (same(slots_[at].request.origin, origin)) {
            return &slots_[at];
        }
    }
    return nullptr;
}

Session* Forwards::session_of(const Slot& slot) const {
    const Origin& origin = slot.request.origin;
    return origin.kind == OriginKind::session ? context_.sessions->find(origin.place) : nullptr;
}

bool Forwards::full() const {
    return held_bytes_ >= context_.config.bounds.forward_bytes || count_ >= context_.config.bounds.forwards;
}

void Forwards::hold(Session& session, std::size_t bytes) {
    held_bytes_ += bytes;
    session.forwarded().request_bytes += bytes;
}

void Forwards::let_go(Session& session, std::size_t bytes) {
    held_bytes_ -= bytes;
    session.forwarded().request_bytes -= bytes;
}

void Forwards::list_pools(PoolList& out) const {
    out.push_back({"requests that another place answers", count_, context_.config.bounds.forwards});
    // Those of this shard's sessions have a bound (Sessions); what other shards pass on has theirs.
    out.push_back({"bytes of requests that another place answers", held_bytes_});
}

Forwards::Slot* Forwards::take_slot(const Request& request, Bytes body) {
    if (free_.empty()) {
        if (slots_.size() >= context_.config.bounds.forwards) {
            MARK("no room for a forward");
            return nullptr;
        }
        slots_.emplace_back();
        free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
    }
    Slot& slot = slots_[free_.back()];
    free_.pop_back();
    count_++;
    slot.request = request;
    slot.state = State::waiting;
    slot.owed_bytes = request.credit;
    slot.counted_bytes = body.size();
    slot.body.assign(body.begin(), body.end());
    held_bytes_ += slot.counted_bytes;
    enlist(slot);
    sweep_at_ = std::min(sweep_at_, context_.now + retry_interval);
    context_.want_timers(sweep_at_);
    return &slot;
}

void Forwards::release(Slot& slot) {
    set_passed(slot, 0);
    drop_body(slot);
    delist(slot);
    count_--;
    slot.state = State::free;
    slot.by_mail = false;
    slot.answered_partly = false;
    slot.generation += MUTANT(forward_token_reused) ? 0U : 1U;
    free_.push_back(index_of(slot));
}

// It is not sent again.
void Forwards::drop_body(Slot& slot) {
    held_bytes_ -= slot.counted_bytes;
    if (Session* session = session_of(slot)) {
        session->forwarded().request_bytes -= slot.counted_bytes;
    }
    slot.counted_bytes = 0;
    slot.body.clear();
    if (slot.body.capacity() > body_keep_max) {
        std::vector<std::byte>().swap(slot.body);
    }
}

void Forwards::enlist(Slot& slot) {
    const std::uint32_t index = index_of(slot);
    std::uint32_t& bucket = bucket_of(slot.request.origin);
    slot.origin_previous = nowhere;
    slot.origin_next = bucket;
    if (bucket != nowhere) {
        slots_[bucket].origin_previous = index;
    }
    bucket = index;
    if (Session* session = session_of(slot)) {
        ForwardAccount& account = session->forwarded();
        slot.session_previous = account.last;
        slot.session_next = nowhere;
        (account.last != nowhere ? slots_[account.last].session_next : account.first) = index;
        account.last = index;
        account.request_bytes += slot.counted_bytes;
    }
}

void Forwards::delist(Slot& slot) {
    (slot.origin_previous != nowhere ? slots_[slot.origin_previous].origin_next : bucket_of(slot.request.origin)) =
        slot.origin_next;
    if (slot.origin_next != nowhere) {
        slots_[slot.origin_next].origin_previous = slot.origin_previous;
    }
    if (Session* session = session_of(slot)) {
        ForwardAccount& account = session->forwarded();
        (slot.session_previous != nowhere ? slots_[slot.session_previous].session_next : account.first) =
            slot.session_next;
        (slot.session_next != nowhere ? slots_[slot.session_next].session_previous : account.last) =
            slot.session_previous;
    }
}

// ------------------------------------------------------------------------------------------------ there

api::Errc Forwards::add(const Request& request, Bytes body) {
    Slot* slot = take_slot(request, body);
    if (slot == nullptr) {
        return api::Errc::too_many_requests;
    }
    try_send(*slot);
    return api::Errc::ok;
}

api::Errc Forwards::add_mail(const Request& request, ShardId shard, Bytes body) {
    Slot* slot = take_slot(request, body);
    if (slot == nullptr) {
        return api::Errc::too_many_requests;
    }
    slot->by_mail = true;
    slot->shard = shard;
    try_send(*slot);
    return api::Errc::ok;
}

bool Forwards::try_send(Slot& slot) {
    std::int64_t credit = 0;
    if (slot.request.long_reply) {
        credit = passable(slot);
        if (credit == 0) {
            MARK("forwarded reply waits for room");
            return false;
        }
    }
    if (slot.by_mail) {
        send_to_shard(slot, credit);
    } else if (!send_to_leader(slot, credit)) {
        return false;
    }
    slot.owed_bytes -= credit;
    set_passed(slot, credit);
    return true;
}

bool Forwards::send_to_leader(Slot& slot, std::int64_t credit) {
    Replica* replica = context_.replicas->find(slot.request.range);
    if (replica == nullptr || !replica->raft().leader() || replica->raft().leader() == context_.config.self) {
        return false;
    }
    Link* link = context_.links->link_of(*replica, replica->raft().leader());
    if (link == nullptr || !link->alive()) {
        return false;
    }
    wire::Forward forward;
    forward.token = token_of(slot);
    forward.range = slot.request.range;
    forward.timeout_ns = (slot.request.deadline - context_.now).count();
    forward.kind = static_cast<std::uint8_t>(slot.request.origin.request);
    forward.reply_credit = static_cast<std::uint32_t>(credit);
    forward.body = slot.body;
    if (!link->send(forward, wire::LinkClass::forward)) {
        return false;
    }
    slot.state = State::sent;
    slot.link = link->id();
    slot.attempt = attempts_++;
    return true;
}

void Forwards::send_to_shard(Slot& slot, std::int64_t credit) {
    const Request& request = slot.request;
    env::Mail mail;
    mail.kind = static_cast<std::uint32_t>(MailKind::request);
    mail.words = {token_of(slot),
                  static_cast<std::uint64_t>(request.origin.request) | (request.redirect ? 0x100U : 0U) |
                      (static_cast<std::uint64_t>(credit) << 32),
                  request.range.value, static_cast<std::uint64_t>((request.deadline - context_.now).count())};
    mail.buffer = std::make_unique<env::MailBuffer>();
    mail.buffer->owner = context_.config.shard;
    mail.buffer->bytes.swap(slot.body);   // counted until the answer
    context_.sessions->post(slot.shard, std::move(mail));
    slot.state = State::mailed;
}

// ------------------------------------------------------------------------------------------------ credit

// How much of the credit owed may be passed on now; 0: it waits for room.
std::int64_t Forwards::passable(const Slot& slot) {
    Session* session = session_of(slot);
    if (session == nullptr) {
        return slot.owed_bytes;   // another shard's Forwards bounds it
    }
    ForwardAccount& account = session->forwarded();
    const std::size_t others = session->held_bytes() + account.reserved_bytes - reservation(slot.passed_bytes);
    // Alone on its session it always fits.
    const auto bound = static_cast<std::int64_t>(context_.config.bounds.session_replies_bytes);
    const std::int64_t alone = std::max(first_credit_bytes, bound - static_cast<std::int64_t>(overdraft_bytes));
    const std::int64_t most = slot.answered_partly ? std::min(passed_bytes_max, alone) : first_credit_bytes;
    const std::int64_t want = std::min(slot.owed_bytes, most - slot.passed_bytes);
    if (want <= 0) {
        return 0;
    }
    if (others + reservation(slot.passed_bytes + want) > context_.config.bounds.session_replies_bytes) {
        account.wants_room = true;
        return 0;
    }
    return want;
}

void Forwards::set_passed(Slot& slot, std::int64_t bytes) {
    if (Session* session = session_of(slot)) {
        session->forwarded().reserved_bytes += reservation(bytes);
        session->forwarded().reserved_bytes -= reservation(slot.passed_bytes);
    }
    slot.passed_bytes = bytes;
}

// More of a reply whose first piece has come: before that the other side may not have begun, and know nothing of it.
void Forwards::pass_credit(Slot& slot) {
    const std::int64_t bytes = slot.answered_partly ? passable(slot) : 0;
    if (bytes > 0) {
        slot.owed_bytes -= bytes;
        set_passed(slot, slot.passed_bytes + bytes);
        grant(slot, bytes);
    }
}

void Forwards::grant(Slot& slot, std::int64_t bytes) {
    if (slot.state == State::mailed) {
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::credit);
        mail.words = {token_of(slot), static_cast<std::uint64_t>(bytes), 0, 0};
        context_.sessions->post(slot.shard, std::move(mail));
    } else if (slot.state == State::sent) {
        if (Link* link = context_.links->find(slot.link)) {
            link->send(wire::ForwardCredit{token_of(slot), static_cast<std::uint64_t>(bytes)},
                       wire::LinkClass::control);
        }
    }
}

void Forwards::on_credit(const Origin& origin, std::uint32_t bytes) {
    Slot* slot = find(origin);
    if (slot == nullptr || !slot->request.long_reply) {
        return;
    }
    slot->owed_bytes = std::min(slot->owed_bytes + std::int64_t{bytes}, owed_bytes_max);
    pass_credit(*slot);
}

void Forwards::on_room(Session& session) {
    ForwardAccount& account = session.forwarded();
    if (!account.wants_room) {
        return;
    }
    account.wants_room = false;
    for (std::uint32_t at = account.first; at != nowhere && !account.wants_room; at = slots_[at].session_next) {
        Slot& slot = slots_[at];
        if (slot.state != State::waiting) {
            pass_credit(slot);
        } else if (slot.request.long_reply) {
            try_send(slot);
        }
    }
}

// ------------------------------------------------------------------------------------------------ back

void Forwards::answer(Slot& slot, api::Errc code) {
    const Origin origin = slot.request.origin;
    release(slot);
    context_.router->answer_error(origin, code, "", {});
}

bool Forwards::on_reply(std::uint64_t token, std::uint8_t kind, std::uint8_t flags, Bytes body) {
    Slot* slot = find(token);
    if (slot == nullptr || slot->state == State::waiting) {
        MARK("answer to a forward nobody waits for");
        return false;   // answered meanwhile: deadline or a lost link
    }
    if ((flags & wire::flag_error) != 0 && !slot->answered_partly) {
        Arena arena(4 * kib);
        const auto response = wire::decode_response(static_cast<wire::ClientKind>(kind), flags, body, arena);
        const auto* error = response && !response->ok() ? std::get_if<api::ErrorInfo>(&response->body) : nullptr;
        if (error != nullptr && slot->state == State::sent && comes_back(error->code)) {
            MARK("forward came back");
            wait_again(*slot);
            return true;
        }
    }
    const Origin origin = slot->request.origin;
    const bool more = (flags & wire::flag_more) != 0;
    if (more) {
        if (!slot->answered_partly) {
            slot->answered_partly = true;
            drop_body(*slot);
        }
        set_passed(*slot, slot->passed_bytes - static_cast<std::int64_t>(limits::frame_header_bytes + body.size()));
    } else {
        release(*slot);
    }
    context_.router->relay_reply(origin, kind, flags, body);
    if (more) {
        slot = find(token);   // relaying may have closed the session
        if (slot != nullptr) {
            pass_credit(*slot);
        }
    }
    if (Session* session = origin.kind == OriginKind::session ? context_.sessions->find(origin.place) : nullptr) {
        on_room(*session);
    }
    return true;
}

// What was sent to a leader that is gone: a read is asked again, a write may have happened or not.
void Forwards::lose(Slot& slot) {
    if ((slot.request.write && !MUTANT(write_forwarded_twice)) || slot.answered_partly) {
        MARK("forwarded write lost its link");
        answer(slot, api::Errc::leader_changed);
        return;
    }
    MARK("forwarded read lost its link");
    wait_again(slot);
}

// Every attempt has a token of its own: a silent link may speak again, and pieces of an answer to an earlier attempt must
// not mix with those of the next.
void Forwards::wait_again(Slot& slot) {
    slot.generation++;
    slot.state = State::waiting;
    slot.owed_bytes += slot.passed_bytes;
    set_passed(slot, 0);
    sweep_at_ = std::min(sweep_at_, context_.now + retry_interval);
    context_.want_timers(sweep_at_);
}

void Forwards::tell_cancelled(Slot& slot) {
    if (slot.state == State::mailed) {
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::cancel);
        mail.words = {token_of(slot), 0, 0, 0};
        context_.sessions->post(slot.shard, std::move(mail));
    } else if (slot.state == State::sent) {
        if (Link* link = context_.links->find(slot.link)) {
            link->send(wire::ForwardCancel{token_of(slot)}, wire::LinkClass::control);
        }
    }
}

bool Forwards::on_cancel(const Origin& origin) {
    Slot* slot = find(origin);
    if (slot != nullptr) {
        tell_cancelled(*slot);
        answer(*slot, api::Errc::cancelled);
    }
    return slot != nullptr;
}

// ------------------------------------------------------------------------------------------------ news

void Forwards::sweep_soon() {
    sweep_at_ = context_.now;
    context_.want_timers(sweep_at_);
}

void Forwards::on_link_lost(std::uint64_t link) {
    if (count_ > 0) {
        lost_links_.push_back({link, attempts_, slots_.size(), slots_.size()});
        sweep_soon();
    }
}

void Forwards::on_leader_known(RangeId) {
    if (count_ > 0) {
        round_left_ = slots_.size();
        sweep_soon();
    }
}

void Forwards::on_session_gone(Session& session) {
    for (std::uint32_t at = session.forwarded().first; at != nowhere;) {
        Slot& slot = slots_[at];
        at = slot.session_next;
        tell_cancelled(slot);
        release(slot);
    }
}

// ------------------------------------------------------------------------------------------------ time

void Forwards::on_timers(Instant now) {
    if (now < sweep_at_) {
        return;
    }
    round_left_ = round_left_ == 0 ? slots_.size() : round_left_;
    const std::size_t begin = sweep_next_;
    const std::size_t end = std::min(begin + slots_per_sweep, slots_.size());
    for (; sweep_next_ < end; sweep_next_++) {
        if (slots_[sweep_next_].state != State::free) {
            sweep_slot(slots_[sweep_next_], now);
        }
    }
    sweep_next_ = end < slots_.size() ? end : 0;
    round_left_ -= std::min(round_left_, end - begin);
    for (LostLink& lost : lost_links_) {
        const std::size_t looked_at = std::min(end, lost.slot_end) - std::min(begin, lost.slot_end);
        ASSERT(looked_at <= lost.slots_left);
        lost.slots_left -= looked_at;
    }
    std::erase_if(lost_links_, [](const LostLink& lost) { return lost.slots_left == 0; });
    const bool goes_on = round_left_ > 0 || !lost_links_.empty();
    sweep_at_ = goes_on ? now : count_ > 0 ? now + retry_interval : never;
}

void Forwards::sweep_slot(Slot& slot, Instant now) {
    const bool lost = slot.state == State::sent &&
                      std::any_of(lost_links_.begin(), lost_links_.end(), [&slot](const LostLink& link) {
                          return link.link == slot.link && slot.attempt < link.attempt_end;
                      });
    if (lost) {
        lose(slot);
        if (slot.state == State::free) {
            return;
        }
    }
    // A reply that flows is ended by whoever sends it, when it is not taken.
    if (now >= slot.request.deadline && !slot.answered_partly) {
        tell_cancelled(slot);
        answer(slot, slot.state == State::waiting && slot.request.write ? api::Errc::no_leader : api::Errc::timed_out);
        return;
    }
    if (slot.state != State::waiting) {
        return;
    }
    Replica* replica = slot.by_mail ? nullptr : context_.replicas->find(slot.request.range);
    // Without a leader for longer than an election takes, this node may be the only one that hears none: whoever asked may
    // find another node, and is told that nothing was proposed.
    if (replica != nullptr && !slot.answered_partly &&
        replica->leaderless_for(now) >= context_.config.election_timeout) {
        MARK("forward gives up: no leader for long");
        answer(slot, api::Errc::no_leader);
        return;
    }
    if (replica != nullptr && replica->raft().is_leader()) {
        // The leader is here now: the request is handled like a new one.
        MARK("forward finds the leader here");
        const Request request = slot.request;
        std::vector<std::byte> body;
        body.swap(slot.body);
        const std::int64_t credit = slot.owed_bytes;
        release(slot);
        context_.router->route_again(request.origin, body, request.deadline, credit);
        return;
    }
    try_send(slot);
}

void Forwards::fail_all(api::Errc code) {
    for (Slot& slot : slots_) {
        if (slot.state != State::free) {
            answer(slot, slot.state == State::waiting ? api::Errc::stopped : code);
        }
    }
}

}  // namespace ringfort::shard
