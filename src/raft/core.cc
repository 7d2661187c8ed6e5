#include "raft/core.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "base/mutant.h"
#include "raft/quorum.h"

namespace ringfort::raft {

Core::Core(const Options& options_in, const InitialState& initial)
    : options(options_in),
      log(initial.snapshot),
      configurations(initial.snapshot.index, initial.snapshot_configuration),
      hard_state(initial.hard_state) {
    ASSERT(bool(options.self));
    ASSERT(options.append_bytes_max > 0 && options.window_bytes_max > 0);
    load_entries(initial);
    hard_state.term = MUTANT(term_lost_at_restart) ? log.last().term : std::max(hard_state.term, log.last().term);
    if (hard_state.term != initial.hard_state.term || MUTANT(vote_lost_at_restart)) {
        hard_state.vote = NodeId{};
    }
    // A log in doubt may end in entries that were overwritten since, in records that are lost: the hint, which is newer,
    // does not speak of them. What is committed of it a leader says.
    hard_state.commit = hard_state.in_doubt && !MUTANT(doubtful_trusts_commit_hint) ? log.snapshot().index
                                            : std::max(hard_state.commit, log.snapshot().index);
    durable = log.last().index;
    durable_term = initial.hard_state.term;
    peers.sync(configurations.current(), options.self, log.last().index.next());
    check_invariants();
}

void Core::load_entries(const InitialState& initial) {
    auto lost = initial.damaged.begin();
    for (const Entry& entry : initial.entries) {
        if (entry.id.index <= initial.snapshot.index) {
            continue;  // the checkpoint is newer than these
        }
        ASSERT(entry.id.index == log.last().index.next());
        log.append(entry.id.term, 0, Residence::disk);
        while (lost != initial.damaged.end() && *lost < entry.id.index) {
            ++lost;
        }
        if (lost == initial.damaged.end() || *lost != entry.id.index) {
            note_entry(entry);
        } else {
            damage.add({.id = entry.id, .checksum = entry.checksum, .kind = entry.kind, .known = false, .found = false,
                        .configuration = {}, .fence = {}, .never = {}});
        }
    }
}

void Core::step(const Event& event, Effects& out) {
    std::visit([&](const auto& e) { on(e, out); }, event);
    if (timer_due) {
        timer_due = false;
        out.want_election_timer = true;
    }
}

void Core::flush(Effects& out) {
    maybe_end_doubt(out);
    if (role == Role::leader) {
        flush_leader(out);
    } else {
        flush_follower(out);
    }
    if (!damage.empty()) {
        maybe_fetch(out);
    }
    if (timer_due) {
        timer_due = false;
        out.want_election_timer = true;
    }
}

void Core::on(const MessageReceived& event, Effects& out) {
    const Message& message = *event.message;
    ASSERT(message.range == options.range);
    ASSERT(message.to == options.self);
    if (message.from == options.self || !message.from || message.incarnation > incarnation_last) {
        return;
    }
    if (pass_incarnation(message, out) && pass_term(message, out)) {
        ask_for_fence(message, out);
        dispatch(message, out);
    }
}

void Core::on(const Durable& event, Effects& out) {
    durable_term = std::max(durable_term, event.term);
    if (event.last.index > durable && (log.holds(event.last) || MUTANT(flush_of_overwritten_counts))) {
        durable = event.last.index;
        if (role == Role::leader) {
            maybe_commit(out);
        }
    }
    maybe_end_doubt(out);
    if (role == Role::candidate) {
        maybe_win(out);
    }
}

// Messages of older incarnations say what a member has forgotten since: they are dropped. But the member may have forgotten
// its newer incarnation, too. An append tells it; the one on its way may have been lost. Only what is said now and then is
// answered so: a member that may not take another incarnation answers each append.
bool Core::pass_incarnation(const Message& message, Effects& out) {
    Progress& peer = peers.get(message.from);
    if (message.incarnation < peer.incarnation && !MUTANT(old_incarnation_heard)) {
        const bool said_now_and_then =
            message.type == MessageType::pre_vote || message.type == MessageType::vote ||
            message.type == MessageType::resigned || message.type == MessageType::snapshot_response;
        if (said_now_and_then) {
            remind_of_leader(message.from, out);
        }
        return false;
    }
    if (message.incarnation > peer.incarnation) {
        raise_incarnation(peer, message, out);
    }
    note_standing(peer, message);
    return true;
}

// Figure 2, "rules for servers": a higher term is adopted, a lower one is refused. A pre-vote's term is not anybody's
// yet (thesis 9.6), and a vote request must not push aside a leader that is alive (thesis 4.2.3).
bool Core::pass_term(const Message& message, Effects& out) {
    const bool old_answer = message.type == MessageType::append_response && message.term < hard_state.term;
    if (message.term == hard_state.term || (MUTANT(old_terms_answer_counts) && old_answer)) {
        return true;
    }
    if (message.term < hard_state.term) {
        refuse_old_term(message, out);
        return false;
    }
    switch (message.type) {
        case MessageType::pre_vote: return true;
        case MessageType::pre_vote_response:
            if (!message.reject) {
                return true;
            }
            become_follower(message.term, NodeId{}, out);
            return false;
        case MessageType::vote:
            if (leader_alive() && message.from != leader && !message.transfer) {
                return true;  // on_vote refuses without taking the term
            }
            become_follower(message.term, NodeId{}, out);
            return true;
        case MessageType::append: become_follower(message.term, message.from, out); return true;
        case MessageType::append_response:
        case MessageType::vote_response:
        case MessageType::timeout_now:
        case MessageType::announce:
        case MessageType::snapshot_response:
        case MessageType::fetch:
        case MessageType::fetch_response:
        case MessageType::resigned: become_follower(message.term, NodeId{}, out); return true;
    }
    UNREACHABLE();
}

// Requests of an old term are answered, so that the sender learns the new one.
void Core::refuse_old_term(const Message& message, Effects& out) {
    switch (message.type) {
        case MessageType::append:
            refuse(MessageType::append_response, message, out);
            break;
        case MessageType::pre_vote:
            refuse(MessageType::pre_vote_response, message, out);
            remind_of_leader(message.from, out);
            break;
        case MessageType::vote:
            refuse(MessageType::vote_response, message, out);
            remind_of_leader(message.from, out);
            break;
        case MessageType::resigned: remind_of_leader(message.from, out); break;
        case MessageType::fetch: on_fetch(message, out); break;
        case MessageType::append_response:
        case MessageType::pre_vote_response:
        case MessageType::vote_response:
        case MessageType::timeout_now:
        case MessageType::announce:
        case MessageType::snapshot_response:
        case MessageType::fetch_response: break;
    }
}

void Core::dispatch(const Message& message, Effects& out) {
    switch (message.type) {
        case MessageType::append: on_append(message, out); return;
        case MessageType::append_response: on_append_response(message, out); return;
        case MessageType::pre_vote: on_pre_vote(message, out); return;
        case MessageType::vote: on_vote(message, out); return;
        case MessageType::pre_vote_response:
        case MessageType::vote_response: on_any_vote_response(message, out); return;
        case MessageType::timeout_now: on_timeout_now(message, out); return;
        case MessageType::announce: return;  // ask_for_fence has done all
        case MessageType::snapshot_response: on_snapshot_response(message, out); return;
        case MessageType::fetch: on_fetch(message, out); return;
        case MessageType::fetch_response: on_fetch_response(message, out); return;
        case MessageType::resigned: on_resigned(message, out); return;
    }
    UNREACHABLE();
}

void Core::become_follower(Term term, NodeId new_leader, Effects& out) {
    ASSERT(term >= hard_state.term);
    const bool led = role == Role::leader;
    if (term > hard_state.term) {
        hard_state.term = term;
        hard_state.vote = NodeId{};
        persist_hard_state(out);
    }
    if (led && !new_leader) {
        announce_resignation(out);
    }
    if (role != Role::follower) {
        role = Role::follower;
        out.role_changed = true;
    }
    transferee = NodeId{};
    handed_over = false;
    appends_due = false;
    damage.forget_answers();
    set_leader(new_leader, out);
    out.role_changed = true;
}

void Core::set_leader(NodeId node, Effects& out) {
    leader = node;
    answer = Answer{};
    search.clear();
    out.role_changed = true;
    if (!leader_alive()) {
        out.want_election_timer = true;
    }
}

// Followers take a leader for alive as long as its node is: they must be told when it only ceases to lead. So must those
// that a later configuration left out: they may not have heard of it, and be voters to others who have not either.
void Core::announce_resignation(Effects& out) {
    for (const Progress& peer : peers) {
        out.send_when_durable.push_back(make(MessageType::resigned, peer.node));
    }
}

void Core::persist_hard_state(Effects& out) {
    out.persist.hard_state_changed = true;
}

void Core::on_commit_moved(Effects& out) {
    out.committed = true;
    appends_due = true;
    maybe_end_doubt(out);
    if (role == Role::leader) {
        on_configuration_committed(out);
    }
}

Message Core::make(MessageType type, NodeId to) const {
    Message message;
    message.type = type;
    message.range = options.range;
    message.from = options.self;
    message.to = to;
    message.incarnation = hard_state.incarnation;
    message.term = hard_state.term;
    message.counts = !hard_state.in_doubt;
    return message;
}

void Core::refuse(MessageType type, const Message& request, Effects& out) {
    // No word of the log: who asked may lead again in this term, and would take it for an answer to what it asks now.
    Message message = make(type, request.from);
    message.reject = true;
    send_when_durable(message, out);
}

void Core::note_entry(const Entry& entry) {
    switch (entry.kind) {
        case EntryKind::command:
        case EntryKind::noop: return;
        case EntryKind::config: {
            Configuration configuration;
            ASSERT(decode(entry.payload, configuration));
            configurations.insert(entry.id.index, configuration);
            return;
        }
        case EntryKind::fence: {
            Fence fence;
            ASSERT(decode(entry.payload, fence));
            fences.insert(entry.id.index, fence);
            return;
        }
    }
    UNREACHABLE();
}

void Core::sync_configuration(Effects& out) {
    out.configuration_changed = true;
    appends_due = true;
    peers.sync(configurations.current(), options.self, log.last().index.next());
}

// Entries at and after `from` conflict with the leader's, or are known never to be committed.
void Core::truncate(LogIndex from, Effects& out) {
    ASSERT(role != Role::leader);
    ASSERT(from > hard_state.commit);
    log.truncate(from);
    damage.truncate(from);
    fences.truncate(from);
    durable = std::min(durable, from.prev());
    if (configurations.index() >= from) {
        configurations.truncate(from);
        sync_configuration(out);
    }
    Persist& persist = out.persist;
    std::erase_if(persist.entries, [&](const Entry& entry) { return entry.id.index >= from; });
    persist.truncate_from = bool(persist.truncate_from) ? std::min(persist.truncate_from, from) : from;
}

bool Core::leader_alive() const {
    if (leader == options.self) {
        return true;
    }
    const Progress* peer = peers.find(leader);
    return bool(leader) && peer != nullptr && peer->alive;
}

bool Core::counted(NodeId node) const {
    if (node == options.self) {
        return !hard_state.in_doubt;
    }
    const Progress* peer = peers.find(node);
    return peer != nullptr && peer->counted();
}

LogIndex Core::appliable() const {
    LogIndex through = std::min(hard_state.commit, log.last().index);
    if (const auto lost = damage.first_from(LogIndex{}); lost && !MUTANT(damaged_entry_applied)) {
        through = std::min(through, lost->prev());
    }
    return through;
}

void Core::check_invariants() const {
    log.check_invariants();
    ASSERT(hard_state.commit >= log.snapshot().index);
    ASSERT(hard_state.term >= log.last().term);
    ASSERT(durable <= log.last().index);
    ASSERT(configurations.index() <= log.last().index);
    ASSERT(!bool(transferee) || role == Role::leader);
    if (role == Role::leader) {
        ASSERT(leader == options.self);
        ASSERT(hard_state.vote == options.self);
        ASSERT(!hard_state.in_doubt);
        ASSERT(hard_state.commit <= log.last().index);
        // The noop leaves the log like any other entry once a checkpoint covers it.
        ASSERT(term_start < log.snapshot().index || log.term_at(term_start) == hard_state.term);
    } else {
        ASSERT(leader != options.self);
    }
    if (role == Role::candidate) {
        ASSERT(hard_state.vote == options.self);
    }
    for (const Progress& peer : peers) {
        ASSERT(peer.match < peer.next);
        if (role == Role::leader && peer.member) {
            ASSERT(peer.match <= log.last().index);
            ASSERT(peer.next <= log.last().index.next());
        }
    }
}

}  // namespace ringfort::raft
