// The leader's side of the log (Raft 5.3): proposals, appends, acknowledgements, commit.
//
// Appends leave before the leader's own write is durable (thesis 10.2.1): its own vote for an entry, like anybody's, is
// its match index, and that moves only with Durable. So an entry may be committed without the leader having it durable.
#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "raft/core.h"
#include "raft/quorum.h"

namespace ringfort::raft {

std::optional<EntryId> Core::propose(const Propose& proposal) {
    ASSERT(proposal.kind == EntryKind::command);
    if (role != Role::leader || bool(transferee)) {
        return std::nullopt;
    }
    log.append(hard_state.term, proposal.payload_bytes, Residence::memory);
    appends_due = true;
    return log.last();
}

EntryId Core::append_own(EntryKind kind, std::vector<std::byte> payload, Effects& out) {
    ASSERT(role == Role::leader);
    ASSERT(kind != EntryKind::command);
    out.own_payloads.push_back(std::move(payload));
    Entry entry;
    entry.kind = kind;
    entry.payload = out.own_payloads.back();
    entry.checksum = checksum(entry.payload);
    log.append(hard_state.term, static_cast<std::uint32_t>(entry.payload.size()), Residence::memory);
    entry.id = log.last();
    out.persist.entries.push_back(entry);
    note_entry(entry);
    if (kind == EntryKind::config) {
        sync_configuration(out);
    }
    appends_due = true;
    return entry.id;
}

void Core::flush_leader(Effects& out) {
    if (!appends_due) {
        return;
    }
    appends_due = false;
    for (Progress& peer : peers) {
        if (peer.member && peer.alive) {
            flush_peer(peer, out);
        }
    }
}

void Core::flush_peer(Progress& peer, Effects& out) {
    switch (peer.state) {
        case Replication::probe:
            if (!peer.probe_sent && !peer.reading) {
                send_next(peer, out);
            }
            return;
        case Replication::replicate:
            while (!peer.in_flight.full(options.window_bytes_max) && !peer.reading && send_next(peer, out)) {
            }
            return;
        case Replication::snapshot: return;
    }
    UNREACHABLE();
}

// Sends what comes next, or sees to it that it can be sent. false: there is nothing more to do now.
bool Core::send_next(Progress& peer, Effects& out) {
    if (peer.next <= log.snapshot().index) {
        need_snapshot(peer, out);
        return false;
    }
    LogIndex end = log.last().index;
    if (const auto lost = damage.first_from(peer.next)) {
        MARK("leader cannot send a damaged entry");
        end = lost->prev();  // what cannot be read cannot be sent
    }
    if (peer.next > end) {
        const bool tells_commit = std::min(hard_state.commit, peer.next.prev()) > peer.commit_sent;
        if (peer.state == Replication::probe || tells_commit) {
            send_append(peer, 0, 0, {}, out);
        }
        return false;
    }
    if (peer.next < log.first_in_memory()) {
        peer.reading = true;
        out.need_entries.push_back({.to = peer.node, .first = peer.next,
                                    .last = std::min(end, log.first_in_memory().prev()),
                                    .bytes_max = options.append_bytes_max});
        return false;
    }
    const Log::Piece piece = log.piece(peer.next, end, options.append_bytes_max);
    send_append(peer, piece.entry_count, piece.bytes, {}, out);
    return peer.state == Replication::replicate;
}

void Core::send_append(Progress& peer, std::uint32_t entry_count, std::uint64_t bytes, std::span<const Entry> entries,
                       Effects& out) {
    const LogIndex prev = peer.next.prev();
    const LogIndex last = prev.plus(entry_count);
    Message& message = out.send_now.emplace_back(make(MessageType::append, peer.node));
    message.prev = {.term = *log.term_at(prev), .index = prev};
    message.entry_count = entry_count;
    message.entries = entries;
    message.commit = hard_state.commit;
    message.match = peer.state == Replication::replicate ? peer.match : LogIndex{};
    message.hint.index = peer.match;
    message.known = std::max(peer.incarnation, fences.newest_of(peer.node));   // this leader may have heard of none
    peer.commit_sent = std::min(hard_state.commit, last);
    if (peer.state != Replication::replicate) {
        peer.probe_sent = true;  // `next` stays: only the answer says where to go on
        return;
    }
    if (entry_count > 0) {
        peer.in_flight.add(last, bytes);
        peer.next = last.next();
    }
}

void Core::on(const EntriesRead& event, Effects& out) {
    Progress* peer = peers.find(event.to);
    if (role != Role::leader || peer == nullptr || !peer->member || !peer->reading) {
        return;
    }
    peer->reading = false;
    appends_due = true;
    if (event.entries.empty() || peer->next <= log.snapshot().index) {
        MARK("entries read for a follower are compacted");
        need_snapshot(*peer, out);
        return;
    }
    // An answer to an earlier question; or the log was cut while it was read, and written anew from there.
    if (event.entries.front().id.index != peer->next ||
        !std::ranges::all_of(event.entries, [this](const Entry& entry) { return log.holds(entry.id); })) {
        MARK("entries read for a follower are outdated");
        return;
    }
    std::uint64_t bytes = 0;
    for (const Entry& entry : event.entries) {
        bytes += entry.payload.size();
    }
    send_append(*peer, static_cast<std::uint32_t>(event.entries.size()), bytes, event.entries, out);
}

void Core::on_append_response(const Message& message, Effects& out) {
    Progress* peer = peers.find(message.from);
    if (role != Role::leader || peer == nullptr || !peer->member) {
        return;
    }
    if (!message.reject) {
        if (message.match <= log.last().index) {
            on_accepted(*peer, MUTANT(answer_confirms_all_sent) ? peer->next.prev() : message.match, out);
        }
        return;
    }
    const bool expected = peer->state == Replication::probe ? message.prev.index == peer->next.prev()
                                                            : message.prev.index > peer->match;
    if (!expected || peer->state == Replication::snapshot) {
        MARK("late or repeated rejection");
        return;  // a late or repeated answer
    }
    // Both logs hold what is agreed at or before both ends (thesis 3.2): whole terms are skipped at a time.
    const LogIndex agreed = log.last_not_after(message.hint.index, message.hint.term);
    const LogIndex next = std::min(agreed.next(), message.prev.index);
    peer->become_probe(std::max(next, peer->match.next()));
    appends_due = true;
}

void Core::on_accepted(Progress& peer, LogIndex match, Effects& out) {
    const bool caught_up = match > peer.match && match >= log.snapshot().index;
    peer.match = std::max(peer.match, match);
    peer.next = std::max(peer.next, peer.match.next());
    peer.in_flight.acknowledge(peer.match);
    appends_due = true;
    if (peer.state == Replication::probe && match.next() >= peer.next) {
        peer.reading = false;
        peer.become_replicate();
    } else if (peer.state == Replication::snapshot && caught_up) {
        MARK("follower caught up while a snapshot was under way");
        peer.become_probe(peer.match.next());  // it has caught up some other way
    }
    maybe_commit(out);
    if (role == Role::leader && peer.node == transferee) {
        maybe_hand_over(out);
    }
}

// Only entries of the own term are committed by counting (Raft 5.4.2); those before come with them.
void Core::maybe_commit(Effects& out) {
    ASSERT(role == Role::leader);
    const LogIndex index = quorum_index(configurations.current(), [&](NodeId node) {
        if (node == options.self) {
            return MUTANT(leader_counts_unflushed) ? log.last().index : durable;
        }
        const Progress* peer = peers.find(node);
        return peer != nullptr && peer->counted() ? peer->match : LogIndex{};
    });
    if (index > hard_state.commit && (log.term_at(index) == hard_state.term || MUTANT(commit_of_older_term))) {
        hard_state.commit = index;
        on_commit_moved(out);
    }
}

}  // namespace ringfort::raft
