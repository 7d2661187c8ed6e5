// A ring of receive buffers the kernel picks from. The kernel gives a buffer away with a completion; put_back() returns it.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "uring/ring.h"
#include "uring/start_fault.h"

namespace ringfort::uring {

class BufferRing {
  public:
    // `group` is the ring-wide name of these buffers. Requires: count is a power of two, at most 32768.
    static StartResult<std::unique_ptr<BufferRing>> create(Ring& ring, std::uint16_t group, std::uint32_t count,
                                                           std::uint32_t buffer_bytes);
    ~BufferRing();
    BufferRing(const BufferRing&) = delete;
    BufferRing& operator=(const BufferRing&) = delete;

    std::uint16_t group() const { return group_; }
    std::uint32_t count() const { return count_; }
    std::uint32_t buffer_bytes() const { return buffer_bytes_; }
    // Page-aligned memory of a buffer.
    std::byte* buffer(std::uint16_t id) const { return memory_ + (std::size_t{id} * buffer_bytes_); }
    // The kernel gave this one away.
    void note_taken() { taken_++; }
    void put_back(std::uint16_t id);
    std::uint32_t taken() const { return taken_; }

  private:
    BufferRing(Ring& ring, std::uint16_t group, std::uint32_t count, std::uint32_t buffer_bytes)
        : ring_(ring), group_(group), count_(count), buffer_bytes_(buffer_bytes) {}
    void publish(std::uint16_t id);

    Ring& ring_;
    std::uint16_t group_;
    std::uint32_t count_;
    std::uint32_t buffer_bytes_;
    std::uint32_t taken_{0};           // Invariant: taken_ <= count_
    std::uint16_t tail_{0};
    io_uring_buf* entries_{nullptr};   // [0].resv is the tail the kernel reads
    std::byte* memory_{nullptr};
    bool registered_{false};
};

}  // namespace ringfort::uring
