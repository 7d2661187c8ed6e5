// Linearizable reads at a replica that does not lead (Raft thesis 6.4): served from the state here, once the leader has
// said up to where it must be applied.
//
// Reads of a range wait together; at the end of a turn the leader's shard is asked once for all ranges that have some
// (wire::ReadIndex), with the term in which it is known to lead. Reads that arrive later wait for the next question. An
// index told once stays good, whoever leads later: what is applied here up to it is committed. Why the index covers
// whatever was acknowledged before the question left stands at ReadRounds::on_read_index().
//
// Asking, this node vouches that it knows no higher term. One in doubt has forgotten what it promised: it does not ask.
//
// No read is lost or waits long: without an answer, or with a state that is behind the index, reads go the way over the
// leader's node (Forwards) after a short while, and so do new ones until an empty question shows that this replica has
// caught up. They go that way at once if the leader is lost or refuses.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/work_budget.h"
#include "shard/context.h"
#include "shard/early_cancels.h"
#include "shard/inspect.h"
#include "shard/pool_view.h"
#include "shard/read_rounds.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

class FollowerReads {
  public:
    explicit FollowerReads(Context& context);

    // Takes the read and copies what it points to. false: nothing kept, the leader's node is the better place.
    bool add(Replica& replica, const PendingRead& read);
    void on_answer(const Link& link, const wire::ReadIndexAnswer& answer);
    // Whoever asked wants no answer any more, if the request waits here: it gets its last frame when its turn comes.
    void on_cancel(const Origin& origin);

    // End of turn: serves what may be served, some of it; asks for those that wait. true: there is more to do at once.
    bool run();
    Instant next_deadline() const;
    bool idle() const { return active_.empty(); }
    // Memory of reads that wait.
    std::size_t held_bytes() const { return held_bytes_; }
    void list_pools(PoolList& out) const;
    void fail_all(api::Errc code);

    FollowerReadsView counters() const;

  private:
    //   open -> asked -> known -> serving;  open, asked, known -> leaving
    enum class Stage : std::uint8_t {
        open,      // takes reads
        asked,     // the question has left
        known,     // answered; what is applied here may still be behind the index
        serving,
        leaving,   // for the leader's node
    };
    // Reads of one range that are served together. One without reads finds out whether the replica has caught up.
    struct Batch {
        std::uint64_t number{0};                // as it was opened
        Arena arena{32 * 1024};
        Stage stage{Stage::open};
        std::vector<PendingRead> reads;
        std::size_t done{0};                    // of the reads, from the front
        std::array<std::uint64_t, 2> round{};   // of the question
        NodeId leader{};
        Term term{};
        LogIndex index{};
        Instant asked_at{};
    };
    struct Group {
        Replica* replica{nullptr};
        // Oldest first. Invariant: only the last may be open; none has reads to be asked for while `behind`.
        std::vector<std::unique_ptr<Batch>> batches;
        bool active{false};    // listed in active_
        bool behind{false};
        Instant probe_at{};    // while behind: not before
    };
    struct Question {
        Link* link;
        Batch* batch;
        wire::ReadRoundItem item;
    };

    Group& group_of(Replica& replica);
    Group* find(RangeId range);
    Link* way_to_leader(const Replica& replica) const;
    Batch& open_batch(Group& group);
    void probe(Group& group);
    bool stands(const Group& group, const Batch& batch) const;
    void look_at(Group& group);
    void give_up(Group& group);
    bool work(Group& group, WorkBudget& budget);
    bool work_off(Group& group, Batch& batch, WorkBudget& budget);
    void retire(Group& group);
    void forget_cancels();
    void ask();
    void send_questions();

    Context& context_;
    const std::uint64_t nonce_;         // of this start: drawn from the environment's seed
    std::uint64_t next_round_{1};
    std::vector<std::unique_ptr<Group>> groups_;   // by range id
    std::vector<Group*> active_;                   // those with batches
    std::vector<std::unique_ptr<Batch>> spare_;
    std::uint64_t batches_opened_{0};
    std::size_t reads_{0};        // that wait
    std::size_t held_bytes_{0};   // of all arenas in use
    EarlyCancels cancels_;        // of reads that wait
    FollowerReadsView counters_;
    std::vector<Question> questions_;
    std::vector<wire::ReadRoundItem> items_;
};

}  // namespace ringfort::shard
