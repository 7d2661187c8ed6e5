#include "uring/signal_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "base/assertion.h"
#include "base/result.h"

namespace ringfort::uring {
namespace {

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

}  // namespace

void SignalWatch::settle_signals() {
    signal(SIGPIPE, SIG_IGN);
    const sigset_t set = stop_signals();
    ASSERT(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
}

SignalWatch::SignalWatch() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    const sigset_t set = stop_signals();
    signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ASSERT(signals_ >= 0);
    ASSERT(wake_ >= 0);
}

SignalWatch::~SignalWatch() {
    close(signals_);
    close(wake_);
}

bool SignalWatch::wait(Duration longest) {
    pollfd sources[] = {{.fd = signals_, .events = POLLIN, .revents = 0},
                        {.fd = wake_, .events = POLLIN, .revents = 0}};
    poll(sources, 2, static_cast<int>(longest / 1ms));
    std::uint64_t count = 0;
    discard(read(wake_, &count, sizeof(count)), "only clears the event");
    signalfd_siginfo info{};
    return read(signals_, &info, sizeof(info)) == sizeof(info);
}

void SignalWatch::wake() {
    const std::uint64_t one = 1;
    discard(write(wake_, &one, sizeof(one)), "a full counter wakes as well");
}

}  // namespace ringfort::uring
