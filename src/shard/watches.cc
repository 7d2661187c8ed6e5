#include "shard/watches.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "api/key_range.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "shard/forwards.h"
#include "shard/mail.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/sessions.h"

namespace ringfort::shard {

namespace {

constexpr std::size_t header_request_id_at = 8;
constexpr std::size_t header_flags_at = 5;
constexpr std::string_view empty_range_reason = "mvcc: watcher range is empty";
// A node that hears no leader for so many election timeouts says so to those who want to know.
constexpr int leaderless_timeouts = 3;

// What is kept of a request's keys: the first, and behind it the end. That of a single key is the key and a zero byte,
// which overlap.
struct Keys {
    std::string_view begin, end;
    bool point{false};
    bool no_end{false};
    std::size_t text_bytes() const { return begin.size() + (point ? 1 : end.size()); }
};

Keys keys_of(const api::WatchRequest& request) {
    Keys out;
    out.begin = request.key.empty() ? std::string_view("\0", 1) : request.key;   // etcd: no key is the smallest one
    const api::KeyRange range{out.begin, request.range_end};
    out.point = api::is_point(range);
    if (!out.point) {
        const api::Interval interval = api::interval_of(range);
        out.no_end = !interval.end;
        out.end = interval.end.value_or(std::string_view{});
    }
    return out;
}

}  // namespace

Watches::Watches(Context& context) : context_(context), table_(watchers_, context.prng.next()) {}
Watches::~Watches() = default;

// ------------------------------------------------------------------------------------------------ tables

std::uint32_t Watches::find(const SinkKey& key, std::uint64_t request_id) const {
    const auto sink = sink_by_key_.find(key);
    return sink != sink_by_key_.end() ? table_.find(sink->second, request_id) : no_slot;
}

std::uint32_t Watches::sink_for(const SinkKey& key) {
    const auto [at, added] = sink_by_key_.emplace(key, no_slot);
    if (added) {
        at->second = sinks_.take();
        WatchSink& sink = sinks_[at->second];
        sink.shard = ShardId(key[0]);
        sink.session = key[1];
        if (Session* session = sink.shard == context_.config.shard ? context_.sessions->find(sink.session) : nullptr) {
            session->watch_sink = at->second;
        }
    }
    return at->second;
}

void Watches::drop_sink_if_unused(std::uint32_t number) {
    WatchSink& sink = sinks_[number];
    // Bytes that another shard has not reported as taken are remembered.
    if (sink.in_gone || sink.count > 0 || sink.in_rooms || sink.in_dirty || sink.mailed_bytes > 0) {
        return;
    }
    if (Session* session = sink.shard == context_.config.shard ? context_.sessions->find(sink.session) : nullptr) {
        session->watch_sink = no_slot;
    }
    sink_by_key_.erase({sink.shard.value, sink.session});
    sinks_.give_back(number);
}

std::uint16_t Watches::feed_for(Replica& replica) {
    std::size_t free = feeds_.size();
    for (std::size_t i = 0; i < feeds_.size(); i++) {
        if (feeds_[i] != nullptr && &feeds_[i]->replica() == &replica) {
            return static_cast<std::uint16_t>(i);
        }
        free = feeds_[i] == nullptr ? std::min(free, i) : free;
    }
    if (free == feeds_.size()) {
        feeds_.emplace_back();
        feed_watchers_.push_back(0);
    }
    feeds_[free] = std::make_unique<WatchFeed>(context_, *this, replica, static_cast<std::uint16_t>(free));
    return static_cast<std::uint16_t>(free);
}

// A feed pins its store's history.
void Watches::drop_unused_feeds() {
    for (std::size_t i = 0; feeds_unused_ && i < feeds_.size(); i++) {
        if (feed_watchers_[i] == 0) {
            feeds_[i].reset();
        }
    }
    feeds_unused_ = false;
}

// ------------------------------------------------------------------------------------------------ open

bool Watches::refuse(const Origin& origin, const api::WatchRequest& request) {
    const api::KeyRange range{request.key, request.range_end};
    const bool empty = !api::is_point(range) && api::interval_of(range).empty();
    if (!empty && request.start_revision >= 0) {
        return false;
    }
    api::WatchResponse last;
    last.created = last.canceled = true;
    last.cancel_reason = empty ? empty_range_reason : api::error_text(api::Errc::compacted);
    api::ResponseHeader header;
    header.cluster_id = context_.config.cluster_id;
    header.member_id = context_.config.self;
    context_.router->answer(origin, header, last);
    return true;
}

void Watches::open(const Origin& origin, const api::WatchRequest& request, Replica& replica, std::int64_t credit) {
    make({context_.config.shard.value, origin.place}, origin, request, replica, credit);
}

void Watches::make(const SinkKey& key, const Origin& origin, const api::WatchRequest& request, Replica& replica,
                   std::int64_t credit) {
    const api::ErrorInfo refusal = admit(key, origin, request, replica);
    api::Response response;
    response.header = replica.header();
    if (refusal.code != api::Errc::ok) {
        response.body = refusal;
        return send_first(key, origin, response);
    }
    const std::uint32_t slot = enlist(sink_for(key), origin.token);
    Watcher& watcher = watchers_[slot];
    keep_keys(watcher, request);
    watcher.prev_kv = request.prev_kv;
    watcher.no_put = request.no_put;
    watcher.no_delete = request.no_delete && !MUTANT(watch_filter_ignored);
    watcher.require_leader = request.require_leader;
    watcher.progress_notify = request.progress_notify;
    watcher.spoke = true;
    watcher.credit_bytes = static_cast<std::int32_t>(std::min<std::int64_t>(credit, INT32_MAX));
    require_leader_count_ += watcher.require_leader ? 1u : 0u;
    progress_count_ += watcher.progress_notify ? 1u : 0u;
    watcher.next = {request.start_revision == 0 ? replica.store()->revision() + 1 : request.start_revision, 0};
    watcher.feed = feed_for(replica);
    feed_watchers_[watcher.feed]++;

    api::WatchResponse created;
    created.created = true;
    response.more_frames = true;
    response.body = api::Result(created);
    send_first(key, origin, response);
    feeds_[watcher.feed]->add(slot);
}

// Why there is to be no such watch; ok: there may be.
api::ErrorInfo Watches::admit(const SinkKey& key, const Origin& origin, const api::WatchRequest& request,
                              const Replica& replica) const {
    if (stopping_) {
        return {api::Errc::stopped, "", {}, {}};
    }
    if (replica.out_of_service()) {
        return {api::Errc::unhealthy, out_of_service_text, {}, {}};
    }
    // Its state may be as old as its log was when it started.
    const Duration alone_max = leaderless_timeouts * context_.config.election_timeout;
    if (!replica.caught_up() || (request.require_leader && replica.leaderless_for(context_.now) >= alone_max)) {
        return {api::Errc::no_leader, "", {}, {}};
    }
    if (const api::ErrorInfo refusal = admit_number(key, origin.token); refusal.code != api::Errc::ok) {
        return refusal;
    }
    const ShardBounds& bounds = context_.config.bounds;
    const auto known = sink_by_key_.find(key);
    const std::size_t bytes = kv::Slab::block_bytes(keys_of(request).text_bytes());
    const std::size_t bytes_there = known == sink_by_key_.end() ? 0 : sinks_[known->second].key_bytes;
    if (bytes_there + bytes > bounds.connection_watch_key_bytes || key_bytes_ + bytes > bounds.watch_key_bytes) {
        MARK("a watch is refused for the memory of keys");
        return {api::Errc::too_many_requests, "too many bytes of keys of watches", {}, {}};
    }
    return {api::Errc::ok, "", {}, {}};
}

api::ErrorInfo Watches::admit_number(const SinkKey& key, std::uint64_t request_id) const {
    if (find(key, request_id) != no_slot) {
        return {api::Errc::malformed_request, "a watch of this request id is there", {}, {}};
    }
    const auto known = sink_by_key_.find(key);
    const std::size_t there = known == sink_by_key_.end() ? 0 : sinks_[known->second].count;
    const ShardBounds& bounds = context_.config.bounds;
    if (there >= bounds.connection_watches || watchers_.used() >= bounds.watches) {
        MARK("a watch is refused at a bound");
        return {api::Errc::too_many_requests, "too many watches", {}, {}};
    }
    return {api::Errc::ok, "", {}, {}};
}

// A fresh one of that sink.
std::uint32_t Watches::enlist(std::uint32_t number, std::uint64_t request_id) {
    WatchSink& sink = sinks_[number];
    const std::uint32_t slot = watchers_.take();
    Watcher& watcher = watchers_[slot];
    watcher.request_id = request_id;
    watcher.sink = number;
    watcher.sink_next = sink.first;
    if (sink.first != no_slot) {
        watchers_[sink.first].sink_previous = slot;
    }
    sink.first = slot;
    sink.count++;
    table_.insert(slot);
    return slot;
}

void Watches::keep_keys(Watcher& watcher, const api::WatchRequest& request) {
    const Keys keys = keys_of(request);
    watcher.no_end = keys.no_end;
    watcher.point = keys.point;
    watcher.begin_bytes = static_cast<std::uint32_t>(keys.begin.size());
    watcher.end_bytes = static_cast<std::uint32_t>(keys.text_bytes() - keys.begin.size());
    char* text = static_cast<char*>(texts_.allocate(keys.text_bytes()));
    const std::size_t taken = kv::Slab::block_bytes(keys.text_bytes());
    sinks_[watcher.sink].key_bytes += taken;
    key_bytes_ += taken;
    std::memcpy(text, keys.begin.data(), keys.begin.size());
    char* const end = text + keys.begin.size();
    if (keys.point) {
        *end = '\0';
    } else if (!keys.end.empty()) {
        std::memcpy(end, keys.end.data(), keys.end.size());
    }
    watcher.text = text;
}

// The first frame of a request, or what stands in its place: it is answered now, as others are.
void Watches::send_first(const SinkKey& key, const Origin& origin, const api::Response& response) {
    if (key[0] == context_.config.shard.value) {
        if (Session* session = context_.sessions->find(key[1])) {
            session->answer_watch(origin, response);
        }
        return;
    }
    const std::uint32_t number = sink_for(key);
    const bool fits = wire::encode_response(origin.token, wire::ClientKind::watch, response, sinks_[number].out);
    ASSERT(fits);   // it carries no data
    sinks_[number].answered++;
    note_sent(number);
}

// ------------------------------------------------------------------------------------------------ frames

wire::OutBuffer* Watches::out_of(WatchSink& sink) {
    if (sink.gone) {
        return nullptr;
    }
    if (sink.shard != context_.config.shard) {
        return &sink.out;
    }
    Session* session = context_.sessions->find(sink.session);
    return session != nullptr ? &session->watch_frames() : nullptr;
}

bool Watches::has_room(const WatchSink& sink) const {
    if (sink.gone) {
        return false;
    }
    const std::size_t held = sink.shard == context_.config.shard ? context_.sessions->held_bytes(sink.session)
                                                                 : sink.mailed_bytes + sink.out.pending_bytes();
    return held <= context_.config.bounds.watch_backlog_bytes;
}

bool Watches::takes_frames(std::uint32_t slot) const {
    const Watcher& watcher = watchers_[slot];
    return watcher.credit_bytes > 0 && has_room(sinks_[watcher.sink]);
}

void Watches::note_sent(std::uint32_t number) {
    WatchSink& sink = sinks_[number];
    if (sink.shard != context_.config.shard && !sink.in_dirty) {
        sink.in_dirty = true;
        dirty_.push_back(number);
    }
}

void Watches::encode(const Replica& replica, api::Revision revision, const api::WatchResponse& response,
                     wire::OutBuffer& out) {
    api::Response whole;
    whole.header = replica.header();
    whole.header.revision = revision;
    whole.more_frames = !response.canceled;
    whole.body = api::Result(response);
    const bool fits = wire::encode_response(0, wire::ClientKind::watch, whole, out);
    ASSERT(fits);   // two stored pairs at most, as many as a frame holds
}

void Watches::send_copy(std::uint32_t slot, wire::OutBuffer& frame, bool goes_on) {
    Watcher& watcher = watchers_[slot];
    wire::OutBuffer* out = out_of(sinks_[watcher.sink]);
    if (out == nullptr) {
        return;   // its connection is closed
    }
    const std::size_t at = out->pending_bytes();
    out->append({frame.at(0), frame.pending_bytes()});
    store(out->at(at + header_request_id_at), watcher.request_id);
    if (goes_on) {
        *out->at(at + header_flags_at) |= std::byte{wire::flag_goes_on};
    }
    watcher.credit_bytes -= static_cast<std::int32_t>(frame.pending_bytes());
    watcher.spoke = true;
    note_sent(watcher.sink);
}

void Watches::send_mark(std::uint32_t slot, const Replica& replica, api::Revision revision) {
    watchers_[slot].progress_wanted = false;
    scratch_.truncate(0);
    encode(replica, revision, {}, scratch_);
    send_copy(slot, scratch_, false);
}

// ------------------------------------------------------------------------------------------------ end

void Watches::drop(std::uint32_t slot) {
    Watcher& watcher = watchers_[slot];
    if (watcher.state == WatcherState::elsewhere) {
        elsewhere_count_--;
        delist(slot);
        return;
    }
    const std::uint16_t feed = watcher.feed;
    switch (watcher.state) {
        case WatcherState::in_pass:
        case WatcherState::pending: feeds_[feed]->remove(slot); break;
        case WatcherState::parked: watchers_.remove(sinks_[watcher.sink].parked, slot); break;
        case WatcherState::starved:
        case WatcherState::elsewhere:
        case WatcherState::free: break;
    }
    require_leader_count_ -= watcher.require_leader ? 1u : 0u;
    progress_count_ -= watcher.progress_notify ? 1u : 0u;
    const std::size_t freed = kv::Slab::block_bytes(watcher.text_bytes());
    sinks_[watcher.sink].key_bytes -= freed;
    key_bytes_ -= freed;
    texts_.release(const_cast<char*>(watcher.text), watcher.text_bytes());
    delist(slot);
    feed_watchers_[feed]--;
    feeds_unused_ |= feed_watchers_[feed] == 0;
}

void Watches::delist(std::uint32_t slot) {
    const Watcher& watcher = watchers_[slot];
    WatchSink& sink = sinks_[watcher.sink];
    (watcher.sink_previous != no_slot ? watchers_[watcher.sink_previous].sink_next : sink.first) = watcher.sink_next;
    if (watcher.sink_next != no_slot) {
        watchers_[watcher.sink_next].sink_previous = watcher.sink_previous;
    }
    sink.count--;
    table_.erase(slot);
    watchers_.give_back(slot);
}

void Watches::end(std::uint32_t slot, const Replica& replica, const api::WatchResponse& last) {
    scratch_.truncate(0);
    encode(replica, replica.store()->revision(), last, scratch_);
    send_copy(slot, scratch_, false);
    drop(slot);
}

void Watches::end_with_error(std::uint32_t slot, api::Errc code) {
    api::Response response;
    response.header = feeds_[watchers_[slot].feed]->replica().header();
    response.body = api::ErrorInfo{code, "", {}, {}};
    scratch_.truncate(0);
    const bool fits = wire::encode_response(0, wire::ClientKind::watch, response, scratch_);
    ASSERT(fits);
    send_copy(slot, scratch_, false);
    drop(slot);
}

void Watches::cancel_compacted(std::uint32_t slot, const Replica& replica, api::Revision from) {
    api::WatchResponse last;
    last.canceled = true;
    last.compact_revision = from;
    end(slot, replica, last);
}

bool Watches::on_cancel(const Origin& origin) {
    const SinkKey key{context_.config.shard.value, origin.place};
    const std::uint32_t slot = find(key, origin.token);
    if (slot == no_slot) {
        return false;   // other requests may have that id
    }
    Watcher& watcher = watchers_[slot];
    if (watcher.state != WatcherState::elsewhere) {
        const std::uint32_t sink = watcher.sink;
        api::WatchResponse last;
        last.canceled = true;
        end(slot, feeds_[watcher.feed]->replica(), last);
        drop_sink_if_unused(sink);
    } else if (!watcher.cancelled) {
        watcher.cancelled = true;
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::watch_cancel);
        mail.words = {origin.place, origin.token, 0, 0};
        context_.sessions->post(ShardId(watcher.feed), std::move(mail));
    }
    return true;
}

void Watches::on_session_gone(Session& session) {
    context_.forwards->let_go(session, std::exchange(session.watches_opening_bytes, 0));
    for (const Session::WatchShard& there : session.watch_shards) {
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::watch_gone);
        mail.words = {session.id(), 0, 0, 0};
        context_.sessions->post(there.shard, std::move(mail));
    }
    if (session.watch_sink == no_slot) {
        return;
    }
    lose_sink(session.watch_sink);
}

// Its connection is closed: its watches are dropped some a turn.
void Watches::lose_sink(std::uint32_t number) {
    WatchSink& sink = sinks_[number];
    sink.gone = sink.in_gone = true;
    sink.out = wire::OutBuffer();
    sink.mailed_bytes = 0;
    gone_.push_back(number);
}

void Watches::sweep_gone(WorkBudget& budget) {
    while (!gone_.empty()) {
        const std::uint32_t number = gone_.back();
        WatchSink& sink = sinks_[number];
        while (sink.first != no_slot) {
            if (budget.spent()) {
                return;
            }
            take_move(budget, watchers_[sink.first]);
            drop(sink.first);
        }
        budget.take(1, 0);
        gone_.pop_back();
        sink.in_gone = false;
        drop_sink_if_unused(number);
    }
}

// ------------------------------------------------------------------------------------------------ room

void Watches::set_aside(std::uint32_t slot) {
    Watcher& watcher = watchers_[slot];
    if (watcher.credit_bytes <= 0) {
        watcher.state = WatcherState::starved;
        return;
    }
    watcher.state = WatcherState::parked;
    watchers_.append(sinks_[watcher.sink].parked, slot);
}

void Watches::grant(std::uint32_t slot, const wire::CreditGrant& credit) {
    Watcher& watcher = watchers_[slot];
    const std::int64_t more = std::int64_t{watcher.credit_bytes} + credit.bytes;
    watcher.credit_bytes = static_cast<std::int32_t>(std::min<std::int64_t>(more, INT32_MAX / 2));
    watcher.progress_wanted |= credit.progress;
    WatchFeed& feed = *feeds_[watcher.feed];
    if (watcher.state == WatcherState::starved && watcher.credit_bytes > 0) {
        MARK("a watch has credit again");
        feed.add(slot);
    } else if (watcher.progress_wanted && feed.is_live(watcher)) {
        if (takes_frames(slot)) {
            feed.mark(slot);
        } else {
            feed.remove(slot);
            set_aside(slot);
        }
    }
}

bool Watches::on_credit(const Origin& origin, const wire::CreditGrant& credit) {
    const std::uint32_t slot = find({context_.config.shard.value, origin.place}, origin.token);
    if (slot == no_slot) {
        return false;
    }
    const Watcher& watcher = watchers_[slot];
    if (watcher.state != WatcherState::elsewhere) {
        grant(slot, credit);
    } else if (!watcher.cancelled) {
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::watch_grant);
        mail.words = {origin.place, origin.token, credit.bytes, std::uint64_t{credit.progress}};
        context_.sessions->post(ShardId(watcher.feed), std::move(mail));
    }
    return true;
}

void Watches::on_room(Session& session) {
    for (Session::WatchShard& there : session.watch_shards) {
        if (there.owed_bytes > 0 && session.held_bytes() <= context_.config.bounds.watch_backlog_bytes) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::watch_took);
            mail.words = {session.id(), there.owed_bytes, 0, 0};
            there.owed_bytes = 0;
            context_.sessions->post(there.shard, std::move(mail));
        }
    }
    if (session.watch_sink == no_slot) {
        return;
    }
    WatchSink& sink = sinks_[session.watch_sink];
    if (sink.parked.count > 0 && !sink.in_rooms && has_room(sink)) {
        sink.in_rooms = true;
        rooms_.push_back(session.watch_sink);
    }
}

// Parked watches of connections with room go on, some a turn. Who takes no more is listed again when it does: its watches
// would come back at once, for ever.
void Watches::fetch_parked(WorkBudget& budget) {
    while (!rooms_.empty() && !budget.spent()) {
        const std::uint32_t number = rooms_.front();
        WatchSink& sink = sinks_[number];
        while (sink.parked.count > 0 && has_room(sink) && !budget.spent()) {
            const std::uint32_t slot = sink.parked.first;
            take_move(budget, watchers_[slot]);
            watchers_.remove(sink.parked, slot);
            feeds_[watchers_[slot].feed]->add(slot);
        }
        if (sink.parked.count == 0 || !has_room(sink)) {
            budget.take(watch_look_keys, 0);
            rooms_.pop_front();
            sink.in_rooms = false;
            drop_sink_if_unused(number);
        }
    }
}

// ------------------------------------------------------------------------------------------------ the turn

bool Watches::run() {
    if (watchers_.used() == 0 && dirty_.empty() && gone_.empty() && !feeds_unused_) {
        return false;
    }
    drop_unused_feeds();
    PartBudget budget(context_.work, TurnPart::watches);
    sweep_gone(budget);
    sweep_stopping(budget);
    sweep_leaderless(budget);
    fetch_parked(budget);
    sweep_marks(budget);
    bool more = !rooms_.empty() || looks_left_ > 0 || !gone_.empty() || (stopping_ && stop_at_ < watchers_.end()) ||
                (require_leader_count_ > 0 && leaderless_at_ < watchers_.end());
    // One budget for all: each is the first in its turn, so that one with much to tell does not hold up the others.
    PartBudget live(context_.work, TurnPart::watches_told), history(context_.work, TurnPart::watches_behind);
    const WatchFeed::Budgets budgets{live, history};
    runs_++;
    for (std::size_t i = 0; i < feeds_.size(); i++) {
        if (WatchFeed* feed = feeds_[(runs_ + i) % feeds_.size()].get()) {
            more |= feed->run(budgets);
        }
    }
    drop_unused_feeds();
    mail_frames();
    return more && (watchers_.used() > 0 || !gone_.empty());
}

void Watches::sweep_stopping(WorkBudget& budget) {
    for (; stopping_ && stop_at_ < watchers_.end() && !budget.spent(); stop_at_++) {
        const WatcherState state = watchers_[stop_at_].state;
        if (state != WatcherState::free && state != WatcherState::elsewhere) {   // where that is it ends as well
            take_move(budget, watchers_[stop_at_]);
            end_with_error(stop_at_, api::Errc::stopped);
            budget.take(watch_frame_keys, 0);
        }
        budget.take(watch_look_keys, 0);
    }
}

// Once around for each look at which some range has no leader.
void Watches::sweep_leaderless(WorkBudget& budget) {
    for (; leaderless_at_ < watchers_.end() && require_leader_count_ > 0 && !budget.spent(); leaderless_at_++) {
        const Watcher& watcher = watchers_[leaderless_at_];
        budget.take(watch_look_keys, 0);
        if (watcher.state == WatcherState::free || !watcher.require_leader) {
            continue;
        }
        const Duration alone = feeds_[watcher.feed]->replica().leaderless_for(context_.now);
        if (alone >= leaderless_timeouts * context_.config.election_timeout) {
            MARK("a watch ends for want of a leader");
            take_move(budget, watcher);
            end_with_error(leaderless_at_, api::Errc::no_leader);
            budget.take(watch_frame_keys, 0);
        }
    }
}

void Watches::list_pools(PoolList& out) const {
    const ShardBounds& bounds = context_.config.bounds;
    std::size_t most = 0;
    for (const auto& [key, number] : sink_by_key_) {
        most = std::max(most, sinks_[number].key_bytes);
    }
    out.push_back({"watches", watchers_.used(), bounds.watches, true});
    out.push_back({"connections with watches", sinks_.used(), UINT64_MAX, true});
    out.push_back({"memory of keys of watches", key_bytes_, bounds.watch_key_bytes, true});
    out.push_back({"memory of keys of one connection's watches", most, bounds.connection_watch_key_bytes, true});
    out.push_back({"connections whose watches go on", rooms_.size()});
    std::uint64_t pinned = 0;
    for (const auto& feed : feeds_) {
        pinned = std::max(pinned, feed != nullptr ? feed->pinned_changes() : 0);
    }
    out.push_back({"changes kept for the watches of one range", pinned, bounds.watch_lag_changes});
    out.push_back({"closed connections with watches", gone_.size()});
    out.push_back({"connections whose frames are to be mailed", dirty_.size()});
}

void Watches::on_store_replaced(const Replica& replica) {
    for (const auto& feed : feeds_) {
        if (feed != nullptr && &feed->replica() == &replica) {
            feed->on_store_replaced();
        }
    }
}

// Marks by the clock: each watch is looked at once in the interval, some of them a time.
void Watches::on_timers(Instant now) {
    if (require_leader_count_ > 0 && leaderless_at_ >= watchers_.end()) {
        const bool some_alone = std::any_of(feeds_.begin(), feeds_.end(), [&](const auto& feed) {
            return feed != nullptr &&
                   feed->replica().leaderless_for(now) >= leaderless_timeouts * context_.config.election_timeout;
        });
        leaderless_at_ = some_alone ? 0 : leaderless_at_;
    }
    const Duration since = now - looked_at_;
    if (since < look_interval) {
        return;
    }
    looked_at_ = now;
    if (progress_count_ == 0) {
        return;
    }
    const std::int64_t interval_us = std::max<std::int64_t>(context_.config.watch_progress_interval / 1us, 1);
    looks_due_us_ += std::min<std::int64_t>(since / 1us, interval_us) * std::int64_t{watchers_.end()};
    const std::int64_t looks = std::min<std::int64_t>(looks_due_us_ / interval_us, watchers_.end());
    looks_due_us_ -= looks * interval_us;
    looks_left_ = std::min<std::int64_t>(looks_left_ + looks, watchers_.end());
}

void Watches::sweep_marks(WorkBudget& budget) {
    for (; looks_left_ > 0 && !budget.spent(); looks_left_--) {
        look_at_ = look_at_ + 1 < watchers_.end() ? look_at_ + 1 : 0;
        look_at(look_at_, budget);
    }
}

void Watches::look_at(std::uint32_t slot, WorkBudget& budget) {
    budget.take(watch_look_keys, 0);
    Watcher& watcher = watchers_[slot];
    if (watcher.state == WatcherState::free || !watcher.progress_notify) {
        return;
    }
    WatchFeed& feed = *feeds_[watcher.feed];
    if (!watcher.spoke && takes_frames(slot)) {
        watcher.progress_wanted = true;
        feed.mark(slot);
        budget.take(watch_frame_keys, 0);
    }
    watcher.spoke = false;
}

}  // namespace ringfort::shard
