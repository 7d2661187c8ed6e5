#include "uring/thread_setup.h"

#include <linux/sched/types.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/instant.h"

namespace ringfort::uring {
namespace {

constexpr Duration long_slice = 100ms;

void raise(__rlimit_resource_t resource) {
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

void ask_for_long_slice() {
    sched_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.sched_policy = SCHED_OTHER;
    attributes.sched_runtime = static_cast<std::uint64_t>(long_slice.count());
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void raise_limits() {
    raise(RLIMIT_NOFILE);
    raise(RLIMIT_MEMLOCK);
}

}  // namespace ringfort::uring
