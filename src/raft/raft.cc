// The public face of Core.
#include "raft/raft.h"

#include <algorithm>

#include "base/mutant.h"
#include "raft/core.h"
#include "raft/quorum.h"

namespace ringfort::raft {

void Effects::clear() {
    persist.truncate_from = LogIndex{};
    persist.entries.clear();
    persist.hard_state_changed = false;
    send_now.clear();
    send_when_durable.clear();
    need_entries.clear();
    need_snapshot.clear();
    committed = false;
    role_changed = false;
    configuration_changed = false;
    want_election_timer = false;
    repaired.clear();
    snapshot_fit = SnapshotFit::none;
    doubt_began = false;
    incarnations_spent = false;
    doubt_ended = false;
    own_payloads.clear();
    own_fetch_items.clear();
}

bool Effects::empty() const {
    return !persist.truncate_from && persist.entries.empty() && !persist.hard_state_changed && send_now.empty() &&
           send_when_durable.empty() && need_entries.empty() && need_snapshot.empty() && !committed && !role_changed &&
           !configuration_changed && !want_election_timer && repaired.empty() && !doubt_ended && !doubt_began &&
           !incarnations_spent;
}

Raft::Raft(const Options& options, const InitialState& initial) : core_(std::make_unique<Core>(options, initial)) {}
Raft::Raft(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Raft::~Raft() = default;

void Raft::step(const Event& event, Effects& effects) { core_->step(event, effects); }
std::optional<EntryId> Raft::propose(const Propose& proposal, Effects&) { return core_->propose(proposal); }
void Raft::flush(Effects& effects) { core_->flush(effects); }

Role Raft::role() const { return core_->role; }
bool Raft::accepts_proposals() const { return is_leader() && !bool(core_->transferee); }
bool Raft::successor_is_ahead() const { return is_leader() && core_->successor_is_ahead(); }
bool Raft::can_change_configuration() const { return core_->can_change_configuration(); }
NodeId Raft::leader() const { return core_->leader; }
Term Raft::term() const { return core_->hard_state.term; }
const HardState& Raft::hard_state() const { return core_->hard_state; }
LogIndex Raft::commit() const { return core_->hard_state.commit; }
EntryId Raft::last() const { return core_->log.last(); }
EntryId Raft::durable() const { return {term_at(core_->durable).value_or(Term{}), core_->durable}; }
EntryId Raft::snapshot() const { return core_->log.snapshot(); }
std::optional<Term> Raft::term_at(LogIndex index) const { return core_->log.term_at(index); }
const Configuration& Raft::configuration() const { return core_->configurations.current(); }
const Configuration& Raft::configuration_at(LogIndex index) const { return core_->configurations.at(index); }
LogIndex Raft::appliable() const { return core_->appliable(); }
bool Raft::in_doubt() const { return core_->hard_state.in_doubt; }

bool Raft::is_damaged() const { return !core_->damage.empty(); }

bool Raft::is_second_leader(const Message& message) const {
    return is_leader() && message.type == MessageType::append && message.term == term();
}

std::vector<LogIndex> Raft::damaged() const {
    std::vector<LogIndex> out;
    for (const DamagedEntry& entry : core_->damage) {
        out.push_back(entry.id.index);
    }
    return out;
}

std::vector<PeerStatus> Raft::peers() const {
    std::vector<PeerStatus> out;
    for (const Progress& peer : core_->peers) {
        if (peer.member) {
            out.push_back({.node = peer.node, .match = peer.match, .next = peer.next, .alive = peer.alive,
                           .counts = peer.counted(), .snapshot = peer.state == Replication::snapshot,
                           .incarnation = peer.incarnation});
        }
    }
    return out;
}

std::optional<LogIndex> Raft::read_index() const {
    if (!is_leader() || (commit() < core_->term_start && !MUTANT(reads_before_own_commit))) {
        return std::nullopt;
    }
    return commit();
}

bool Raft::is_quorum(std::span<const NodeId> confirmed) const {
    return raft::is_quorum(configuration(), [&](NodeId node) {
        const bool named = node == core_->options.self ||
                           std::find(confirmed.begin(), confirmed.end(), node) != confirmed.end();
        return named && core_->counted(node);
    });
}

void Raft::compact(LogIndex through, const Configuration& configuration_at) {
    core_->compact(through, configuration_at);
}
void Raft::evicted(LogIndex through) { core_->log.evict(through); }
void Raft::check_invariants() const { core_->check_invariants(); }

}  // namespace ringfort::raft
