// The state of one Raft group and its transitions, split over files by concern:
//
//   core.cc        construction, dispatch of events, the gates every message passes, roles
//   election.cc    pre-vote, vote, check-quorum (Raft 5.2, thesis 9.6, 6.2)
//   transfer.cc    leadership transfer (thesis 3.10)
//   replicate.cc   the leader's side of the log: proposals, appends, acknowledgements, commit (Raft 5.3, 5.4.2)
//   follow.cc      the follower's side: appends received, answers, commit
//   snapshot.cc    snapshots sent and installed, compaction (Raft 7)
//   change.cc      joint consensus (Raft 6, thesis 4.3)
//   doubt.cc       lost promises: incarnations and fences
//   repair.cc      damaged entries
//
// Why each of these is safe stands at the head of its file.
#pragma once

#include <optional>
#include <span>

#include "base/mutant.h"
#include "raft/configuration.h"
#include "raft/damage.h"
#include "raft/fences.h"
#include "raft/log.h"
#include "raft/progress.h"
#include "raft/raft.h"

namespace ringfort::raft {

// What a follower owes its leader: one answer a turn for all appends of the turn.
struct Answer {
    bool due{false};
    LogIndex prev{};    // of the last append it answers
    LogIndex match{};   // log equal to the leader's through here
};

struct Core {
    Core(const Options& options_in, const InitialState& initial);

    void step(const Event& event, Effects& out);
    void flush(Effects& out);

    // ---- core.cc
    void load_entries(const InitialState& initial);
    void on(const MessageReceived& event, Effects& out);
    void on(const Durable& event, Effects& out);
    bool pass_incarnation(const Message& message, Effects& out);
    bool pass_term(const Message& message, Effects& out);
    void refuse_old_term(const Message& message, Effects& out);
    void dispatch(const Message& message, Effects& out);
    void become_follower(Term term, NodeId new_leader, Effects& out);
    void set_leader(NodeId node, Effects& out);
    void announce_resignation(Effects& out);
    void persist_hard_state(Effects& out);
    void on_commit_moved(Effects& out);
    Message make(MessageType type, NodeId to) const;
    void send_when_durable(const Message& message, Effects& out) { out.send_when_durable.push_back(message); }
    void refuse(MessageType type, const Message& request, Effects& out);
    void note_entry(const Entry& entry);                    // config and fence entries, as they enter the log
    void sync_configuration(Effects& out);
    void truncate(LogIndex from, Effects& out);
    bool is_voter() const { return configurations.current().is_voter(options.self); }
    bool leader_alive() const;
    bool counted(NodeId node) const;                        // in quorums, as far as is known here
    LogIndex appliable() const;
    void check_invariants() const;

    // ---- election.cc
    void on(const ElectionDue& event, Effects& out);
    void on(const PeerLost& event, Effects& out);
    void on(const PeerBack& event, Effects& out);
    bool may_campaign() const;
    void start_pre_vote(Effects& out);
    void start_election(bool transfer, Effects& out);
    void request_votes(MessageType type, Term term, bool transfer, Effects& out);
    void maybe_win(Effects& out);
    bool has_votes() const;
    bool up_to_date(EntryId candidate_last) const {
        return candidate_last >= log.last() ||
               (MUTANT(longer_log_wins) && candidate_last.index >= log.last().index);
    }
    void become_leader(Effects& out);
    void check_quorum(Effects& out);
    void on_pre_vote(const Message& message, Effects& out);
    void on_vote(const Message& message, Effects& out);
    void on_any_vote_response(const Message& message, Effects& out);
    void remind_of_leader(NodeId node, Effects& out);

    // ---- transfer.cc
    void on(const TransferLeadership& event, Effects& out);
    void on(const TransferTimedOut& event, Effects& out);
    NodeId best_successor() const;
    bool successor_is_ahead() const;
    void maybe_hand_over(Effects& out);
    void on_timeout_now(const Message& message, Effects& out);
    void on_resigned(const Message& message, Effects& out);

    // ---- replicate.cc
    std::optional<EntryId> propose(const Propose& proposal);
    EntryId append_own(EntryKind kind, std::vector<std::byte> payload, Effects& out);
    void flush_leader(Effects& out);
    void flush_peer(Progress& peer, Effects& out);
    bool send_next(Progress& peer, Effects& out);
    void send_append(Progress& peer, std::uint32_t entry_count, std::uint64_t bytes, std::span<const Entry> entries,
                     Effects& out);
    void on(const EntriesRead& event, Effects& out);
    void on_append_response(const Message& message, Effects& out);
    void on_accepted(Progress& peer, LogIndex match, Effects& out);
    void maybe_commit(Effects& out);

    // ---- follow.cc
    void on_append(const Message& message, Effects& out);
    bool leaves_no_incarnation(const Message& append) const;
    bool is_well_formed(const Message& append) const;
    void accept_entries(const Message& message, Effects& out);
    void reject_append(const Message& message, Effects& out);
    void take_entry(const Entry& entry, Effects& out);
    void flush_follower(Effects& out);

    // ---- snapshot.cc
    void on(const SnapshotSent& event, Effects& out);
    void on(const SnapshotInstalled& event, Effects& out);
    void need_snapshot(Progress& peer, Effects& out);
    void on_snapshot_response(const Message& message, Effects& out);
    void tell_of_leader(Progress& peer, Effects& out);
    void compact(LogIndex through, const Configuration& configuration_at);

    // ---- change.cc
    void on(const ChangeConfiguration& event, Effects& out);
    void on_configuration_committed(Effects& out);
    bool can_change_configuration() const;

    // ---- doubt.cc
    void raise_incarnation(Progress& peer, const Message& message, Effects& out);
    void note_standing(Progress& peer, const Message& message);
    void ask_for_fence(const Message& message, Effects& out);
    void ensure_fence(const Progress& peer, LogIndex after, Effects& out);
    void begin_doubt(Incarnation known, Effects& out);
    void announce_doubt(Effects& out);
    void maybe_end_doubt(Effects& out);

    // ---- repair.cc
    void on(const EntryLost& event, Effects& out);
    void on(const EntryRepaired& event, Effects& out);
    void on(const FetchOverdue& event, Effects& out);
    void maybe_fetch(Effects& out);
    NodeId whom_to_ask() const;
    void on_fetch(const Message& message, Effects& out);
    FetchResult lookup(const FetchItem& item);
    void on_fetch_response(const Message& message, Effects& out);
    void take_found(DamagedEntry& entry, const Message& message, Effects& out);
    void maybe_drop_damaged(Effects& out);
    void maybe_give_way(Effects& out);

    const Options options;
    Log log;
    ConfigurationHistory configurations;
    FenceTable fences;
    Peers peers;
    DamagedSet damage;
    Search search;

    HardState hard_state;        // hard_state.commit is the commit index
    Role role{Role::follower};
    NodeId leader{};             // 0: unknown
    LogIndex durable{};          // own entries durable through here
    Term durable_term{};         // the own vote of this term and before is durable
    bool timer_due{true};        // the next step or flush asks for the election timer

    // Leaders only.
    LogIndex term_start{};       // the noop of this term: until it is committed the commit index may be old (thesis 6.4)
    bool appends_due{false};     // something may have to be told to a peer
    NodeId transferee{};         // 0: no transfer under way
    bool handed_over{false};     // timeout_now was sent to it

    // Followers only; for the current term and leader.
    Answer answer;
};

}  // namespace ringfort::raft
