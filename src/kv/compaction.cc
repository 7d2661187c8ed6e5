// Giving back what compaction made unreachable: each entry of the garbage queue costs one bounded piece of work, so a
// compaction costs what it frees, not what the store holds.
#include "base/mutant.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

// In keys walked. With a removal its key may leave both indexes.
constexpr std::int64_t version_cost = 2, key_cost = 6;

}  // namespace

bool Store::compaction_pending() const {
    const StoreState& state = impl_->state;
    const api::Revision limit = state.forget_limit() + (MUTANT(compacts_one_too_far) ? 1 : 0);
    return !state.garbage.empty() && state.garbage.front()->mod <= limit;
}

bool Store::reclaimed(api::Revision revision) const {
    const GarbageQueue& garbage = impl_->state.garbage;
    return garbage.empty() || garbage.front()->mod > revision;
}

void Store::compact_step(WorkBudget& budget) {
    StoreState& state = impl_->state;
    while (!budget.spent() && compaction_pending()) {
        Version* version = state.garbage.front();
        state.garbage.pop();
        const std::int64_t cost = version->tombstone() ? key_cost : version_cost;
        state.forget(version);
        state.charge(budget, cost, 0);
    }
}

}  // namespace ringfort::kv
