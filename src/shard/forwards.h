// Requests that this shard took and another place answers: the leader's node, or another shard of this node. Also those
// that wait until a leader is known.
//
// A request is forwarded once; an answer that says "not the leader" brings it back here, where it waits and is tried
// again until its deadline, or until no leader has been known for an election timeout. A write whose way to the
// leader broke has an unknown outcome and is answered so.
//
// Bounds: the bodies held here, and the replies on their way to one session. A long reply is sent elsewhere under credit;
// of the client's credit only as much is passed on as its connection has room for: what is passed on and has not come
// yet, and what has come and not left, stay below a bound together. A range without room for its first piece waits here.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/context.h"
#include "shard/origin.h"
#include "shard/pool_view.h"

namespace ringfort::shard {

class Replica;
class Session;

// What Forwards keeps with a session.
struct ForwardAccount {
    std::uint32_t first{UINT32_MAX};   // slots of its requests, oldest first
    std::uint32_t last{UINT32_MAX};
    std::size_t request_bytes{0};      // of bodies held
    std::size_t reserved_bytes{0};     // of replies that may come
    bool wants_room{false};            // some slot has credit that could not be passed on
};

class Forwards {
  public:
    explicit Forwards(Context& context);

    struct Request {
        Origin origin{};
        RangeId range{};
        bool write{false};
        bool redirect{false};
        bool long_reply{false};     // the reply may come in pieces, under credit
        std::int64_t credit{0};     // the origin's for that
        Instant deadline{};
    };
    // Copies the body. Sends it if the way is known, else it waits. Errc: refused (too many), nothing kept.
    api::Errc add(const Request& request, Bytes body);
    // To another shard of this node.
    api::Errc add_mail(const Request& request, ShardId shard, Bytes body);

    // false: nobody waits for it; whoever sends a long reply may as well end it.
    bool on_reply(std::uint64_t token, std::uint8_t kind, std::uint8_t flags, Bytes body);
    void on_link_lost(std::uint64_t link);
    void on_leader_known(RangeId range);
    // The client at the origin takes more of a long reply, or no longer wants it.
    void on_credit(const Origin& origin, std::uint32_t bytes);
    // false: there is none of that origin.
    bool on_cancel(const Origin& origin);
    void on_session_gone(Session& session);
    // The session's connection took something.
    void on_room(Session& session);

    void on_timers(Instant now);
    Instant next_deadline() const { return sweep_at_; }
    std::size_t count() const { return count_; }
    // So many bytes of a request of the session are on their way to another shard otherwise, or arrived there.
    void hold(Session& session, std::size_t bytes);
    void let_go(Session& session, std::size_t bytes);
    // As much is held as may be: sessions that have some of it here are not read.
    bool full() const;
    std::size_t held_bytes() const { return held_bytes_; }
    void list_pools(PoolList& out) const;
    void fail_all(api::Errc code);

  private:
    enum class State : std::uint8_t { free, waiting, sent, mailed };
    struct Slot {
        State state{State::free};
        bool by_mail{false};
        bool answered_partly{false};   // pieces of a long reply went to the client: no second try
        std::uint32_t generation{0};
        Request request{};
        std::uint64_t link{0};
        std::uint64_t attempt{0};
        ShardId shard{};
        std::int64_t owed_bytes{0};        // credit of the client, not passed on
        // Passed on, and the reply's bytes have not come. Below 0: a piece took more than there was, and that is owed.
        std::int64_t passed_bytes{0};
        std::size_t counted_bytes{0};      // of the body, in held_bytes_
        std::vector<std::byte> body;
        // Lists: slots of the same session, of the same hash of the origin.
        std::uint32_t session_next{UINT32_MAX}, session_previous{UINT32_MAX};
        std::uint32_t origin_next{UINT32_MAX}, origin_previous{UINT32_MAX};
    };
    struct LostLink {
        std::uint64_t link;
        std::uint64_t attempt_end;    // those sent before it,
        std::size_t slot_end;         // which are in slots before this one
        std::size_t slots_left;       // of these, to be looked at
    };

    std::uint32_t index_of(const Slot& slot) const { return static_cast<std::uint32_t>(&slot - slots_.data()); }
    std::uint64_t token_of(const Slot& slot) const;
    Slot* find(std::uint64_t token);
    Slot* find(const Origin& origin);
    Session* session_of(const Slot& slot) const;
    Slot* take_slot(const Request& request, Bytes body);
    void release(Slot& slot);
    void drop_body(Slot& slot);
    void enlist(Slot& slot);
    void delist(Slot& slot);
    std::uint32_t& bucket_of(const Origin& origin);

    bool try_send(Slot& slot);
    bool send_to_leader(Slot& slot, std::int64_t credit);
    void send_to_shard(Slot& slot, std::int64_t credit);
    void grant(Slot& slot, std::int64_t bytes);
    void tell_cancelled(Slot& slot);
    std::int64_t passable(const Slot& slot);
    void set_passed(Slot& slot, std::int64_t bytes);
    void pass_credit(Slot& slot);

    void lose(Slot& slot);
    void wait_again(Slot& slot);
    void answer(Slot& slot, api::Errc code);
    void sweep_slot(Slot& slot, Instant now);
    void sweep_soon();

    Context& context_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::vector<std::uint32_t> buckets_;
    std::size_t count_{0};
    std::size_t held_bytes_{0};
    std::uint64_t attempts_{0};
    std::vector<LostLink> lost_links_;
    // Slots are looked at in a circle, some a turn; after a round there is a pause. Whatever happens the circle goes on
    // where it is: news that began it anew would keep it from slots that others wait to be looked at.
    std::size_t sweep_next_{0};
    std::size_t round_left_{0};   // slots until the pause
    Instant sweep_at_{never};
};

}  // namespace ringfort::shard
