#include "uring/shard_world.h"

#include <charconv>
#include <string_view>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assertion.h"
#include "uring/populate.h"

namespace ringfort::uring {
namespace {

// How long the kernel may take to give back memory at the end; it normally takes less than a millisecond.
constexpr Duration world_drain_longest = 2s;

}  // namespace

StartResult<std::unique_ptr<ShardWorld>> ShardWorld::create(const WorldOptions& options, MailboxHub& hub,
                                                            LogWriter& log, HaltListener& halt) {
    TRY_ASSIGN(std::unique_ptr<Ring> ring, Ring::create(options.ring));
    if (options.lock_fd >= 0 && !ring->register_file(options.lock_fd)) {
        return failure(StartFault{StartFaultKind::no_uring,
                                  "the kernel does not register the data directory's lock with io_uring"});
    }
    std::unique_ptr<ShardWorld> world(new ShardWorld(std::move(ring), options, hub, log, halt));
    TRY_ASSIGN(world->network_,
               RingNetwork::create(*world->ring_, *world->mailbox_, world->clock_, options.network));
    world->world_.emplace(env::World{.disk = *world->disk_,
                                     .network = *world->network_,
                                     .clock = world->clock_,
                                     .mailbox = *world->mailbox_,
                                     .log = world->log_,
                                     .process = world->process_,
                                     .seed = options.seed,
                                     .populate = &populate});
    return world;
}

ShardWorld::ShardWorld(std::unique_ptr<Ring> ring, const WorldOptions& options, MailboxHub& hub, LogWriter& log,
                       HaltListener& halt)
    : ring_(std::move(ring)), mailbox_(std::make_unique<ShardMailbox>(*ring_, hub, options.shard)),
      disk_(std::make_unique<RingDisk>(*ring_, hub.doorbell(options.shard.value), clock_, options.disk)),
      log_(log, options.shard), process_(options.shard, halt) {}

ShardWorld::~ShardWorld() {
    ASSERT(!network_ || drain());
    ring_->submit();
}

bool ShardWorld::drain() {
    network_->shut_down();
    const Instant deadline = monotonic_now() + world_drain_longest;
    while (!drained() && monotonic_now() < deadline) {
        ring_->submit_and_wait(10ms);
        ring_->reap();
        clock_.update();
        disk_->collect();
        disk_->drop_ready();
        network_->begin_turn();
    }
    return drained();
}

std::uint64_t ShardWorld::ShardProcess::cpu_us() const {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& t) {
        return (static_cast<std::uint64_t>(t.tv_sec) * 1'000'000) + static_cast<std::uint64_t>(t.tv_usec);
    };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

// The second number of statm, in pages. This file system waits for no disk.
std::uint64_t ShardWorld::ShardProcess::resident_bytes() const {
    const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    char text[128];
    const ssize_t length = ::read(file, text, sizeof(text));
    ::close(file);
    const std::string_view line(text, length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::size_t space = line.find(' ');
    std::uint64_t pages = 0;
    if (space == std::string_view::npos ||
        std::from_chars(line.data() + space + 1, line.data() + line.size(), pages).ec != std::errc()) {
        return 0;
    }
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace ringfort::uring
