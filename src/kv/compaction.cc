// Giving back what compaction made unreachable: each change of the history costs one bounded piece of work, so a compaction
// costs what it frees, not what the store holds.
#include "base/mutant.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

// In keys walked. With a removal its key may leave both indexes.
constexpr std::int64_t change_cost = 1, version_cost = 2, key_cost = 6;

// Kept for watches that begin at a revision that was compacted, and not any more.
bool oldest_may_go(const StoreState& state, api::Revision limit) {
    const History& history = state.history;
    if (history.begin() == history.reclaimed()) {
        return false;
    }
    const api::Revision oldest = history[history.begin()].mod();
    return oldest < limit || (oldest == limit && history.lost_at() == limit);   // with a hole it is of no use
}

api::Revision limit_of(const StoreState& state) {
    return state.forget_limit() + (MUTANT(compacts_one_too_far) ? 1 : 0);
}

bool can_reclaim(const StoreState& state, api::Revision limit) {
    const History& history = state.history;
    return history.reclaimed() < history.end() && history[history.reclaimed()].mod() <= limit;
}

}  // namespace

bool Store::compaction_pending() const {
    const StoreState& state = impl_->state;
    const api::Revision limit = limit_of(state);
    return can_reclaim(state, limit) || oldest_may_go(state, limit);
}

bool Store::reclaimed(api::Revision revision) const {
    return !can_reclaim(impl_->state, revision);
}

// A change below the limit goes before the version it names can: that is freed by the change that superseded it.
void Store::compact_step(WorkBudget& budget) {
    StoreState& state = impl_->state;
    History& history = state.history;
    while (!budget.spent() && compaction_pending()) {
        if (oldest_may_go(state, limit_of(state))) {
            history.pop();
            budget.take(change_cost, 0);
            continue;
        }
        const std::uint64_t next = history.reclaimed();
        const std::int64_t cost = history[next].version->tombstone() ? key_cost : version_cost;
        state.forget_below(next);
        history.reclaim();
        state.charge(budget, cost, 0);
    }
}

}  // namespace ringfort::kv
