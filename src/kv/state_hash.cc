// The hash of a state at one revision: a walk over what a checkpoint of it would consist of.
#include "base/mutant.h"
#include "kv/checkpoint_scan.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

class PinnedStateHash final : public StateHash {
  public:
    PinnedStateHash(StoreState& state, api::Revision revision)
        : state_(state), scan_(state, MUTANT(hash_is_of_today) ? state.revision : revision) {
        state_.pin(scan_.floor());
    }
    ~PinnedStateHash() override { state_.unpin(scan_.floor()); }

    Step step(WorkBudget& budget) override {
        for (;;) {
            switch (scan_.look(budget)) {
                case CheckpointScan::Front::end: return Step::done;
                case CheckpointScan::Front::spent: return Step::more;
                case CheckpointScan::Front::found: break;
            }
            if (budget.spent()) {
                return Step::more;
            }
            const KeyRecord& record = scan_.record();
            const Version& version = scan_.version();
            hash_ = hash_version(hash_, record, version);
            budget.take(1, static_cast<std::int64_t>(record.key_bytes) + version.value_bytes());
            scan_.pop();
        }
    }

    api::HashKvResponse result() const override {
        return {.hash = hash_, .compact_revision = scan_.floor(), .hash_revision = scan_.revision()};
    }

  private:
    StoreState& state_;
    CheckpointScan scan_;
    std::uint64_t hash_{0};
};

}  // namespace

Result<std::unique_ptr<StateHash>, api::Errc> Store::open_hash(api::Revision revision) {
    StoreState& state = impl_->state;
    const api::Revision at = revision <= 0 ? state.revision : revision;
    if (at > state.revision) {
        return failure(api::Errc::future_revision);
    }
    if (at < state.compact_revision) {
        return failure(api::Errc::compacted);
    }
    return std::make_unique<PinnedStateHash>(state, at);
}

}  // namespace ringfort::kv
