#include "shard/watches.h"

#include <algorithm>
#include <cstring>

#include "api/key_range.h"
#include "base/mark.h"
#include "base/mutant.h"
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

std::size_t text_bytes(const Watcher& watcher) {
    return std::max<std::size_t>(std::size_t{watcher.begin_bytes} + watcher.end_bytes, 1);
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
    if (sink.count > 0 || sink.in_rooms || sink.in_dirty || sink.mailed_bytes > 0) {
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
    make(no_slot, origin, request, replica, credit);
}

// `number`: the sink of a connection of another shard; no_slot: the origin is a session of this one.
void Watches::make(std::uint32_t number, const Origin& origin, const api::WatchRequest& request, Replica& replica,
                   std::int64_t credit) {
    const bool local = number == no_slot;
    const SinkKey key = local ? SinkKey{context_.config.shard.value, origin.place}
                              : SinkKey{sinks_[number].shard.value, sinks_[number].session};
    const auto refuse_with = [&](api::Errc code, std::string_view detail) {
        api::Response response;
        response.header = replica.header();
        response.body = api::ErrorInfo{code, detail, {}, {}};
        send_first(key, origin, response);
    };
    const Duration alone = replica.leaderless_for(context_.now);
    if (stopping_) {
        return refuse_with(api::Errc::stopped, "");
    }
    // Its state may be as old as its log was when it started.
    const Duration alone_max = leaderless_timeouts * context_.config.election_timeout;
    if (!replica.caught_up() || (request.require_leader && alone >= alone_max)) {
        return refuse_with(api::Errc::no_leader, "");
    }
    const ShardBounds& bounds = context_.config.bounds;
    if (find(key, origin.token) != no_slot) {
        return refuse_with(api::Errc::malformed_request, "a watch of this request id is there");
    }
    const auto known = sink_by_key_.find(key);
    const std::size_t there = known == sink_by_key_.end() ? 0 : sinks_[known->second].count;
    if (there >= bounds.connection_watches || watchers_.used() >= bounds.watches) {
        MARK("a watch is refused at a bound");
        return refuse_with(api::Errc::too_many_requests, "too many watches");
    }

    number = sink_for(key);
    WatchSink& sink = sinks_[number];
    const std::uint32_t slot = watchers_.take();
    Watcher& watcher = watchers_[slot];
    watcher.request_id = origin.token;
    watcher.sink = number;
    watcher.sink_next = sink.first;
    if (sink.first != no_slot) {
        watchers_[sink.first].sink_previous = slot;
    }
    sink.first = slot;
    sink.count++;
    table_.insert(slot);

    // etcd: no key is the smallest one.
    const std::string_view begin = request.key.empty() ? std::string_view("\0", 1) : request.key;
    const api::KeyRange range{begin, request.range_end};
    std::string point_end;
    std::string_view end;
    if (api::is_point(range)) {
        point_end = std::string(begin) + '\0';
        end = point_end;
    } else if (const api::Interval interval = api::interval_of(range); interval.end) {
        end = *interval.end;
    } else {
        watcher.no_end = true;
    }
    watcher.begin_bytes = static_cast<std::uint32_t>(begin.size());
    watcher.end_bytes = static_cast<std::uint32_t>(end.size());
    char* text = static_cast<char*>(texts_.allocate(text_bytes(watcher)));
    std::memcpy(text, begin.data(), begin.size());
    if (!end.empty()) {
        std::memcpy(text + begin.size(), end.data(), end.size());
    }
    watcher.text = text;
    watcher.prev_kv = request.prev_kv;
    watcher.no_put = request.no_put;
    watcher.no_delete = request.no_delete && !MUTANT(watch_filter_ignored);
    watcher.require_leader = request.require_leader;
    watcher.progress_notify = request.progress_notify;
    watcher.spoke = true;
    watcher.credit_bytes = static_cast<std::int32_t>(std::min<std::int64_t>(credit, INT32_MAX));
    require_leader_count_ += watcher.require_leader ? 1u : 0u;
    progress_count_ += watcher.progress_notify ? 1u : 0u;

    const kv::Store& store = *replica.store();
    const api::Revision now = store.revision();
    watcher.next = {request.start_revision == 0 ? now + 1 : request.start_revision, 0};
    watcher.feed = feed_for(replica);
    feed_watchers_[watcher.feed]++;
    api::WatchResponse created;
    created.created = true;
    api::Response response;
    response.header = replica.header();
    response.more_frames = true;
    response.body = api::Result(created);
    send_first(key, origin, response);
    feeds_[watcher.feed]->add(slot);
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
    if (sink.shard != context_.config.shard) {
        return &sink.out;
    }
    Session* session = context_.sessions->find(sink.session);
    return session != nullptr ? &session->watch_frames() : nullptr;
}

bool Watches::has_room(const WatchSink& sink) const {
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
        return;   // its session is being closed
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
    const std::uint32_t number = watcher.sink;
    const std::uint16_t feed = watcher.feed;
    WatchSink& sink = sinks_[number];
    switch (watcher.state) {
        case WatcherState::in_pass:
        case WatcherState::pending: feeds_[feed]->remove(slot); break;
        case WatcherState::parked: watchers_.remove(sink.parked, slot); break;
        case WatcherState::starved:
        case WatcherState::free: break;
    }
    (watcher.sink_previous != no_slot ? watchers_[watcher.sink_previous].sink_next : sink.first) = watcher.sink_next;
    if (watcher.sink_next != no_slot) {
        watchers_[watcher.sink_next].sink_previous = watcher.sink_previous;
    }
    sink.count--;
    table_.erase(slot);
    require_leader_count_ -= watcher.require_leader ? 1u : 0u;
    progress_count_ -= watcher.progress_notify ? 1u : 0u;
    texts_.release(const_cast<char*>(watcher.text), text_bytes(watcher));
    watchers_.give_back(slot);
    feed_watchers_[feed]--;
    feeds_unused_ |= feed_watchers_[feed] == 0;
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
    if (slot != no_slot) {
        const std::uint32_t sink = watchers_[slot].sink;
        api::WatchResponse last;
        last.canceled = true;
        end(slot, feeds_[watchers_[slot].feed]->replica(), last);
        drop_sink_if_unused(sink);
        return true;
    }
    if (Session* session = context_.sessions->find(origin.place)) {
        for (const Session::WatchShard& there : session->watch_shards) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::watch_cancel);
            mail.words = {origin.place, origin.token, 0, 0};
            context_.sessions->post(there.shard, std::move(mail));
        }
    }
    return false;   // other requests may have that id
}

void Watches::on_session_gone(Session& session) {
    for (const Session::WatchShard& there : session.watch_shards) {
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::watch_gone);
        mail.words = {session.id(), 0, 0, 0};
        context_.sessions->post(there.shard, std::move(mail));
    }
    if (session.watch_sink == no_slot) {
        return;
    }
    WatchSink& sink = sinks_[session.watch_sink];
    while (sink.first != no_slot) {
        drop(sink.first);
    }
    drop_sink_if_unused(session.watch_sink);
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
    if (slot != no_slot) {
        grant(slot, credit);
        return true;
    }
    if (Session* session = context_.sessions->find(origin.place)) {
        for (const Session::WatchShard& there : session->watch_shards) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::watch_grant);
            mail.words = {origin.place, origin.token, credit.bytes, std::uint64_t{credit.progress}};
            context_.sessions->post(there.shard, std::move(mail));
        }
    }
    return false;
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

// Parked watches of connections with room go on, some a turn.
void Watches::fetch_parked() {
    std::size_t left = 500;
    while (!rooms_.empty() && left > 0) {
        const std::uint32_t number = rooms_.back();
        WatchSink& sink = sinks_[number];
        for (; sink.parked.count > 0 && left > 0; left--) {
            const std::uint32_t slot = sink.parked.first;
            watchers_.remove(sink.parked, slot);
            feeds_[watchers_[slot].feed]->add(slot);
        }
        if (sink.parked.count == 0) {
            rooms_.pop_back();
            sink.in_rooms = false;
            drop_sink_if_unused(number);
        }
    }
}

// ------------------------------------------------------------------------------------------------ the turn

bool Watches::run() {
    if (watchers_.used() == 0 && dirty_.empty() && !feeds_unused_) {
        return false;
    }
    drop_unused_feeds();
    WorkBudget budget;
    sweep_stopping(budget);
    sweep_leaderless(budget);
    fetch_parked();
    bool more = !rooms_.empty() || stopping_;
    WatchFeed::Budgets budgets;
    for (std::size_t i = 0; i < feeds_.size(); i++) {
        if (feeds_[i] != nullptr) {
            more |= feeds_[i]->run(budgets);
        }
    }
    drop_unused_feeds();
    mail_frames();
    return more && watchers_.used() > 0;
}

void Watches::sweep_stopping(WorkBudget& budget) {
    for (; stopping_ && stop_at_ < watchers_.end() && !budget.spent(); stop_at_++) {
        if (watchers_[stop_at_].state != WatcherState::free) {
            end_with_error(stop_at_, api::Errc::stopped);
        }
        budget.take(2, 0);
    }
}

// Once around for each look at which some range has no leader.
void Watches::sweep_leaderless(WorkBudget& budget) {
    for (; leaderless_at_ < watchers_.end() && require_leader_count_ > 0 && !budget.spent(); leaderless_at_++) {
        const Watcher& watcher = watchers_[leaderless_at_];
        budget.take(1, 0);
        if (watcher.state == WatcherState::free || !watcher.require_leader) {
            continue;
        }
        const Replica& replica = feeds_[watcher.feed]->replica();
        if (replica.leaderless_for(context_.now) >= leaderless_timeouts * context_.config.election_timeout) {
            MARK("a watch ends for want of a leader");
            api::WatchResponse last;
            last.canceled = true;
            last.cancel_reason = api::error_text(api::Errc::no_leader);
            end(leaderless_at_, replica, last);
        }
    }
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
    constexpr std::int64_t looks_max = 2000;
    const std::int64_t interval_us = std::max<std::int64_t>(context_.config.watch_progress_interval / 1us, 1);
    looks_due_us_ += std::min<std::int64_t>(since / 1us, interval_us) * std::int64_t{watchers_.end()};
    const std::int64_t looks = std::min(looks_due_us_ / interval_us, looks_max);
    looks_due_us_ = looks < looks_max ? looks_due_us_ - looks * interval_us : 0;
    for (std::int64_t left = looks; left > 0; left--) {
        look_at_ = look_at_ + 1 < watchers_.end() ? look_at_ + 1 : 0;
        look_at(look_at_);
    }
}

void Watches::look_at(std::uint32_t slot) {
    Watcher& watcher = watchers_[slot];
    if (watcher.state == WatcherState::free || !watcher.progress_notify) {
        return;
    }
    WatchFeed& feed = *feeds_[watcher.feed];
    if (!watcher.spoke && takes_frames(slot)) {
        watcher.progress_wanted = true;
        feed.mark(slot);
    }
    watcher.spoke = false;
}

// ------------------------------------------------------------------------------------------------ other shards

void Watches::open_elsewhere(const Origin& origin, ShardId shard, Bytes body, std::int64_t credit) {
    Session* session = context_.sessions->find(origin.place);
    if (session == nullptr) {
        return;
    }
    session->watch_shard(shard);
    env::Mail mail;
    mail.kind = static_cast<std::uint32_t>(MailKind::watch_open);
    mail.words = {origin.place, origin.token, static_cast<std::uint64_t>(credit), 0};
    mail.buffer = std::make_unique<env::MailBuffer>();
    mail.buffer->owner = context_.config.shard;
    mail.buffer->bytes.assign(body.begin(), body.end());
    context_.sessions->post(shard, std::move(mail));
}

void Watches::on_mailed_open(ShardId from, env::Mail& mail) {
    const SinkKey key{from.value, mail.words[0]};
    const Origin origin{OriginKind::mail, wire::ClientKind::watch, from.value, mail.words[1]};
    context_.request_arena.reset();
    const auto request = wire::decode_request(wire::ClientKind::watch, mail.buffer->bytes, context_.request_arena);
    ASSERT(request);   // the other shard decoded it
    const auto& watch = std::get<api::WatchRequest>(request->op);
    Replica* replica = context_.directory != nullptr && context_.directory->bootstrapped()
                           ? context_.replicas->find(context_.directory->range_of(watch.key).id)
                           : nullptr;
    if (replica == nullptr) {
        api::Response response;
        response.header.cluster_id = context_.config.cluster_id;
        response.header.member_id = context_.config.self;
        response.body = api::ErrorInfo{api::Errc::no_leader, "the range's replica is being made", {}, {}};
        send_first(key, origin, response);
        return;
    }
    make(sink_for(key), origin, watch, *replica, static_cast<std::int64_t>(mail.words[2]));
}

void Watches::mail_frames() {
    for (const std::uint32_t number : dirty_) {
        WatchSink& sink = sinks_[number];
        sink.in_dirty = false;
        const std::size_t bytes = sink.out.pending_bytes();
        if (bytes > 0) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::watch_frames);
            mail.words = {sink.session, sink.answered, 0, 0};
            mail.buffer = std::make_unique<env::MailBuffer>();
            mail.buffer->owner = context_.config.shard;
            mail.buffer->bytes.assign(sink.out.at(0), sink.out.at(bytes));
            sink.mailed_bytes += bytes;
            sink.answered = 0;
            sink.out = wire::OutBuffer();
            context_.sessions->post(sink.shard, std::move(mail));
        }
        drop_sink_if_unused(number);
    }
    dirty_.clear();
}

void Watches::on_mailed_frames(ShardId from, env::Mail& mail) {
    if (Session* session = context_.sessions->find(mail.words[0])) {
        session->watch_frames().append(mail.buffer->bytes);
        session->end_watch_requests(mail.words[1]);
        session->watch_shard(from).owed_bytes += mail.buffer->bytes.size();
        on_room(*session);
    }
}

void Watches::on_mail(ShardId from, env::Mail& mail) {
    const SinkKey key{from.value, mail.words[0]};
    const auto known = sink_by_key_.find(key);
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::watch_open: on_mailed_open(from, mail); return;
        case MailKind::watch_frames: on_mailed_frames(from, mail); return;
        case MailKind::watch_took:
            if (known != sink_by_key_.end()) {
                WatchSink& sink = sinks_[known->second];
                sink.mailed_bytes -= std::min<std::size_t>(sink.mailed_bytes, mail.words[1]);
                if (sink.parked.count > 0 && !sink.in_rooms && has_room(sink)) {
                    sink.in_rooms = true;
                    rooms_.push_back(known->second);
                }
                drop_sink_if_unused(known->second);
            }
            return;
        case MailKind::watch_grant:
            if (const std::uint32_t slot = find(key, mail.words[1]); slot != no_slot) {
                grant(slot, {static_cast<std::uint32_t>(mail.words[2]), mail.words[3] != 0});
            }
            return;
        case MailKind::watch_cancel:
            if (const std::uint32_t slot = find(key, mail.words[1]); slot != no_slot) {
                api::WatchResponse last;
                last.canceled = true;
                end(slot, feeds_[watchers_[slot].feed]->replica(), last);
            }
            return;
        case MailKind::watch_gone:
            if (known != sink_by_key_.end()) {
                WatchSink& sink = sinks_[known->second];
                while (sink.first != no_slot) {
                    drop(sink.first);
                }
                sink.mailed_bytes = 0;
                sink.out = wire::OutBuffer();
                sink.answered = 0;
                drop_sink_if_unused(known->second);
            }
            return;
        case MailKind::request:
        case MailKind::reply:
        case MailKind::cancel:
        case MailKind::credit:
        case MailKind::directory:
        case MailKind::return_buffer:
        case MailKind::node_ask:
        case MailKind::identity:
        case MailKind::log_ready:
        case MailKind::node_part:
        case MailKind::memory: break;
    }
    UNREACHABLE();
}

}  // namespace ringfort::shard
