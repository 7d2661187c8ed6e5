#include "shard/space_alarms.h"

#include <algorithm>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

constexpr Duration alarm_look_interval = 100ms;
constexpr Duration alarm_propose_timeout = 10s;

}  // namespace

bool SpaceAlarms::memory_is_short() const {
    const std::uint64_t quota = context_.config.memory_quota_bytes;
    return quota > 0 && context_.router->node_requests().memory_bytes() > clear_level(quota);
}

void SpaceAlarms::on_refused(Replica& replica) {
    if (replica.store()->alarms().empty() && memory_is_short()) {
        MARK("the space alarm is raised");
        propose(replica, kv::AlarmRaise{{context_.config.self, api::AlarmType::nospace}});
        context_.want_timers(context_.now + alarm_look_interval);
    }
}

void SpaceAlarms::propose(Replica& replica, const kv::CommandBody& body) {
    auto last = std::ranges::find(proposals_, replica.range(), &Proposal::range);
    if (last == proposals_.end()) {
        proposals_.push_back({replica.range(), {}, {}});
        last = proposals_.end() - 1;
    }
    const Term term = replica.raft().term();
    const bool under_way = last->term == term && last->index > replica.applied();
    const Origin origin{OriginKind::internal, wire::ClientKind::alarm, 0, 0};
    // Not taken now (the log is full, leadership is being handed over): tried again at the next look or refusal.
    if (!under_way && replica.propose(origin, replica.command_header(), body, context_.now + alarm_propose_timeout) ==
                          api::Errc::ok) {
        last->term = term;
        last->index = replica.raft().last().index;
    }
}

void SpaceAlarms::on_timers(Instant now) {
    next_look_ = never;
    for (const auto& replica : context_.replicas->all()) {
        if (replica->store() == nullptr || replica->store()->alarms().empty() || replica->out_of_service() ||
            !replica->raft().accepts_proposals()) {
            continue;
        }
        next_look_ = now + alarm_look_interval;
        if (!memory_is_short() && !MUTANT(alarm_stays)) {
            MARK("the space alarm is taken back");
            propose(*replica, kv::AlarmClear{{{}, api::AlarmType::nospace}});
        }
    }
}

}  // namespace ringfort::shard
