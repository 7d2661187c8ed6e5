// Memory for direct I/O and for FlatBuffers: aligned to a disk block, zeroed, move-only.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "base/assertion.h"
#include "base/bytes.h"

namespace ringfort {

class AlignedBuffer {
  public:
    AlignedBuffer() = default;
    // Requires: bytes is a multiple of `alignment`, a power of two.
    explicit AlignedBuffer(std::size_t bytes, std::size_t alignment = 4096) : bytes_(bytes) {
        ASSERT(bytes % alignment == 0);
        if (bytes > 0) {
            memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, bytes)));
            ASSERT(memory_ != nullptr);
            std::memset(memory_.get(), 0, bytes);
        }
    }

    std::byte* data() { return memory_.get(); }
    const std::byte* data() const { return memory_.get(); }
    std::size_t size() const { return bytes_; }
    MutableBytes span() { return {memory_.get(), bytes_}; }
    Bytes span() const { return {memory_.get(), bytes_}; }
    explicit operator bool() const { return memory_ != nullptr; }

  private:
    struct Free {
        void operator()(std::byte* p) const { std::free(p); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::size_t bytes_{0};
};

}  // namespace ringfort
