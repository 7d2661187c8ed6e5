// Requests that this shard took and another place answers: the leader's node, or another shard of this node. Also those
// that wait until a leader is known.
//
// A request is forwarded once; an answer that says "not the leader" brings it back here, where it waits and is tried
// again until its deadline. A write whose way to the leader broke has an unknown outcome and is answered so.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/context.h"
#include "shard/origin.h"

namespace ringfort::shard {

class Replica;

class Forwards {
  public:
    explicit Forwards(Context& context);

    struct Request {
        Origin origin{};
        RangeId range{};
        bool write{false};
        bool redirect{false};
        Instant deadline{};
    };
    // Copies the body. Sends it if the way is known, else it waits. Errc: refused (too many), nothing kept.
    api::Errc add(const Request& request, Bytes body);
    // To another shard of this node.
    api::Errc add_mail(const Request& request, ShardId shard, Bytes body);

    void on_reply(std::uint64_t token, std::uint8_t kind, std::uint8_t flags, Bytes body);
    void on_link_lost(std::uint64_t link);
    void on_leader_known(RangeId range);
    // The client at the origin takes more of a long reply, or no longer wants it.
    void on_credit(const Origin& origin, std::uint32_t bytes);
    void on_cancel(const Origin& origin);
    void on_origin_gone(OriginKind kind, std::uint64_t place);

    void on_timers(Instant now);
    Instant next_deadline() const;
    std::size_t count() const { return count_; }
    void fail_all(api::Errc code);

  private:
    enum class State : std::uint8_t { free, waiting, sent, mailed };
    struct Slot {
        State state{State::free};
        std::uint32_t generation{0};
        Request request{};
        std::uint64_t link{0};
        ShardId shard{};
        bool answered_partly{false};   // pieces of a long reply went to the client: no second try
        std::vector<std::byte> body;
    };

    std::uint64_t token_of(std::size_t slot) const;
    Slot* find(std::uint64_t token);
    Slot* take_slot();
    void release(Slot& slot);
    bool try_send(Slot& slot);
    void lose(Slot& slot);
    void wait_again(Slot& slot);
    void answer(Slot& slot, api::Errc code);

    Context& context_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::size_t count_{0};
    Instant retry_at_{never};
};

}  // namespace ringfort::shard
