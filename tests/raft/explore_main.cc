// explore: everything that can happen to three replicas within a scope (explorer.h). Exit codes: 0 nothing
// broke, 1 something did, 2 wrong usage.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>

#include "base/assertion.h"
#include "explorer.h"

using namespace ringfort::raft;

namespace {

constexpr int exit_broken = 1;
constexpr int exit_usage = 2;

struct CommandLine {
    std::vector<std::string> scopes;            // none: all of them
    std::array<int, kind_count> budget{};       // -1: as the scope says
    int writes_in_flight{-1};                   // likewise
    bool list{false};
    bool pre_vote{false};
    bool fresh{false};
    bool outcomes_only{false};
    bool progress{false};
    std::string wrong;
    Limits limits;
};

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
    std::_Exit(exit_broken);
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

std::string_view meaning(Kind kind) {
    switch (kind) {
        case Kind::election: return "a replica stands, whether the leader is alive or not";
        case Kind::proposal: return "a leader is given an entry";
        case Kind::crash: return "a process dies and starts again; what was not durable may be lost";
        case Kind::wipe: return "a replica loses its whole store";
        case Kind::forget: return "a replica loses its hard state and any end of its log";
        case Kind::damage: return "a restart finds the payload of an entry lost";
        case Kind::rot: return "a running replica finds the payload of an entry lost";
        case Kind::transfer: return "a leader hands over";
        case Kind::change: return "voters change: to two, or back to three";
        case Kind::checkpoint: return "a replica forgets the entries it has applied";
        case Kind::resign: return "a leader hears that it reaches nobody";
        case Kind::news: return "a leader hears that a replica is back, and begins anew with it";
        case Kind::read: return "a linearizable read is asked for";
        case Kind::count: break;
    }
    UNREACHABLE();
}

std::string names_of_scopes() {
    std::string out;
    for (const Scope& scope : scopes()) {
        out += (out.empty() ? "" : ", ") + std::string(scope.name);
    }
    return out;
}

std::string names_of_wrongs() {
    std::string out;
    for (const Wrong wrong : all_wrongs()) {
        out += (out.empty() ? "" : ", ") + std::string(to_string(wrong));
    }
    return out;
}

void add_options(CLI::App& app, CommandLine& line) {
    app.add_option("scopes", line.scopes, "names of scopes; none: all of them");
    app.add_flag("--list", line.list, "what the scopes hold, instead of exploring them");
    line.budget.fill(-1);
    for (std::size_t kind = 0; kind < kind_count; kind++) {
        app.add_option("--" + std::string(to_string(static_cast<Kind>(kind))), line.budget[kind],
                       "how often at most: " + std::string(meaning(static_cast<Kind>(kind))))
            ->check(CLI::Range(0, 15));
    }
    app.add_option("--writes-in-flight", line.writes_in_flight, "batches not yet durable; 0: writes end at once")
        ->check(CLI::Range(0, 255));
    app.add_flag("--pre-vote", line.pre_vote, "who stands asks first");
    app.add_flag("--fresh", line.fresh, "nobody leads at the start");
    app.add_option("--states-max", line.limits.states_max, "distinct states, some 60 bytes each")->capture_default_str();
    app.add_option("--replica-states-max", line.limits.replica_states_max, "states of single replicas, some 8 KiB each")
        ->capture_default_str();
    app.add_option("--wrong", line.wrong, "plants a mistake, to see it found");
    app.add_flag("--outcomes-only", line.outcomes_only,
                 "what is said before it is durable is a breach only by what comes of it");
    app.add_flag("--progress", line.progress, "a line for each depth, to stderr");
    app.footer("What is not given is as the scope has it.\n\nScopes: " + names_of_scopes() +
               "\n\nMistakes, for --wrong: " + names_of_wrongs() +
               "\n\nExit codes: 0 nothing broke, 1 something did, 2 wrong usage");
}

// Empty: all names are known.
std::string unknown_name(const CommandLine& line) {
    for (const std::string& name : line.scopes) {
        if (find_scope(name) == nullptr) {
            return "no scope is called " + name + "; there are: " + names_of_scopes();
        }
    }
    const auto is_wanted = [&](Wrong wrong) { return to_string(wrong) == line.wrong; };
    if (!line.wrong.empty() && std::ranges::none_of(all_wrongs(), is_wanted)) {
        return "no mistake is called " + line.wrong + "; there are: " + names_of_wrongs();
    }
    return {};
}

Scope changed(Scope scope, const CommandLine& line) {
    for (std::size_t kind = 0; kind < kind_count; kind++) {
        scope.budget[kind] = line.budget[kind] < 0 ? scope.budget[kind] : static_cast<std::uint8_t>(line.budget[kind]);
    }
    if (line.writes_in_flight >= 0) {
        scope.writes_in_flight = static_cast<std::uint8_t>(line.writes_in_flight);
    }
    scope.stand = line.pre_vote ? Stand::pre_vote : scope.stand;
    scope.start = line.fresh ? Start::fresh : scope.start;
    scope.outcomes_only = line.outcomes_only;
    for (const Wrong wrong : all_wrongs()) {
        scope.wrong = to_string(wrong) == line.wrong ? wrong : scope.wrong;
    }
    return scope;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Explores everything that can happen to three Raft replicas within a scope.", "explore");
    CommandLine line;
    add_options(app, line);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_usage;
    }
    if (const std::string wrong = unknown_name(line); !wrong.empty()) {
        std::fprintf(stderr, "explore: %s\n", wrong.c_str());
        return exit_usage;
    }
    std::signal(SIGABRT, on_abort);
    line.limits.progress = line.progress ? stderr : nullptr;
    bool whole = true;
    for (const Scope& each : scopes()) {
        if (!line.scopes.empty() && std::ranges::find(line.scopes, each.name) == line.scopes.end()) {
            continue;
        }
        const Scope scope = changed(each, line);
        if (line.list) {
            describe(scope);
        } else {
            whole = explore(scope, line.limits) && whole;
        }
        std::fflush(stdout);
    }
    return whole ? 0 : exit_broken;
}
