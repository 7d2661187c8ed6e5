// Memory for direct I/O and for FlatBuffers: aligned to a disk block, zeroed, move-only.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <utility>

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
            // calloc knows which memory is zero already: pages of a large buffer that nobody uses are never touched.
            memory_.reset(std::calloc(1, bytes + alignment - 1));
            ASSERT(memory_ != nullptr);
            void* begin = memory_.get();
            std::size_t room = bytes + alignment - 1;
            data_ = static_cast<std::byte*>(std::align(alignment, bytes, begin, room));
            ASSERT(data_ != nullptr);
        }
    }

    AlignedBuffer(AlignedBuffer&& other) noexcept { *this = std::move(other); }
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
        memory_ = std::move(other.memory_);
        data_ = std::exchange(other.data_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
        return *this;
    }

    std::byte* data() { return data_; }
    const std::byte* data() const { return data_; }
    std::size_t size() const { return bytes_; }
    MutableBytes span() { return {data_, bytes_}; }
    Bytes span() const { return {data_, bytes_}; }
    explicit operator bool() const { return memory_ != nullptr; }

  private:
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    std::unique_ptr<void, Free> memory_;
    std::byte* data_{nullptr};   // aligned, within memory_
    std::size_t bytes_{0};
};

}  // namespace ringfort
