// The follower's side of the log (Raft 5.3).
//
// An answer says that entries are durable here: it waits for the batch that holds them. One answer a turn does for all
// appends of the turn. An append that shows nothing the leader has not been told already is not answered.
#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "raft/core.h"

namespace ringfort::raft {

namespace {

// What the core itself has to understand of an entry.
bool payload_is_sound(const Entry& entry) {
    switch (entry.kind) {
        case EntryKind::command:
        case EntryKind::noop: return true;
        case EntryKind::config: {
            Configuration configuration;
            return decode(entry.payload, configuration) && !configuration.voters.empty();
        }
        case EntryKind::fence: {
            Fence fence;
            return decode(entry.payload, fence) && fence.incarnation <= incarnation_last;
        }
    }
    UNREACHABLE();
}

}  // namespace

void Core::on_append(const Message& message, Effects& out) {
    ASSERT(role != Role::leader);  // one leader a term (Raft 5.2): see Raft::is_second_leader()
    if (!is_well_formed(message)) {
        out.incarnations_spent |= leaves_no_incarnation(message);
        return;
    }
    if (role != Role::follower || leader != message.from) {
        become_follower(message.term, message.from, out);
    }
    if (!leader_alive()) {
        MARK("append from a leader whose node counts as lost");
        // It was alive when it sent this; whether it still is the shard has to say.
        out.want_election_timer = true;
    }
    // In doubt, too: the leader goes back behind what an incarnation has told it for a newer one alone. What it was told
    // before this one is no matter: it has not heard of this one yet.
    const bool heard_of = !hard_state.in_doubt || message.known == hard_state.incarnation;
    const bool forgot_answers = message.hint.index > log.last().index && heard_of;
    if (forgot_answers || message.known > hard_state.incarnation) {
        begin_doubt(message.known, out);
    }
    const LogIndex known = std::min(hard_state.commit, log.last().index);
    const bool agrees = log.holds(message.prev) || (MUTANT(prev_term_unchecked) && message.prev.index <= log.last().index);
    if (message.prev.index < known || agrees) {
        accept_entries(message, out);
    } else {
        reject_append(message, out);
    }
    announce_doubt(out);
}

// One that this replica has forgotten has a next.
bool Core::leaves_no_incarnation(const Message& append) const {
    return append.known > hard_state.incarnation && append.known >= incarnation_last;
}

bool Core::is_well_formed(const Message& append) const {
    if (leaves_no_incarnation(append)) {
        return false;
    }
    EntryId before = append.prev;
    for (const Entry& entry : append.entries) {
        if (entry.id.index != before.index.next() || entry.id.term < before.term || entry.id.term > append.term) {
            return false;
        }
        if (!payload_is_sound(entry)) {
            return false;
        }
        before = entry.id;
    }
    return true;
}

void Core::accept_entries(const Message& message, Effects& out) {
    // What is committed here is equal to any leader's log, and may be compacted: only what lies behind is compared.
    const LogIndex known = std::min(hard_state.commit, log.last().index);
    const LogIndex appliable_before = appliable();
    LogIndex verified = std::max(known, message.prev.index);
    for (const Entry& entry : message.entries) {
        if (entry.id.index <= known) {
            continue;
        }
        if (!log.holds(entry.id) || MUTANT(truncates_without_conflict)) {
            if (entry.id.index <= log.last().index) {
                MARK("follower truncates what another leader wrote");
                truncate(entry.id.index, out);
            }
            take_entry(entry, out);
        }
        verified = entry.id.index;
    }
    const LogIndex commit = std::min(message.commit, MUTANT(commits_unverified) ? log.last().index : verified);
    if (commit > hard_state.commit) {
        hard_state.commit = commit;
        on_commit_moved(out);
    } else if (appliable() > appliable_before) {
        MARK("commit was ahead of the log");
        out.committed = true;  // the hint was ahead of the log
    }
    if (verified > message.match) {
        answer.due = true;
        answer.prev = message.prev.index;
        answer.match = std::max(answer.match, verified);
    }
}

void Core::reject_append(const Message& message, Effects& out) {
    MARK("append rejected for a gap or another term");
    Message response = make(MessageType::append_response, message.from);
    response.reject = true;
    response.prev.index = message.prev.index;
    response.hint.index = log.last_not_after(message.prev.index, message.prev.term);
    response.hint.term = log.term_at(response.hint.index).value_or(Term{});
    send_when_durable(response, out);
}

void Core::take_entry(const Entry& entry, Effects& out) {
    log.append(entry.id.term, static_cast<std::uint32_t>(entry.payload.size()), Residence::memory);
    out.persist.entries.push_back(entry);
    note_entry(entry);
    if (entry.kind == EntryKind::config) {
        sync_configuration(out);
    }
    Fence fence;
    if (entry.kind == EntryKind::fence && decode(entry.payload, fence) && fence.member == options.self &&
        fence.incarnation > hard_state.incarnation) {
        begin_doubt(fence.incarnation, out);  // it was begun here, and forgotten
    }
}

void Core::flush_follower(Effects& out) {
    if (!answer.due) {
        return;
    }
    ASSERT(role == Role::follower && bool(leader));
    answer.due = false;
    Message response = make(MessageType::append_response, leader);
    response.prev.index = answer.prev;
    response.match = answer.match;
    MUTANT(answer_before_flush) ? out.send_now.push_back(response) : send_when_durable(response, out);
}

}  // namespace ringfort::raft
