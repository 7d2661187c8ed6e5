#include "chaos.h"

#include <algorithm>

#include "base/assertion.h"
#include "raft/quorum.h"
#include "test_cluster.h"

namespace ringfort::raft {

void ChaosStats::add(const ChaosStats& other) {
    elections += other.elections;
    committed += other.committed;
    crashes += other.crashes;
    wipes += other.wipes;
    fences_passed += other.fences_passed;
    damaged += other.damaged;
    rotten += other.rotten;
    repaired += other.repaired;
    dropped += other.dropped;
    snapshots += other.snapshots;
    reads += other.reads;
    changes += other.changes;
}

Chaos::Chaos(const ChaosPlan& plan) : plan_(plan), prng_(plan.seed) {
    reorder_ = prng_.one_in(2);
    lossy_ = prng_.one_in(2);
    repeats_ = prng_.one_in(2);
    crash_rate_ = std::array<std::uint64_t, 4>{0, 2, 6, 20}[prng_.below(4)];
    timer_rate_ = std::array<std::uint64_t, 3>{5, 20, 50}[prng_.below(3)];
    partitions_ = prng_.one_in(2);
    false_news_ = prng_.one_in(2);
    damage_ = prng_.one_in(2);
    wipes_ = prng_.one_in(2);
    transfers_ = prng_.one_in(3);
    compacts_ = prng_.one_in(2);
    changes_ = plan.spare_count > 0 || prng_.one_in(4);
    Store disk;
    disk.hard_state.term = Term(1);
    disk.hard_state.commit = LogIndex(1);
    disk.checkpoint = {.applied = {.term = Term(1), .index = LogIndex(1)}, .configuration = voters(plan.voter_count),
                       .state_hash = 0};
    for (std::uint64_t id = 1; id <= plan.voter_count + plan.spare_count; id++) {
        Options options;
        options.range = RangeId(7);
        options.self = NodeId(id);
        options.append_bytes_max = 64;   // small, so that the bounds are met
        options.window_bytes_max = 256;
        nodes_[NodeId(id)] = std::make_unique<TestNode>(options, id <= plan.voter_count ? disk : Store{}, &checker_);
        checker_.nodes[NodeId(id)] = nodes_[NodeId(id)].get();
        ids_.push_back(NodeId(id));
    }
    const std::size_t faulty_max = changes_ ? 1 : plan.voter_count - majority_of(plan.voter_count);
    while (faulty_.size() < faulty_max) {
        faulty_.insert(NodeId(prng_.between(1, plan.voter_count)));
    }
    for (auto& [id, node] : nodes_) {
        node->start();
    }
}

std::string Chaos::run() {
    for (int i = 0; i < plan_.steps && checker_.breaches.empty(); i++) {
        act();
    }
    if (checker_.breaches.empty()) {
        heal();
        std::string problem = unsettled();
        if (!problem.empty()) {
            return problem + "\n" + state();
        }
    }
    stats_.committed = checker_.committed_last().value;
    return checker_.breaches.empty() ? "" : checker_.breaches.front() + "\n" + state();
}

TestNode& Chaos::any_node() {
    return *nodes_.at(ids_[prng_.below(ids_.size())]);
}

TestNode* Chaos::any_running() {
    TestNode& node = any_node();
    return node.running() ? &node : nullptr;
}

TestNode* Chaos::any_leader() {
    const std::size_t first = prng_.below(ids_.size());
    for (std::size_t i = 0; i < ids_.size(); i++) {
        TestNode& node = *nodes_.at(ids_[(first + i) % ids_.size()]);
        if (node.running() && node.core().is_leader()) {
            return &node;
        }
    }
    return nullptr;
}

void Chaos::act() {
    const std::uint64_t dice = prng_.below(1000);
    TestNode* node = any_running();
    if (dice < 420) {
        deliver();
    } else if (dice < 570) {
        if (node != nullptr) {
            node->end_turn();
            collect(*node);
        }
    } else if (dice < 720) {
        if (node != nullptr && node->disk_busy()) {
            node->complete_write();
            collect(*node);
        }
    } else if (dice < 770) {
        if (node != nullptr && node->timer && dice < 720 + timer_rate_ && (any_leader() == nullptr || prng_.one_in(4))) {
            node->timer = false;
            node->step(ElectionDue{.force = prng_.one_in(20)});
        }
    } else if (dice < 860) {
        propose();
    } else if (dice < 880) {
        if (dice < 860 + crash_rate_) {
            crash();
        }
    } else if (dice < 905) {
        TestNode& dead = any_node();
        if (!dead.running()) {
            restart(dead);
        }
    } else if (dice < 920) {
        news();
    } else if (dice < 930) {
        if (partitions_) {
            const NodeId a = any_node().id();
            const NodeId b = any_node().id();
            prng_.one_in(2) ? cuts_.clear() : static_cast<void>(cuts_.insert({a, b}));
        }
    } else if (dice < 940) {
        if (TestNode* leader = any_leader(); transfers_ && leader != nullptr) {
            leader->step(TransferLeadership{.target = prng_.one_in(3) ? NodeId{} : any_node().id()});
        }
    } else if (dice < 945) {
        if (node != nullptr && damage_ && faulty(node->id()) && prng_.one_in(2)) {
            rot(*node);
        } else if (node != nullptr) {
            node->step(TransferTimedOut{});
        }
    } else if (dice < 950) {
        change_membership();
    } else if (dice < 960) {
        if (compacts_ && node != nullptr) {
            node->checkpoint(node->applied());
        }
    } else if (dice < 970) {
        if (node != nullptr && prng_.one_in(2)) {
            node->evict(LogIndex(prng_.below(node->core().last().index.value + 1)));
        }
    } else if (dice < 990) {
        if (node != nullptr && !node->reads.empty()) {
            node->answer_read();
            stats_.reads++;
        }
    } else {
        stream();
    }
}

void Chaos::collect(TestNode& node) {
    for (OwnedMessage& message : node.outbox) {
        checker_.on_sent(node, message.message);
        network_.push_back(std::move(message));
    }
    node.outbox.clear();
    for (const SnapshotStream& begun : node.streams) {
        streams_.push_back(begun);
    }
    node.streams.clear();
    stats_.repaired += node.seen.repaired.size();
    stats_.fences_passed += node.seen.doubt_ended ? 1U : 0U;
    stats_.snapshots += node.seen.snapshot_fit != SnapshotFit::none ? 1U : 0U;
    stats_.elections += node.seen.role_changed && node.core().is_leader() ? 1U : 0U;
    node.seen = TestNode::Seen{};
}

void Chaos::deliver() {
    if (network_.empty()) {
        return;
    }
    std::size_t at = prng_.below(network_.size());
    if (!reorder_) {
        // The oldest on that link.
        const Message& chosen = network_[at].message;
        for (std::size_t i = 0; i < at; i++) {
            if (network_[i].message.from == chosen.from && network_[i].message.to == chosen.to) {
                at = i;
                break;
            }
        }
    }
    const OwnedMessage message = network_[at];
    const bool repeated = repeats_ && prng_.one_in(20);
    if (!repeated) {
        network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if ((lossy_ && prng_.one_in(15)) || is_cut(message.message.from, message.message.to)) {
        return;
    }
    deliver_to(message);
}

void Chaos::deliver_to(const OwnedMessage& message) {
    TestNode& to = *nodes_.at(message.message.to);
    if (!to.running()) {
        return;
    }
    const bool led = to.core().is_leader();
    to.receive(message);
    stats_.dropped += led && bool(to.seen.truncated_from) && message.message.type == MessageType::fetch_response ? 1U : 0U;
    collect(to);
}

void Chaos::stream() {
    if (streams_.empty()) {
        return;
    }
    const std::size_t at = prng_.below(streams_.size());
    SnapshotStream stream = streams_[at];
    streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(at));
    TestNode& from = *nodes_.at(stream.from);
    if (!from.running()) {
        return;
    }
    from.checkpoint(from.applied());
    stream.checkpoint = from.memory().checkpoint;
    TestNode& to = *nodes_.at(stream.to);
    const bool arrives = to.running() && !is_cut(stream.from, stream.to) && !(lossy_ && prng_.one_in(5));
    if (arrives) {
        to.install(stream);
        collect(to);
    }
    from.step(SnapshotSent{.to = stream.to, .snapshot = stream.checkpoint.applied, .ok = arrives});
}

void Chaos::propose() {
    if (TestNode* leader = any_leader()) {
        for (std::uint64_t i = prng_.between(1, 4); i > 0; i--) {
            const std::string payload = "command " + std::to_string(++proposals_);
            leader->propose(payload.substr(0, prng_.between(1, payload.size())));
        }
    }
}

void Chaos::crash() {
    TestNode* node = any_running();
    if (node == nullptr) {
        return;
    }
    node->crash(prng_.below(node->batches_in_flight() + 1));
    stats_.crashes++;
    std::erase_if(streams_, [&](const SnapshotStream& begun) { return begun.from == node->id(); });
    // A closed connection loses what was on it, sometimes.
    if (prng_.one_in(2)) {
        std::erase_if(network_, [&](const OwnedMessage& message) { return message.message.from == node->id(); });
    }
    for (auto& [id, other] : nodes_) {
        owed_.insert({id, node->id()});
        if (other->running() && !prng_.one_in(5)) {
            tell_lost(*other, node->id());
        }
    }
    if (faulty(node->id())) {
        spoil(*node);
    }
}

void Chaos::spoil(TestNode& node) {
    Store& disk = node.disk();
    if (wipes_ && prng_.one_in(3)) {
        const Incarnation next = disk.hard_state.incarnation.next();
        disk = Store{};
        disk.hard_state.incarnation = next;
        disk.hard_state.in_doubt = true;
        stats_.wipes++;
        return;
    }
    if (damage_) {
        for (StoredEntry& entry : disk.log) {
            if (prng_.one_in(3) && !entry.damaged) {
                entry.damaged = true;
                stats_.damaged++;
            }
        }
    }
}

// Some of what the log holds beyond the applied entries cannot be read back.
void Chaos::rot(TestNode& node) {
    for (LogIndex index = node.applied().next(); index <= node.disk().last().index; index = index.next()) {
        const StoredEntry* stored = node.disk().find(index);
        const StoredEntry* known = node.memory().find(index);
        if (stored == nullptr || known == nullptr || stored->id != known->id || stored->damaged || prng_.one_in(2)) {
            continue;
        }
        const bool checksum_known = prng_.one_in(2);
        node.lose(index, checksum_known);
        stats_.damaged++;
        stats_.rotten += checksum_known ? 0U : 1U;
    }
    collect(node);
}

void Chaos::restart(TestNode& node) {
    node.start();
    collect(node);
    for (auto& [id, other] : nodes_) {
        if (id != node.id() && other->running() && !prng_.one_in(5)) {
            tell_back(*other, node.id());
        }
        owed_.erase({node.id(), id});
        if (id != node.id() && !other->running()) {
            tell_lost(node, id);
        }
    }
}

void Chaos::tell_lost(TestNode& node, NodeId peer) {
    if (owed_.erase({node.id(), peer}) != 0) {
        // Nothing that an ended process sent arrives after the news of its end.
        std::erase_if(network_, [&](const OwnedMessage& owned) {
            return owned.message.from == peer && owned.message.to == node.id();
        });
    }
    node.step(PeerLost{.peer = peer});
    collect(node);
}

void Chaos::tell_back(TestNode& node, NodeId peer) {
    if (owed_.contains({node.id(), peer})) {
        tell_lost(node, peer);
    }
    node.step(PeerBack{.peer = peer});
    collect(node);
}

void Chaos::news() {
    TestNode* node = any_running();
    const NodeId peer = any_node().id();
    if (node == nullptr || peer == node->id()) {
        return;
    }
    const bool up = nodes_.at(peer)->running() && !is_cut(peer, node->id());
    if (up || false_news_) {
        tell_back(*node, peer);
    }
    if (!up || (false_news_ && prng_.one_in(2))) {
        tell_lost(*node, peer);
    }
}

void Chaos::change_membership() {
    TestNode* leader = any_leader();
    if (!changes_ || leader == nullptr || !leader->core().can_change_configuration()) {
        return;
    }
    Configuration target;
    for (const NodeId id : ids_) {
        const std::uint64_t lot = prng_.below(4);
        if (lot < 2) {
            target.voters.push_back(id);
        } else if (lot == 2) {
            target.learners.push_back(id);
        }
    }
    if (target.voters.size() >= 3) {
        leader->step(ChangeConfiguration{.target = target});
        stats_.changes++;
    }
}

void Chaos::heal() {
    cuts_.clear();
    streams_.clear();
    for (auto& [id, node] : nodes_) {
        if (!node->running()) {
            node->start();
        }
    }
    for (auto& [id, node] : nodes_) {
        node->step(TransferTimedOut{});
        for (const NodeId peer : ids_) {
            if (peer == id) {
                continue;
            }
            if (prng_.one_in(2)) {
                tell_lost(*node, peer);
            }
            tell_back(*node, peer);
        }
        for (const SnapshotStream& begun : node->streams) {
            node->step(SnapshotSent{.to = begun.to, .snapshot = {}, .ok = false});
        }
        node->streams.clear();
    }
}

// Everything that can happen by itself happens, timers apart. false: nothing did.
bool Chaos::quiet_round() {
    bool busy = !network_.empty();
    std::vector<OwnedMessage> messages = std::move(network_);
    network_.clear();
    for (const OwnedMessage& message : messages) {
        deliver_to(message);
    }
    for (auto& [id, node] : nodes_) {
        node->end_turn();
        while (node->disk_busy()) {
            busy = true;
            node->complete_write();
            node->end_turn();
        }
        while (!node->reads.empty()) {
            busy = true;
            node->answer_read();
        }
        collect(*node);
    }
    while (!streams_.empty()) {
        busy = true;
        const bool lossy = lossy_;
        lossy_ = false;
        stream();
        lossy_ = lossy;
    }
    return busy || !network_.empty();
}

std::string Chaos::unsettled() {
    bool proposed = false;
    for (int round = 0; round < 2000; round++) {
        if (!checker_.breaches.empty()) {
            return checker_.breaches.front();
        }
        if (quiet_round()) {
            continue;
        }
        TestNode* leader = any_leader();
        bool settled = leader != nullptr;
        if (leader != nullptr) {
            const Raft& core = leader->core();
            for (const NodeId id : ids_) {
                const Raft& other = nodes_.at(id)->core();
                if (core.configuration().contains(id)) {
                    settled = settled && other.last() == core.last() && other.commit() == core.last().index &&
                              nodes_.at(id)->applied() == core.last().index && !other.in_doubt() &&
                              nodes_.at(id)->state_hash() == leader->state_hash() && other.leader() == leader->id();
                }
            }
        }
        if (settled && proposed) {
            return "";
        }
        if (settled) {
            proposed = leader->propose("the last command").has_value();
            leader->end_turn();
            collect(*leader);
            continue;
        }
        // Nothing moves: only time can help.
        TestNode& node = any_node();
        if (node.timer) {
            node.timer = false;
            node.step(ElectionDue{});
            node.end_turn();
            collect(node);
        } else if (prng_.one_in(8)) {
            node.step(TransferTimedOut{});
        }
    }
    return "the healed cluster does not come to rest";
}

std::string Chaos::state() const {
    std::string out = "seed " + std::to_string(plan_.seed) + ", " + std::to_string(plan_.voter_count) + " voters, " +
                      std::to_string(plan_.spare_count) + " spares\n";
    for (const auto& [id, node] : nodes_) {
        out += "  " + std::to_string(id.value) + ": ";
        if (!node->running()) {
            out += "down\n";
            continue;
        }
        const Raft& core = node->core();
        out += std::string(to_string(core.role())) + " term " + std::to_string(core.term().value) + " leader " +
               std::to_string(core.leader().value) + " last " + to_text(core.last()) + " commit " +
               std::to_string(core.commit().value) + " applied " + std::to_string(node->applied().value) +
               " snapshot " + to_text(core.snapshot()) + (core.in_doubt() ? " in doubt" : "") +
               (node->timer ? " timer" : "") + " incarnation " +
               std::to_string(core.hard_state().incarnation.value);
        for (const LogIndex lost : core.damaged()) {
            out += " lost " + to_text({.term = *core.term_at(lost), .index = lost});
        }
        const Configuration& configuration = core.configuration();
        const std::pair<const char*, const std::vector<NodeId>*> lists[] = {
            {" voters", &configuration.voters},
            {" outgoing", &configuration.outgoing},
            {" learners", &configuration.learners}};
        for (const auto& [name, list] : lists) {
            out += list->empty() ? "" : name;
            for (const NodeId member : *list) {
                out += " " + std::to_string(member.value);
            }
        }
        out += "\n";
        for (const PeerStatus& peer : core.peers()) {
            if (core.is_leader()) {
                out += "     " + std::to_string(peer.node.value) + " match " + std::to_string(peer.match.value) +
                       " next " + std::to_string(peer.next.value) + (peer.alive ? "" : " lost") +
                       (peer.counts ? "" : " doubtful") + (peer.snapshot ? " snapshot" : "") + "\n";
            }
        }
    }
    return out;
}

}  // namespace ringfort::raft
