// Watches whose connection is on another shard of the node than their range.
#include "shard/forwards.h"
#include "shard/mail.h"
#include "shard/replicas.h"
#include "shard/sessions.h"
#include "shard/watches.h"

namespace ringfort::shard {

void Watches::open_elsewhere(const Origin& origin, ShardId shard, Bytes body, std::int64_t credit) {
    Session* session = context_.sessions->find(origin.place);
    if (session == nullptr) {
        return;
    }
    const SinkKey key{context_.config.shard.value, origin.place};
    if (const api::ErrorInfo refusal = admit_number(key, origin.token); refusal.code != api::Errc::ok) {
        api::Response response;
        response.header.cluster_id = context_.config.cluster_id;
        response.header.member_id = context_.config.self;
        response.body = refusal;
        send_first(key, origin, response);
        return;
    }
    Watcher& watcher = watchers_[enlist(sink_for(key), origin.token)];
    watcher.state = WatcherState::elsewhere;
    watcher.feed = static_cast<std::uint16_t>(shard.value);
    elsewhere_count_++;
    session->watch_shard(shard);
    session->watches_opening_bytes += body.size();
    context_.forwards->hold(*session, body.size());
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
    } else {
        make(key, origin, watch, *replica, static_cast<std::int64_t>(mail.words[2]));
    }
    sinks_[sink_for(key)].answered_bytes += mail.buffer->bytes.size();
}

void Watches::mail_frames() {
    for (const std::uint32_t number : dirty_) {
        WatchSink& sink = sinks_[number];
        sink.in_dirty = false;
        const std::size_t bytes = sink.out.pending_bytes();
        if (bytes > 0) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::watch_frames);
            mail.words = {sink.session, sink.answered, sink.answered_bytes, 0};
            mail.buffer = std::make_unique<env::MailBuffer>();
            mail.buffer->owner = context_.config.shard;
            mail.buffer->bytes.assign(sink.out.at(0), sink.out.at(bytes));
            sink.mailed_bytes += bytes;
            sink.answered = 0;
            sink.answered_bytes = 0;
            sink.out = wire::OutBuffer();
            context_.sessions->post(sink.shard, std::move(mail));
        }
        drop_sink_if_unused(number);
    }
    dirty_.clear();
}

// Watches whose last frame is among these are no more.
void Watches::note_ended(Session& session, Bytes frames) {
    while (!frames.empty()) {
        const auto header = wire::decode_frame_header(frames.data(), limits::frame_bytes_max);
        ASSERT(header.has_value());
        if ((header->flags & wire::flag_more) == 0) {
            const std::uint32_t slot = table_.find(session.watch_sink, header->request_id);
            ASSERT(slot != no_slot && watchers_[slot].state == WatcherState::elsewhere);
            drop(slot);
        }
        frames = frames.subspan(header->length);
    }
    drop_sink_if_unused(session.watch_sink);
}

void Watches::on_mailed_frames(ShardId from, env::Mail& mail) {
    if (Session* session = context_.sessions->find(mail.words[0])) {
        session->watch_frames().append(mail.buffer->bytes);
        session->end_watch_requests(mail.words[1]);
        session->watches_opening_bytes -= mail.words[2];
        context_.forwards->let_go(*session, mail.words[2]);
        session->watch_shard(from).owed_bytes += mail.buffer->bytes.size();
        note_ended(*session, mail.buffer->bytes);
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
                lose_sink(known->second);
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
