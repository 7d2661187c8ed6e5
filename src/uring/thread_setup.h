// What a shard's thread asks of the scheduler, and what the process asks of its limits.
#pragma once

#include <optional>
#include <string>

#include "uring/slice_chooser.h"

namespace ringfort::uring {

// At most 15 characters are kept. Shown by top and perf.
void name_thread(const std::string& name);
// False: this process may not run there.
bool pin_thread(unsigned cpu);
// The time slice of this thread: long, or what the system gives everybody. Its policy and nice value stay; a realtime thread
// has no slices. Kernels before 6.12 have no such request.
void ask_for_slice(bool long_one);
// How long this thread has waited for a core; nullopt: the system does not tell. `file`: from open_core_waits().
int open_core_waits();
std::optional<SliceChooser::Waits> read_core_waits(int file);
// Descriptors and locked memory up to what the system allows this process.
void raise_limits();

}  // namespace ringfort::uring
