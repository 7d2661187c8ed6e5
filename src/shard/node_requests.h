// Requests about this node in which each of its shards has a part: status, and handing over leaderships. The shard that
// was asked asks the others by mail, and answers when all have spoken or at the request's deadline. Also what the shards
// tell each other unasked: how much memory their data takes, for the node's memory limit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/types.h"
#include "env/mailbox.h"
#include "shard/context.h"
#include "shard/origin.h"
#include "shard/pool_view.h"

namespace ringfort::shard {

class NodeRequests {
  public:
    explicit NodeRequests(Context& context);
    ~NodeRequests();

    void status(const Origin& origin, Instant deadline);
    // Answered when the leaderships are gone. Every range this node leads, or the one named.
    void move_leader(const Origin& origin, const api::MoveLeaderRequest& request, Instant deadline);

    // MailKind::node_ask, from the shard that was asked; MailKind::node_part, the answer to it.
    void on_ask(ShardId from, const env::Mail& mail);
    void on_part(const env::Mail& mail);

    // What the data of all shards of this node takes, with what was admitted and is not yet applied. The others' is what
    // they said last: they speak up when it moved by a 256th of the limit.
    std::uint64_t memory_bytes() const;
    void on_memory(ShardId from, std::uint64_t bytes);
    void list_pools(PoolList& out) const;

    void on_timers(Instant now);
    Instant next_deadline() const;

  private:
    // A client's request: what is known of it, and how many shards have not spoken.
    struct Job {
        std::uint64_t token{0};
        Origin origin{};
        Instant deadline{};
        bool move{false};
        std::size_t missing{0};
        std::vector<std::vector<std::byte>> parts;   // of a status: a reply frame's body per shard
        std::uint64_t moved{0};                      // leaderships, of a hand-over
        api::Errc code{api::Errc::ok};
    };
    // This shard's part of a hand-over, until its ranges are led by others.
    struct Move {
        ShardId asker{};
        std::uint64_t token{0};
        std::vector<RangeId> ranges;
        std::uint64_t moved{0};
        Instant deadline{};
    };
    struct Part {
        std::uint64_t token{0};
        api::Errc code{api::Errc::ok};
        std::uint64_t moved{0};
        std::vector<std::byte> status;
    };

    void ask_all(Job&& job, NodeId target, std::uint64_t range);
    void begin_move(ShardId asker, std::uint64_t token, NodeId target, std::uint64_t range, Instant deadline);
    bool still_leads(const Move& move) const;
    void give(ShardId asker, Part&& part);
    void take(Part&& part);
    void finish(Job& job);
    void finish_status(const Job& job);
    std::vector<std::byte> own_status();
    std::vector<std::string> own_alarms() const;
    std::uint64_t own_memory_bytes() const;
    void tell_memory(Instant now);

    Context& context_;
    std::vector<std::unique_ptr<Job>> jobs_;
    std::vector<Move> moves_;
    std::uint64_t next_token_{1};
    std::vector<std::uint64_t> memory_bytes_;   // as each other shard said last; the own place stays 0
    std::uint64_t told_bytes_{0};
    Instant tell_at_{};
};

}  // namespace ringfort::shard
