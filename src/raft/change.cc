// Membership changes by joint consensus (Raft 6, thesis 4.3). A change of voters goes through a joint configuration,
// which needs both majorities and is left by itself once committed; a change of learners alone takes one step.
#include "base/assertion.h"
#include "raft/core.h"

namespace ringfort::raft {

bool Core::can_change_configuration() const {
    return role == Role::leader && !bool(transferee) && configurations.index() <= hard_state.commit &&
           !configurations.current().joint();
}

void Core::on(const ChangeConfiguration& event, Effects& out) {
    if (!can_change_configuration()) {
        return;
    }
    if (const auto next = change(configurations.current(), event.target)) {
        append_own(EntryKind::config, encode(*next), out);
    }
}

void Core::on_configuration_committed(Effects& out) {
    ASSERT(role == Role::leader);
    const Configuration& current = configurations.current();
    if (configurations.index() > hard_state.commit) {
        return;
    }
    if (current.joint()) {
        append_own(EntryKind::config, encode(leave_joint(current)), out);
        return;
    }
    if (!current.is_voter(options.self)) {
        // It has led until the configuration without it was committed (thesis 4.2.2); the commit goes out first.
        flush_leader(out);
        if (const NodeId successor = best_successor(); bool(successor)) {
            out.send_now.push_back(make(MessageType::timeout_now, successor));
        }
        become_follower(hard_state.term, NodeId{}, out);
    }
}

}  // namespace ringfort::raft
