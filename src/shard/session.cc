// One client connection.
#include <algorithm>

#include "base/mark.h"
#include "shard/forwards.h"
#include "shard/lease_keeper.h"
#include "shard/router.h"
#include "shard/sessions.h"
#include "shard/streams.h"
#include "shard/watches.h"

namespace ringfort::shard {

namespace {

constexpr Duration client_hello_timeout = 10s;
// For a client that broke the protocol to take what it was answered before.
constexpr Duration drain_timeout = 5s;
// What it has sent behind that is thrown away, so that a close does not look like a reset; up to this much.
constexpr std::size_t thrown_away_max = 1 * mib;
constexpr std::uint32_t credit_bytes_default = 1 * mib;
constexpr std::uint32_t credit_bytes_max = 16 * mib;

// Whether the log has to have room for it.
bool is_logged(wire::ClientKind kind) {
    return kind == wire::ClientKind::put || kind == wire::ClientKind::delete_range || kind == wire::ClientKind::txn ||
           kind == wire::ClientKind::compact || kind == wire::ClientKind::lease_grant ||
           kind == wire::ClientKind::lease_revoke || kind == wire::ClientKind::lease_keep_alive;
}

}  // namespace

Session::Session(Context& context, env::ConnectionId connection, std::uint64_t id)
    : context_(context),
      connection_(connection),
      id_(id),
      frame_bytes_max_(context.request_bytes() + 64 * kib),
      reader_(frame_bytes_max_),
      credit_bytes_(credit_bytes_default),
      deadline_(context.now + client_hello_timeout) {}

// ------------------------------------------------------------------------------------------------ in

bool Session::at_bound() const {
    return in_flight_ >= context_.config.bounds.connection_requests ||
           out_.held_bytes() > context_.config.bounds.reply_backlog_bytes ||
           (forwarded_.request_bytes > 0 && context_.forwards->full());
}

// Credit and cancels make room and never wait for any; behind what waits they do, and for mail, since other shards may have
// to be told. Only writes wait for room in the log,
// and what is behind them on their connection.
Session::Wait Session::next_waits_for() const {
    const auto next = reader_.peek();
    if (!next) {
        return Wait::nothing;
    }
    const auto kind = static_cast<wire::ClientKind>(next->kind);
    if (kind == wire::ClientKind::credit || kind == wire::ClientKind::cancel) {
        return context_.sessions->mail_waits() ? Wait::mail : Wait::nothing;
    }
    if (at_bound()) {
        return Wait::room;
    }
    return is_logged(kind) && !context_.router->accepting() ? Wait::log : Wait::nothing;
}

bool Session::may_resume() const {
    if (waits_for_ == Wait::mail) {
        return blocked_ && !context_.sessions->mail_waits();   // at a bound, too: credit ends answers
    }
    return blocked_ && !at_bound() && (waits_for_ != Wait::log || context_.router->accepting());
}

void Session::on_received(Bytes bytes) {
    if (state_ == State::draining) {
        thrown_away_ += bytes.size();
        if (thrown_away_ > thrown_away_max) {
            context_.world.network.pause_receive(connection_);
        }
        return;
    }
    if (blocked_) {
        set_aside_.insert(set_aside_.end(), bytes.begin(), bytes.end());
        return;
    }
    reader_.feed(bytes);
    read_frames();
}

void Session::read_frames() {
    if (state_ == State::preamble) {
        const auto preamble = reader_.next_preamble(wire::PeerRole::client);
        if (!preamble) {
            refuse(0, wire::ClientKind::hello,
                   preamble.error() == wire::FrameErrc::unsupported_version ? api::Errc::unsupported_version
                                                                            : api::Errc::malformed_request,
                   wire::to_string(preamble.error()));
            return;
        }
        if (!*preamble) {
            return;
        }
        state_ = State::hello;
    }
    while (state_ == State::hello || state_ == State::open) {
        waits_for_ = state_ == State::open ? next_waits_for() : Wait::nothing;
        if (waits_for_ != Wait::nothing) {
            blocked_ = true;
            set_aside_ = reader_.take_unconsumed();
            reader_ = wire::FrameReader(frame_bytes_max_);
            context_.world.network.pause_receive(connection_);
            context_.sessions->mark_blocked(*this);
            return;
        }
        const auto frame = reader_.next();
        if (!frame) {
            refuse(0, wire::ClientKind::hello,
                   frame.error() == wire::FrameErrc::too_large ? api::Errc::request_too_large
                                                               : api::Errc::malformed_request,
                   wire::to_string(frame.error()));
            return;
        }
        if (!*frame || !on_frame(**frame)) {
            return;
        }
    }
}

void Session::resume() {
    if (!may_resume()) {
        return;
    }
    blocked_ = false;
    std::vector<std::byte> bytes;
    bytes.swap(set_aside_);
    context_.world.network.resume_receive(connection_);
    reader_.feed(bytes);
    read_frames();
}

bool Session::on_frame(const wire::FrameReader::Frame& frame) {
    const auto kind = static_cast<wire::ClientKind>(frame.header.kind);
    if (state_ == State::hello) {
        return on_hello(frame);
    }
    const Origin origin{OriginKind::session, kind, id_, frame.header.request_id};
    switch (kind) {
        case wire::ClientKind::range:
        case wire::ClientKind::put:
        case wire::ClientKind::delete_range:
        case wire::ClientKind::txn:
        case wire::ClientKind::compact:
        case wire::ClientKind::status:
        case wire::ClientKind::member_list:
        case wire::ClientKind::move_leader:
        case wire::ClientKind::lease_grant:
        case wire::ClientKind::lease_revoke:
        case wire::ClientKind::lease_keep_alive:
        case wire::ClientKind::lease_time_to_live:
        case wire::ClientKind::lease_list:
        case wire::ClientKind::watch:
        case wire::ClientKind::hash_kv:
        case wire::ClientKind::alarm:
            in_flight_++;
            return context_.router->on_request(origin, frame.body) && state_ == State::open;
        case wire::ClientKind::credit: {
            const auto credit = wire::decode_credit(frame.body);
            if (!credit) {
                refuse(frame.header.request_id, kind, api::Errc::malformed_request, "credit");
                return false;
            }
            if (context_.watches->on_credit(origin, *credit)) {
                return true;
            }
            Origin stream = origin;
            stream.request = wire::ClientKind::range;
            context_.streams->on_credit(stream, credit->bytes);
            context_.forwards->on_credit(stream, credit->bytes);
            return true;
        }
        case wire::ClientKind::cancel: {
            if (context_.watches->on_cancel(origin)) {
                return true;
            }
            Origin stream = origin;
            stream.request = wire::ClientKind::range;
            context_.router->on_cancel(stream);
            return true;
        }
        case wire::ClientKind::hello: break;
    }
    in_flight_++;
    refuse(frame.header.request_id, kind, api::Errc::unsupported_request, "unknown kind of frame");
    return false;
}

bool Session::on_hello(const wire::FrameReader::Frame& frame) {
    if (static_cast<wire::ClientKind>(frame.header.kind) != wire::ClientKind::hello) {
        refuse(0, wire::ClientKind::hello, api::Errc::malformed_request, "the first frame is no hello");
        return false;
    }
    const auto hello = wire::decode_client_hello(frame.body);
    if (!hello) {
        refuse(0, wire::ClientKind::hello, api::Errc::malformed_request, wire::to_string(hello.error()));
        return false;
    }
    if (hello->cluster_id && hello->cluster_id != context_.config.cluster_id) {
        refuse(0, wire::ClientKind::hello, api::Errc::cluster_id_mismatch, "");
        return false;
    }
    const ShardId wanted = context_.sessions->shard_for(*hello);
    if (wanted != context_.config.shard) {
        // There the exchange is seen from its beginning, with the shard named.
        wire::OutBuffer again;
        wire::encode_preamble(again.extend(wire::preamble_bytes),
                              {wire::protocol_version, wire::protocol_version, wire::PeerRole::client});
        wire::ClientHello named = *hello;
        named.has_shard = true;
        named.shard = wanted;
        wire::encode_client_hello(named, again);
        again.append(reader_.take_unconsumed());
        MARK("connection handed over to another shard");
        context_.world.network.hand_over(connection_, wanted, {again.at(0), again.pending_bytes()});
        release();
        return false;
    }
    if (hello->reply_credit_bytes > 0) {
        credit_bytes_ = std::min(hello->reply_credit_bytes, credit_bytes_max);
    }
    state_ = State::open;
    wire::ClientHelloReply reply;
    reply.cluster_id = context_.config.cluster_id;
    reply.member_id = context_.config.self;
    reply.shard = context_.config.shard;
    reply.shard_count = context_.config.shard_count;
    reply.frame_bytes_max = static_cast<std::uint32_t>(frame_bytes_max_);
    reply.requests_max = static_cast<std::uint32_t>(context_.config.bounds.connection_requests);
    reply.server_version = context_.config.version;
    wire::encode_client_hello_reply(reply, out_);
    context_.sessions->mark_dirty(*this);
    return true;
}

// ------------------------------------------------------------------------------------------------ out

void Session::end_request() {
    ASSERT(in_flight_ > 0);
    in_flight_--;
}

// Whether there is no room for the last frame of an answer: then the request has been dealt with otherwise.
bool Session::overfull(const Origin& origin) {
    const std::size_t held = out_.held_bytes();
    if (held > context_.config.bounds.reply_backlog_end_bytes) {
        MARK("client does not take its answers");
        close("it does not take its answers");
        return true;
    }
    const bool is_read = origin.request == wire::ClientKind::range || is_lease_read(origin.request);
    if (held > context_.config.bounds.reply_backlog_reads_bytes && is_read) {
        MARK("read refused: answers are not taken");
        say(origin.token, origin.request, api::Errc::too_many_requests, "answers are not taken");
        end_request();
        return true;
    }
    return false;
}

void Session::reply(const Origin& origin, const api::Response& response) {
    if (!response.more_frames && response.ok() && overfull(origin)) {
        return;
    }
    const bool fits = wire::encode_response(origin.token, origin.request, response, out_);
    ASSERT(fits);   // answers are bounded (limits::answer_bytes_max), and ranges travel in pieces
    if (!response.more_frames) {
        end_request();
    }
    context_.sessions->mark_dirty(*this);
    const auto* error = std::get_if<api::ErrorInfo>(&response.body);
    if (error != nullptr && error->code == api::Errc::malformed_request) {
        drain();
    }
}

void Session::answer_watch(const Origin& origin, const api::Response& response) {
    reply(origin, response);
    if (response.more_frames) {
        end_request();
    }
}

wire::OutBuffer& Session::watch_frames() {
    context_.sessions->mark_dirty(*this);
    return out_;
}

void Session::end_watch_requests(std::size_t count) {
    for (; count > 0; count--) {
        end_request();
    }
}

Session::WatchShard& Session::watch_shard(ShardId shard) {
    for (WatchShard& there : watch_shards) {
        if (there.shard == shard) {
            return there;
        }
    }
    return watch_shards.emplace_back(WatchShard{shard, 0});
}

void Session::relay(const Origin& origin, std::uint8_t kind, std::uint8_t flags, Bytes body) {
    if ((flags & (wire::flag_more | wire::flag_error)) == 0 && overfull(origin)) {
        return;
    }
    const std::size_t length = limits::frame_header_bytes + body.size();
    ASSERT(length % wire::frame_alignment == 0);
    wire::encode_frame_header(out_.extend(limits::frame_header_bytes),
                              {static_cast<std::uint32_t>(length), kind, flags, origin.token});
    out_.append(body);
    if ((flags & wire::flag_more) == 0) {
        end_request();
    }
    context_.sessions->mark_dirty(*this);
}

void Session::say(std::uint64_t request_id, wire::ClientKind kind, api::Errc code, std::string_view detail) {
    api::Response response;
    response.header.cluster_id = context_.config.cluster_id;
    response.header.member_id = context_.config.self;
    response.body = api::ErrorInfo{code, detail, {}, {}};
    const bool fits = wire::encode_response(request_id, kind, response, out_);
    ASSERT(fits);   // details are sentences
    context_.sessions->mark_dirty(*this);
}

void Session::refuse(std::uint64_t request_id, wire::ClientKind kind, api::Errc code, std::string_view detail) {
    say(request_id, kind, code, detail);
    drain();
}

// Nothing more is heard; what waits to be sent may leave.
void Session::drain() {
    state_ = State::draining;
    deadline_ = context_.now + drain_timeout;
}

void Session::on_late() {
    close(state_ == State::draining ? "it broke the protocol, and does not take its answers" : "no hello");
}

void Session::say_goodbye() {
    if (state_ == State::draining) {
        return;
    }
    if (state_ != State::open) {
        close("");   // it has not asked for anything yet
        return;
    }
    say(0, wire::ClientKind::hello, api::Errc::stopped, {});
}

void Session::flush() {
    if (state_ == State::closed) {
        return;
    }
    if (out_.pending_bytes() > 0 && !out_.sending()) {
        context_.world.network.send(connection_, out_.start_send());
    }
    if (state_ == State::draining && out_.held_bytes() == 0) {
        close("");
    }
}

void Session::on_sent() {
    out_.send_done();
    context_.sessions->mark_dirty(*this);
    context_.forwards->on_room(*this);
    if (watch_sink != no_slot || !watch_shards.empty()) {
        context_.watches->on_room(*this);
    }
}

void Session::on_closed(env::CloseReason) {
    release();
}

void Session::close(std::string_view why) {
    if (state_ == State::closed) {
        return;
    }
    if (!why.empty()) {
        context_.log_line(env::LogLevel::info, "client connection closed: " + std::string(why));
    }
    context_.world.network.close(connection_);
    context_.sessions->retired().keep(connection_, std::move(out_));
    out_ = wire::OutBuffer();
    release();
}

void Session::release() {
    if (state_ != State::closed) {
        state_ = State::closed;
        context_.sessions->on_closed(*this);
    }
}

}  // namespace ringfort::shard
