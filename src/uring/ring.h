// One shard's io_uring: submissions, completions, waiting. Made on the shard's own thread and used by no other.
//
// Invariants:
// - a request's Completion lives until its last completion event (the one without IORING_CQE_F_MORE) was reaped
// - callbacks run inside reap() only
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>

#include "base/instant.h"
#include "uring/completion.h"
#include "uring/ring_features.h"
#include "uring/start_fault.h"

namespace ringfort::uring {

struct RingOptions {
    unsigned submission_entries{512};
    unsigned completion_entries{4096};
    Features allowed{Features::all()};
    // Locked memory of a process that just ended is given back late: ENOMEM is tried again for this long.
    Duration memory_patience{1s};
};

class Ring {
  public:
    static StartResult<std::unique_ptr<Ring>> create(const RingOptions& options);
    ~Ring();
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    // A zeroed place for a request; submits what is queued when there is none left. Never null. The completion may be
    // null: then nobody is told.
    io_uring_sqe* next_request(Completion* completion);
    // Asks the kernel to end a request; its completion comes as always, perhaps with ECANCELED.
    void cancel(Completion& completion);

    // Gives queued requests to the kernel and lets it finish what it has; does not wait.
    void submit();
    // The same, then waits for a completion at most this long.
    void submit_and_wait(Duration timeout);
    // Whether reap() would find something, without entering the kernel where it can tell.
    bool completion_waits();
    // Runs the callbacks of all completions. Returns how many there were.
    std::size_t reap();

    // Files whose lifetime is tied to this ring: the kernel keeps them open until all requests have ended.
    bool register_file(int fd);

    int fd() const { return ring_.ring_fd; }
    io_uring* raw() { return &ring_; }
    const Features& features() const { return features_; }
    // A feature that turned out to be missing when it was used.
    void drop_feature(Feature feature) { features_ = features_.without(feature); }
    std::uint64_t enter_count() const { return enter_count_; }

  private:
    explicit Ring(Features features) : features_(features) {}

    io_uring ring_{};
    Features features_;
    std::uint64_t enter_count_{0};
};

}  // namespace ringfort::uring
