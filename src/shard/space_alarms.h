// The NOSPACE alarm of the ranges this shard leads.
//
// Raised when a write is refused for want of memory, and memory is short by itself: above the level at which it ends again
// (clear_level()). One write that is too large for what is left is refused alone, so that an alarm never ends as it begins.
// While it is raised whatever adds data is refused, if it would fit or not; all else goes on. It is taken back once this
// node's memory is down at the level; the space between both is what keeps an alarm from coming and going with each write.
//
// The memory that counts is that of who leads: the member that raised it may be gone, or have another limit. A full disk
// raises no alarm, as none could be written; it is told by the status.
#pragma once

#include <vector>

#include "shard/context.h"

namespace ringfort::shard {

class Replica;

class SpaceAlarms {
  public:
    explicit SpaceAlarms(Context& context) : context_(context) {}

    // A sixteenth of the limit is free again.
    static constexpr std::uint64_t clear_level(std::uint64_t quota_bytes) { return quota_bytes - quota_bytes / 16; }

    // For want of memory. Requires: it leads.
    void on_refused(Replica& replica);
    void on_timers(Instant now);
    Instant next_deadline() const { return next_look_; }

  private:
    // Of a range: what was proposed last is not applied here yet.
    struct Proposal {
        RangeId range{};
        Term term{};
        LogIndex index{};
    };

    bool memory_is_short() const;
    void propose(Replica& replica, const kv::CommandBody& body);

    Context& context_;
    std::vector<Proposal> proposals_;   // one a range, once it had any
    Instant next_look_{never};
};

}  // namespace ringfort::shard
