#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "base/aligned_buffer.h"
#include "base/bounds.h"
#include "uring/clock_source.h"
#include "uring/file_calls.h"
#include "uring/recipe.h"
#include "uring/ring.h"

namespace ringfort::uring {
namespace {

constexpr std::uint64_t scratch_bytes = mib;
constexpr int rounds = 40;

struct Step {
    static constexpr int pending = 1 << 30;
    Completion done{[](Completion& c, int res, std::uint32_t) { *static_cast<int*>(c.context) = res; }, &result};
    int result{pending};

    // Waits for the request that was queued with this step. The result, or a negative errno.
    int wait(Ring& ring) {
        while (result == pending) {
            ring.submit_and_wait(1s);
            ring.reap();
        }
        return result;
    }
};

Result<Duration, int> time_one(Ring& ring, int fd, Bytes block, std::uint64_t offset, env::Durability durability) {
    const Instant begin = monotonic_now();
    Step write;
    io_uring_sqe* sqe = ring.next_request(&write.done);
    io_uring_prep_write(sqe, fd, block.data(), static_cast<unsigned>(block.size()), offset);
    sqe->rw_flags = durability == env::Durability::dsync ? RWF_DSYNC : 0;
    if (const int result = write.wait(ring); result != static_cast<int>(block.size())) {
        return failure(result < 0 ? -result : EIO);
    }
    if (durability == env::Durability::none) {
        Step sync;
        io_uring_prep_fsync(ring.next_request(&sync.done), fd, IORING_FSYNC_DATASYNC);
        if (const int result = sync.wait(ring); result < 0) {
            return failure(-result);
        }
    }
    return monotonic_now() - begin;
}

Duration median(std::vector<Duration>& samples) {
    std::nth_element(samples.begin(), samples.begin() + rounds / 2, samples.end());
    return samples[rounds / 2];
}

Result<RecipeMeasurement, int> measure_on(Ring& ring, int fd) {
    const AlignedBuffer block(limits::block_bytes);
    std::vector<Duration> dsync;
    std::vector<Duration> sync;
    for (std::uint64_t i = 0; i < rounds; i++) {
        const std::uint64_t offset = (2 * i * limits::block_bytes) % scratch_bytes;
        TRY_ASSIGN(const Duration a, time_one(ring, fd, block.span(), offset, env::Durability::dsync));
        TRY_ASSIGN(const Duration b,
                   time_one(ring, fd, block.span(), offset + limits::block_bytes, env::Durability::none));
        dsync.push_back(a);
        sync.push_back(b);
    }
    return RecipeMeasurement{.dsync = median(dsync), .write_then_sync = median(sync)};
}

}  // namespace

StartResult<RecipeMeasurement> measure_recipes(int directory, const std::string& path) {
    TRY_ASSIGN(const std::unique_ptr<Ring> ring, Ring::create({.submission_entries = 8, .completion_entries = 16}));
    const std::string name = std::string("recipe-scratch") + unfinished_suffix;
    unlinkat(directory, name.c_str(), 0);
    OpenedFile file;
    Result<RecipeMeasurement, int> measured = failure(create_zeroed(directory, name, scratch_bytes, file));
    if (file.fd >= 0) {
        measured = measure_on(*ring, file.fd);
        close(file.fd);
        unlinkat(directory, name.c_str(), 0);
    }
    if (!measured) {
        return failure(directory_fault(path, "a test write failed", measured.error()));
    }
    return *measured;
}

}  // namespace ringfort::uring
