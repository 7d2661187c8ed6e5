// The short form of tools/explore: the scopes that end soon, whole; and that each planted mistake is found.
#include <gtest/gtest.h>

#include "explorer.h"

namespace ringfort::raft {
namespace {

std::string breach_and_path(const Report& report) {
    std::string out = report.breach + "\n";
    for (const std::string& line : report.path) {
        out += "  " + line + "\n";
    }
    return out;
}

Report explore(const Scope& scope) { return Explorer(scope, Limits{.states_max = 2'000'000}).run(); }

Scope named(std::string_view name) {
    const Scope* scope = find_scope(name);
    EXPECT_NE(scope, nullptr) << name;
    return scope == nullptr ? Scope{} : *scope;
}

class WholeScope : public testing::TestWithParam<Scope> {};

TEST_P(WholeScope, holds_in_every_state) {
    const Report report = explore(GetParam());
    EXPECT_EQ(report.breach, "") << breach_and_path(report);
    EXPECT_TRUE(report.exhaustive);
}

INSTANTIATE_TEST_SUITE_P(Explorer, WholeScope,
                         testing::Values(named("elections").with(Kind::crash, 0), named("contested").with(Kind::election, 1),
                                         named("votes").with(Kind::election, 1), named("log").with(Kind::election, 1),
                                         named("wipe").with(Kind::election, 0), named("forget").with(Kind::election, 0),
                                         named("damage").with(Kind::election, 0), named("rot").with(Kind::election, 0),
                                         named("reads").with(Kind::proposal, 0), named("change").with(Kind::election, 0),
                                         named("checkpoint").with(Kind::election, 0)),
                         [](const auto& tested) {
                             std::string name(tested.param.name);
                             std::erase(name, '-');
                             return name;
                         });

// The scope in which a mistake shows, and the property it breaks.
struct Planted {
    Wrong wrong{};
    Scope scope;
    std::string_view breaks;
};

class PlantedMistake : public testing::TestWithParam<Planted> {};

TEST_P(PlantedMistake, is_found) {
    Scope scope = GetParam().scope;
    scope.wrong = GetParam().wrong;
    const Report report = explore(scope);
    EXPECT_EQ(report.breach.substr(0, report.breach.find(':')), GetParam().breaks) << breach_and_path(report);
    EXPECT_FALSE(report.path.empty());
}

Scope by_outcome(Scope scope) {
    scope.outcomes_only = true;
    return scope;
}

INSTANTIATE_TEST_SUITE_P(
    Explorer, PlantedMistake,
    testing::Values(
        Planted{Wrong::commits_older_terms_by_count, named("contested"), "leader completeness"},
        Planted{Wrong::speaks_before_durable, by_outcome(named("votes")), "a vote a term"},
        Planted{Wrong::forgets_votes, named("elections"), "a vote a term"},
        Planted{Wrong::forgets_wipe, named("wipe"), "durable commit"},
        Planted{Wrong::counts_before_fence, named("wipe"), "doubt"},
        Planted{Wrong::fence_need_not_be_committed, named("wipe"), "doubt"},
        Planted{Wrong::reads_before_noop, named("reads"), "reads"},
        Planted{Wrong::reads_unconfirmed, named("reads"), "reads"}),
    [](const auto& tested) { return std::string(to_string(tested.param.wrong)); });

}  // namespace
}  // namespace ringfort::raft
