// Client connections of the shard: hello, frames in, replies out, bounds.
//
// Bounds: requests in flight per connection, bytes of replies not yet taken by the client (then the connection is not
// read any more until it takes them), frame size, time to say hello. A client that breaks the protocol is told why in one
// error frame, is not heard any more, and is closed when it has taken that, or some seconds later.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "api/types.h"
#include "shard/context.h"
#include "shard/forwards.h"
#include "shard/inspect.h"
#include "shard/origin.h"
#include "shard/pool_view.h"
#include "shard/retired_sends.h"
#include "shard/slot_pool.h"
#include "wire/client_codec.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::shard {

class Session final : public env::ConnectionHandler {
  public:
    Session(Context& context, env::ConnectionId connection, std::uint64_t id);

    std::uint64_t id() const { return id_; }
    bool closed() const { return state_ == State::closed; }
    // Until when it must have said hello, or have taken its last frame.
    Instant deadline() const { return state_ == State::open ? never : deadline_; }
    std::size_t held_bytes() const { return out_.held_bytes(); }
    std::size_t in_flight() const { return in_flight_; }
    std::uint32_t credit_bytes() const { return credit_bytes_; }
    // Its requests that other places answer.
    ForwardAccount& forwarded() { return forwarded_; }

    void reply(const Origin& origin, const api::Response& response);
    void relay(const Origin& origin, std::uint8_t kind, std::uint8_t flags, Bytes body);
    // The first frame of a watch: with it the request counts as answered.
    void answer_watch(const Origin& origin, const api::Response& response);
    // Where frames of watches are appended, whole.
    wire::OutBuffer& watch_frames();
    // So many requests for watches were answered by what was appended.
    void end_watch_requests(std::size_t count);
    // What Watches keeps with a session: its sink (watcher.h), and other shards where it has watches.
    std::uint32_t watch_sink{no_slot};
    struct WatchShard {
        ShardId shard{};
        std::size_t owed_bytes{0};   // of frames from there, not yet reported as taken
    };
    std::vector<WatchShard> watch_shards;
    WatchShard& watch_shard(ShardId shard);
    std::size_t watches_opening_bytes{0};   // of requests mailed there and not answered
    // Continues with frames that were set aside while the shard or this connection was at a bound.
    void resume();
    bool blocked() const { return blocked_; }
    bool may_resume() const;
    std::size_t set_aside_bytes() const { return set_aside_.size(); }
    // Bytes received and not yet used.
    std::size_t unused_bytes() const { return set_aside_.size() + reader_.held_bytes(); }
    void flush();
    // At deadline().
    void on_late();
    void close(std::string_view why);
    // The node stops: tells the client, who closes the connection when its answers are in.
    void say_goodbye();

    void on_received(Bytes bytes) override;
    void on_sent() override;
    void on_closed(env::CloseReason reason) override;

  private:
    enum class State : std::uint8_t { preamble, hello, open, draining, closed };

    void read_frames();
    bool on_frame(const wire::FrameReader::Frame& frame);
    bool on_hello(const wire::FrameReader::Frame& frame);
    bool at_bound() const;
    enum class Wait : std::uint8_t { nothing, room, log, mail };
    // What has to come before the next frame is read.
    Wait next_waits_for() const;
    void say(std::uint64_t request_id, wire::ClientKind kind, api::Errc code, std::string_view detail);
    void refuse(std::uint64_t request_id, wire::ClientKind kind, api::Errc code, std::string_view detail);
    void drain();
    bool overfull(const Origin& origin);
    void end_request();
    void release();

    Context& context_;
    const env::ConnectionId connection_;
    const std::uint64_t id_;
    State state_{State::preamble};
    const std::size_t frame_bytes_max_;
    wire::FrameReader reader_;
    wire::OutBuffer out_;
    std::size_t in_flight_{0};
    bool blocked_{false};
    Wait waits_for_{Wait::nothing};      // why it is
    std::vector<std::byte> set_aside_;   // received while blocked; fed on resume
    std::uint32_t credit_bytes_;
    ForwardAccount forwarded_;
    Instant deadline_;
    std::size_t thrown_away_{0};         // bytes received while draining
};

class Sessions final : public env::ListenerHandler {
  public:
    explicit Sessions(Context& context);
    ~Sessions() override;

    void start();
    void on_accepted(env::ConnectionId connection, std::string_view remote) override;

    void reply(const Origin& origin, const api::Response& response);
    void relay(const Origin& origin, std::uint8_t kind, std::uint8_t flags, Bytes body);
    std::size_t held_bytes(std::uint64_t session) const;
    Session* find(std::uint64_t id) const;

    // Mail that must not be lost: waits while the other shard's queue is full.
    void post(ShardId to, env::Mail&& mail);
    // As much of it waits as may. (It goes whatever clients do.)
    bool mail_waits() const { return unposted_.size() > context_.config.bounds.waiting_mail; }

    void mark_dirty(Session& session);
    void mark_blocked(Session& session);
    bool has_dirty() const { return !dirty_.empty(); }
    // End of turn: resumes blocked sessions if there is room, sends what is to be sent.
    void flush();
    void on_timers(Instant now);
    Instant next_deadline() const;
    std::size_t count() const { return live_; }
    HeldView held() const;
    void list_pools(PoolList& out) const;
    RetiredSends& retired() { return retired_; }
    ShardId shard_for(const wire::ClientHello& hello) const;
    void on_closed(Session& session);
    // The node stops: what is pending is answered, new requests are refused, and clients are asked to leave.
    void say_goodbye();

  private:
    void resume_blocked();

    Context& context_;
    std::vector<std::unique_ptr<Session>> sessions_;   // by slot; id = slot | generation << 32
    std::vector<std::uint32_t> generations_;
    std::vector<std::uint32_t> free_;
    std::vector<std::unique_ptr<Session>> closed_;     // destroyed at the end of the turn
    std::size_t live_{0};
    std::vector<std::uint64_t> dirty_;
    std::vector<std::uint64_t> blocked_;
    std::vector<std::uint64_t> resuming_;   // of resume_blocked()
    std::deque<std::pair<ShardId, env::Mail>> unposted_;
    RetiredSends retired_;
};

}  // namespace ringfort::shard
