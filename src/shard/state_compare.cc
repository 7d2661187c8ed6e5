#include "shard/state_compare.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/checkpoints.h"
#include "shard/hash_walks.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/streams.h"
#include "shard/watches.h"

namespace ringfort::shard {

namespace {

constexpr Duration round_interval = 5s;
constexpr Duration rebuild_interval = 500ms;

void send(Link* link, wire::StateHashKind kind, const wire::StateHash& item) {
    if (link != nullptr) {
        link->send(wire::StateHashes{kind, {&item, 1}}, wire::LinkClass::control);
    }
}

template <class List>
auto* of_range(List& list, RangeId range) {
    const auto found = std::ranges::find_if(list, [&](const auto& item) { return item.range == range; });
    return found != list.end() ? &*found : nullptr;
}

// What was asked or judged by another, or before, may be of another log, or of a state that is replaced since.
bool is_of_leader(const Replica& replica, const Link& link, const wire::StateHash& item) {
    return replica.raft().leader() == link.node() && replica.raft().term() == item.term;
}

std::string name_of(const Replica& replica) {
    return "range " + std::to_string(replica.range().value) + ": ";
}

}  // namespace

// ------------------------------------------------------------------------------------------------ time

void StateCompare::on_timers(Instant now) {
    if (now < next_look_ || context_.stopping) {
        return;
    }
    next_look_ = now + rebuild_interval;
    for (const auto& replica : context_.replicas->all()) {
        if (replica->out_of_service()) {
            seek_rebuild(*replica);
        }
    }
    if (now >= next_rounds_) {
        next_rounds_ = now + round_interval;
        begin_rounds();
    }
}

void StateCompare::begin_rounds() {
    std::map<std::uint64_t, std::vector<wire::StateHash>> asked;   // by place of the link
    rounds_.clear();
    for (const auto& replica : context_.replicas->all()) {
        if (replica->store() == nullptr || !replica->raft().is_leader() || replica->out_of_service()) {
            continue;
        }
        const raft::Configuration& members = replica->raft().configuration();
        const wire::StateHash item{replica->range(), replica->raft().term(), replica->applied(), replica->state_hash()};
        rounds_.push_back({item.range, item.term, item.index, item.hash, {}, {}, false});
        for (const auto* nodes : {&members.voters, &members.learners}) {
            for (const NodeId node : *nodes) {
                Link* link = node != context_.config.self ? context_.links->link_of(*replica, node) : nullptr;
                if (link != nullptr && link->alive()) {
                    asked[link->place()].push_back(item);
                }
            }
        }
    }
    for (const auto& [place, items] : asked) {
        Link* link = context_.links->find_origin(place);
        for (std::size_t at = 0; at < items.size(); at += wire::state_hashes_max) {
            const std::size_t count = std::min(items.size() - at, wire::state_hashes_max);
            link->send(wire::StateHashes{wire::StateHashKind::ask, std::span(items).subspan(at, count)},
                       wire::LinkClass::control);
        }
    }
}

// ------------------------------------------------------------------------------------------------ messages

void StateCompare::on_message(Link& link, const wire::StateHashes& message) {
    for (const wire::StateHash& item : message.items) {
        switch (message.kind) {
            case wire::StateHashKind::ask: on_ask(link, item); break;
            case wire::StateHashKind::answer: on_answer(link, item); break;
            case wire::StateHashKind::verdict: on_verdict(link, item); break;
            case wire::StateHashKind::rebuild: on_rebuild(link, item); break;
        }
    }
}

void StateCompare::on_ask(Link& link, const wire::StateHash& item) {
    Replica* replica = context_.replicas->find(item.range);
    if (replica == nullptr || replica->store() == nullptr || replica->out_of_service() ||
        replica->applied() > item.index || !is_of_leader(*replica, link, item)) {
        return;
    }
    replica->note_hash_at(item.index);
    if (Question* former = of_range(questions_, item.range)) {
        *former = {item.range, item.term, item.index, link.place()};
    } else {
        questions_.push_back({item.range, item.term, item.index, link.place()});
    }
}

void StateCompare::run() {
    std::erase_if(questions_, [&](const Question& question) {
        const Replica* replica = context_.replicas->find(question.range);
        if (replica == nullptr || replica->out_of_service()) {
            return true;
        }
        const std::optional<std::uint64_t> hash = replica->hash_noted_at(question.index);
        if (hash) {
            send(context_.links->find_origin(question.link), wire::StateHashKind::answer,
                 {question.range, question.term, question.index, *hash});
        }
        return hash.has_value() || replica->applied() > question.index;
    });
}

void StateCompare::on_answer(Link& link, const wire::StateHash& item) {
    Replica* replica = context_.replicas->find(item.range);
    Round* round = of_range(rounds_, item.range);
    if (replica == nullptr || round == nullptr || round->term != item.term || round->index != item.index ||
        !replica->raft().is_leader() || replica->raft().term() != item.term) {
        return;
    }
    const auto same = [&](const auto& answer) { return answer.first == link.node(); };
    if (std::ranges::none_of(round->answers, same)) {
        round->answers.emplace_back(link.node(), item.hash);
        decide(*replica, *round);
    }
}

void StateCompare::decide(Replica& replica, Round& round) {
    if (std::ranges::all_of(round.answers, [&](const auto& answer) { return answer.second == round.hash; })) {
        return;
    }
    const std::vector<NodeId>& voters = replica.raft().configuration().voters;
    const auto votes = [&](std::uint64_t hash) {
        const bool own = hash == round.hash && std::ranges::count(voters, context_.config.self) > 0;
        return static_cast<std::size_t>(std::ranges::count_if(round.answers, [&](const auto& answer) {
                   return answer.second == hash && std::ranges::count(voters, answer.first) > 0;
               })) +
               (own ? 1u : 0u);
    };
    std::optional<std::uint64_t> right = votes(round.hash) * 2 > voters.size() ? std::optional(round.hash) : std::nullopt;
    for (const auto& [node, hash] : round.answers) {
        right = votes(hash) * 2 > voters.size() ? hash : right;
    }
    if (!right) {
        if (!round.undecided_told && round.answers.size() + 1 >= voters.size()) {
            round.undecided_told = true;
            context_.log_line(env::LogLevel::error, name_of(replica) + "states differ at entry " +
                                                        std::to_string(round.index.value) +
                                                        ", and no majority says who is right");
        }
        return;
    }
    for (const auto& [node, hash] : round.answers) {
        if (hash != *right) {
            tell(replica, round, node, *right);
        }
    }
    if (round.hash != *right) {
        take_out(replica, round.index);
    }
}

void StateCompare::tell(Replica& replica, Round& round, NodeId node, std::uint64_t right_hash) {
    if (std::ranges::count(round.told, node) > 0) {
        return;
    }
    round.told.push_back(node);
    context_.log_line(env::LogLevel::error, name_of(replica) + "the state of node " + std::to_string(node.value) +
                                                " differs from that of a majority at entry " +
                                                std::to_string(round.index.value));
    send(context_.links->link_of(replica, node), wire::StateHashKind::verdict,
         {round.range, round.term, round.index, right_hash});
}

void StateCompare::on_verdict(Link& link, const wire::StateHash& item) {
    Replica* replica = context_.replicas->find(item.range);
    const bool heard = replica != nullptr && is_of_leader(*replica, link, item);
    const auto own = heard ? replica->hash_noted_at(item.index) : std::nullopt;
    if (own && *own != item.hash && !MUTANT(wrong_state_stays)) {
        take_out(*replica, item.index);
    }
}

// ------------------------------------------------------------------------------------------------ out of service

void StateCompare::take_out(Replica& replica, LogIndex index) {
    if (replica.out_of_service()) {
        return;
    }
    MARK("a replica goes out of service");
    context_.log_line(env::LogLevel::error,
                      name_of(replica) + "the state here differs from that of a majority at entry " +
                          std::to_string(index.value) + "; it answers nothing until it is rebuilt from another node's");
    replica.leave_service();
    context_.streams->on_store_replaced(replica);
    context_.watches->on_store_replaced(replica);
    context_.hash_walks->on_store_replaced(replica);
    context_.checkpoints->on_store_replaced(replica);
    next_look_ = context_.now;
    context_.want_timers(context_.now);
}

void StateCompare::seek_rebuild(Replica& replica) {
    if (replica.raft().is_leader()) {
        replica.transfer_to_next();
        return;
    }
    const NodeId leader = replica.raft().leader();
    if (leader) {
        send(context_.links->link_of(replica, leader), wire::StateHashKind::rebuild,
             {replica.range(), replica.raft().term(), replica.applied(), 0});
    }
}

void StateCompare::on_rebuild(Link& link, const wire::StateHash& item) {
    Replica* replica = context_.replicas->find(item.range);
    if (replica == nullptr || replica->out_of_service() || !replica->raft().is_leader()) {
        return;
    }
    if (replica->checkpoint().applied.index >= item.index) {
        context_.checkpoints->send_snapshot(*replica, link.node());
    } else {
        context_.checkpoints->want(item.range);
    }
}

}  // namespace ringfort::shard
