// Elections (Raft 5.2, 5.4.1), pre-vote (thesis 9.6) and check-quorum (thesis 6.2), driven by news of who is alive.
//
// There are no ticks: a follower takes its leader for alive as long as the leader's node is, and refuses votes while it
// does. A leader that ceases to lead while its node lives must therefore say so (`resigned`), unless the others learn
// it from a higher term. Whoever has no living leader keeps an election timer running.
#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "raft/core.h"
#include "raft/quorum.h"

namespace ringfort::raft {

void Core::on(const ElectionDue& event, Effects& out) {
    if (role == Role::leader || (leader_alive() && !event.force)) {
        return;
    }
    // Asked for again at once: if this attempt fails, the next one is due after another random delay.
    out.want_election_timer = true;
    if (!may_campaign()) {
        MARK("stands for nothing: in doubt, damaged or no voter");
        announce_resignation(out);  // who takes it for the leader (its first word was lost) must not wait for it
        return;
    }
    if (role == Role::candidate && durable_term < hard_state.term) {
        MARK("candidate waits for its own disk");
        return;  // it waits for its own disk: another term would only ask that disk for another flush
    }
    if (event.force) {
        start_election(false, out);
    } else {
        start_pre_vote(out);
    }
}

void Core::on(const PeerLost& event, Effects& out) {
    if (event.peer == options.self) {
        return;
    }
    Progress& peer = peers.get(event.peer);
    peer.alive = false;
    search.ask_again(event.peer);
    if (role == Role::leader) {
        peer.probe_again();
        if (transferee == event.peer) {
            MARK("successor lost while leadership is handed over");
            transferee = NodeId{};
        }
        check_quorum(out);
    } else if (leader == event.peer) {
        set_leader(NodeId{}, out);
    }
}

void Core::on(const PeerBack& event, Effects&) {
    if (event.peer == options.self) {
        return;
    }
    Progress& peer = peers.get(event.peer);
    peer.alive = true;
    search.ask_again(event.peer);
    if (role == Role::leader) {
        peer.probe_again();
        appends_due = true;
    }
}

// A replica in doubt has forgotten whom it voted for; one whose commit hint lies beyond its log knows that it lacks
// committed entries; one with an unreadable configuration entry does not know who the voters are.
// One that the last configuration leaves out stands all the same until that is committed (thesis 4.2.2): the others may
// not have it, and refuse each other while this log is the newest. It does not count itself then.
bool Core::may_campaign() const {
    const LogIndex changed = configurations.index();
    const bool still_needed = changed > hard_state.commit && configurations.at(changed.prev()).is_voter(options.self);
    const bool trusted = !hard_state.in_doubt || MUTANT(doubtful_stands);
    return (is_voter() || still_needed) && trusted && hard_state.commit <= log.last().index &&
           !damage.hides_configuration();
}

void Core::start_pre_vote(Effects& out) {
    ASSERT(role != Role::leader);
    role = Role::pre_candidate;
    leader = NodeId{};
    answer = Answer{};
    out.role_changed = true;
    request_votes(MessageType::pre_vote, hard_state.term.next(), false, out);
    maybe_win(out);
}

void Core::start_election(bool transfer, Effects& out) {
    ASSERT(role != Role::leader);
    ASSERT(may_campaign());
    role = Role::candidate;
    leader = NodeId{};
    answer = Answer{};
    search.clear();
    out.role_changed = true;
    out.want_election_timer = true;  // told to stand by a leader that leaves, it has none running
    hard_state.term = hard_state.term.next();
    hard_state.vote = options.self;
    persist_hard_state(out);
    request_votes(MessageType::vote, hard_state.term, transfer, out);
    maybe_win(out);
}

void Core::request_votes(MessageType type, Term term, bool transfer, Effects& out) {
    for (Progress& peer : peers) {
        peer.vote = MUTANT(pre_votes_elect) ? peer.vote : Vote::none;
        if (!configurations.current().is_voter(peer.node)) {
            continue;
        }
        Message message = make(type, peer.node);
        message.term = term;
        message.prev = log.last();
        message.transfer = transfer;
        send_when_durable(message, out);
    }
}

void Core::maybe_win(Effects& out) {
    if (role == Role::pre_candidate && has_votes()) {
        start_election(false, out);
    } else if (role == Role::candidate && has_votes()) {
        become_leader(out);
    }
}

bool Core::has_votes() const {
    return is_quorum(configurations.current(), [&](NodeId node) {
        if (node == options.self) {
            // The own vote is given when it is durable, like any other.
            return role == Role::pre_candidate || durable_term >= hard_state.term;
        }
        const Progress* peer = peers.find(node);
        return peer != nullptr && peer->vote == Vote::granted && peer->counted();
    });
}

void Core::become_leader(Effects& out) {
    ASSERT(role == Role::candidate);
    ASSERT(hard_state.vote == options.self && durable_term >= hard_state.term);
    role = Role::leader;
    leader = options.self;
    search.clear();
    damage.forget_answers();
    transferee = NodeId{};
    handed_over = false;
    out.role_changed = true;
    for (Progress& peer : peers) {
        peer.reset(log.last().index.next());
    }
    // Entries of earlier terms are committed only together with one of this term (Raft 5.4.2): so there is one at once.
    term_start = append_own(EntryKind::noop, {}, out).index;
}

// A leader that cannot reach a quorum makes way for one that can, and stops answering reads it cannot confirm.
void Core::check_quorum(Effects& out) {
    ASSERT(role == Role::leader);
    const bool reachable = is_quorum(configurations.current(), [&](NodeId node) {
        const Progress* peer = peers.find(node);
        return node == options.self || (peer != nullptr && peer->alive && peer->counted());
    });
    if (!reachable) {
        MARK("leader steps down without a quorum");
        become_follower(hard_state.term, NodeId{}, out);
    }
}

void Core::on_pre_vote(const Message& message, Effects& out) {
    // From the leader itself it means that it leads no more.
    const bool leader_in_the_way = leader_alive() && message.from != leader;
    const bool granted = !hard_state.in_doubt && message.term > hard_state.term && !leader_in_the_way &&
                         up_to_date(message.prev);
    Message response = make(MessageType::pre_vote_response, message.from);
    response.reject = !granted;
    response.term = granted ? message.term : hard_state.term;
    send_when_durable(response, out);
    if (!granted) {
        remind_of_leader(message.from, out);
    }
}

void Core::on_vote(const Message& message, Effects& out) {
    ASSERT(message.term >= hard_state.term);
    const bool free_to_vote = hard_state.vote == message.from || (!hard_state.vote && !leader) || MUTANT(votes_twice);
    const bool entitled = !hard_state.in_doubt || MUTANT(doubtful_votes);
    const bool granted = entitled && message.term == hard_state.term && free_to_vote && up_to_date(message.prev);
    if (granted) {
        ASSERT(role != Role::leader);
        if (hard_state.vote != message.from) {
            hard_state.vote = message.from;
            persist_hard_state(out);
        }
        // The candidate deserves the time it takes to win.
        out.want_election_timer = true;
    }
    Message response = make(MessageType::vote_response, message.from);
    response.reject = !granted;
    MUTANT(vote_before_flush) ? out.send_now.push_back(response) : send_when_durable(response, out);
    if (!granted) {
        remind_of_leader(message.from, out);
    }
}

void Core::on_any_vote_response(const Message& message, Effects& out) {
    const bool pre = message.type == MessageType::pre_vote_response;
    if (role != (pre ? Role::pre_candidate : Role::candidate)) {
        return;
    }
    if (pre && !message.reject && message.term != hard_state.term.next()) {
        MARK("pre-vote granted for a term that is past");
        return;
    }
    // Whoever answers has got the request, which left when the own vote was durable.
    if (!pre) {
        durable_term = hard_state.term;
    }
    Progress& peer = peers.get(message.from);
    if (peer.vote != Vote::granted) {
        peer.vote = message.reject ? Vote::rejected : Vote::granted;
    }
    maybe_win(out);
}

// Who asks for votes while there is a leader has not heard of it.
void Core::remind_of_leader(NodeId node, Effects& out) {
    Progress* peer = peers.find(node);
    if (role != Role::leader || peer == nullptr || !peer->member) {
        return;
    }
    MARK("leader reminds who asks for votes");
    if (peer->state == Replication::snapshot) {
        MARK("leader reminds who waits for a snapshot");
        tell_of_leader(*peer, out);
    } else {
        peer->probe_again();
        appends_due = true;
    }
}

}  // namespace ringfort::raft
