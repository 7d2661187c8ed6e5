// What the machine, or the container, lets this process have.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ringfort::server {

// CPUs this process may run on, not more than its cgroup's CPU quota; at least 1.
unsigned usable_cores();
// Memory of the machine or, if smaller, of the cgroup.
std::uint64_t usable_memory_bytes();

// Exposed for tests: the files' contents.
std::optional<std::uint64_t> memory_total(std::string_view meminfo);      // /proc/meminfo
std::optional<std::uint64_t> cgroup_limit(std::string_view memory_max);   // memory.max; "max": none
std::optional<unsigned> cgroup_cores(std::string_view cpu_max);           // cpu.max: "quota period"
std::string_view cgroup_path(std::string_view proc_self_cgroup);          // of version 2; empty: none

}  // namespace ringfort::server
