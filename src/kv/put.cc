#include "kv/txn_job.h"

#include "base/mutant.h"

namespace ringfort::kv {

api::Errc check_put(const StoreState& state, const api::PutRequest& put, const KeyRecord* record) {
    if (put.lease != 0 && state.leases.find(put.lease) == nullptr) {
        return api::Errc::lease_not_found;
    }
    const bool exists = record != nullptr && !record->latest->tombstone();
    return (put.ignore_value || put.ignore_lease) && !exists ? api::Errc::key_not_found : api::Errc::ok;
}

api::PutResponse execute_put(StoreState& state, const api::PutRequest& put, KeyRecord* record, WorkBudget& budget) {
    // A command that was never checked for duplicates may remove the key before this put. Then there is nothing to keep.
    const Version* former = record == nullptr || record->latest->tombstone() ? nullptr : record->latest;
    StoreState::NewValue next{put.value, put.lease};
    if (former != nullptr && put.ignore_value) {
        next.value = former->value();
    }
    if (former != nullptr && put.ignore_lease && !MUTANT(ignored_lease_is_left)) {
        next.lease = former->lease();
    }
    api::PutResponse response;
    if (put.prev_kv && former != nullptr) {
        response.prev_kv = key_value(*record, *former);
    }
    state.put(put.key, record, next);
    state.charge(budget, 1, static_cast<std::int64_t>(put.key.size() + next.value.size()));
    return response;
}

}  // namespace ringfort::kv
