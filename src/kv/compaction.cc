// Giving back what compaction made unreachable: each entry of the garbage queue costs one bounded piece of work, so a
// compaction costs what it frees, not what the store holds.
#include "kv/store_impl.h"

namespace ringfort::kv {

bool Store::compaction_pending() const {
    const StoreState& state = impl_->state;
    return !state.garbage.empty() && state.garbage.front()->mod <= state.forget_limit();
}

void Store::compact_step(WorkBudget& budget) {
    StoreState& state = impl_->state;
    while (!budget.spent() && compaction_pending()) {
        Version* version = state.garbage.front();
        state.garbage.pop();
        budget.take(version->tombstone() ? 2 : 1, 0);
        state.forget(version);
    }
}

}  // namespace ringfort::kv
