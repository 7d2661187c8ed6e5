// One link: connection, liveness, credit.
#include <algorithm>
#include <utility>

#include "shard/checkpoints.h"
#include "shard/forwards.h"
#include "shard/hash_walks.h"
#include "shard/log_queue.h"
#include "shard/peer_frames.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/streams.h"

namespace ringfort::shard {

namespace {

constexpr Duration backoff_min = 10ms;
constexpr Duration backoff_max = 1s;
// Grants are sent when they are worth a frame.
constexpr std::uint64_t grant_bytes_min = 256 * kib;

constexpr std::array credited_classes{wire::LinkClass::append, wire::LinkClass::forward, wire::LinkClass::snapshot};

std::int64_t whole_credit(const Context& context, wire::LinkClass cls) {
    return static_cast<std::int64_t>(context.config.bounds.link_credit_bytes[static_cast<std::size_t>(cls)]);
}

// What its sender paid with: granting more would lift the bound of what the peer may have here.
wire::LinkClass class_of(const wire::PeerFrame& decoded, const wire::FrameReader::Frame& frame) {
    const auto* message = std::get_if<raft::Message>(&decoded);
    return message != nullptr && message->entry_count == 0 ? wire::LinkClass::control
                                                           : wire::class_of(static_cast<wire::PeerKind>(frame.header.kind));
}

}  // namespace

Link::Link(Context& context, NodeId node, ShardId remote_shard, std::uint64_t id)
    : context_(context),
      node_(node),
      remote_shard_(remote_shard),
      id_(id),
      dialer_(context.config.self < node),
      reader_(limits::frame_bytes_max),
      backoff_(backoff_min) {}

void Link::dial(const env::Address& address) {
    ASSERT(state_ == State::down && dialer_);
    reader_ = wire::FrameReader(limits::frame_bytes_max);
    out_ = wire::OutBuffer();
    state_ = State::dialing;
    dial_at_ = context_.now + context_.config.election_timeout;
    connection_ = context_.world.network.connect(address, env::ConnectionClass::peer, *this);
}

void Link::on_connected() {
    ASSERT(state_ == State::dialing);
    wire::encode_preamble(out_.extend(wire::preamble_bytes),
                          {wire::protocol_version, wire::protocol_version, wire::PeerRole::peer});
    wire::encode_peer(context_.links->hello_to(*context_.links->peer(node_), remote_shard_), out_);
    state_ = State::hello_sent;
    context_.links->mark_dirty(*this);
}

void Link::adopt(env::ConnectionId connection, Bytes hello_reply, Bytes unconsumed) {
    if (state_ != State::down) {
        drop("replaced by a new connection of the peer");
    }
    connection_ = connection;
    reader_ = wire::FrameReader(limits::frame_bytes_max);
    out_ = wire::OutBuffer();
    out_.append(hello_reply);
    context_.links->mark_dirty(*this);
    context_.world.network.set_handler(connection, *this);
    become_up();
    if (!unconsumed.empty()) {
        on_received(unconsumed);
    }
}

void Link::become_up() {
    state_ = State::up;
    connections_++;
    alive_ = true;
    peer_disk_slow_ = false;
    backoff_ = backoff_min;
    said_ = {};
    for (const auto cls : credited_classes) {
        credit_[static_cast<std::size_t>(cls)] = whole_credit(context_, cls);
    }
    to_grant_ = {};
    last_heard_ = context_.now;
    beat_at_ = context_.now;
    context_.replicas->on_peer_back(node_, remote_shard_);
}

void Link::drop(std::string_view why) {
    if (state_ == State::down) {
        return;
    }
    if (!why.empty()) {
        context_.log_line(env::LogLevel::info, "link to " + member_text(node_) + " closed: " + std::string(why));
    }
    context_.world.network.close(connection_);
    context_.links->retired().keep(connection_, std::move(out_));
    out_ = wire::OutBuffer();
    lose(true);
}

void Link::on_closed(env::CloseReason) {
    lose(true);
}

void Link::lose(bool closed) {
    const bool was_alive = alive_;
    state_ = State::down;
    alive_ = false;
    connection_ = 0;
    deferred_.clear();
    dial_at_ = context_.now + backoff_;
    backoff_ = std::min(backoff_ * 2, backoff_max);
    context_.want_timers(dial_at_);
    if (was_alive) {
        context_.replicas->on_peer_lost(node_, remote_shard_, closed);
    }
    context_.checkpoints->on_link_lost(*this);
    context_.forwards->on_link_lost(id_);
    context_.streams->on_origin_gone(OriginKind::link, place());
    context_.hash_walks->on_origin_gone(OriginKind::link, place());
    context_.log_queue->on_link_lost(place());
}

// ------------------------------------------------------------------------------------------------ receive

void Link::on_received(Bytes bytes) {
    last_heard_ = context_.now;
    if (!alive_ && state_ == State::up) {
        alive_ = true;
        context_.replicas->on_peer_back(node_, remote_shard_);
    }
    reader_.feed(bytes);
    read_frames();
}

void Link::read_frames() {
    const env::ConnectionId connection = connection_;
    while (connection_ == connection && state_ != State::down) {
        const auto frame = reader_.next();
        if (!frame) {
            drop(wire::to_string(frame.error()));
            return;
        }
        if (!*frame) {
            return;
        }
        if (!on_frame(**frame)) {
            return;
        }
    }
}

bool Link::on_frame(const wire::FrameReader::Frame& frame) {
    context_.frame_arena.reset();
    auto decoded = wire::decode_peer(frame, context_.frame_arena);
    if (!decoded) {
        drop(wire::to_string(decoded.error()));
        return false;
    }
    if (state_ == State::hello_sent) {
        const auto* reply = std::get_if<wire::PeerHelloReply>(&*decoded);
        if (reply == nullptr) {
            drop("the peer's first frame is no hello");
            return false;
        }
        return on_hello_reply(*reply);
    }
    if (const auto* credit = std::get_if<wire::Credit>(&*decoded)) {
        take_credit(*credit);
        return true;
    }
    if (const auto* beat = std::get_if<wire::Beat>(&*decoded)) {
        echo_ns_ = beat->sent_at_ns;
        peer_disk_slow_ = beat->disk_slow;
        return true;
    }
    const wire::LinkClass cls = class_of(*decoded, frame);
    frame_bytes_ = frame.header.length;
    if (!handle_peer_frame(context_, *this, *decoded)) {
        drop("unexpected frame");
        return false;
    }
    if (frame_bytes_ > 0 && cls != wire::LinkClass::control) {
        grant(cls, frame_bytes_);
    }
    return true;
}

void Link::take_credit(const wire::Credit& given) {
    if (given.cls == wire::LinkClass::control) {
        return;
    }
    std::int64_t& credit = credit_[static_cast<std::size_t>(given.cls)];
    const std::int64_t missing = whole_credit(context_, given.cls) - credit;
    credit += static_cast<std::int64_t>(std::min(given.bytes, static_cast<std::uint64_t>(missing)));
    send_deferred();
}

std::uint64_t Link::withhold() {
    return std::exchange(frame_bytes_, 0);
}

bool Link::on_hello_reply(const wire::PeerHelloReply& reply) {
    PeerLinks::Peer& peer = *context_.links->peer(node_);
    const bool current = context_.links->learn(peer, reply);
    if (reply.refusal != wire::Refusal::none) {
        drop_and_say_once("the peer refused it: ", wire::to_string(reply.refusal));
        return false;
    }
    if (!current) {
        drop_and_say_once("", "what the peer is now is not remembered yet, or it has lost its data and does not know yet");
        return false;
    }
    become_up();
    return true;
}

void Link::drop_and_say_once(std::string_view head, std::string_view why) {
    const bool new_reason = std::exchange(said_, why) != why;
    drop(new_reason ? std::string(head) + std::string(why) : std::string());
}

// ------------------------------------------------------------------------------------------------ send

bool Link::has_credit(wire::LinkClass cls) const {
    // The last frame may overdraw: a frame larger than the rest of the credit must still be possible.
    return cls == wire::LinkClass::control || credit_[static_cast<std::size_t>(cls)] > 0;
}

template <class Frame>
bool Link::send(const Frame& frame, wire::LinkClass cls) {
    if (!up() || !has_credit(cls)) {
        return false;
    }
    const std::size_t before = out_.pending_bytes();
    wire::encode_peer(frame, out_);
    if (cls != wire::LinkClass::control) {
        credit_[static_cast<std::size_t>(cls)] -= static_cast<std::int64_t>(out_.pending_bytes() - before);
    }
    context_.links->mark_dirty(*this);
    return true;
}

template bool Link::send(const raft::Message&, wire::LinkClass);
template bool Link::send(const wire::Beat&, wire::LinkClass);
template bool Link::send(const wire::Credit&, wire::LinkClass);
template bool Link::send(const wire::ReadRound&, wire::LinkClass);
template bool Link::send(const wire::ReadRoundAnswer&, wire::LinkClass);
template bool Link::send(const wire::ReadIndex&, wire::LinkClass);
template bool Link::send(const wire::ReadIndexAnswer&, wire::LinkClass);
template bool Link::send(const wire::StateHashes&, wire::LinkClass);
template bool Link::send(const wire::Forward&, wire::LinkClass);
template bool Link::send(const wire::ForwardReply&, wire::LinkClass);
template bool Link::send(const wire::ForwardCancel&, wire::LinkClass);
template bool Link::send(const wire::ForwardCredit&, wire::LinkClass);
template bool Link::send(const wire::SnapshotSlice&, wire::LinkClass);
template bool Link::send(const wire::SnapshotAnswer&, wire::LinkClass);

void Link::send_raft(Replica& replica, const raft::Message& message) {
    if (!up()) {
        return;   // lost: raft hears of the peer's loss and return
    }
    if (message.entry_count == 0) {
        send(message, wire::LinkClass::control);
        return;
    }
    if (!deferred_.empty() || !has_credit(wire::LinkClass::append)) {
        if (deferred_.size() >= context_.config.bounds.deferred_appends) {
            drop("the peer does not take what it is sent");
            return;
        }
        deferred_.push_back({replica.range(), OwnedMessage(message)});
        return;
    }
    raft::Message whole = message;
    if (whole.entries.empty() && !replica.attach_entries(whole, entries_)) {
        drop("entries to be sent have left memory");   // raft probes again after the reconnect
        return;
    }
    send(whole, wire::LinkClass::append);
}

void Link::send_deferred() {
    while (up() && !deferred_.empty() && has_credit(wire::LinkClass::append)) {
        Deferred item = std::move(deferred_.front());
        deferred_.pop_front();
        Replica* replica = context_.replicas->find(item.range);
        raft::Message message = item.message.view();
        if (replica == nullptr || replica->raft().term() != message.term) {
            continue;
        }
        if (message.entries.empty() && !replica->attach_entries(message, entries_)) {
            drop("entries to be sent have left memory");
            return;
        }
        send(message, wire::LinkClass::append);
    }
}

void Link::grant(wire::LinkClass cls, std::uint64_t bytes) {
    auto& sum = to_grant_[static_cast<std::size_t>(cls)];
    sum += bytes;
    const std::uint64_t all = context_.config.bounds.link_credit_bytes[static_cast<std::size_t>(cls)];
    if (sum >= std::min(grant_bytes_min, all / 4)) {
        send(wire::Credit{cls, sum}, wire::LinkClass::control);
        sum = 0;
    }
}

void Link::flush() {
    if (connection_ != 0 && out_.pending_bytes() > 0 && !out_.sending() && state_ != State::dialing) {
        context_.world.network.send(connection_, out_.start_send());
    }
}

void Link::on_sent() {
    out_.send_done();
    context_.links->mark_dirty(*this);
}

// ------------------------------------------------------------------------------------------------ time

void Link::on_timer(Instant now) {
    if (state_ == State::up) {
        if (alive_ && now - last_heard_ >= context_.config.election_timeout) {
            // Silent but connected: paused, hung or cut off. Frames may still come; then it is back.
            alive_ = false;
            // Whoever waits for an answer over it is told now, as the election that follows is about to replace its leader.
            context_.replicas->on_peer_lost(node_, remote_shard_, false);
            context_.forwards->on_link_lost(id_);
        }
        if (now - last_heard_ >= context_.config.election_timeout * 4) {
            drop("silent for four election timeouts");
            return;
        }
        if (now >= beat_at_) {
            beat_at_ = now + context_.config.heartbeat_interval;
            wire::Beat beat;
            beat.sent_at_ns = now.ns;
            beat.echo_ns = echo_ns_;
            beat.durable_age_ns = context_.log->counters(now).oldest_flush.count();
            beat.load = static_cast<std::uint32_t>(context_.replicas->pending_count());
            beat.disk_slow = context_.links->disk_slow();
            send(beat, wire::LinkClass::control);
        }
        return;
    }
    if (now < dial_at_) {
        return;
    }
    if (state_ == State::dialing || state_ == State::hello_sent) {
        drop("no answer to the hello");
        return;
    }
    const PeerLinks::Peer& peer = *context_.links->peer(node_);
    if (!dialer_ || (peer.shard_count > 0 && remote_shard_.value >= peer.shard_count)) {
        dial_at_ = never;   // the peer dials, or has no such shard
        return;
    }
    dial(peer.address);
}

void Link::dial_soon() {
    backoff_ = backoff_min;
    if (wants_dial()) {
        dial_at_ = std::min(dial_at_, context_.now);
        context_.want_timers(dial_at_);
    }
}

Instant Link::next_deadline() const {
    if (state_ == State::up) {
        return alive_ ? std::min(beat_at_, last_heard_ + context_.config.election_timeout) : beat_at_;
    }
    return state_ == State::down && !dialer_ ? never : dial_at_;
}

}  // namespace ringfort::shard
