#include "uring/buffer_ring.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>

#include "base/assertion.h"

namespace ringfort::uring {
namespace {

void* map(std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

StartResult<std::unique_ptr<BufferRing>> BufferRing::create(Ring& ring, std::uint16_t group, std::uint32_t count,
                                                            std::uint32_t buffer_bytes) {
    ASSERT(std::has_single_bit(count));
    ASSERT(count <= 32768);
    std::unique_ptr<BufferRing> buffers(new BufferRing(ring, group, count, buffer_bytes));
    // The struct io_uring_buf_ring of the kernel's header is laid out wrongly in C++: entries start at the base.
    buffers->entries_ = static_cast<io_uring_buf*>(map(count * sizeof(io_uring_buf)));
    buffers->memory_ = static_cast<std::byte*>(map(std::size_t{count} * buffer_bytes));
    if (buffers->entries_ == nullptr || buffers->memory_ == nullptr) {
        return failure(StartFault{StartFaultKind::no_locked_memory, "no memory for receive buffers"});
    }
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffers->entries_);
    registration.ring_entries = count;
    registration.bgid = group;
    const int result = io_uring_register_buf_ring(ring.raw(), &registration, 0);
    if (result != 0) {
        return failure(result == -ENOMEM
                           ? StartFault{StartFaultKind::no_locked_memory,
                                        "the limit on locked memory is too small for receive buffers: raise it to "
                                        "8 MiB or more (ulimit -l, or LimitMEMLOCK= in the systemd unit)"}
                           : StartFault{StartFaultKind::no_uring,
                                        "the kernel has no provided buffer rings: Linux 6.1 or newer is needed"});
    }
    buffers->registered_ = true;
    for (std::uint32_t id = 0; id < count; id++) {
        buffers->publish(static_cast<std::uint16_t>(id));
    }
    return buffers;
}

BufferRing::~BufferRing() {
    if (registered_) {
        io_uring_unregister_buf_ring(ring_.raw(), group_);
    }
    if (entries_ != nullptr) {
        munmap(entries_, count_ * sizeof(io_uring_buf));
    }
    if (memory_ != nullptr) {
        munmap(memory_, std::size_t{count_} * buffer_bytes_);
    }
}

void BufferRing::publish(std::uint16_t id) {
    io_uring_buf& entry = entries_[tail_ & (count_ - 1)];
    entry.addr = reinterpret_cast<std::uintptr_t>(buffer(id));
    entry.len = buffer_bytes_;
    entry.bid = id;
    tail_++;
    __atomic_store_n(&entries_[0].resv, tail_, __ATOMIC_RELEASE);
}

void BufferRing::put_back(std::uint16_t id) {
    ASSERT(id < count_);
    ASSERT(taken_ > 0);
    taken_--;
    publish(id);
}

}  // namespace ringfort::uring
