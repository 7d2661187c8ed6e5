// All replicas of a shard, and what they share: the order of durability, the list of those with work this turn, news of
// peers, elections.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "shard/pool_view.h"
#include "shard/replica.h"

namespace ringfort::shard {

class Bootstrap;

class Replicas {
  public:
    explicit Replicas(Context& context);

    Bootstrap& bootstrap() { return *bootstrap_; }
    void set_bootstrap(Bootstrap& bootstrap) { bootstrap_ = &bootstrap; }

    Replica& add(ReplicaStart&& start);
    Replica* find(RangeId range);
    const std::vector<std::unique_ptr<Replica>>& all() const { return replicas_; }
    bool empty() const { return replicas_.empty(); }

    // ---- durability
    // The open batch holds something of this replica; what its log and term are now is durable with that batch.
    void note_persisted(Replica& replica);
    // The entry's payload, written anew, is durable with the open batch.
    void note_repaired(Replica& replica, LogIndex index);
    // The message may leave once the batch is durable. Views in it are copied.
    void send_when_durable(BatchSequence batch, Replica& replica, const raft::Message& message);
    void on_durable(BatchSequence through);

    // ---- the turn
    void mark_active(Replica& replica);
    // raft.flush() and apply for every replica with work. Returns whether some has more to do at once.
    bool flush_and_apply();
    void after_close_batch();
    void on_timers(Instant now);
    Instant next_deadline() const;

    // ---- news
    void on_peer_lost(NodeId peer, ShardId remote_shard, bool closed);
    void on_peer_back(NodeId peer, ShardId remote_shard);
    void on_leader_known(Replica& replica);
    void on_directory_applied(Replica& replica);
    void on_unreadable(Replica& replica, LogIndex index);
    // How long an election may be put off at most: short after a closed connection, longer after silence.
    Duration election_delay(const Replica& replica, std::uint32_t attempts) const;
    // Hands over every leadership of this shard to the most advanced voter.
    void transfer_all();
    void transfer_outpaced();   // see Replica
    void fail_all(api::Errc code);
    std::size_t leader_count() const;
    bool lead_any() const;
    // The first that has not caught up since the start; null: all have.
    const Replica* not_caught_up() const;
    std::size_t pending_count() const;
    void list_pools(PoolList& out) const;

  private:
    struct DurableNote {
        BatchSequence batch;
        Replica* replica;
        raft::EntryId last;
        Term term;
        std::vector<LogIndex> repaired;
    };
    DurableNote& note_of(Replica& replica);
    struct DurableMessage {
        BatchSequence batch;
        Replica* replica;
        raft::Message message;
        std::vector<raft::FetchItem> fetch_items;
    };
    void maybe_bootstrap(Replica& directory);

    Context& context_;
    Bootstrap* bootstrap_{nullptr};
    std::vector<std::unique_ptr<Replica>> replicas_;   // by range id
    std::vector<Replica*> active_;
    std::vector<Replica*> working_;                    // the active ones of the pass under way
    std::deque<DurableNote> notes_;                    // by batch
    std::deque<DurableMessage> messages_;              // by batch
    std::uint64_t passes_{0};
    bool last_loss_was_close_{false};
    Instant expired_at_{};
    Instant nudged_at_{};
};

}  // namespace ringfort::shard
