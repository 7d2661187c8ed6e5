#include "replica_states.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "checker.h"
#include "inside.h"

namespace ringfort::raft {

namespace {

std::string key_of_numbers(const std::vector<Number>& numbers) {
    return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

std::uint64_t pair_of(Number high, Number low) { return (std::uint64_t{high} << 32) | low; }

LogView view_of(const Store& store) {
    LogView view{.base = store.checkpoint.applied, .items = {}};
    for (const StoredEntry& entry : store.log) {
        const std::uint64_t parts[] = {entry.checksum, static_cast<std::uint64_t>(entry.kind)};
        view.items.push_back({.id = entry.id, .identity = checksum(std::as_bytes(std::span(parts))),
                              .damaged = entry.damaged});
    }
    return view;
}

// Where nobody ever is in doubt, who has not been heard of yet counts like the others.
void know_all_to_count(TestNode& node) {
    for (Progress& peer : Inside::of(node.core()).peers) {
        peer.standing = Standing::counts;
    }
}

}  // namespace

ReplicaStates::ReplicaStates(const Scope& scope)
    : scope_(scope),
      doubt_possible_(scope.of(Kind::wipe) + scope.of(Kind::forget) > 0) {}

const LogItem* LogView::at(LogIndex index) const {
    if (index <= base.index || index > last().index) {
        return nullptr;
    }
    return &items[distance(base.index, index) - 1];
}

Facts ReplicaStates::look(const TestNode& node) const {
    const Raft& core = node.core();
    Facts out;
    out.id = node.id();
    out.role = core.role();
    out.term = core.term();
    out.disk_state = node.disk().hard_state;
    out.in_doubt = core.in_doubt();
    out.incarnation = core.hard_state().incarnation;
    out.commit = std::min(core.commit(), core.last().index);
    out.applied = node.applied();
    out.state_hash = node.state_hash();
    out.log = view_of(node.memory());
    out.disk = view_of(node.disk());
    out.configuration = core.configuration();
    out.proposes = core.accepts_proposals();
    out.changes = core.can_change_configuration();
    out.read_index = core.read_index();
    if (scope_.wrong == Wrong::reads_before_noop && core.is_leader()) {
        out.read_index = core.commit();
    }
    out.batches_in_flight = node.batches_in_flight();
    out.can_checkpoint = node.applied() > node.memory().checkpoint.applied.index;
    return out;
}

Number ReplicaStates::intern(const TestNode& node) {
    std::string key;
    node.append_key(key);
    const auto [known, is_new] = by_key_.try_emplace(std::move(key), static_cast<Number>(states_.size()));
    if (is_new) {
        states_.push_back({.node = std::make_unique<TestNode>(node), .facts = look(node)});
    }
    return known->second;
}

Number ReplicaStates::intern(Parcel parcel) {
    std::string key;
    if (parcel.stream) {
        key = "s";
        append_key(*parcel.stream, key);
    } else {
        append_key(parcel.owned, key);
    }
    const auto [known, is_new] = parcels_by_key_.try_emplace(std::move(key), static_cast<Number>(parcels_.size()));
    if (is_new) {
        parcels_.push_back(std::make_unique<Parcel>(std::move(parcel)));
    }
    return known->second;
}

Number ReplicaStates::empty_inbox() {
    if (inboxes_.empty()) {
        inboxes_.push_back(std::make_unique<std::vector<Number>>());
        inboxes_by_key_.emplace("", 0);
    }
    return 0;
}

Number ReplicaStates::intern(std::vector<Number> inbox) {
    const auto [known, is_new] =
        inboxes_by_key_.try_emplace(key_of_numbers(inbox), static_cast<Number>(inboxes_.size()));
    if (is_new) {
        inboxes_.push_back(std::make_unique<std::vector<Number>>(std::move(inbox)));
    }
    return known->second;
}

Number ReplicaStates::with(Number inbox, Number parcel) {
    const auto [known, is_new] = with_.try_emplace(pair_of(inbox, parcel), Number{});
    if (is_new) {
        std::vector<Number> numbers = *inboxes_[inbox];
        const auto place = std::lower_bound(numbers.begin(), numbers.end(), parcel);
        if (place == numbers.end() || *place != parcel) {
            numbers.insert(place, parcel);
        }
        known->second = intern(std::move(numbers));
    }
    return known->second;
}

Number ReplicaStates::still_telling(Number state, Number inbox) {
    const auto [known, is_new] = telling_.try_emplace(pair_of(state, inbox), Number{});
    if (!is_new) {
        return known->second;
    }
    const TestNode& node = *states_[state].node;
    std::vector<Number> out;
    std::vector<NodeId> refused;   // who will be told of the newer term; by which of its old requests does not matter
    for (const Number number : *inboxes_[inbox]) {
        const Parcel& parcel = *parcels_[number];
        const Message& message = parcel.owned.message;
        const bool old_request = !parcel.stream && message.term < node.core().term() &&
                                 (message.type == MessageType::append || message.type == MessageType::vote ||
                                  message.type == MessageType::pre_vote);
        if (!old_request) {
            if (tells(node, parcel)) {
                out.push_back(number);
            }
        } else if (std::find(refused.begin(), refused.end(), message.from) == refused.end()) {
            refused.push_back(message.from);
            out.push_back(number);
        }
    }
    known->second = intern(std::move(out));
    return known->second;
}

// Terms do not fall here, and who leads or follows in a term does not stand in it again.
bool ReplicaStates::tells(const TestNode& node, const Parcel& parcel) const {
    const Message& message = parcel.owned.message;
    const Raft& core = node.core();
    if (parcel.stream || message.type == MessageType::fetch) {
        return true;
    }
    const Progress* sender = Inside::of(core).peers.find(message.from);
    const bool news_of_sender = doubt_possible_ && (sender == nullptr || sender->incarnation < message.incarnation ||
                                                    (sender->incarnation == message.incarnation &&
                                                     sender->standing != Standing::counts));
    if (message.term > core.term() || news_of_sender) {
        return true;
    }
    if (message.term < core.term()) {
        return message.type == MessageType::append || message.type == MessageType::vote ||
               message.type == MessageType::pre_vote;
    }
    return message.type != MessageType::vote_response || (core.role() == Role::candidate && !message.reject);
}

const Outcome& ReplicaStates::perform(Number state, Act act, Number argument) {
    const auto code = static_cast<Number>((static_cast<Number>(act) << 26) | argument);
    ASSERT(argument < (1U << 26));
    std::unique_ptr<Outcome>& known = outcomes_[pair_of(state, code)];
    if (known != nullptr) {
        return *known;
    }
    auto out = std::make_unique<Outcome>();
    TestNode node(*states_[state].node);
    act_on(node, act, argument);
    finish(node);
    for (OwnedMessage& owned : node.outbox) {
        if (out->broken.empty()) {
            out->broken = broken_promise(node, owned.message);
        }
        const auto to = static_cast<std::uint8_t>(owned.message.to.value - 1);
        out->sent.push_back(intern({.to = to, .owned = std::move(owned), .stream = {}}));
    }
    for (SnapshotStream& stream : node.streams) {
        stream.checkpoint = node.disk().checkpoint;
        out->sent.push_back(intern({.to = static_cast<std::uint8_t>(stream.to.value - 1), .owned = {}, .stream = stream}));
    }
    node.outbox.clear();
    node.streams.clear();
    if (!doubt_possible_) {
        know_all_to_count(node);
    }
    if (node.batches_in_flight() <= scope_.writes_in_flight) {
        out->next = intern(node);
    }
    known = std::move(out);
    return *known;
}

const std::vector<Delivery>& ReplicaStates::deliveries(Number state, Number inbox) {
    std::unique_ptr<std::vector<Delivery>>& known = deliveries_[pair_of(state, inbox)];
    if (known == nullptr) {
        auto out = std::make_unique<std::vector<Delivery>>();
        for (const Number parcel : *inboxes_[inbox]) {
            const Outcome& outcome = perform(state, Act::deliver, parcel);
            if (outcome.next != no_number && (outcome.next != state || !outcome.sent.empty())) {
                out->push_back({.parcel = parcel, .outcome = &outcome});
            }
        }
        known = std::move(out);
    }
    return *known;
}

// One event a turn.
void ReplicaStates::finish(TestNode& node) const {
    while (true) {
        node.end_turn();
        if (scope_.writes_in_flight == 0) {
            node.settle_disk();
        }
        if (node.reads.empty()) {
            return;
        }
        node.answer_read();
    }
}

void ReplicaStates::act_on(TestNode& node, Act act, Number argument) const {
    const Raft& core = node.core();
    switch (act) {
        case Act::deliver: deliver(node, *parcels_[argument]); return;
        case Act::write_ends: node.complete_write(); return;
        case Act::elect:
            if (scope_.stand == Stand::pre_vote && bool(core.leader())) {
                const NodeId leader = core.leader();
                node.step(PeerLost{leader});
                node.step(PeerBack{leader});
            }
            node.step(ElectionDue{.force = scope_.stand == Stand::at_once});
            return;
        case Act::propose: node.propose("of " + std::to_string(node.id().value)); return;
        case Act::crash:
        case Act::wipe:
        case Act::forget:
        case Act::damage: lose_and_restart(node, act, argument); return;
        case Act::rot: node.lose(LogIndex(argument), true); return;
        case Act::transfer: node.step(TransferLeadership{.target = NodeId(argument + 1)}); return;
        case Act::change: {
            Configuration target;
            for (std::uint64_t id = 1; id <= 3; id++) {
                if (id != argument) {
                    target.voters.push_back(NodeId(id));
                }
            }
            node.step(ChangeConfiguration{.target = target});
            return;
        }
        case Act::checkpoint: node.checkpoint(node.applied()); return;
        case Act::resign:
            for (std::uint64_t id = 1; id <= 3; id++) {
                node.step(PeerLost{NodeId(id)});
                node.step(PeerBack{NodeId(id)});
            }
            return;
        case Act::news:
            node.step(PeerLost{NodeId(argument + 1)});
            node.step(PeerBack{NodeId(argument + 1)});
            return;
        case Act::read:
        case Act::follower_read:
        case Act::confirm: break;
    }
    UNREACHABLE();
}

void ReplicaStates::deliver(TestNode& node, const Parcel& parcel) const {
    if (parcel.stream) {
        node.install(*parcel.stream);
        return;
    }
    const Message& message = parcel.owned.message;
    const Raft& core = node.core();
    if (core.is_second_leader(message)) {
        return;
    }
    // Who is asked for a vote takes its leader for dead: with a living one it only refuses, which is as good as a loss.
    const bool asks = message.type == MessageType::vote || message.type == MessageType::pre_vote;
    const NodeId leader = core.leader();
    if (asks && bool(leader) && !core.is_leader() && leader != message.from) {
        node.step(PeerLost{leader});
        node.step(PeerBack{leader});
    }
    node.receive(parcel.owned);
}

void ReplicaStates::lose_and_restart(TestNode& node, Act act, Number argument) const {
    node.crash(act == Act::crash ? argument : 0);
    Store& disk = node.disk();
    HardState& state = disk.hard_state;
    const Incarnation next = state.incarnation.next();
    if (act == Act::crash) {
        if (scope_.wrong == Wrong::forgets_votes) {
            state.vote = NodeId{};
        }
    } else if (act == Act::damage) {
        disk.find(LogIndex(argument))->damaged = true;
    } else {
        if (act == Act::wipe) {
            disk = Store{};
        } else {
            disk.log.resize(argument);
        }
        state = HardState{.term = {}, .vote = {}, .commit = {}, .incarnation = next, .in_doubt = true};
        if (scope_.wrong == Wrong::forgets_wipe) {
            state = HardState{};
        }
    }
    node.start();
}

}  // namespace ringfort::raft
