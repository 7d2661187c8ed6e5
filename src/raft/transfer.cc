// Leadership transfer (thesis 3.10): the leader stops taking proposals, brings the target up to date and tells it to
// stand at once. Nothing here is needed for safety: the target wins by an ordinary election or not at all.
#include <algorithm>

#include "base/assertion.h"
#include "base/mark.h"
#include "raft/core.h"

namespace ringfort::raft {

void Core::on(const TransferLeadership& event, Effects& out) {
    if (role != Role::leader || bool(transferee)) {
        return;
    }
    const NodeId target = bool(event.target) ? event.target : best_successor();
    const Progress* peer = peers.find(target);
    if (peer == nullptr || !configurations.current().is_voter(target) || !peer->alive || !peer->counted()) {
        return;
    }
    transferee = target;
    handed_over = false;
    out.role_changed = true;
    maybe_hand_over(out);
}

void Core::on(const TransferTimedOut&, Effects& out) {
    if (bool(transferee)) {
        MARK("hand-over timed out");
        transferee = NodeId{};
        out.role_changed = true;
    }
}

// The living voter that is farthest; 0: none.
NodeId Core::best_successor() const {
    const Progress* best = nullptr;
    for (const Progress& peer : peers) {
        const auto& voters = configurations.current().voters;
        const bool eligible = std::find(voters.begin(), voters.end(), peer.node) != voters.end() && peer.alive &&
                              peer.counted();
        if (eligible && (best == nullptr || peer.match > best->match)) {
            best = &peer;
        }
    }
    return best == nullptr ? NodeId{} : best->node;
}

bool Core::successor_is_ahead() const {
    const Progress* successor = peers.find(best_successor());
    return successor != nullptr && successor->match > durable;
}

void Core::maybe_hand_over(Effects& out) {
    const Progress* peer = peers.find(transferee);
    if (!handed_over && peer != nullptr && peer->match == log.last().index) {
        handed_over = true;
        out.send_now.push_back(make(MessageType::timeout_now, transferee));
    }
}

void Core::on_timeout_now(const Message& message, Effects& out) {
    if (role != Role::leader && message.from == leader && may_campaign()) {
        MARK("stands at the leader's word");
        start_election(true, out);
    }
}

void Core::on_resigned(const Message& message, Effects& out) {
    if (role == Role::leader) {
        remind_of_leader(message.from, out);   // it may not ask for votes (ElectionDue), and has not heard of this leader
    } else if (message.from == leader) {
        MARK("leader resigned");
        set_leader(NodeId{}, out);
    }
}

}  // namespace ringfort::raft
