// How long a time slice the shard's thread asks the scheduler for.
//
// A long one lets kernel threads that finish our disk writes preempt us at once, instead of at the next timer tick: beside
// the other nodes of a cluster on two cores it gave a fifth to a quarter more puts a second. But among threads that are
// not ours and never rest it puts us last, wake-up after wake-up: with one such thread a core a put took 208 ms and 977
// were done a second, without it 12 ms and 22,281. So it is asked for only while this thread does not wait long for a core.
#pragma once

#include <cstdint>

#include "base/instant.h"

namespace ringfort::uring {

class SliceChooser {
  public:
    // Looked at together: single waits of some milliseconds are nobody's fault.
    static constexpr Duration window{500ms};
    static constexpr Duration crowded_wait{5ms};      // mean wait for a core: somebody else has it for long
    static constexpr Duration quiet_wait{1500us};     // nobody does
    static constexpr Duration quiet_first{2s};        // so long without one that is not quiet, before a long slice is tried
    static constexpr Duration quiet_max{60s};         // again; twice as long each time that was in vain
    static constexpr Duration good_for{30s};          // a long slice that was right for so long was not in vain

    // What the thread waited for a core while it could have run, and how often it got one, since its start.
    struct Waits {
        Duration waited{0};
        std::uint64_t times{0};
    };
    bool due(Instant now) const { return now - looked_ >= window; }
    // Whether the slice should be long from now on. The first look only notes where the counts begin: what the thread waited
    // while the node started, beside others that did, says nothing.
    bool look(Instant now, const Waits& waits);

    bool is_long() const { return long_; }

  private:
    Instant looked_{};
    Waits before_;
    bool long_{true};
    Instant long_since_{};
    Instant crowded_at_{};          // valid while !long_: when it was last not quiet
    Duration quiet_needed_{quiet_first};
};

}  // namespace ringfort::uring
