#include "shard/auto_compaction.h"

#include <algorithm>

#include "shard/replica.h"
#include "shard/replicas.h"

namespace ringfort::shard {

namespace {

constexpr Duration revision_mode_interval = 5min;
constexpr Duration sample_interval_max = 1h;
constexpr Duration sample_interval_min = 100ms;
constexpr Duration propose_timeout = 10s;

}  // namespace

AutoCompaction::AutoCompaction(Context& context) : context_(context) {
    switch (context.config.auto_compaction_mode) {
        case NodeConfig::CompactionMode::off: return;
        case NodeConfig::CompactionMode::periodic:
            if (context.config.auto_compaction_period > Duration(0)) {
                interval_ = std::clamp<Duration>(context.config.auto_compaction_period / 10, sample_interval_min,
                                                 sample_interval_max);
            }
            break;
        case NodeConfig::CompactionMode::revision:
            if (context.config.auto_compaction_revisions > 0) {
                interval_ = revision_mode_interval;
            }
            break;
    }
    if (interval_ > Duration(0)) {
        next_at_ = Instant{0};
    }
}

AutoCompaction::History& AutoCompaction::history_of(RangeId range, Term term, Instant now) {
    for (History& history : histories_) {
        if (history.range == range) {
            if (history.term != term) {
                history = {range, term, {}, now};
            }
            return history;
        }
    }
    histories_.push_back({range, term, {}, now});
    return histories_.back();
}

void AutoCompaction::propose(RangeId range, api::Revision revision) {
    Replica& replica = *context_.replicas->find(range);
    if (revision <= std::max<api::Revision>(replica.store()->compact_revision(), 1) || context_.directory == nullptr) {
        return;
    }
    const Origin origin{OriginKind::internal, wire::ClientKind::compact, 0, 0};
    // Not taken now (log full, transfer under way) is tried again at the next look.
    static_cast<void>(replica.propose(origin, replica.command_header(), api::CompactRequest{revision, false},
                                      context_.now + propose_timeout));
}

void AutoCompaction::on_timers(Instant now) {
    if (now < next_at_ || context_.stopping) {
        return;
    }
    next_at_ = now + interval_;
    for (const auto& replica : context_.replicas->all()) {
        if (replica->store() == nullptr || replica->out_of_service() || !replica->raft().is_leader()) {
            continue;
        }
        const api::Revision current = replica->store()->revision();
        if (context_.config.auto_compaction_mode == NodeConfig::CompactionMode::revision) {
            propose(replica->range(), current - context_.config.auto_compaction_revisions);
            continue;
        }
        History& history = history_of(replica->range(), replica->raft().term(), now);
        history.samples.push_back({now, current});
        const Duration period = context_.config.auto_compaction_period;
        api::Revision target = 0;
        while (!history.samples.empty() && now - history.samples.front().at >= period) {
            target = history.samples.front().revision;
            history.samples.pop_front();
        }
        if (target > 0 && now - history.compacted_at >= std::min<Duration>(period, 1h)) {
            history.compacted_at = now;
            propose(replica->range(), target);
        }
    }
}

}  // namespace ringfort::shard
