#include "uring/ring.h"

#include <cerrno>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "base/assertion.h"
#include "uring/clock_source.h"

namespace ringfort::uring {
namespace {

unsigned setup_flags(Features f) {
    unsigned flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    if (f.has(Feature::single_issuer)) {
        flags |= IORING_SETUP_SINGLE_ISSUER;
    }
    if (f.has(Feature::defer_taskrun) && f.has(Feature::single_issuer)) {
        flags |= IORING_SETUP_DEFER_TASKRUN;
    }
    if (f.has(Feature::coop_taskrun)) {
        flags |= IORING_SETUP_COOP_TASKRUN;
    }
    // The kernel takes the flag only beside one of the two that put completions off.
    const unsigned put_off = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN;
    if (f.has(Feature::taskrun_flag) && (flags & put_off) != 0) {
        flags |= IORING_SETUP_TASKRUN_FLAG;
    }
    return flags;
}

// What the setup flags really ask for: defer_taskrun without single_issuer is none, and so on.
Features effective(Features f) {
    const unsigned flags = setup_flags(f);
    if ((flags & IORING_SETUP_DEFER_TASKRUN) == 0) {
        f = f.without(Feature::defer_taskrun);
    }
    if ((flags & IORING_SETUP_TASKRUN_FLAG) == 0) {
        f = f.without(Feature::taskrun_flag);
    }
    return f;
}

StartFault setup_fault(int error) {
    switch (error) {
        case EPERM:
            return {StartFaultKind::no_uring,
                    "io_uring is forbidden here: allow the io_uring_setup, io_uring_enter and io_uring_register "
                    "system calls in the container's seccomp profile, and set sysctl kernel.io_uring_disabled=0"};
        case ENOSYS:
            return {StartFaultKind::no_uring,
                    "this kernel or its sandbox has no io_uring: run on Linux 6.1 or newer, built with "
                    "CONFIG_IO_URING, and outside of sandboxes that hide it"};
        case ENOMEM:
            return {StartFaultKind::no_locked_memory,
                    "the limit on locked memory is too small for io_uring: raise it to 8 MiB or more (ulimit -l, "
                    "or LimitMEMLOCK= in the systemd unit)"};
        case EMFILE:
        case ENFILE:
            return {StartFaultKind::no_uring, "no file descriptor is left for io_uring: raise ulimit -n"};
        default:
            return {StartFaultKind::no_uring,
                    fmt::format("io_uring cannot be set up on this kernel ({}); Linux 6.1 or newer is needed",
                                std::strerror(error))};
    }
}

// Requires: `memory_patience` in options is how long ENOMEM may last.
int init_patiently(const RingOptions& options, Features features, io_uring* ring) {
    const Instant deadline = monotonic_now() + options.memory_patience;
    while (true) {
        io_uring_params params{};
        params.flags = setup_flags(features);
        params.cq_entries = options.completion_entries;
        const int result = io_uring_queue_init_params(options.submission_entries, ring, &params);
        if (result != -ENOMEM || monotonic_now() >= deadline) {
            return result;
        }
        std::this_thread::sleep_for(20ms);
    }
}

}  // namespace

StartResult<std::unique_ptr<Ring>> Ring::create(const RingOptions& options) {
    // Newest first: a kernel that does not know a flag answers EINVAL.
    static constexpr Feature by_age[] = {Feature::defer_taskrun, Feature::single_issuer, Feature::taskrun_flag,
                                         Feature::coop_taskrun};
    Features features = options.allowed;
    std::unique_ptr<Ring> ring(new Ring(features));
    int result = init_patiently(options, features, &ring->ring_);
    for (const Feature oldest_kernels_lack : by_age) {
        if (result != -EINVAL) {
            break;
        }
        features = features.without(oldest_kernels_lack);
        result = init_patiently(options, features, &ring->ring_);
    }
    if (result < 0) {
        ring->ring_.ring_fd = -1;
        return failure(setup_fault(-result));
    }
    ring->features_ = effective(features);
    if (features.has(Feature::registered_ring) && io_uring_register_ring_fd(&ring->ring_) != 1) {
        ring->drop_feature(Feature::registered_ring);
    }
    return ring;
}

Ring::~Ring() {
    if (ring_.ring_fd >= 0) {
        io_uring_queue_exit(&ring_);
    }
}

io_uring_sqe* Ring::next_request(Completion* completion) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    // The kernel refuses requests for a moment when it has no memory or completions overflow: both pass.
    for (int attempt = 0; sqe == nullptr; attempt++) {
        ASSERT(attempt < 10'000);
        if (attempt > 0) {
            std::this_thread::sleep_for(100us);
        }
        submit();
        sqe = io_uring_get_sqe(&ring_);
    }
    std::memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = reinterpret_cast<std::uintptr_t>(completion);
    return sqe;
}

void Ring::cancel(Completion& completion) {
    io_uring_sqe* sqe = next_request(nullptr);
    io_uring_prep_cancel64(sqe, reinterpret_cast<std::uintptr_t>(&completion), 0);
}

void Ring::submit() {
    enter_count_++;
    const int result = io_uring_submit_and_get_events(&ring_);
    // EAGAIN, EBUSY, EINTR: what was not taken stays queued and goes with the next call.
    ASSERT(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR || result == -ENOMEM);
}

void Ring::submit_and_wait(Duration timeout) {
    if (timeout <= 0ns) {
        submit();
        return;
    }
    enter_count_++;
    __kernel_timespec limit{};
    limit.tv_sec = timeout.count() / 1'000'000'000;
    limit.tv_nsec = timeout.count() % 1'000'000'000;
    io_uring_cqe* first = nullptr;
    const int result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr);
    ASSERT(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY ||
           result == -ENOMEM);
}

bool Ring::completion_waits() {
    if (io_uring_cq_ready(&ring_) > 0) {
        return true;
    }
    const bool put_off = features_.has(Feature::defer_taskrun) || features_.has(Feature::coop_taskrun);
    const bool told = !put_off || features_.has(Feature::taskrun_flag);
    const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
    if (told && (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0) {
        return false;
    }
    // The flag alone proves nothing: the kernel sets it after it has put the work where we may already have found it, and
    // then it stays until the next work was run. Whoever believed it would turn without end and without yielding.
    io_uring_get_events(&ring_);
    return io_uring_cq_ready(&ring_) > 0;
}

std::size_t Ring::reap() {
    if (!completion_waits()) {
        return 0;
    }
    std::size_t count = 0;
    // Callbacks may queue requests, which may enter the kernel and add completions: one at a time, freed at once.
    io_uring_cqe* cqe = nullptr;
    while (io_uring_cq_ready(&ring_) > 0 && io_uring_peek_cqe(&ring_, &cqe) == 0) {
        auto* completion = reinterpret_cast<Completion*>(static_cast<std::uintptr_t>(cqe->user_data));
        const int result = cqe->res;
        const std::uint32_t flags = cqe->flags;
        io_uring_cqe_seen(&ring_, cqe);
        if (completion != nullptr) {
            completion->callback(*completion, result, flags);
        }
        count++;
    }
    return count;
}

bool Ring::register_file(int fd) {
    return io_uring_register_files(&ring_, &fd, 1) == 0;
}

}  // namespace ringfort::uring
