// Compaction without being asked, as etcd's --auto-compaction-mode and --auto-compaction-retention have it.
//
// periodic: revisions are sampled every tenth of the period (at most an hour apart); what was current one period ago is
// compacted to, each min(period, 1 h). revision: every five minutes all but the newest N revisions go. Only the leader of
// a range proposes; a new leader samples afresh, so that retention is never shorter than asked for.
#pragma once

#include <deque>
#include <vector>

#include "shard/context.h"

namespace ringfort::shard {

class AutoCompaction {
  public:
    explicit AutoCompaction(Context& context);

    void on_timers(Instant now);
    Instant next_deadline() const { return next_at_; }

  private:
    struct Sample {
        Instant at;
        api::Revision revision;
    };
    struct History {
        RangeId range{};
        Term term{};
        std::deque<Sample> samples;
        Instant compacted_at{};
    };
    History& history_of(RangeId range, Term term, Instant now);
    void propose(RangeId range, api::Revision revision);

    Context& context_;
    Duration interval_{0};   // between looks; 0: off
    Instant next_at_{never};
    std::vector<History> histories_;
};

}  // namespace ringfort::shard
