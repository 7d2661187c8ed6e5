#include "raft/progress.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::raft {

void InFlight::add(LogIndex last, std::uint64_t bytes) {
    messages_.push({.last = last, .bytes = bytes});
    bytes_ += bytes;
}

void InFlight::acknowledge(LogIndex match) {
    while (!messages_.empty() && messages_.front().last <= match) {
        bytes_ -= messages_.pop().bytes;
    }
}

void InFlight::clear() {
    messages_.clear();
    bytes_ = 0;
}

void Progress::become_probe(LogIndex first) {
    ASSERT(first > match);
    state = Replication::probe;
    next = first;
    commit_sent = LogIndex{};
    probe_sent = false;
    reading = false;
    in_flight.clear();
}

void Progress::become_replicate() {
    ASSERT(next > match);
    state = Replication::replicate;
    probe_sent = false;
    in_flight.clear();
}

void Progress::become_snapshot() {
    become_probe(match.next());
    state = Replication::snapshot;
}

void Progress::reset(LogIndex first) {
    match = LogIndex{};
    become_probe(std::max(first, LogIndex(1)));
}

Progress* Peers::find(NodeId node) {
    for (Progress& peer : items_) {
        if (peer.node == node) {
            return &peer;
        }
    }
    return nullptr;
}

const Progress* Peers::find(NodeId node) const {
    return const_cast<Peers*>(this)->find(node);
}

Progress& Peers::get(NodeId node) {
    ASSERT(bool(node));
    if (Progress* known = find(node)) {
        return *known;
    }
    const auto place = std::find_if(items_.begin(), items_.end(), [&](const Progress& peer) { return peer.node > node; });
    Progress& made = *items_.emplace(place);
    made.node = node;
    return made;
}

void Peers::sync(const Configuration& configuration, NodeId self, LogIndex first) {
    for (Progress& peer : items_) {
        peer.member = peer.member && configuration.contains(peer.node);
    }
    for (const auto* list : {&configuration.voters, &configuration.outgoing, &configuration.learners}) {
        for (const NodeId node : *list) {
            if (node == self) {
                continue;
            }
            Progress& peer = get(node);
            if (!peer.member) {
                peer.member = true;
                peer.reset(first);
            }
        }
    }
}

}  // namespace ringfort::raft
