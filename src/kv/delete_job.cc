#include "kv/delete_job.h"

#include "api/key_range.h"
#include "base/mutant.h"

namespace ringfort::kv {

void DeleteJob::begin(const api::DeleteRangeRequest& request, Arena* answer, std::uint64_t pairs_max) {
    const api::KeyRange range{request.key, request.range_end};
    point_ = api::is_point(range);
    end_ = point_ ? std::nullopt : api::interval_of(range).end;
    position_.assign(request.key);
    deleted_ = 0;
    prev_ = nullptr;
    if (request.prev_kv && answer != nullptr) {
        prev_ = reinterpret_cast<api::KeyValue*>(
            answer->allocate(pairs_max * sizeof(api::KeyValue), alignof(api::KeyValue)));
        pairs_max_ = static_cast<std::int64_t>(pairs_max);
    }
}

Step DeleteJob::step(StoreState& state, WorkBudget& budget) {
    if (point_) {
        KeyRecord* record = state.find(position_);
        if (record != nullptr && !record->latest->tombstone()) {
            remove(state, *record, budget);
        }
        return Step::done;
    }
    for (auto cursor = state.tree.lower_bound(position_); !cursor.at_end(); cursor.next()) {
        KeyRecord& record = *cursor.record();
        if (end_ && record.key() >= *end_) {
            return Step::done;
        }
        if (budget.spent()) {
            position_.assign(record.key());
            position_.append(MUTANT(removal_skips_at_pause) ? 1 : 0, '\0');
            return Step::more;
        }
        cursor.prefetch_next();
        if (cursor.live()) {
            remove(state, record, budget);
        } else {
            budget.take(1, record.key_bytes);
        }
    }
    return Step::done;
}

void DeleteJob::remove(StoreState& state, KeyRecord& record, WorkBudget& budget) {
    if (prev_ != nullptr) {
        ASSERT(deleted_ < pairs_max_);
        new (prev_ + deleted_) api::KeyValue(key_value(record, *record.latest));
    }
    state.remove(record);
    deleted_++;
    state.charge(budget, StoreState::removal_keys, static_cast<std::int64_t>(record.key_bytes));
}

api::DeleteRangeResponse DeleteJob::response() const {
    const auto kept = prev_ == nullptr ? std::size_t{0} : static_cast<std::size_t>(deleted_);
    return {deleted_, {prev_, kept}};
}

}  // namespace ringfort::kv
