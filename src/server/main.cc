// `ringfort`: one node of a cluster.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "server/machine.h"
#include "server/options.h"
#include "server/serve.h"
#include "uring/signal_watch.h"
#include "uring/standard_files.h"
#include "uring/thread_setup.h"

static_assert(!ringfort::mutants_planted, "a node is never built with planted bugs");

namespace {

using ringfort::server::ExitCode;

ExitCode refuse(const std::string& sentence) {
    std::fprintf(stderr, "ringfort: %s\n", sentence.c_str());
    return ExitCode::bad_options;
}

ExitCode run(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    using namespace ringfort;
    const auto line = server::read_command_line(arguments, environment);
    if (!line) {
        return refuse(line.error().sentence);
    }
    if (line->errand == server::Errand::print_and_exit) {
        std::fputs(line->text.c_str(), stdout);
        return ExitCode::ok;
    }
    const auto options = server::interpret(line->values, {.memory_bytes = server::usable_memory_bytes()});
    if (!options) {
        return refuse(options.error().sentence);
    }
    uring::SignalWatch::settle_signals();
    uring::raise_limits();
    uring::LogWriter log(STDERR_FILENO, options->log_level);
    for (const std::string& warning : line->warnings) {
        log.write(env::LogLevel::warning, "", warning);
    }
    return server::serve(*options, log);
}

}  // namespace

int main(int argc, char** argv, char** environment) {
    ringfort::uring::hold_standard_files();
    std::vector<std::string> variables;
    for (char** entry = environment; *entry != nullptr; entry++) {
        variables.emplace_back(*entry);
    }
    return static_cast<int>(run(std::vector<std::string>(argv + 1, argv + argc), variables));
}
