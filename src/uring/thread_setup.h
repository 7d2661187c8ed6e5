// What a shard's thread asks of the scheduler, and what the process asks of its limits.
#pragma once

#include <string>

namespace ringfort::uring {

// At most 15 characters are kept. Shown by top and perf.
void name_thread(const std::string& name);
// False: this process may not run there.
bool pin_thread(unsigned cpu);
// A long slice: kernel threads that finish our disk writes then preempt us at once instead of waiting for the next tick.
// Kernels before 6.12 have no such request; then the recipe's trap detection has to do.
void ask_for_long_slice();
// Descriptors and locked memory up to what the system allows this process.
void raise_limits();

}  // namespace ringfort::uring
