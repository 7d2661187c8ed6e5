#include "raft/types.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::raft {
namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

bool Configuration::is_voter(NodeId node) const {
    return holds(voters, node) || holds(outgoing, node);
}

bool Configuration::is_learner(NodeId node) const {
    return holds(learners, node);
}

bool Configuration::contains(NodeId node) const {
    return is_voter(node) || is_learner(node);
}

std::string_view to_string(MessageType type) {
    switch (type) {
        case MessageType::append: return "append";
        case MessageType::append_response: return "append_response";
        case MessageType::pre_vote: return "pre_vote";
        case MessageType::pre_vote_response: return "pre_vote_response";
        case MessageType::vote: return "vote";
        case MessageType::vote_response: return "vote_response";
        case MessageType::timeout_now: return "timeout_now";
        case MessageType::announce: return "announce";
        case MessageType::snapshot_response: return "snapshot_response";
        case MessageType::fetch: return "fetch";
        case MessageType::fetch_response: return "fetch_response";
        case MessageType::resigned: return "resigned";
    }
    UNREACHABLE();
}

std::string_view to_string(Role role) {
    switch (role) {
        case Role::follower: return "follower";
        case Role::pre_candidate: return "pre_candidate";
        case Role::candidate: return "candidate";
        case Role::leader: return "leader";
    }
    UNREACHABLE();
}

std::string_view to_string(EntryKind kind) {
    switch (kind) {
        case EntryKind::command: return "command";
        case EntryKind::noop: return "noop";
        case EntryKind::config: return "config";
        case EntryKind::fence: return "fence";
    }
    UNREACHABLE();
}

}  // namespace ringfort::raft
