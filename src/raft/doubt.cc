// Replicas whose promises were lost (disk wiped, hard state damaged, an old copy put back).
//
// Such a replica C begins a new incarnation, in doubt: it stores and answers, but counts in no quorum, until a fence
// entry proposed after it announced itself is committed without it and, with all before it, durable in its own log.
// The size of quorums does not change. Why that is safe, with n voters, quorums of q, 2q > n:
//
// Let F be the quorum that committed the fence at term t; C is not in it. Any quorum Q that relied on C's forgotten
// promises holds at least q - 1 others of the n - 1, and so meets F in a node X other than C.
//   1. Entries committed by Q (at any term up to t) are in the log of the leader of t: through X's vote or log if Q
//      acted before X helped that leader, and X refuses an older term afterwards. C has them once the fence is durable
//      in its log. Entries of a term above t cannot rely on a forgotten answer: the leader of that term was elected by
//      a quorum meeting F in a node that either had the higher term (and so did not help to commit the fence) or had the
//      fence (and then so has that leader, whose appends C, wiped before the fence was proposed, had not seen).
//   2. A forgotten vote for some term s > t cannot elect anybody: the candidate stood before C was wiped, so before the
//      fence was proposed; its log lacks the fence, and X, which has it, refuses; or X voted before and then had a term
//      above t when the fence needed it. In term t itself there is a leader already, and a candidate of term t lacks
//      the fence, which C has.
// Answers of the old incarnation still on their way are dropped by whoever knows of the new one; counting one before
// that is case 1.
#include <algorithm>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "raft/core.h"

namespace ringfort::raft {

void Core::raise_incarnation(Progress& peer, const Message& message, Effects& out) {
    peer.incarnation = message.incarnation;
    peer.standing = Standing::doubtful;  // until it says otherwise, which this very message may do
    peer.vote = Vote::none;
    if (role == Role::leader) {
        MARK("leader hears of a new incarnation");
        peer.reset(log.last().index.next());
        appends_due = true;
        if (transferee == peer.node) {
            transferee = NodeId{};
        }
    } else if (leader == peer.node && message.type != MessageType::append) {
        set_leader(NodeId{}, out);
    }
}

void Core::note_standing(Progress& peer, const Message& message) {
    switch (message.type) {
        case MessageType::append_response:
        case MessageType::pre_vote_response:
        case MessageType::vote_response:
        case MessageType::snapshot_response:
        case MessageType::fetch_response:
            if (message.counts) {
                if (peer.standing == Standing::doubtful) {
                    MARK("member in doubt counts again");
                    search.ask_again(peer.node);  // in doubt it could not say never
                }
                peer.standing = Standing::counts;
                return;
            }
            break;
        case MessageType::announce: break;
        case MessageType::append:
        case MessageType::pre_vote:
        case MessageType::vote:
        case MessageType::timeout_now:
        case MessageType::fetch:
        case MessageType::resigned: return;
    }
    if (peer.standing != Standing::counts) {
        peer.standing = Standing::doubtful;
    }
}

// Every answer of a member in doubt asks for its fence again, so that a lost one (a leader change) is replaced.
void Core::ask_for_fence(const Message& message, Effects& out) {
    if (role == Role::leader && !message.counts) {
        const bool announced = message.type == MessageType::announce;
        ensure_fence(peers.get(message.from), announced ? message.prev.index : LogIndex{}, out);
    }
}

// A fence at or before `after` lies in the member's snapshot: it cannot see it, and needs another.
void Core::ensure_fence(const Progress& peer, LogIndex after, Effects& out) {
    if (role != Role::leader || !peer.member || peer.standing != Standing::doubtful) {
        return;
    }
    if (!fences.find(peer.node, peer.incarnation, after)) {
        MARK("fence proposed");
        append_own(EntryKind::fence, encode(Fence{.member = peer.node, .incarnation = peer.incarnation}), out);
    }
}

// Peers remember what this replica has forgotten: its leader was told in its term of entries this log does not have, and
// nobody truncates those within a term; or an append or a fence names an incarnation of it above its own. The disk was
// rolled back (an older copy of it, a flush that lied), and what else was promised since is forgotten as well. The fence of
// an incarnation begun before would end this doubt, so it is one that nobody has heard of. (Who knows of answers that are
// forgotten knows the incarnation they were given in.)
void Core::begin_doubt(Incarnation known, Effects& out) {
    MARK("rolled-back log found");
    hard_state.in_doubt = true;
    hard_state.incarnation = std::max(hard_state.incarnation, known).next();
    persist_hard_state(out);
    out.doubt_began = true;
    out.incarnations_spent |= hard_state.incarnation > incarnation_last;
}

// With every append until the fence is here: announcements get lost, and a fence that came in a snapshot cannot be seen.
void Core::announce_doubt(Effects& out) {
    ASSERT(bool(leader));
    if (!hard_state.in_doubt || fences.find(options.self, hard_state.incarnation, LogIndex{})) {
        return;
    }
    Message message = make(MessageType::announce, leader);
    message.prev = log.snapshot();
    send_when_durable(message, out);
}

void Core::maybe_end_doubt(Effects& out) {
    if (!hard_state.in_doubt) {
        return;
    }
    const LogIndex fence = fences.find(options.self, hard_state.incarnation, LogIndex{});
    const bool committed = fence <= hard_state.commit || MUTANT(fence_ends_doubt_uncommitted);
    const bool flushed = fence <= durable || MUTANT(fence_ends_doubt_unflushed);
    if (!fence || !committed || !flushed) {
        return;
    }
    MARK("fence durable: doubt ends");
    hard_state.in_doubt = false;
    persist_hard_state(out);
    out.doubt_ended = true;
    if (role == Role::follower && bool(leader)) {
        answer.due = true;  // the leader counts this replica when it hears of it
    }
}

}  // namespace ringfort::raft
