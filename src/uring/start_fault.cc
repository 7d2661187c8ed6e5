#include "uring/start_fault.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace ringfort::uring {

StartFault directory_fault(const std::string& path, std::string_view what, int error) {
    const bool full = error == ENOSPC || error == EDQUOT;
    return {full ? StartFaultKind::no_disk_space : StartFaultKind::directory_unusable,
            fmt::format("data directory {}: {}: {}", path, what, std::strerror(error))};
}

}  // namespace ringfort::uring
