#include "test_cluster.h"

#include "base/assertion.h"

namespace ringfort::raft {

Configuration voters(std::uint64_t voter_count) {
    Configuration out;
    for (std::uint64_t id = 1; id <= voter_count; id++) {
        out.voters.push_back(NodeId(id));
    }
    return out;
}

TestCluster::TestCluster(std::uint64_t voter_count, NodeListener* listener)
    : TestCluster(voters(voter_count), listener) {}

TestCluster::TestCluster(const Configuration& configuration, NodeListener* listener) : listener_(listener) {
    options.range = RangeId(7);
    Store disk;
    disk.hard_state.term = Term(1);
    disk.hard_state.commit = LogIndex(1);
    disk.checkpoint = {.applied = {.term = Term(1), .index = LogIndex(1)}, .configuration = configuration,
                       .state_hash = 0};
    for (const auto* list : {&configuration.voters, &configuration.learners}) {
        for (const NodeId id : *list) {
            Options own = options;
            own.self = id;
            nodes_[id] = std::make_unique<TestNode>(own, disk, listener_);
        }
    }
    for (auto& [id, node] : nodes_) {
        node->start();
    }
}

TestNode& TestCluster::add(std::uint64_t id) {
    Options own = options;
    own.self = NodeId(id);
    nodes_[NodeId(id)] = std::make_unique<TestNode>(own, Store{}, listener_);
    node(id).start();
    return node(id);
}

std::vector<NodeId> TestCluster::ids() const {
    std::vector<NodeId> out;
    for (const auto& [id, node] : nodes_) {
        out.push_back(id);
    }
    return out;
}

void TestCluster::settle() {
    for (int round = 0; round < 1000; round++) {
        for (auto& [id, node] : nodes_) {
            run(id);
        }
        if (!deliver_all()) {
            return;
        }
    }
    UNREACHABLE();  // it should have come to rest
}

void TestCluster::run(NodeId id) {
    TestNode& one = node(id);
    if (!one.running()) {
        return;
    }
    one.end_turn();
    one.settle_disk();
    while (!one.reads.empty()) {
        one.answer_read();
        one.end_turn();
        one.settle_disk();
    }
    carry_streams(one);
    network.insert(network.end(), one.outbox.begin(), one.outbox.end());
    one.outbox.clear();
}

void TestCluster::carry_streams(TestNode& from) {
    std::vector<SnapshotStream> streams = std::move(from.streams);
    from.streams.clear();
    for (SnapshotStream& stream : streams) {
        TestNode& to = node(stream.to);
        from.checkpoint(from.applied());
        stream.checkpoint = from.memory().checkpoint;
        const bool arrives = to.running() && !is_cut(stream.from, stream.to);
        if (arrives) {
            to.install(stream);
            to.end_turn();
            to.settle_disk();
        }
        from.step(SnapshotSent{.to = stream.to, .snapshot = stream.checkpoint.applied, .ok = arrives});
        from.end_turn();
        from.settle_disk();
    }
}

bool TestCluster::deliver_all() {
    std::vector<OwnedMessage> messages = std::move(network);
    network.clear();
    for (const OwnedMessage& message : messages) {
        if (is_cut(message.message.from, message.message.to) || !nodes_.contains(message.message.to) ||
            !node(message.message.to).running() || (loses && loses(message))) {
            continue;
        }
        if (on_deliver) {
            on_deliver(message);
        }
        node(message.message.to).receive(message);
    }
    return !messages.empty();
}

void TestCluster::elect(NodeId id) {
    node(id).step(ElectionDue{});
    settle();
}

TestNode* TestCluster::leader() {
    TestNode* found = nullptr;
    for (auto& [id, node] : nodes_) {
        if (node->running() && node->core().is_leader() &&
            (found == nullptr || node->core().term() > found->core().term())) {
            found = node.get();
        }
    }
    return found;
}

void TestCluster::cut(std::uint64_t a, std::uint64_t b) {
    cuts_.insert({NodeId(std::min(a, b)), NodeId(std::max(a, b))});
}

void TestCluster::isolate(std::uint64_t id) {
    for (const NodeId other : ids()) {
        if (other != NodeId(id)) {
            cut(id, other.value);
            tell_lost(id, other.value);
            tell_lost(other.value, id);
        }
    }
}

void TestCluster::heal() {
    cuts_.clear();
    for (const NodeId a : ids()) {
        for (const NodeId b : ids()) {
            if (a != b && node(b).running()) {
                tell_back(a.value, b.value);
            }
        }
    }
}

void TestCluster::tell_lost(std::uint64_t to, std::uint64_t peer) {
    if (node(to).running()) {
        node(to).step(PeerLost{.peer = NodeId(peer)});
    }
}

void TestCluster::tell_back(std::uint64_t to, std::uint64_t peer) {
    if (node(to).running()) {
        node(to).step(PeerBack{.peer = NodeId(peer)});
    }
}

void TestCluster::crash(std::uint64_t id) {
    node(id).crash();
    for (const NodeId other : ids()) {
        if (other != NodeId(id)) {
            tell_lost(other.value, id);
        }
    }
}

void TestCluster::restart(std::uint64_t id) {
    node(id).start();
    for (const NodeId other : ids()) {
        if (other != NodeId(id)) {
            if (is_cut(NodeId(id), other) || !node(other).running()) {
                tell_lost(id, other.value);
            } else {
                tell_back(other.value, id);
            }
        }
    }
}

void TestCluster::wipe(std::uint64_t id) {
    const Incarnation next = node(id).disk().hard_state.incarnation.next();
    if (node(id).running()) {
        crash(id);
    }
    node(id).disk() = Store{};
    node(id).disk().hard_state.incarnation = next;
    node(id).disk().hard_state.in_doubt = true;
    restart(id);
}

}  // namespace ringfort::raft
