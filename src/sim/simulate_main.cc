// simulate: whole clusters in virtual time, faults by the seed, judges over everything. Exit codes: 0 nothing found,
// 2 wrong usage, 3 liveness, 4 safety, 5 two runs of one seed differ, 6 crash (an assertion, a signal).
#include <CLI/CLI.hpp>

#include <chrono>
#include <csignal>  // tidy-allow(include-edge): the command prints the replay line of a crash
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>  // tidy-allow(include-edge): the command prints the replay line of a crash

#include "sim/simulation.h"

namespace {

using namespace ringfort;
using namespace ringfort::sim;

constexpr int exit_liveness = 3;
constexpr int exit_safety = 4;
constexpr int exit_not_deterministic = 5;
constexpr int exit_crash = 6;

char replay_line[512];   // of the run that is going on; written by a signal handler

void on_crash(int signal) {
    const char head[] = "\ncrashed; replay: ";
    static_cast<void>(!write(STDERR_FILENO, head, sizeof head - 1));
    static_cast<void>(!write(STDERR_FILENO, replay_line, std::strlen(replay_line)));
    static_cast<void>(!write(STDERR_FILENO, "\n", 1));
    if (signal == SIGSEGV || signal == SIGBUS) {
        std::signal(signal, SIG_DFL);
        return;   // faults again, with the default action
    }
    _exit(exit_crash);
}

// How long a run takes is told to people and decides nothing.
std::chrono::steady_clock::time_point real_time() {
    return std::chrono::steady_clock::now();  // tidy-allow(determinism): the command times its own runs
}

struct Options {
    RunRequest request;
    std::size_t nodes{0};
    std::uint32_t shards{0};
    std::uint32_t domains{0};
    std::uint64_t seconds{30};
    std::uint64_t seeds{1};
    bool no_faults{false};
    bool check_determinism{false};
};

void note_replay(const Options& options, std::uint64_t seed) {
    std::string line = "tools/simulate --seed " + std::to_string(seed) + " --seconds " + std::to_string(options.seconds);
    line += options.nodes > 0 ? " --nodes " + std::to_string(options.nodes) : "";
    line += options.shards > 0 ? " --shards " + std::to_string(options.shards) : "";
    line += options.domains > 0 ? " --domains " + std::to_string(options.domains) : "";
    line += options.request.light ? " --light" : "";
    line += options.no_faults ? " --no-faults" : "";
    std::snprintf(replay_line, sizeof replay_line, "%s", line.c_str());
}

int run_seed(const Options& options, std::uint64_t seed) {
    RunRequest request = options.request;
    request.seed = seed;
    note_replay(options, seed);
    const RunOptions run = draw_options(request);
    std::printf("%s\n", describe(run).c_str());
    std::fflush(stdout);
    const auto began = real_time();
    Verdict verdict = simulate(run);
    const std::chrono::duration<double> took = real_time() - began;
    int code = 0;
    if (verdict.kind != VerdictKind::ok) {
        code = verdict.kind == VerdictKind::liveness ? exit_liveness : exit_safety;
        std::printf("%s: %s\n", code == exit_liveness ? "LIVENESS" : "SAFETY", verdict.text.c_str());
    }
    if (options.check_determinism && simulate(run).hash != verdict.hash) {
        code = exit_not_deterministic;
        std::printf("NOT DETERMINISTIC: two runs of this seed differ\n");
    }
    std::printf("%s\n", describe(verdict).c_str());
    std::printf("simulated: %.1f seconds in %.2f seconds, violations: %d\n",
                static_cast<double>(verdict.simulated.count()) / 1e9, took.count(), code == 0 ? 0 : 1);
    std::printf("replay: %s\n", replay_line);
    std::fflush(stdout);
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Simulates whole clusters under faults and judges what clients saw."};
    app.add_option("--seed", options.request.seed, "first seed");
    app.add_option("--seeds", options.seeds, "how many seeds, one after the other")->check(CLI::PositiveNumber);
    app.add_option("--nodes", options.nodes, "number of nodes (default: by the seed)")->check(CLI::Range(1, 7));
    app.add_option("--shards", options.shards, "shards per node (default: by the seed)")->check(CLI::Range(1, 8));
    app.add_option("--domains", options.domains, "domains (default: by the seed)")->check(CLI::Range(1, 16));
    app.add_option("--seconds", options.seconds, "virtual seconds under faults")->check(CLI::PositiveNumber);
    app.add_flag("--no-faults", options.no_faults, "a healthy world");
    app.add_flag("--light", options.request.light, "10 clients with 100 operations a second in a healthy world");
    app.add_flag("--trace", options.request.trace, "what nodes log and which faults happen, to stderr");
    app.add_flag("--check-determinism", options.check_determinism, "run every seed twice and compare all events");
    CLI11_PARSE(app, argc, argv);

    if (options.nodes > 0) {
        options.request.nodes = options.nodes;
    }
    if (options.shards > 0) {
        options.request.shards = options.shards;
    }
    if (options.domains > 0) {
        options.request.domains = options.domains;
    }
    options.request.duration = std::chrono::seconds(options.seconds);
    options.request.faults = !options.no_faults;
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) {
        std::signal(signal, on_crash);
    }
    int worst = 0;
    for (std::uint64_t i = 0; i < options.seeds; i++) {
        worst = std::max(worst, run_seed(options, options.request.seed + i));
    }
    return worst;
}
