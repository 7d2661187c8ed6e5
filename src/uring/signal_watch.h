// How the main thread waits: for SIGTERM and SIGINT, and for its own threads.
#pragma once

#include "base/instant.h"

namespace ringfort::uring {

class SignalWatch {
  public:
    // Blocks both signals in this thread and those it makes from now on, and ignores SIGPIPE. Once, before any thread.
    static void settle_signals();

    // Requires: settle_signals() was called.
    SignalWatch();
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

    // Until a signal, wake(), or the time is over. True: a signal came.
    bool wait(Duration longest);
    // From any thread.
    void wake();

  private:
    int signals_;
    int wake_;
};

}  // namespace ringfort::uring
