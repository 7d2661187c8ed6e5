// Why a node cannot start, as one sentence for the operator. The server gives each kind an exit code of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ringfort::uring {

enum class StartFaultKind : std::uint8_t {
    no_uring,              // the kernel or a sandbox forbids io_uring
    no_locked_memory,      // RLIMIT_MEMLOCK is too small for the rings
    address_unavailable,   // a listening address cannot be bound
    directory_unusable,    // missing, not writable, or an I/O error
    no_disk_space,         // waiting may help
    unsupported_filesystem,
    directory_in_use,
    other_cluster,
    other_node,
    newer_format,
    identity_damaged,
    no_former_start,
};

struct StartFault {
    StartFaultKind kind{};
    std::string sentence;
};

// What the operating system answered for something in the data directory: `what` says what was tried.
StartFault directory_fault(const std::string& path, std::string_view what, int error);

template <class T>
using StartResult = Result<T, StartFault>;

}  // namespace ringfort::uring
