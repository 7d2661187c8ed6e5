// A program run for somebody else: its environment, its start, and how it ended.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace ringctl {

// This process's environment; variables of `told` (NAME=VALUE) instead of those of the same names.
std::vector<std::string> environment_with(std::vector<std::string> told);

// Starts it, with no signals blocked, and a broken pipe ends it. Words that name no program end the child with 127, and a
// line of its own.
// Below 0: no process can be made.
pid_t start_program(const std::vector<std::string>& program, const std::vector<std::string>& environment);

}  // namespace ringctl
