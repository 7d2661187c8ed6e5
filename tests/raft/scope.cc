#include "scope.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::raft {

namespace {

struct Times {
    Kind kind{};
    std::uint8_t times{0};
};

Scope make_scope(std::string_view name, std::string_view what, Start start, std::initializer_list<Times> budget) {
    Scope out{.name = name, .what = what, .start = start, .stand = Stand::at_once,
              .entry_by_entry = start == Start::contested, .writes_in_flight = 0, .budget = {}, .wrong = Wrong::none,
              .outcomes_only = false};
    for (const Times& times : budget) {
        out = out.with(times.kind, times.times);
    }
    return out;
}

Scope with_writes(Scope scope, std::uint8_t in_flight) {
    scope.writes_in_flight = in_flight;
    return scope;
}

Scope with_pre_vote(Scope scope) {
    scope.stand = Stand::pre_vote;
    return scope;
}

const Scope all_scopes[] = {
    make_scope("elections", "two elections, a crash", Start::fresh, {{Kind::election, 2}, {Kind::crash, 1}}),
    with_pre_vote(make_scope("pre-vote", "two elections with pre-vote", Start::fresh, {{Kind::election, 2}})),
    make_scope("contested", "Figure 8: entries of older terms", Start::contested, {{Kind::election, 2}}),
    with_writes(make_scope("votes", "votes and first entries that reach the disk late or never", Start::fresh,
                           {{Kind::election, 2}, {Kind::crash, 1}}), 1),
    with_writes(make_scope("writes", "a leader's entries that reach the disk late or never", Start::led,
                           {{Kind::election, 1}, {Kind::proposal, 1}, {Kind::crash, 1}}), 1),
    make_scope("log", "a leader's entry and two more leaders", Start::led, {{Kind::election, 2}, {Kind::proposal, 1}}),
    make_scope("wipe", "a wiped replica, its fence, another leader", Start::led,
               {{Kind::election, 1}, {Kind::wipe, 1}, {Kind::news, 1}}),
    make_scope("wipe-log", "the same while an entry is being committed", Start::led,
               {{Kind::election, 1}, {Kind::proposal, 1}, {Kind::wipe, 1}}),
    make_scope("wipe-twice", "wiped again, or another once the first counts", Start::led,
               {{Kind::wipe, 2}, {Kind::news, 2}}),
    make_scope("forget", "a lost hard state with any part of the log, another leader", Start::led,
               {{Kind::election, 1}, {Kind::forget, 1}, {Kind::news, 1}}),
    make_scope("forget-log", "the same while an entry is being committed", Start::led,
               {{Kind::election, 1}, {Kind::proposal, 1}, {Kind::forget, 1}}),
    make_scope("damage", "an entry lost at a restart", Start::led,
               {{Kind::election, 1}, {Kind::proposal, 1}, {Kind::damage, 1}, {Kind::news, 1}}),
    make_scope("rot", "an entry lost while running", Start::led,
               {{Kind::election, 1}, {Kind::proposal, 1}, {Kind::rot, 1}}),
    make_scope("transfer", "leadership handed over", Start::led,
               {{Kind::transfer, 1}, {Kind::election, 1}, {Kind::proposal, 1}}),
    make_scope("reads", "a linearizable read at a leader or a follower", Start::led,
               {{Kind::read, 1}, {Kind::election, 1}, {Kind::proposal, 1}}),
    make_scope("reads-wipe", "the same beside a wiped replica", Start::led,
               {{Kind::read, 1}, {Kind::wipe, 1}, {Kind::news, 1}, {Kind::election, 1}}),
    make_scope("change", "voters change, another leader", Start::led, {{Kind::change, 1}, {Kind::election, 1}}),
    make_scope("checkpoint", "checkpoints and snapshots", Start::led,
               {{Kind::checkpoint, 1}, {Kind::election, 1}, {Kind::proposal, 1}}),
};

}  // namespace

Scope Scope::with(Kind kind, std::uint8_t times) const {
    Scope out = *this;
    out.budget[static_cast<std::size_t>(kind)] = times;
    return out;
}

std::span<const Scope> scopes() { return all_scopes; }

const Scope* find_scope(std::string_view name) {
    const auto found = std::find_if(std::begin(all_scopes), std::end(all_scopes),
                                    [&](const Scope& scope) { return scope.name == name; });
    return found == std::end(all_scopes) ? nullptr : found;
}

std::string_view to_string(Kind kind) {
    switch (kind) {
        case Kind::election: return "elections";
        case Kind::proposal: return "proposals";
        case Kind::crash: return "crashes";
        case Kind::wipe: return "wipes";
        case Kind::forget: return "forgets";
        case Kind::damage: return "damages";
        case Kind::rot: return "rots";
        case Kind::transfer: return "transfers";
        case Kind::change: return "changes";
        case Kind::checkpoint: return "checkpoints";
        case Kind::resign: return "resigns";
        case Kind::news: return "news";
        case Kind::read: return "reads";
        case Kind::count: break;
    }
    UNREACHABLE();
}

}  // namespace ringfort::raft
