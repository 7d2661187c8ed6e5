#include "client/retry_policy.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/mutant.h"

namespace ringfort::client {

namespace {

bool only_ranges(const api::TxnRequest& txn);

bool only_ranges(std::span<const api::RequestOp> ops) {
    return std::ranges::all_of(ops, [](const api::RequestOp& op) {
        if (const auto* nested = std::get_if<api::TxnRequest>(&op.op)) {
            return only_ranges(*nested);
        }
        return std::holds_alternative<api::RangeRequest>(op.op);
    });
}

bool only_ranges(const api::TxnRequest& txn) {
    return only_ranges(txn.success) && only_ranges(txn.failure);
}

}  // namespace

bool is_read(const api::Operation& operation) {
    if (const auto* alarm = std::get_if<api::AlarmRequest>(&operation)) {
        return alarm->action == api::AlarmAction::get;
    }
    if (const auto* txn = std::get_if<api::TxnRequest>(&operation)) {
        return only_ranges(*txn);
    }
    return std::holds_alternative<api::RangeRequest>(operation) ||
           std::holds_alternative<api::StatusRequest>(operation) ||
           std::holds_alternative<api::MemberListRequest>(operation) ||
           std::holds_alternative<api::LeaseKeepAliveRequest>(operation) ||
           std::holds_alternative<api::LeaseTimeToLiveRequest>(operation) ||
           std::holds_alternative<api::LeaseListRequest>(operation) ||
           std::holds_alternative<api::WatchRequest>(operation) ||
           std::holds_alternative<api::HashKvRequest>(operation);
}

Verdict after_error(api::Errc code, const RetryFacts& facts) {
    if (facts.handed_out) {
        return Verdict::give_up;
    }
    using enum api::Errc;
    switch (code) {
        case not_leader: return Verdict::follow;
        case stale_route:
        case no_leader: return Verdict::later;
        case stopped:
        case unhealthy: return Verdict::elsewhere;
        case leader_changed: return facts.read || MUTANT(open_write_repeated) ? Verdict::later : Verdict::give_up;
        case ok:
        case empty_key:
        case key_not_found:
        case value_provided:
        case lease_provided:
        case too_many_ops:
        case duplicate_key:
        case invalid_sort_option:
        case request_too_large:
        case malformed_request:
        case unsupported_request:
        case too_deep:
        case crosses_domains:
        case domain_required:
        case domain_not_found:
        case lease_ttl_too_large:
        case compacted:
        case future_revision:
        case lease_not_found:
        case lease_exists:
        case no_space:
        case too_many_requests:
        case member_not_found:
        case bad_leader_transferee:
        case timed_out:
        case connection_lost:
        case cancelled:
        case corrupt:
        case cluster_id_mismatch:
        case unsupported_version: return Verdict::give_up;
    }
    // A number of a newer server: unknown is not retried.
    return Verdict::give_up;
}

bool may_pass(api::Errc code) {
    using enum api::Errc;
    return code == not_leader || code == stale_route || code == no_leader || code == leader_changed || code == timed_out ||
           code == stopped || code == unhealthy || code == connection_lost;
}

bool recipe_asks_again(api::Errc code) { return may_pass(code) || code == api::Errc::too_many_requests; }

Verdict after_connection_lost(const RetryFacts& facts) {
    if (facts.handed_out && !MUTANT(half_read_repeated)) {
        return Verdict::give_up;
    }
    return facts.read || !facts.left || MUTANT(sent_write_repeated) ? Verdict::elsewhere : Verdict::give_up;
}

Duration pause_before(std::uint32_t attempt, Duration first, Duration last, Prng& prng) {
    ASSERT(attempt > 0 && first > 0ns && first <= last);
    const std::uint32_t doublings = std::min(attempt - 1, 20U);
    const Duration full = std::min(last, first * (std::int64_t{1} << doublings));
    const auto spread = static_cast<std::uint64_t>(full.count());
    return full / 2 + Duration(static_cast<std::int64_t>(prng.below(spread)));
}

}  // namespace ringfort::client
