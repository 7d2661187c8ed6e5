// One Raft group as a pure state machine: step(event) -> effects. No clock, no I/O, no randomness.
//
// The shard feeds it messages, proposals, durable notices and liveness news, and carries out the effects. It calls
// flush() once at the end of a turn: appends, commit announcements and hard state changes of the turn leave together.
//
// The core never holds payloads. It knows of each entry its id and its size while the shard keeps it in memory; older
// ones it knows by runs of terms only, and asks for them (`need_entries`) when a follower is far behind.
//
// Invariants: commit <= last index, except after a restart (the hint may lie beyond the own log's end: such a replica
// does not campaign); snapshot <= commit; a leader never truncates; term never falls; nothing in `send_when_durable`
// may leave before everything in `persist` of this and earlier steps is durable.
//
// A crash loses what was persisted last. Because answers wait for it, to everybody else a crash looks like messages
// lost: the lost steps never happened. What `send_now` holds says nothing that is undone by that: appends of a leader
// whose term and vote are durable, and timeout_now.
//
// At construction the leader is unknown and every peer is presumed alive: tell PeerLost for those that are not. The
// first step or flush asks for the election timer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/instant.h"
#include "raft/types.h"

namespace ringfort::raft {

struct Core;

struct Options {
    RangeId range{};
    NodeId self{};
    std::size_t append_bytes_max{256 * 1024};       // payload of one append message
    std::size_t window_bytes_max{4 * 1024 * 1024};  // unanswered appends per follower
};

// What the log and the checkpoint say at start.
struct InitialState {
    HardState hard_state;
    EntryId snapshot{};                     // last entry the checkpoint covers; (0,0): none
    Configuration snapshot_configuration;   // in force at `snapshot`
    // Entries after the snapshot, in order, without gaps. Payloads are read for config and fence kinds only (and are
    // valid during the call). `damaged` names those whose payload is lost, rising; their id and checksum are known.
    std::span<const Entry> entries;
    std::span<const LogIndex> damaged;
};

// ---- effects

struct Persist {
    // Entries with index >= truncate_from are void; before `entries` are appended. 0: nothing to truncate.
    LogIndex truncate_from{};
    // New entries for the log. Spans into what step() was given (messages) or into `own_payloads` (config, fence, noop).
    std::vector<Entry> entries;
    bool hard_state_changed{false};         // then Raft::hard_state() goes into the same batch
};

struct NeedEntries {
    NodeId to{};
    LogIndex first{};
    LogIndex last{};                        // inclusive
    std::size_t bytes_max{0};
};

struct ReadState {                          // see Raft::read_index
    LogIndex index{};
};

// What an installed snapshot means for the log (see SnapshotInstalled).
enum class SnapshotFit : std::uint8_t {
    none,       // nothing to do: the state here is as new
    log_kept,   // the log goes on behind the snapshot: record it like a checkpoint of one's own, keep the entries
    log_void,   // every entry in the log is void
};

// Collected over steps; the shard drains it after each step (persist first) and clears it. Views in messages point into
// what was given to step() or into the owners below: who keeps a message longer copies what it views (only fetch,
// fetch_response and the answer to EntriesRead have any).
struct Effects {
    Persist persist;
    std::vector<Message> send_now;
    std::vector<Message> send_when_durable;  // after the batch that holds all `persist` so far
    std::vector<NeedEntries> need_entries;   // read them, then step(EntriesRead)
    std::vector<NodeId> need_snapshot;       // stream a checkpoint to the peer, then step(SnapshotSent)
    bool committed{false};                   // Raft::commit() moved
    bool role_changed{false};                // Raft::role(), leader() or term() changed
    bool configuration_changed{false};
    // Leader unknown or lost: call step(ElectionDue) after a random delay, counted from now even if one is running. It
    // is asked for again whenever one ran out in vain, so one delay at a time is enough.
    bool want_election_timer{false};
    // Payloads of damaged entries, found at a peer: write them (append_repaired), then step(EntryRepaired) for each.
    std::vector<Entry> repaired;
    SnapshotFit snapshot_fit{SnapshotFit::none};  // of the SnapshotInstalled just stepped
    // A peer remembers entries that this replica had answered for, or an incarnation that it had begun, and that are
    // forgotten here: the replica is in a new incarnation, in doubt.
    bool doubt_began{false};
    // What is remembered of this replica leaves it no incarnation: it counts in no quorum any more, and is not heard.
    bool incarnations_spent{false};
    // The committed fence of this replica is durable here: it counts again.
    bool doubt_ended{false};
    // Owners of payloads the core itself made (config, fence); live until clear().
    std::vector<std::vector<std::byte>> own_payloads;
    // Owners of FetchItem arrays in messages; live until clear().
    std::vector<std::vector<FetchItem>> own_fetch_items;

    bool empty() const;   // nothing to carry out
    void clear();
};

// ---- events

struct MessageReceived {
    const Message* message;
};
// Leader only. The shard has written the payload already; the core gives it its id. Answer: the id, or nothing if this
// node cannot accept proposals now (not leader, transfer under way).
struct Propose {
    EntryKind kind{EntryKind::command};
    std::uint32_t payload_bytes{0};
    std::uint64_t checksum{0};
};
// A batch is durable, and all before it: `last` and `term` are what Raft::last() and Raft::term() were when the batch
// was closed. Void for entries overwritten since. The term says which hard state is durable with it: a replica that is
// a quorum by itself leads only when its own vote is.
struct Durable {
    EntryId last;
    Term term;
};
// What the peer's ended process had sent is not stepped after this: else this replica might wait for a leader that is
// none, and one in doubt cannot tell it so. (Safety does not depend on it.)
struct PeerLost {
    NodeId peer;
};
struct PeerBack {
    NodeId peer;
};
struct ElectionDue {
    bool force{false};   // skip pre-vote: transfer or a test
};
struct TransferLeadership {
    NodeId target;       // 0: the most advanced voter
};
struct TransferTimedOut {};
// Voters and learners wanted; joint phases are the core's business. Ignored unless can_change_configuration() and the
// target is valid: some voter, nobody both voter and learner, at most members_max old and new members together.
struct ChangeConfiguration {
    Configuration target;
};
// Answer to need_entries: these are in memory now; the append message leaves with them attached.
struct EntriesRead {
    NodeId to;
    std::span<const Entry> entries;   // a prefix of what was asked; empty: they are gone (compacted or unreadable)
};
struct SnapshotSent {
    NodeId to;
    EntryId snapshot;
    bool ok{false};      // the stream ended; the receiver's snapshot_response says whether it was installed
};
// A whole snapshot has arrived and its file is durable: the core makes it its new beginning. Effects::snapshot_fit says
// which record the shard puts into the open batch, in the same turn, to name it. Ignored if the state here is as new.
struct SnapshotInstalled {
    EntryId snapshot;
    Configuration configuration;
    NodeId from;
    Term term;           // the sender's term
};
// An entry of this log beyond what was applied cannot be read back: its payload is lost, as if recovery had found it so.
// What a configuration or a fence said stays known.
struct EntryLost {
    EntryId id;
    std::optional<std::uint64_t> checksum;   // nothing: where it stood is lost as well
    EntryKind kind{EntryKind::command};      // if the checksum is known
};
struct EntryRepaired {
    LogIndex index;      // a damaged entry's payload is durable again
};

// Once in a while, as long as is_damaged(): a question not answered since the last one is asked again.
struct FetchOverdue {};

using Event = std::variant<MessageReceived, Durable, PeerLost, PeerBack, ElectionDue, TransferLeadership,
                           TransferTimedOut, ChangeConfiguration, EntriesRead, SnapshotSent, SnapshotInstalled,
                           EntryLost, EntryRepaired, FetchOverdue>;

// A leader's view of one follower, for status replies and tests.
struct PeerStatus {
    NodeId node{};
    LogIndex match{};
    LogIndex next{};
    bool alive{false};
    bool counts{true};
    bool snapshot{false};
    Incarnation incarnation{};   // the highest this node has heard of
};

class Raft {
  public:
    Raft(const Options& options, const InitialState& initial);
    ~Raft();
    Raft(const Raft&) = delete;
    Raft& operator=(const Raft&) = delete;

    void step(const Event& event, Effects& effects);
    // Gives a proposal its place in the leader's log. The payload is the shard's: it writes it into the open batch under
    // this id; the entry is not in effects.persist. nullopt: this node does not accept proposals now.
    std::optional<EntryId> propose(const Propose& proposal, Effects& effects);
    // End of turn: emits the appends that new entries, acknowledgements and commits call for.
    void flush(Effects& effects);

    // ---- state
    Role role() const;
    bool is_leader() const { return role() == Role::leader; }
    bool accepts_proposals() const;              // leader, and no transfer under way
    // A living voter has more of this leader's log durable than the leader itself: its disk is the faster one.
    bool successor_is_ahead() const;
    bool can_change_configuration() const;       // accepts proposals, and the last change is committed and not joint
    NodeId leader() const;                       // 0: unknown
    Term term() const;
    // `commit` in it is always the newest; that alone is no reason to write it.
    const HardState& hard_state() const;
    LogIndex commit() const;
    EntryId last() const;
    EntryId durable() const;   // the last entry of the own log that is
    EntryId snapshot() const;
    // Term of an entry at or after the snapshot. nullopt: compacted or beyond the end.
    std::optional<Term> term_at(LogIndex index) const;
    const Configuration& configuration() const;
    // In force at this index. Requires: index >= snapshot().index.
    const Configuration& configuration_at(LogIndex index) const;
    // Entries up to here may be applied: committed, present and not damaged.
    LogIndex appliable() const;
    // Entries whose payload is still lost, rising.
    std::vector<LogIndex> damaged() const;
    bool is_damaged() const;
    bool in_doubt() const;
    // The message claims to lead in the term this replica leads in: one of the two is broken. Such a message must not be
    // stepped.
    bool is_second_leader(const Message& message) const;
    std::vector<PeerStatus> peers() const;

    // ---- reads (thesis 6.4). The commit index if this leader may serve reads once a quorum confirms its term: only
    // after an entry of its own term is committed.
    std::optional<LogIndex> read_index() const;
    // Whether these nodes (self is always counted if it counts) form a quorum of the configuration.
    bool is_quorum(std::span<const NodeId> confirmed) const;

    // ---- what the shard tells about its memory
    // Entries up to `through` are covered by a checkpoint; the core forgets them. Requires: through <= appliable(), and
    // `configuration_at` is the one in force there.
    void compact(LogIndex through, const Configuration& configuration_at);
    // Payloads up to `through` left memory: appends that need them go through need_entries.
    void evicted(LogIndex through);

    void check_invariants() const;

  private:
    // Tests compare what is inside, and copy it to see what else may follow (tests/raft/inside.h).
    friend struct Inside;
    explicit Raft(std::unique_ptr<Core> core);

    std::unique_ptr<Core> core_;
};

}  // namespace ringfort::raft
