#include "program.h"

#include <algorithm>
#include <csignal>
#include <string_view>

#include <unistd.h>

namespace ringctl {

namespace {

// As the kernel wants them.
std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> out;
    for (const std::string& word : words) {
        out.push_back(const_cast<char*>(word.c_str()));
    }
    out.push_back(nullptr);
    return out;
}

}  // namespace

std::vector<std::string> environment_with(std::vector<std::string> told) {
    std::vector<std::string> out = told;
    for (char** one = environ; *one != nullptr; one++) {
        const std::string_view variable(*one);
        const auto same_name = [variable](std::string_view own) {
            return variable.starts_with(own.substr(0, own.find('=') + 1));
        };
        if (std::ranges::none_of(told, same_name)) {
            out.emplace_back(variable);
        }
    }
    return out;
}

pid_t start_program(const std::vector<std::string>& program, const std::vector<std::string>& environment) {
    // Made before the fork: the child of a process with threads must not allocate.
    const std::vector<char*> words = pointers_to(program);
    const std::vector<char*> variables = pointers_to(environment);
    const std::string failure = "Error: " + program.front() + " cannot be run\n";
    sigset_t none;
    sigemptyset(&none);
    const pid_t child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &none, nullptr);
        std::signal(SIGPIPE, SIG_DFL);   // what is ignored here is ignored there
        execvpe(words[0], words.data(), variables.data());
        [[maybe_unused]] const ssize_t said = write(STDERR_FILENO, failure.data(), failure.size());
        _exit(127);
    }
    return child;
}

}  // namespace ringctl
