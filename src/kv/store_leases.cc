// Applying commands about leases, and what can be asked about them.
#include <algorithm>

#include "base/assertion.h"
#include "base/mutant.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

// What a renewal counts for, in keys walked: a way down the tree of leases, in any order.
constexpr std::int64_t renewal_keys = 2;

}  // namespace

Store::Impl::Stage Store::Impl::begin_lease_body() {
    const LeaseStamp stamp = std::visit(
        [](const auto& command) {
            if constexpr (requires { command.stamp; }) {
                return command.stamp;
            } else {
                return LeaseStamp{};
            }
        },
        body);
    const bool keeper_moved = stamp.term < state.leases.term();
    state.leases.advance(stamp);
    const Lease* lease = nullptr;
    if (const auto* expire = std::get_if<LeaseExpire>(&body)) {
        lease = state.leases.find(expire->id);
        const bool version_moved = lease != nullptr && lease->facts.version != expire->version;
        if (keeper_moved || (version_moved && !MUTANT(lease_version_unchecked))) {
            lease = nullptr;
        }
    } else if (const auto* revoke = std::get_if<LeaseRevoke>(&body)) {
        lease = state.leases.find(revoke->id);
    } else if (std::holds_alternative<LeaseKeepAlive>(body)) {
        renewed = 0;
        return Stage::keep_alive;
    } else {
        return Stage::lease;
    }
    outcome = api::Errc::lease_not_found;
    return lease != nullptr ? Stage::revoke : Stage::refused;
}

void Store::Impl::step_lease() {
    const auto* grant = std::get_if<LeaseGrant>(&body);
    if (grant == nullptr) {
        outcome = api::Result{api::LeaseRevokeResponse{}};   // a tick: nobody asked
    } else if (state.leases.find(grant->id) != nullptr) {
        outcome = api::Errc::lease_exists;
    } else {
        state.grant(grant->id, grant->ttl);
        outcome = api::Result{api::LeaseGrantResponse{grant->id, grant->ttl}};
    }
}

// The keys first, in their order; the lease itself goes with the last step.
Step Store::Impl::step_revoke(WorkBudget& budget) {
    const auto* expire = std::get_if<LeaseExpire>(&body);
    Lease& lease = *state.leases.find(expire != nullptr ? expire->id : std::get<LeaseRevoke>(body).id);
    while (!lease.keys.empty()) {
        if (budget.spent()) {
            return Step::more;
        }
        KeyRecord& record = *lease.keys.begin()->record;
        state.remove(record);
        state.charge(budget, StoreState::removal_keys, static_cast<std::int64_t>(record.key_bytes));
    }
    state.end(lease);
    budget.take(1, 0);
    outcome = api::Result{api::LeaseRevokeResponse{}};
    return Step::done;
}

Step Store::Impl::step_keep_alive(WorkBudget& budget) {
    const std::span<const api::LeaseId> ids = std::get<LeaseKeepAlive>(body).ids;
    for (; renewed < ids.size(); renewed++) {
        if (budget.spent()) {
            return Step::more;
        }
        budget.take(renewal_keys, 0);
        if (Lease* lease = state.leases.find(ids[renewed])) {
            state.renew(*lease);
        }
    }
    outcome = api::Result{api::LeaseKeepAliveResponse{}};
    return Step::done;
}

// ---------------------------------------------------------------------------------------------- questions

std::optional<LeaseFacts> Store::lease(api::LeaseId id) const {
    const Lease* lease = impl_->state.leases.find(id);
    return lease == nullptr ? std::nullopt : std::optional(lease->facts);
}

LeaseTime Store::lease_clock() const {
    return impl_->state.leases.clock();
}
Term Store::lease_term() const {
    return impl_->state.leases.term();
}
std::uint64_t Store::lease_count() const {
    return impl_->state.leases.size();
}

bool Store::list_leases(std::optional<api::LeaseId> after, std::size_t most, std::vector<api::LeaseId>& out) const {
    return impl_->state.leases.list(after, most, out);
}

bool Store::list_lease_keys(api::LeaseId id, std::string_view from, const LeaseKeysBounds& bounds,
                            std::vector<std::string_view>& out) const {
    ASSERT(!applying());
    const Lease* lease = impl_->state.leases.find(id);
    if (lease == nullptr) {
        return false;
    }
    std::size_t bytes = 0;
    auto next = lease->keys.lower_bound(from);
    for (; next != lease->keys.end() && out.size() < bounds.keys && bytes < bounds.bytes; ++next) {
        out.push_back(next->record->key());
        bytes += next->record->key_bytes;
    }
    return next != lease->keys.end();
}

bool Store::find_expired(LeaseTime now, WorkBudget& budget, std::size_t most, std::vector<ExpiredLease>& out) {
    return impl_->state.leases.turn_wheel(
        now, budget, most, [&](const Lease& lease) { out.push_back({lease.id, lease.facts.version}); });
}

}  // namespace ringfort::kv
