// Why a node cannot start, as one sentence for the operator. The server gives each kind an exit code of its own.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace ringfort::uring {

enum class StartFaultKind : std::uint8_t {
    no_uring,              // the kernel or a sandbox forbids io_uring
    no_locked_memory,      // RLIMIT_MEMLOCK is too small for the rings
    address_unavailable,   // a listening address cannot be bound
    directory_unusable,    // missing, not writable, or an I/O error
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

template <class T>
using StartResult = Result<T, StartFault>;

}  // namespace ringfort::uring
