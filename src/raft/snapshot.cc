// Snapshots (Raft 7). The shard streams checkpoints; the core decides who needs one and makes an installed one its new
// beginning. A snapshot is committed state: it is taken from any sender of any term.
#include <algorithm>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "raft/core.h"

namespace ringfort::raft {

void Core::need_snapshot(Progress& peer, Effects& out) {
    if (peer.state != Replication::snapshot) {
        peer.become_snapshot();
        out.need_snapshot.push_back(peer.node);
        tell_of_leader(peer, out);
    }
}

// Who waits for a snapshot gets no other append. Without one it would hear nothing of who leads, in which term and by what
// incarnation it is known until the snapshot is installed, and its leader nothing of its term. Where it has what the
// snapshot holds, it accepts; else the rejection, like any in this state, counts for nothing.
void Core::tell_of_leader(Progress& peer, Effects& out) {
    ASSERT(role == Role::leader && peer.state == Replication::snapshot);
    peer.next = std::max(log.snapshot().index, peer.match).next();
    send_append(peer, 0, 0, {}, out);
}

void Core::on(const SnapshotSent& event, Effects&) {
    Progress* peer = peers.find(event.to);
    if (role != Role::leader || peer == nullptr || peer->state != Replication::snapshot) {
        return;
    }
    // The installation of this one was confirmed before the transfer ended: what is waited for is the next one, which the
    // shard did not begin while this one was under way.
    const bool superseded = event.snapshot.index <= peer->match;
    if (!event.ok || superseded) {
        MARK("snapshot transfer failed or superseded");
        peer->become_probe(peer->match.next());
        appends_due = true;
    }
}

void Core::on_snapshot_response(const Message& message, Effects& out) {
    Progress* peer = peers.find(message.from);
    if (role != Role::leader || peer == nullptr || !peer->member || message.commit > log.last().index) {
        return;
    }
    const bool awaited = peer->state == Replication::snapshot;
    if (!message.reject && message.match <= log.last().index) {
        on_accepted(*peer, message.match, out);
    }
    if (awaited && role == Role::leader) {
        peer->become_probe(peer->match.next());
        appends_due = true;
    }
}

void Core::on(const SnapshotInstalled& event, Effects& out) {
    // Who leads it does not say: its sender said the last word some time ago, and may be dead or deposed since.
    if (event.term > hard_state.term) {
        become_follower(event.term, NodeId{}, out);
    }
    if (event.snapshot.term > hard_state.term) {
        MARK("snapshot is of a newer term");
        become_follower(event.snapshot.term, NodeId{}, out);  // the sender went on while it was streaming
    }
    if (role == Role::leader) {
        MARK("snapshot arrives at a leader");
        return;  // late: what a leader needs it fetches
    }
    const EntryId snapshot = event.snapshot;
    if (snapshot.index > appliable()) {
        ASSERT(snapshot.term <= hard_state.term);
        if (log.holds(snapshot) && !MUTANT(snapshot_voids_log)) {
            // The entries behind it stay (Raft 7): some may have been acknowledged.
            MARK("snapshot installed over a log that agrees");
            out.snapshot_fit = SnapshotFit::log_kept;
            log.compact(snapshot.index);
            configurations.insert(snapshot.index, event.configuration);
            configurations.compact(snapshot.index);
        } else {
            MARK("snapshot replaces the log");
            out.snapshot_fit = SnapshotFit::log_void;
            out.persist.entries.clear();
            log.restore(snapshot);
            configurations.restore(snapshot.index, event.configuration);
            durable = LogIndex{};
            answer = Answer{};
        }
        damage.compact(snapshot.index);
        damage.truncate(log.last().index.next());
        fences.compact(snapshot.index);
        fences.truncate(log.last().index.next());
        hard_state.commit = std::max(hard_state.commit, snapshot.index);
        sync_configuration(out);
        on_commit_moved(out);
    }
    Message response = make(MessageType::snapshot_response, event.from);
    response.commit = snapshot.index;
    response.match = snapshot.index;
    MUTANT(snapshot_confirmed_unflushed) ? out.send_now.push_back(response) : send_when_durable(response, out);
    if (bool(leader)) {
        announce_doubt(out);
    }
}

void Core::compact(LogIndex through, const Configuration& configuration_at) {
    if (through <= log.snapshot().index) {
        return;
    }
    ASSERT(through <= appliable());
    ASSERT(configurations.at(through) == configuration_at);
    log.compact(through);
    configurations.compact(through);
    fences.compact(through);
    durable = std::max(durable, through);
}

}  // namespace ringfort::raft
