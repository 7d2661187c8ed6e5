// explore: everything that can happen to three replicas within a scope (explorer.h). Exit code 1: something broke.
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <ctime>

#include "explorer.h"

using namespace ringfort::raft;

namespace {

const Explorer* under_way = nullptr;

void print(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
        std::printf("    %s\n", line.c_str());
    }
}

// The core's own assertion failed: a breach like any other.
void on_abort(int) {
    std::printf("an assertion failed on this path:\n");
    if (under_way != nullptr) {
        print(under_way->path_here());
    }
    std::fflush(stdout);
    std::_Exit(1);
}

void describe(const Scope& scope) {
    std::printf("%s: %s (%s%s", std::string(scope.name).c_str(), std::string(scope.what).c_str(),
                scope.start == Start::led ? "node 1 leads" : "a fresh cluster",
                scope.stand == Stand::pre_vote ? ", pre-vote" : "");
    for (std::size_t kind = 0; kind < kind_count; kind++) {
        if (scope.budget[kind] > 0) {
            std::printf(", %s %d", std::string(to_string(static_cast<Kind>(kind))).c_str(), scope.budget[kind]);
        }
    }
    std::printf(", writes in flight %d)\n", scope.writes_in_flight);
}

bool explore(const Scope& scope, const Limits& limits) {
    describe(scope);
    const std::clock_t begun = std::clock();
    Explorer explorer(scope, limits);
    under_way = &explorer;
    const Report report = explorer.run();
    under_way = nullptr;
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    std::printf("  %s: %zu distinct states, %llu transitions, %zu events deep, %.1f s of CPU; "
                "%zu states of single replicas, %zu messages\n",
                !report.breach.empty() ? "broken" : report.exhaustive ? "exhaustive" : "bounded", report.states,
                static_cast<unsigned long long>(report.transitions), report.depth, seconds, report.replica_states,
                report.parcels);
    if (report.breach.empty()) {
        return true;
    }
    std::printf("  %s\n", report.breach.c_str());
    print(report.path);
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Explores everything that can happen to three Raft replicas within a scope.");
    std::vector<std::string> names;
    std::array<int, kind_count> budget;
    budget.fill(-1);
    int writes_in_flight = -1;
    bool list = false;
    bool pre_vote = false;
    bool fresh = false;
    bool progress = false;
    bool outcomes_only = false;
    std::string wrong;
    Limits limits;
    app.add_option("scopes", names, "names of scopes; none: all of them");
    app.add_flag("--list", list, "the named scopes");
    for (std::size_t kind = 0; kind < kind_count; kind++) {
        app.add_option("--" + std::string(to_string(static_cast<Kind>(kind))), budget[kind], "how many, at most 15")
            ->check(CLI::Range(0, 15));
    }
    app.add_option("--writes-in-flight", writes_in_flight, "batches not yet durable; 0: writes end at once");
    app.add_flag("--pre-vote", pre_vote, "who stands asks first");
    app.add_flag("--fresh", fresh, "nobody leads at the start");
    app.add_option("--states-max", limits.states_max, "distinct states, some 60 bytes each");
    app.add_option("--replica-states-max", limits.replica_states_max, "states of single replicas, some 8 KiB each");
    app.add_option("--wrong", wrong, "plants a mistake");
    app.add_flag("--outcomes-only", outcomes_only, "what is said too early is a breach only by what comes of it");
    app.add_flag("--progress", progress, "a line for each depth");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGABRT, on_abort);
    limits.progress = progress ? stderr : nullptr;
    bool whole = true;
    for (Scope scope : scopes()) {
        const bool named = std::find(names.begin(), names.end(), scope.name) != names.end();
        if (!names.empty() && !named) {
            continue;
        }
        for (std::size_t kind = 0; kind < kind_count; kind++) {
            scope.budget[kind] = budget[kind] < 0 ? scope.budget[kind] : static_cast<std::uint8_t>(budget[kind]);
        }
        scope.writes_in_flight = writes_in_flight < 0 ? scope.writes_in_flight : static_cast<std::uint8_t>(writes_in_flight);
        scope.stand = pre_vote ? Stand::pre_vote : scope.stand;
        scope.start = fresh ? Start::fresh : scope.start;
        scope.outcomes_only = outcomes_only;
        for (const Wrong each : all_wrongs()) {
            scope.wrong = to_string(each) == wrong ? each : scope.wrong;
        }
        if (list) {
            describe(scope);
        } else {
            whole = explore(scope, limits) && whole;
        }
        std::fflush(stdout);
    }
    return whole ? 0 : 1;
}
