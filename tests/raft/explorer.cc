#include "explorer.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "test_cluster.h"

namespace ringfort::raft {

namespace {

constexpr std::size_t bits_of_kind = 4;

std::uint64_t left_of(std::uint64_t left, Kind kind) {
    return (left >> (bits_of_kind * static_cast<std::size_t>(kind))) & 15;
}

std::uint64_t one_of(Kind kind) { return std::uint64_t{1} << (bits_of_kind * static_cast<std::size_t>(kind)); }

std::uint64_t hash_of(const ClusterState& state) {
    const std::uint64_t parts[] = {state.replica[0] | (std::uint64_t{state.replica[1]} << 32),
                                   state.replica[2] | (std::uint64_t{state.inbox[0]} << 32),
                                   state.inbox[1] | (std::uint64_t{state.inbox[2]} << 32), state.history, state.left};
    return checksum(std::as_bytes(std::span(parts)));
}

// Nodes 1 and 2 each keep an entry that nobody else has heard of, and the third has voted for the later leader. They are
// restarted then.
void contest(TestCluster& cluster) {
    cluster.loses = [](const OwnedMessage& owned) { return owned.message.type == MessageType::append; };
    ASSERT(cluster.node(1).propose("a1"));
    cluster.settle();
    cluster.isolate(1);
    cluster.elect(2);
    ASSERT(cluster.node(2).core().is_leader() && cluster.node(2).core().term() == Term(3));
    cluster.node(1).step(ElectionDue{.force = true});
    cluster.settle();
}

}  // namespace

Explorer::Explorer(const Scope& scope, const Limits& limits)
    : scope_(scope), limits_(limits), replicas_(scope), judge_(scope, replicas_), table_(1U << 16, no_number) {}

ClusterState Explorer::start() {
    TestCluster cluster(replica_count);
    if (scope_.start != Start::fresh) {
        cluster.elect(1);
        cluster.settle();
    }
    if (scope_.start == Start::contested) {
        contest(cluster);
    }
    ClusterState out;
    for (std::size_t i = 0; i < replica_count; i++) {
        TestNode& settled = cluster.node(i + 1);
        settled.outbox.clear();
        settled.streams.clear();
        if (!scope_.entry_by_entry) {
            settled.spoil = planted(scope_.wrong);
            out.replica[i] = replicas_.intern(settled);
        } else {
            Options options = cluster.options;
            options.self = settled.id();
            options.append_bytes_max = 1;
            TestNode restarted(options, settled.disk());
            restarted.spoil = planted(scope_.wrong);
            restarted.start();
            out.replica[i] = replicas_.intern(restarted);
        }
        out.inbox[i] = replicas_.empty_inbox();
    }
    for (std::size_t kind = 0; kind < kind_count; kind++) {
        ASSERT(scope_.budget[kind] < 16);
        out.left += one_of(static_cast<Kind>(kind)) * scope_.budget[kind];
    }
    out.history = judge_.first(out);
    return out;
}

Report Explorer::run() {
    static_cast<void>(insert(start()));
    nodes_.back().parent = no_number;
    report_.exhaustive = true;
    Number layer_end = 1;
    for (Number at = 0; at < nodes_.size() && report_.breach.empty(); at++) {
        if (at == layer_end) {
            report_.depth_done++;
            layer_end = static_cast<Number>(nodes_.size());
            if (limits_.progress != nullptr) {
                std::fprintf(limits_.progress, "  depth %zu done: %zu states, %zu of replicas, %zu messages\n",
                             report_.depth_done, nodes_.size(), replicas_.count(), replicas_.parcel_count());
            }
        }
        if (nodes_.size() >= limits_.states_max || replicas_.count() >= limits_.replica_states_max) {
            report_.exhaustive = false;
            break;
        }
        expand(at);
    }
    report_.states = nodes_.size();
    report_.depth = report_.depth_done + (report_.exhaustive ? 0 : 1);
    report_.replica_states = replicas_.count();
    report_.parcels = replicas_.parcel_count();
    return report_;
}

void Explorer::expand(Number number) {
    current_ = number;
    const ClusterState from = nodes_[number].state;
    for (std::size_t node = 0; node < replica_count && report_.breach.empty(); node++) {
        expand_replica(from, node);
        expand_losses(from, node);
        expand_reads(from, node);
    }
}

void Explorer::expand_replica(const ClusterState& from, std::size_t node) {
    const Number replica = from.replica[node];
    const auto id = static_cast<std::uint8_t>(node);
    for (const Delivery& delivery : replicas_.deliveries(replica, from.inbox[node])) {
        follow(from, from.left, {Act::deliver, id, delivery.parcel}, *delivery.outcome);
    }
    const Facts& facts = replicas_.facts(replica);
    const bool leads = facts.role == Role::leader;
    if (facts.batches_in_flight > 0) {
        follow(from, from.left, {Act::write_ends, id, 0}, replicas_.perform(replica, Act::write_ends, 0));
    }
    const bool first_stands = scope_.start != Start::fresh || node == 0 ||
                              left_of(from.left, Kind::election) < scope_.of(Kind::election);
    if (!leads && first_stands) {
        try_act(from, Kind::election, {Act::elect, id, 0});
    }
    if (facts.proposes) {
        try_act(from, Kind::proposal, {Act::propose, id, 0});
    }
    if (leads) {
        try_act(from, Kind::resign, {Act::resign, id, 0});
        for (Number other = 0; other < replica_count; other++) {
            if (other != node) {
                try_act(from, Kind::transfer, {Act::transfer, id, other});
                try_act(from, Kind::news, {Act::news, id, other});
            }
        }
    }
    for (Number left_out = 0; facts.changes && left_out <= replica_count; left_out++) {
        try_act(from, Kind::change, {Act::change, id, left_out});
    }
    if (facts.can_checkpoint) {
        try_act(from, Kind::checkpoint, {Act::checkpoint, id, 0});
    }
}

bool Explorer::minority_spoilt(const ClusterState& from, std::size_t node) const {
    for (std::size_t other = 0; other < replica_count; other++) {
        const Facts& facts = replicas_.facts(from.replica[other]);
        const bool damaged = std::any_of(facts.disk.items.begin(), facts.disk.items.end(),
                                         [](const LogItem& item) { return item.damaged; });
        if (other != node && (facts.disk_state.in_doubt || damaged)) {
            return true;
        }
    }
    return false;
}

void Explorer::expand_losses(const ClusterState& from, std::size_t node) {
    const auto id = static_cast<std::uint8_t>(node);
    const Facts& facts = replicas_.facts(from.replica[node]);
    if (left_of(from.left, Kind::crash) > 0) {
        for (Number written = 0; written <= facts.batches_in_flight; written++) {
            try_act(from, Kind::crash, {Act::crash, id, written});
        }
    }
    const bool spoils = left_of(from.left, Kind::wipe) + left_of(from.left, Kind::forget) +
                            left_of(from.left, Kind::damage) + left_of(from.left, Kind::rot) > 0;
    if (!spoils || minority_spoilt(from, node)) {
        return;
    }
    try_act(from, Kind::wipe, {Act::wipe, id, 0});
    const auto log_count = static_cast<Number>(facts.disk.items.size());
    for (Number kept = 0; kept <= log_count; kept++) {
        try_act(from, Kind::forget, {Act::forget, id, kept});
    }
    for (const LogItem& item : facts.disk.items) {
        const LogItem* known = facts.log.at(item.id.index);
        if (item.damaged) {
            continue;
        }
        const auto index = static_cast<Number>(item.id.index.value);
        try_act(from, Kind::damage, {Act::damage, id, index});
        if (known != nullptr && known->id == item.id && item.id.index > facts.applied) {
            try_act(from, Kind::rot, {Act::rot, id, index});
        }
    }
}

void Explorer::expand_reads(const ClusterState& from, std::size_t node) {
    const auto id = static_cast<std::uint8_t>(node);
    if (left_of(from.left, Kind::read) > 0) {
        for (const bool by_follower : {false, true}) {
            ClusterState to = from;
            if (judge_.begin_read(to, node, by_follower)) {
                to.left -= one_of(Kind::read);
                reach(to, {by_follower ? Act::follower_read : Act::read, id, 0});
            }
        }
    }
    ClusterState to = from;
    if (scope_.of(Kind::read) > 0 && judge_.confirm_read(to, node)) {
        reach(to, {Act::confirm, id, 0});
    }
}

void Explorer::try_act(const ClusterState& from, Kind kind, Action action) {
    if (left_of(from.left, kind) == 0) {
        return;
    }
    action_ = action;
    const Outcome& outcome = replicas_.perform(from.replica[action.node], action.act, action.argument);
    if (outcome.next != from.replica[action.node] || !outcome.sent.empty()) {
        follow(from, from.left - one_of(kind), action, outcome);
    }
}

void Explorer::follow(const ClusterState& from, std::uint64_t left, Action action, const Outcome& outcome) {
    if (outcome.next == no_number || !report_.breach.empty()) {
        return;
    }
    ClusterState to = from;
    to.left = left;
    to.replica[action.node] = outcome.next;
    for (const Number parcel : outcome.sent) {
        Number& inbox = to.inbox[replicas_.parcel(parcel).to];
        inbox = replicas_.with(inbox, parcel);
    }
    action_ = action;
    report_.breach = judge_.after_step(from, to, action.node, outcome);
    reach(to, action);
}

// Whether a replica may still forget what it was told: a term, or that another counts.
bool Explorer::may_forget(const ClusterState& state) const {
    const std::uint64_t losses = left_of(state.left, Kind::wipe) + left_of(state.left, Kind::forget);
    const std::uint64_t restarts = left_of(state.left, Kind::crash) + left_of(state.left, Kind::damage);
    const bool doubt_possible = scope_.of(Kind::wipe) + scope_.of(Kind::forget) > 0;
    return losses > 0 || (restarts > 0 && (doubt_possible || scope_.writes_in_flight > 0));
}

void Explorer::reach(const ClusterState& reached, Action action) {
    ClusterState state = reached;
    report_.transitions++;
    if (report_.breach.empty()) {
        report_.breach = judge_.end_read(state);
    }
    if (!may_forget(state)) {
        for (std::size_t i = 0; i < replica_count; i++) {
            state.inbox[i] = replicas_.still_telling(state.replica[i], state.inbox[i]);
        }
    }
    if (insert(state)) {
        nodes_.back().parent = current_;
        nodes_.back().action = action;
        if (report_.breach.empty()) {
            report_.breach = judge_.check(state);
        }
    }
    if (!report_.breach.empty()) {
        report_.path = path_to(current_);
        report_.path.push_back(tell(nodes_[current_].state, action));
        for (const Number replica : state.replica) {
            report_.path.push_back("    " + to_text(replicas_.facts(replica)));
        }
    }
}

bool Explorer::insert(const ClusterState& state) {
    if (nodes_.size() * 2 >= table_.size()) {
        grow();
    }
    std::size_t at = hash_of(state) & (table_.size() - 1);
    while (table_[at] != no_number) {
        if (nodes_[table_[at]].state == state) {
            return false;
        }
        at = (at + 1) & (table_.size() - 1);
    }
    table_[at] = static_cast<Number>(nodes_.size());
    nodes_.push_back({.state = state, .parent = no_number, .action = {}});
    return true;
}

void Explorer::grow() {
    table_.assign(table_.size() * 2, no_number);
    for (Number number = 0; number < nodes_.size(); number++) {
        std::size_t at = hash_of(nodes_[number].state) & (table_.size() - 1);
        while (table_[at] != no_number) {
            at = (at + 1) & (table_.size() - 1);
        }
        table_[at] = number;
    }
}

std::vector<std::string> Explorer::path_here() const {
    if (current_ == no_number) {
        return {};
    }
    std::vector<std::string> out = path_to(current_);
    out.push_back(tell(nodes_[current_].state, action_) + " (or a step beside it)");
    return out;
}

std::vector<std::string> Explorer::path_to(Number number) const {
    std::vector<Number> numbers;
    for (; nodes_[number].parent != no_number; number = nodes_[number].parent) {
        numbers.push_back(number);
    }
    std::reverse(numbers.begin(), numbers.end());
    std::vector<std::string> out;
    for (const Number reached : numbers) {
        const Node& node = nodes_[reached];
        out.push_back(tell(nodes_[node.parent].state, node.action));
        const Number replica = node.state.replica[node.action.node];
        if (replica != nodes_[node.parent].state.replica[node.action.node]) {
            out.push_back("    " + to_text(replicas_.facts(replica)));
        }
    }
    return out;
}

}  // namespace ringfort::raft
