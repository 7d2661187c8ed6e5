#include "sim/checkers/leases.h"

#include <algorithm>

namespace ringfort::sim {

namespace {

constexpr std::int64_t million = 1'000'000;

std::string lease_name(api::LeaseId id) { return "lease " + std::to_string(id); }

std::string at(Instant time) { return " at " + std::to_string(time.ns / 1000) + " us"; }

}  // namespace

std::string LeaseJudge::observe(const shard::LeasesView& view, Instant now) {
    std::set<api::LeaseId>& present = present_[view.range];
    for (const shard::LeaseView& lease : view.leases) {
        Seen& seen = seen_[{view.range, lease.id}];
        const auto [version, added] = seen.versions.emplace(lease.facts.version, lease.facts);
        if (!added && version->second != lease.facts) {
            return "range " + std::to_string(view.range.value) + ": replicas disagree about version " +
                   std::to_string(lease.facts.version.value) + " of " + lease_name(lease.id);
        }
        if (seen.ended == never) {
            present.insert(lease.id);
        } else if (view.applied >= seen.ended_by) {
            return lease_name(lease.id) + " is back after its end" + at(seen.ended);
        }
        seen.last = std::max(seen.last, view.applied);
        seen.last_revision = std::max(seen.last_revision, view.revision);
    }
    const auto here = [&](api::LeaseId id) {
        return std::ranges::binary_search(view.leases, id, {}, &shard::LeaseView::id);
    };
    std::erase_if(present, [&](api::LeaseId id) {
        Seen& seen = seen_[{view.range, id}];
        const bool ended = view.applied > seen.last && !here(id);
        if (ended) {
            seen.ended = now;
            seen.ended_by = view.applied;
            seen.ended_by_revision = view.revision;
        }
        return ended;
    });
    return {};
}

std::vector<LeaseEnd> LeaseJudge::ends() const {
    std::vector<LeaseEnd> out;
    for (const auto& [place, seen] : seen_) {
        if (seen.ended != never) {
            out.push_back({place.second, seen.last_revision, seen.ended_by_revision});
        }
    }
    return out;
}

std::size_t LeaseJudge::alive() const {
    std::size_t count = 0;
    for (const auto& [range, present] : present_) {
        count += present.size();
    }
    return count;
}

std::map<api::LeaseId, LeaseJudge::Told> LeaseJudge::told(
    std::span<const RecordedOperation* const> operations) const {
    std::map<api::LeaseId, Told> out;
    for (const auto& [place, seen] : seen_) {
        out[place.second].seen = &seen;
    }
    for (const auto* operation : operations) {
        const api::LeaseId id = operation->about_lease();
        if (id == 0) {
            continue;
        }
        Told& lease = out[id];
        const bool ok = operation->outcome == Outcome::ok;
        const StepKind kind = operation->success[0].kind;
        if (kind == StepKind::grant && ok) {
            lease.granted = operation;
        }
        if (kind == StepKind::revoke) {
            lease.may_be_revoked = lease.may_be_revoked || operation->outcome != Outcome::failed;
            lease.revoked = ok ? operation : lease.revoked;
        }
        lease.may_be_renewed = lease.may_be_renewed || kind == StepKind::keep_alive;
        if ((kind == StepKind::grant || kind == StepKind::keep_alive) && ok && operation->results[0].ttl > 0) {
            const std::int64_t least_ns = operation->results[0].ttl * 1000 * million / (million + drift_ppm_max_) * million;
            const Instant until = operation->invoked + Duration(least_ns);
            if (until > lease.lives_until) {
                lease.lives_until = until;
                lease.by = operation;
            }
        }
    }
    return out;
}

std::string LeaseJudge::check_ends(const std::map<api::LeaseId, Told>& told) const {
    for (const auto& [place, seen] : seen_) {
        const Told& lease = told.find(place.second)->second;
        if (seen.versions.size() > 1 && !lease.may_be_renewed) {
            return lease_name(place.second) + " was renewed, and nobody had asked for it";
        }
        if (!lease.may_be_revoked && seen.ended < lease.lives_until) {
            return lease_name(place.second) + " ended" + at(seen.ended) + ", before its time" + at(lease.lives_until) +
                   ":\n  " + describe(*lease.by);
        }
    }
    return {};
}

// Whether this answer denies a lease that was there all the time, or uses one that was revoked before.
std::string LeaseJudge::check_denied(const RecordedOperation& operation,
                                     const std::map<api::LeaseId, Told>& told) const {
    const bool ok = operation.outcome == Outcome::ok;
    std::set<api::LeaseId> named;
    for (const StepRequest& step : operation.branch()) {
        named.insert(step.lease);
    }
    if (operation.outcome == Outcome::failed) {
        for (const StepRequest& step : operation.failure) {
            named.insert(step.lease);   // nobody knows which branch it was
        }
    }
    named.erase(0);
    const StepKind kind = operation.success.empty() ? StepKind::range : operation.success[0].kind;
    const bool says_gone =
        ok && operation.about_lease() != 0 &&
        ((kind == StepKind::keep_alive && operation.results[0].ttl == 0) ||
         (kind == StepKind::time_to_live && operation.results[0].ttl < 0));
    if (says_gone || operation.error == api::Errc::lease_not_found) {
        // All of them were there from before it was asked until after it was answered.
        const bool all_there = !named.empty() && std::ranges::all_of(named, [&](api::LeaseId id) {
            const auto found = told.find(id);
            return found != told.end() && found->second.granted != nullptr &&
                   found->second.granted->completed < operation.invoked && found->second.seen != nullptr &&
                   found->second.seen->ended > operation.completed;
        });
        return all_there ? "an answer denies a lease that was there:\n  " + describe(operation) : std::string{};
    }
    for (const StepRequest& step : operation.branch()) {
        const auto found = ok && step.kind == StepKind::put && step.lease != 0 ? told.find(step.lease) : told.end();
        if (found == told.end()) {
            continue;
        }
        if (found->second.revoked != nullptr && found->second.revoked->header.revision < operation.header.revision) {
            return "a key was put on a lease that was revoked:\n  " + describe(*found->second.revoked) + "\n  " +
                   describe(operation);
        }
        const Seen* seen = found->second.seen;
        if (seen != nullptr && seen->ended != never && seen->ended_by_revision < operation.header.revision) {
            return "a key was put on a lease that had ended" + at(seen->ended) + ":\n  " + describe(operation);
        }
    }
    return {};
}

std::string LeaseJudge::check(std::span<const RecordedOperation* const> operations) const {
    const std::map<api::LeaseId, Told> leases = told(operations);
    if (std::string wrong = check_ends(leases); !wrong.empty()) {
        return wrong;
    }
    for (const auto* operation : operations) {
        if (std::string wrong = check_denied(*operation, leases); !wrong.empty()) {
            return wrong;
        }
    }
    return {};
}

}  // namespace ringfort::sim
