// A run of --op watch or watch-latency, from the first connection to the result on standard output.
#pragma once

#include <csignal>

#include "options.h"

namespace ringload {

// CPU of this process until now, user and system.
double own_cpu_us();

// The exit code. Ends early when a signal sets `interrupted`.
int watch_and_report(const Options& options, const volatile std::sig_atomic_t& interrupted);

}  // namespace ringload
