// What a leader does for the leases of its ranges: it counts their time, gathers keep-alives into one entry a turn, and
// ends those whose time is over.
//
// Time: see kv/lease_table.h. In a term the leader counts on its own monotonic clock from the reading the state has; what
// it could not hear anybody in (it was stopped, the machine slept, its log has no room) does not count, as keep-alives may
// wait at its door. While there are leases, and what is proposed is committed, a reading is committed every second or so:
// hardly more than that a change of leaders costs.
//
// Expiry: found by the state's wheel, proposed with the lease's version and this term; the first thing a leader commits
// about leases is its term, and only then does it end any.
//
// Keep-alives: those of a turn become one command for each range, and each is answered once that is applied: with what the
// state says then, some a turn.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/work_budget.h"
#include "kv/store.h"
#include "shard/context.h"
#include "shard/held_reads.h"
#include "shard/origin.h"
#include "shard/pool_view.h"
#include "shard/read_rounds.h"

namespace ringfort::shard {

class Replica;

class LeaseKeeper {
  public:
    explicit LeaseKeeper(Context& context);

    // The command of a grant or a revocation, as the leader proposes it now. Requires: the replica leads.
    kv::CommandBody command_of(const api::Operation& op, const Replica& replica);
    // Joins the keep-alives of this turn. Requires: the replica takes proposals. Errc: refused, nothing kept.
    api::Errc add(Replica& replica, const Origin& origin, std::span<const api::LeaseId> ids, Instant deadline);
    // A confirmed read about leases: answered now, or held back while a command is being applied, or while the place the
    // answer goes to takes none. What it costs is taken from the budget.
    void serve(Replica& replica, const PendingRead& read, WorkBudget& budget);
    // Requires: it is about leases, and no command is being applied.
    void answer(Replica& replica, const Origin& origin, const HeldReads::Question& question, WorkBudget& budget);

    // What the keeper proposed has an outcome.
    void on_outcome(const Origin& origin, const api::Response& response);
    void on_leader_known(Replica& replica);

    // Before flush and apply: proposes the keep-alives of this turn.
    void propose();
    // After apply: answers some of what has an outcome. true: there is more to do at once.
    bool run();
    void on_timers(Instant now);
    Instant next_deadline() const;
    bool idle() const { return batches_.empty(); }
    std::size_t held_bytes() const;
    void list_pools(PoolList& out) const;
    void fail_all(api::Errc code);

  private:
    // Of a range this shard leads.
    struct Clock {
        RangeId range{};
        Term term{};
        Instant looked_at{};
        kv::LeaseTime reading{};        // then
        bool heard{true};               // whoever keeps a lease alive, then
        Instant spoke_at{};             // when it last proposed something about leases
        bool spoke{false};              // in this term
        std::size_t expiring{0};        // proposals without an outcome
    };
    struct Waiter {
        Origin origin{};                // none: it was answered when its deadline was over
        std::size_t ids_end{0};         // its ids are those from the end of the one before
        Instant deadline{};
    };
    enum class BatchState : std::uint8_t { gathering, proposed, done };
    // Keep-alives of one range that go together.
    struct Batch {
        std::uint64_t number{0};
        Replica* replica{nullptr};
        BatchState state{BatchState::gathering};
        std::vector<api::LeaseId> ids;
        std::vector<Waiter> waiters;
        bool held_up{false};            // no room for it yet
        std::size_t answered{0};        // of the waiters
        Instant deadline{};             // the latest of theirs
        api::Errc code{api::Errc::ok};  // of a batch that is done
    };

    Clock& clock_of(const Replica& replica);
    bool hears(const Replica& replica) const;
    kv::LeaseTime now_of(const Replica& replica);
    kv::LeaseStamp stamp(const Replica& replica);
    Batch& gathering_batch(Replica& replica);
    void propose(Batch& batch);
    bool propose_own(Replica& replica, const kv::CommandBody& body);
    void keep(Replica& replica, Instant now, WorkBudget& budget);
    void expire(Replica& replica, Clock& clock, WorkBudget& budget);
    bool answer_batch(Batch& batch, WorkBudget& budget);
    void answer_late(Instant now);
    api::LeaseTimeToLiveResponse time_to_live(Replica& replica, const api::LeaseTimeToLiveRequest& request,
                                              WorkBudget& budget);
    api::LeaseListResponse list(Replica& replica, const api::LeaseListRequest& request, WorkBudget& budget);

    Context& context_;
    std::vector<Clock> clocks_;
    std::deque<std::unique_ptr<Batch>> batches_;   // oldest first
    std::uint64_t next_batch_{1};
    std::size_t waiting_{0};                       // waiters without an answer
    std::size_t waiting_ids_{0};
    Instant next_look_{};
    std::size_t first_{0};                         // range whose leases are looked at first
    std::vector<kv::Store::ExpiredLease> expired_;
    std::vector<api::LeaseId> ids_;
    std::vector<std::string_view> keys_;
};

// Whether a request of this kind is a read that the keeper answers.
constexpr bool is_lease_read(wire::ClientKind kind) {
    return kind == wire::ClientKind::lease_time_to_live || kind == wire::ClientKind::lease_list;
}

}  // namespace ringfort::shard
