// One range's replica on this node: the Raft group, the state machine, and who waits for what.
//
// The way of a write: propose() encodes the command into the log's open batch; the batch becomes durable here and on
// followers; raft moves commit; apply() steps the state machine and answers, in the same turn.
//
// Invariants: state machine applied <= raft.appliable(); pending_ is ordered by (term, index) and its front's index is
// above applied; nothing is applied while a snapshot is being installed.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/ring_queue.h"
#include "kv/directory.h"
#include "kv/store.h"
#include "raft/raft.h"
#include "shard/context.h"
#include "shard/origin.h"
#include "shard/pool_view.h"

namespace ringfort::shard {

// A proposal of this node that somebody waits for.
struct PendingWrite {
    raft::EntryId id{};
    Origin origin{};
    Instant deadline{};
    std::uint64_t added_bytes{0};   // kv::added_bytes(), until it shows in the store
    api::Revision reclaim{0};       // of a physical compaction: answered when its space is free
};

struct ReplicaStart {
    RangeId range{};
    DomainId domain{};
    raft::HardState hard_state;
    std::optional<CheckpointRecord> checkpoint;
    std::span<const raft::Entry> entries;
    std::span<const LogIndex> damaged;
    // The state at the checkpoint: loaded by Checkpoints, or fresh.
    std::unique_ptr<kv::Store> store;
    std::unique_ptr<kv::Directory> directory;
};

// An empty store for the range. The seed of its hash index is the node's own secret.
std::unique_ptr<kv::Store> new_store(Context& context, RangeId range);

class Replica {
  public:
    Replica(Context& context, ReplicaStart&& start);
    ~Replica();
    Replica(const Replica&) = delete;
    Replica& operator=(const Replica&) = delete;

    RangeId range() const { return range_; }
    DomainId domain() const { return domain_; }
    // Recovered replicas learn their domain from the directory.
    void set_domain(DomainId domain) { domain_ = domain; }
    raft::Raft& raft() { return *raft_; }
    const raft::Raft& raft() const { return *raft_; }
    kv::Store* store() { return store_.get(); }
    const kv::Store* store() const { return store_.get(); }
    const kv::Directory* directory() const { return directory_.get(); }
    LogIndex applied() const;
    // It has known a leader and applied all that its log held when it was made: whatever was committed by then and known
    // here. Stays so.
    bool caught_up() const { return caught_up_; }
    void note_caught_up();
    // What note_caught_up() waits for.
    LogIndex catches_up_at() const { return std::min(last_at_start_, raft_->last().index); }
    std::uint64_t state_hash() const;
    // Keeps the hash of the state at this index, if that is still to come or is now; of one index at a time.
    void note_hash_at(LogIndex index);
    std::optional<std::uint64_t> hash_noted_at(LogIndex index) const {
        return noted_at_ == index ? noted_hash_ : std::nullopt;
    }
    // Its state is wrong (state_compare.h): nothing is applied to it, nothing of it is told, until install() replaces it.
    bool out_of_service() const { return out_of_service_; }
    void leave_service();
    const CheckpointRecord& checkpoint() const { return checkpoint_; }

    // ---- events
    void step(const raft::Event& event);
    // On its way to a peer: entries of a fetch answer are read first.
    void send(const raft::Message& message);
    // Of a command that is proposed now, of no client's.
    kv::CommandHeader command_header() const;
    // Leader only: encodes the command into the open batch. The answer comes from apply(). Errc: why it was not proposed.
    // too_many_requests with log_full(): the log has no room now; try again after something became durable.
    // `added_bytes`: kv::added_bytes() of the request.
    api::Errc propose(const Origin& origin, const kv::CommandHeader& header, const kv::CommandBody& body, Instant deadline,
                      std::uint64_t added_bytes = 0);
    bool propose_raw(Bytes command);   // directory commands
    void on_durable(raft::EntryId last, Term term, std::span<const LogIndex> repaired);
    // Nothing happens while a transfer is under way.
    void transfer_leadership(NodeId to);   // 0: the most advanced voter
    // To another living voter each time: some may not take it, as they hang or are out of service themselves.
    void transfer_to_next();
    // The disk is slow here: hands over once a living voter has been ahead in durable entries for a while. Where disks that
    // hung together go on together, one of them is the first by chance.
    void transfer_if_outpaced();
    // Campaigns if the election timer ran out.
    void on_timer(Instant now);
    // Raft has no ticks: now and then, what was asked and never answered is asked again.
    void nudge();
    Instant election_at() const { return election_at_; }
    // How long no leader has been known here.
    Duration leaderless_for(Instant now) const { return leaderless_since_ == never ? Duration(0) : now - leaderless_since_; }
    void schedule_election(Duration at_most);

    // End of turn: raft.flush() and the effects of it.
    void flush();
    // Applies what is committed, in bounded steps, and answers. true: there is more to do next turn.
    bool apply(WorkBudget& budget);
    // Answers physical compactions whose space has become free.
    void answer_reclaimed();
    // Answers writes whose deadline is over or whose outcome is not learned here soon, `answers_left` at most. false: there
    // are more.
    bool expire(Instant now, std::size_t& answers_left);
    // Answers every pending write with the error: the node stops.
    void fail_pending(api::Errc code);
    std::size_t pending_count() const { return pending_live_ + reclaiming_.size(); }
    // Of what this node proposed and has not applied yet: what it may add to the store, and a bound of its largest command.
    std::uint64_t pending_bytes() const { return pending_bytes_; }
    void list_pools(PoolList& out) const;
    std::uint64_t pending_command_bytes_max() const {
        return pending_.empty() ? 0 : std::max(command_bytes_max_, command_bytes_max_before_);
    }

    // ---- snapshots and checkpoints (Checkpoints drives them)
    void on_checkpoint_durable(const CheckpointRecord& record);
    // Makes a received, loaded snapshot the replica's new beginning and names it in the open batch. false: the state here
    // is as new, nothing changed.
    bool install(const CheckpointRecord& record, std::unique_ptr<kv::Store> store,
                 std::unique_ptr<kv::Directory> directory, NodeId from, Term term);
    // A snapshot was offered that is no news here: its sender learns so. Requires: snapshot.index <= applied().
    void confirm_snapshot(raft::EntryId snapshot, NodeId from, Term term);
    // Configuration in force at the applied index.
    const raft::Configuration& applied_configuration() const { return applied_configuration_; }

    api::ResponseHeader header() const;
    void check_invariants() const;

    // An append that waits for the link's credit is sent by the link later; entries are attached then.
    // false: entries are no longer in memory.
    bool attach_entries(raft::Message& message, std::vector<raft::Entry>& scratch) const;
    void after_close_batch();

  private:
    // A read of old entries: for a follower, or (to = 0) for apply after a restart.
    struct OldRead {
        Replica* replica{nullptr};
        NodeId to{};
        // A fetch_response whose entries are read one by one; its items are owned here.
        std::optional<raft::Message> response;
        std::vector<raft::FetchItem> items;
        std::vector<std::vector<std::byte>> payloads;
        std::vector<raft::Entry> entries;
        std::size_t next_item{0};
        EntryRead read;
        // `first` and what follows it of what was read, as many as fit.
        std::size_t find(LogIndex first, std::span<raft::Entry> out) const;
        bool holds(LogIndex index) const;
        bool ends_at(LogIndex index) const { return read.damaged && read.damaged_id.index == index; }
        LogIndex begin{}, last{};   // asked for
    };

    void carry_out(raft::Effects& effects);
    void persist(raft::Effects& effects);
    void on_role_change();
    void report_damage();
    void report_doubt();
    void nudge_stuck_peers();
    void note_command(LogIndex index, std::uint64_t bytes);
    void start_read(NodeId to, LogIndex first, LogIndex last, std::size_t bytes_max);
    static void on_entries_read(EntryRead& read);
    void send_fetch_response(const raft::Message& message);
    void advance_fetch(OldRead& fetch);
    void on_fetched(OldRead& fetch);

    // apply, in replica_apply.cc
    enum class ApplyStep : std::uint8_t { done_entry, out_of_budget, waiting };
    ApplyStep apply_one(WorkBudget& budget);
    void lose_entries();
    void begin_entry(const raft::Entry& entry);
    void finish_entry();
    void answer_outcome(const PendingWrite& write);
    void drop_overwritten(raft::EntryId applied);
    void end_covered(raft::EntryId snapshot);
    bool rebuild(const CheckpointRecord& record, std::unique_ptr<kv::Store> store, NodeId from, Term term);
    void exchange_store(std::unique_ptr<kv::Store> store);
    void return_to_service();
    PendingWrite* pending_for(raft::EntryId id);
    PendingWrite pop_pending();
    std::optional<raft::Entry> entry_to_apply(LogIndex index);
    void look_ahead(LogIndex first);
    void read_on(LogIndex first);
    ApplyStep wait_for_entry(LogIndex index);

    Context& context_;
    RangeId range_;
    DomainId domain_;
    std::unique_ptr<raft::Raft> raft_;
    std::unique_ptr<kv::Store> store_;          // of data ranges
    std::unique_ptr<kv::Directory> directory_;  // of range 0
    CheckpointRecord checkpoint_;
    raft::Configuration applied_configuration_;

    RingQueue<PendingWrite> pending_;
    std::size_t pending_live_{0};
    // Physical compactions: those in pending_, and those that are applied and wait for their space.
    std::size_t pending_physical_{0};
    std::vector<PendingWrite> reclaiming_;
    std::uint64_t pending_bytes_{0};
    // Of the commands proposed since `generation_begin_`, and of those of the generation before. A generation ends when its
    // first command is applied: whatever came before it is applied by then and counts no more.
    std::uint64_t command_bytes_max_{0};
    std::uint64_t command_bytes_max_before_{0};
    LogIndex generation_begin_{};

    LogIndex last_at_start_{};
    bool caught_up_{false};
    bool out_of_service_{false};
    LogIndex noted_at_{};
    std::optional<std::uint64_t> noted_hash_;   // nullopt: it is still to come

    raft::Effects effects_;
    BatchSequence persisted_in_{0};   // the batch that holds the newest thing persisted
    bool commit_moved_{false};
    Instant election_at_{never};
    Instant transfer_until_{never};
    NodeId last_successor_{};        // of transfer_to_next()
    Instant outpaced_since_{never};
    Instant leaderless_since_;             // never: there is one
    std::uint32_t election_attempts_{0};   // since a leader was last known
    bool left_to_others_{false};           // likewise: an election, with a slow disk or out of service
    raft::Role last_role_{raft::Role::follower};
    NodeId last_leader_{};

    // Committed entries found in the log's memory or in apply_reads_, the next to be applied first. Views of this turn's.
    struct Lookahead {
        std::array<raft::Entry, kv::Store::look_ahead_max> entries;
        std::size_t first{0};
        std::size_t count{0};
    };
    Lookahead ahead_;
    // The entry being applied, perhaps over several turns.
    struct Applying {
        bool active{false};
        bool stepping{false};   // a command of the store: step until done
        raft::EntryId id{};
        bool answered{false};   // somebody waits here: the outcome is built and sent
    };
    Applying applying_;
    Arena answer_arena_;        // replies of the command being applied
    std::vector<std::unique_ptr<OldRead>> reads_;
    // Old entries from disk for apply, which is at the first of them or waits for it; the others are read ahead.
    std::deque<std::unique_ptr<OldRead>> apply_reads_;
    std::vector<std::pair<NodeId, LogIndex>> last_match_;   // at the last nudge()
    LogIndex stuck_at_{};                // a damaged entry that is next to be applied, for so many nudges
    std::size_t stuck_nudges_{0};
    bool spent_told_{false};             // that no incarnation is left
    std::size_t doubtful_nudges_{0};     // in a row, in doubt and without a leader
};

}  // namespace ringfort::shard
