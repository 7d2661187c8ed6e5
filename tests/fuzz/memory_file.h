// A file that lies in memory, for decoders that open a path themselves.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/assertion.h"

namespace ringfort::fuzz {

class MemoryFile {
  public:
    MemoryFile(const std::uint8_t* data, std::size_t bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
        ASSERT(descriptor_ >= 0);
        ASSERT(write(descriptor_, data, bytes) == static_cast<ssize_t>(bytes));
    }
    ~MemoryFile() { close(descriptor_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  private:
    int descriptor_;
};

}  // namespace ringfort::fuzz
