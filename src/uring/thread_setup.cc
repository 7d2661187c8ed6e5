#include "uring/thread_setup.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "base/instant.h"

namespace ringfort::uring {
namespace {

constexpr Duration long_slice = 100ms;

// The kernel's struct sched_attr, first version; its own header cannot stand beside glibc's <sched.h>.
struct SchedulerAttributes {
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime;
    std::uint64_t deadline;
    std::uint64_t period;
};
static_assert(sizeof(SchedulerAttributes) == 48);

void raise_limit(__rlimit_resource_t resource) {
    rlimit limit{};
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(resource, &limit);
    }
}

}  // namespace

void name_thread(const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

bool pin_thread(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

// The call sets everything: what the operator chose (nice, chrt) is read first and kept.
void ask_for_slice(bool long_one) {
    SchedulerAttributes attributes{};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0
        || (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH)) {
        return;
    }
    attributes.runtime = long_one ? static_cast<std::uint64_t>(long_slice.count()) : 0;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int open_core_waits() {
    return ::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

// Three numbers: nanoseconds on a core, nanoseconds of waiting for one, how often it got one.
std::optional<SliceChooser::Waits> read_core_waits(int file) {
    std::array<char, 128> text{};
    if (file < 0 || ::pread(file, text.data(), text.size() - 1, 0) <= 0) {
        return std::nullopt;
    }
    long long ran = 0;
    long long waited = 0;
    unsigned long long times = 0;
    if (std::sscanf(text.data(), "%lld %lld %llu", &ran, &waited, &times) != 3) {
        return std::nullopt;
    }
    return SliceChooser::Waits{Duration(waited), times};
}

void raise_limits() {
    raise_limit(RLIMIT_NOFILE);
    raise_limit(RLIMIT_MEMLOCK);
}

}  // namespace ringfort::uring
