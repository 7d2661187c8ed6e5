#include "sim/history.h"

#include <algorithm>
#include <array>

#include "base/assertion.h"
#include "base/checksum.h"

namespace ringfort::sim {

namespace {

// The directory numbers initial domains in key order from 1.
DomainId initial_domain(std::uint32_t number) { return DomainId(number + 1); }

api::RangeRequest range_of(const StepRequest& step, bool serializable) {
    api::RangeRequest out;
    out.key = step.key;
    out.range_end = step.range_end;
    out.limit = step.limit;
    out.revision = step.revision;
    out.serializable = serializable;
    const Arrangement& how = step.arrangement;
    out.sort_target = how.target;
    out.sort_order = how.order;
    out.keys_only = how.keys_only;
    out.count_only = how.count_only;
    out.min_mod_revision = how.min_mod;
    out.max_mod_revision = how.max_mod;
    out.min_create_revision = how.min_create;
    out.max_create_revision = how.max_create;
    return out;
}
api::PutRequest put_of(const StepRequest& step) {
    api::PutRequest out;
    out.key = step.key;
    out.value = step.value;
    out.prev_kv = step.prev_kv;
    out.lease = step.lease;
    out.ignore_value = step.ignore_value;
    out.ignore_lease = step.ignore_lease;
    return out;
}
api::DeleteRangeRequest remove_of(const StepRequest& step) { return {step.key, step.range_end, step.prev_kv}; }

std::span<const api::RequestOp> steps_of(const std::vector<StepRequest>& steps, Arena& arena) {
    // RequestOp holds a variant of trivially destructible views; the arena never destroys it.
    auto out = arena.make_array<api::RequestOp>(steps.size());
    for (std::size_t i = 0; i < steps.size(); i++) {
        switch (steps[i].kind) {
            case StepKind::range: out[i].op = range_of(steps[i], false); break;
            case StepKind::put: out[i].op = put_of(steps[i]); break;
            case StepKind::remove: out[i].op = remove_of(steps[i]); break;
            case StepKind::compact:
            case StepKind::grant:
            case StepKind::revoke:
            case StepKind::keep_alive:
            case StepKind::time_to_live:
            case StepKind::hash:
            case StepKind::disarm: UNREACHABLE();
        }
    }
    return out;
}

void take(StepResult& into, const api::RangeResponse& range, bool last) {
    for (const auto& kv : range.kvs) {
        into.kvs.push_back(recorded(kv));
    }
    if (last) {
        into.count = range.count;
        into.more = range.more;
    }
}
void take(StepResult& into, const api::PutResponse& put) {
    if (put.prev_kv) {
        into.kvs.push_back(recorded(*put.prev_kv));
    }
}
void take(StepResult& into, const api::DeleteRangeResponse& removed) {
    for (const auto& kv : removed.prev_kvs) {
        into.kvs.push_back(recorded(kv));
    }
    into.count = removed.deleted;
}

void take_txn(RecordedOperation& operation, const api::TxnResponse& txn) {
    operation.succeeded = txn.succeeded;
    for (const auto& response : txn.responses) {
        StepResult result;
        if (const auto* range = std::get_if<api::RangeResponse>(&response.op)) {
            take(result, *range, true);
        } else if (const auto* put = std::get_if<api::PutResponse>(&response.op)) {
            take(result, *put);
        } else if (const auto* removed = std::get_if<api::DeleteRangeResponse>(&response.op)) {
            take(result, *removed);
        }
        operation.results.push_back(std::move(result));
    }
}

void take_result(RecordedOperation& operation, const api::Response& response) {
    const auto& result = std::get<api::Result>(response.body);
    if (const auto* txn = std::get_if<api::TxnResponse>(&result)) {
        take_txn(operation, *txn);
        return;
    }
    if (operation.results.empty()) {
        operation.results.emplace_back();
    }
    if (const auto* range = std::get_if<api::RangeResponse>(&result)) {
        take(operation.results[0], *range, !response.more_frames);
    } else if (const auto* put = std::get_if<api::PutResponse>(&result)) {
        take(operation.results[0], *put);
    } else if (const auto* removed = std::get_if<api::DeleteRangeResponse>(&result)) {
        take(operation.results[0], *removed);
    } else if (const auto* grant = std::get_if<api::LeaseGrantResponse>(&result)) {
        operation.results[0].lease = grant->id;
        operation.results[0].ttl = grant->ttl;
    } else if (const auto* renewed = std::get_if<api::LeaseKeepAliveResponse>(&result)) {
        ASSERT(renewed->ttls.size() == 1);
        operation.results[0].ttl = renewed->ttls[0];
    } else if (const auto* lease = std::get_if<api::LeaseTimeToLiveResponse>(&result)) {
        operation.results[0].ttl = lease->ttl;
    } else if (const auto* hash = std::get_if<api::HashKvResponse>(&result)) {
        operation.results[0].hash = *hash;
    } else {
        ASSERT(std::holds_alternative<api::CompactResponse>(result) ||
               std::holds_alternative<api::LeaseRevokeResponse>(result) ||
               std::holds_alternative<api::AlarmResponse>(result));
    }
}

// The key behind a given one ends with a zero byte.
std::string readable(const std::string& key) {
    return key.ends_with('\0') ? key.substr(0, key.size() - 1) + "\\0" : key;
}

std::string describe_arrangement(const Arrangement& how) {
    std::string out;
    if (how.target != api::SortTarget::key || how.order != api::SortOrder::none) {
        constexpr std::array targets{"key", "version", "create", "mod", "value"};
        out += std::string(" by ") + targets[static_cast<std::size_t>(how.target)];
        out += how.order == api::SortOrder::descend ? " descending" : "";
    }
    const auto bounded = [&out](const char* what, api::Revision min, api::Revision max) {
        if (min > 0 || max > 0) {
            out += " " + std::string(what) + " " + std::to_string(min) + ".." + (max > 0 ? std::to_string(max) : "");
        }
    };
    bounded("mod", how.min_mod, how.max_mod);
    bounded("create", how.min_create, how.max_create);
    out += how.keys_only ? " keys only" : "";
    out += how.count_only ? " count only" : "";
    return out;
}

void describe_steps(const std::vector<StepRequest>& steps, std::string& out) {
    for (const auto& step : steps) {
        switch (step.kind) {
            case StepKind::range: out += " get "; break;
            case StepKind::put: out += " put "; break;
            case StepKind::remove: out += " delete "; break;
            case StepKind::compact: out += step.physical ? " compact-physically" : " compact"; break;
            case StepKind::grant: out += " grant"; break;
            case StepKind::revoke: out += " revoke"; break;
            case StepKind::keep_alive: out += " keep-alive"; break;
            case StepKind::time_to_live: out += " time-to-live"; break;
            case StepKind::hash: out += " hash"; break;
            case StepKind::disarm: out += " disarm"; break;
        }
        out += readable(step.key);
        if (!step.range_end.empty()) {
            out += ".." + step.range_end;
        }
        if (step.kind == StepKind::put) {
            out += step.ignore_value ? " without value" : "=" + step.value.substr(0, 24);
            out += step.ignore_lease ? " keeping the lease" : "";
        }
        out += describe_arrangement(step.arrangement);
        if (step.lease != 0) {
            out += " lease " + std::to_string(step.lease);
        }
        if (step.ttl != 0) {
            out += " for " + std::to_string(step.ttl) + " s";
        }
        if (step.revision > 0) {
            out += "@" + std::to_string(step.revision);
        }
    }
}

}  // namespace

bool Arrangement::wants(const RecordedKv& kv) const {
    const auto within = [](api::Revision revision, api::Revision min, api::Revision max) {
        return revision >= min && (max == 0 || revision <= max);
    };
    return within(kv.mod_revision, min_mod, max_mod) && within(kv.create_revision, min_create, max_create);
}

RecordedKv recorded(const api::KeyValue& kv) {
    return {std::string(kv.key), shortened(kv.value), kv.create_revision, kv.mod_revision, kv.version, kv.lease};
}

std::string shortened(std::string_view value) {
    if (value.size() <= shortened_bytes) {
        return std::string(value);
    }
    const std::string sum = std::to_string(checksum(as_bytes(value)));
    std::string out(value.substr(0, shortened_bytes - 21));
    out += '#';
    out.append(shortened_bytes - out.size() - sum.size(), '0');
    return out + sum;
}

void shorten(RecordedOperation& operation) {
    for (auto* branch : {&operation.success, &operation.failure}) {
        for (StepRequest& step : *branch) {
            if (step.value.size() > shortened_bytes) {
                step.value = shortened(step.value);
            }
        }
    }
}

bool RecordedOperation::modified() const {
    ASSERT(outcome == Outcome::ok);
    const auto& steps = branch();
    for (std::size_t i = 0; i < steps.size(); i++) {
        if (steps[i].kind == StepKind::put ||
            (steps[i].kind == StepKind::remove && i < results.size() && results[i].count > 0)) {
            return true;
        }
    }
    return false;
}

bool RecordedOperation::may_modify() const {
    const auto modifies = [](const StepRequest& step) {
        return step.kind == StepKind::put || step.kind == StepKind::remove || step.kind == StepKind::revoke;
    };
    return std::any_of(success.begin(), success.end(), modifies) || std::any_of(failure.begin(), failure.end(), modifies);
}

api::LeaseId RecordedOperation::about_lease() const {
    const bool single = success.size() == 1 && !transaction;
    switch (single ? success[0].kind : StepKind::range) {
        case StepKind::grant: return success[0].lease != 0 || results.empty() ? success[0].lease : results[0].lease;
        case StepKind::revoke:
        case StepKind::keep_alive:
        case StepKind::time_to_live: return success[0].lease;
        case StepKind::range:
        case StepKind::put:
        case StepKind::remove:
        case StepKind::compact:
        case StepKind::hash:
        case StepKind::disarm: return 0;
    }
    UNREACHABLE();
}

bool RecordedOperation::may_compact() const {
    const bool refused = outcome == Outcome::failed && error != api::Errc::cancelled &&
                         api::error_class(error) != api::ErrorClass::indefinite;
    return success.size() == 1 && success[0].kind == StepKind::compact && !refused;
}

std::string describe(const RecordedOperation& operation) {
    std::string out = "#" + std::to_string(operation.number) + " client " + std::to_string(operation.client);
    for (const auto& compare : operation.compares) {
        out += " if " + compare.key + (compare.range_end.empty() ? "" : ".." + compare.range_end) + " target " +
               std::to_string(static_cast<int>(compare.target)) + " relation " +
               std::to_string(static_cast<int>(compare.result)) + " " +
               (compare.target == api::CompareTarget::value ? compare.value.substr(0, 24) : std::to_string(compare.number));
    }
    describe_steps(operation.success, out);
    if (!operation.failure.empty()) {
        out += " else";
        describe_steps(operation.failure, out);
    }
    if (operation.serializable) {
        out += " (serializable)";
    }
    out += " invoked " + std::to_string(operation.invoked.ns / 1000) + " us";
    switch (operation.outcome) {
        case Outcome::pending: return out + ", pending";
        case Outcome::unknown: return out + ", unknown: " + std::string(api::error_name(operation.error));
        case Outcome::failed: return out + ", failed: " + std::string(api::error_name(operation.error));
        case Outcome::ok: break;
    }
    out += ", answered " + std::to_string(operation.completed.ns / 1000) + " us at revision " +
           std::to_string(operation.header.revision) + (operation.succeeded ? "" : " (else)");
    for (const auto& result : operation.results) {
        out += " [" + std::to_string(result.count);
        for (const auto& kv : result.kvs) {
            out += " " + kv.key + "=" + kv.value.substr(0, 24) + "@" + std::to_string(kv.mod_revision);
        }
        if (const api::HashKvResponse& hash = result.hash; hash.hash_revision > 0) {
            out += " hash " + std::to_string(hash.hash) + " of " + std::to_string(hash.compact_revision) + ".." +
                   std::to_string(hash.hash_revision) + " by " + std::to_string(operation.header.member_id.value);
        }
        out += result.ttl != 0 ? " ttl " + std::to_string(result.ttl) + "]" : "]";
    }
    return out;
}

api::Request make_request(const RecordedOperation& operation, Arena& arena) {
    api::Request out;
    if (operation.transaction) {
        auto compares = arena.make_array<api::Compare>(operation.compares.size());
        for (std::size_t i = 0; i < compares.size(); i++) {
            const auto& from = operation.compares[i];
            compares[i] = {from.result, from.target, from.key, from.range_end, from.number, from.value};
        }
        out.op = api::TxnRequest{compares, steps_of(operation.success, arena), steps_of(operation.failure, arena)};
        return out;
    }
    ASSERT(operation.success.size() == 1 && operation.compares.empty() && operation.failure.empty());
    const StepRequest& step = operation.success.front();
    switch (step.kind) {
        case StepKind::range: out.op = range_of(step, operation.serializable); break;
        case StepKind::put: out.op = put_of(step); break;
        case StepKind::remove: out.op = remove_of(step); break;
        case StepKind::compact:
            out.op = api::CompactRequest{step.revision, step.physical};
            out.domain = initial_domain(operation.domain);
            break;
        case StepKind::grant:
            out.op = api::LeaseGrantRequest{step.ttl, step.lease};
            out.domain = initial_domain(operation.domain);
            break;
        case StepKind::revoke:
            out.op = api::LeaseRevokeRequest{step.lease};
            out.domain = initial_domain(operation.domain);
            break;
        case StepKind::keep_alive:
            out.op = api::LeaseKeepAliveRequest{std::span(&step.lease, 1)};
            out.domain = initial_domain(operation.domain);
            break;
        case StepKind::time_to_live:
            out.op = api::LeaseTimeToLiveRequest{.id = step.lease, .keys = false, .from_key = {}};
            out.domain = initial_domain(operation.domain);
            break;
        case StepKind::disarm:
            out.op = api::AlarmRequest{.action = api::AlarmAction::deactivate};
            out.domain = initial_domain(operation.domain);
            break;
        case StepKind::hash:
            out.op = api::HashKvRequest{step.revision};
            out.domain = initial_domain(operation.domain);
            break;
    }
    return out;
}

bool record_response(RecordedOperation& operation, const api::Response& response, Instant now) {
    ASSERT(operation.outcome == Outcome::pending);
    operation.completed = now;
    if (const auto* error = std::get_if<api::ErrorInfo>(&response.body)) {
        operation.error = error->code;
        // A read that failed changed nothing, whatever became of it.
        const bool lost = api::error_class(error->code) == api::ErrorClass::indefinite &&
                          (operation.may_modify() || operation.about_lease() != 0);
        operation.outcome = lost ? Outcome::unknown : Outcome::failed;
        return true;
    }
    take_result(operation, response);
    if (response.more_frames) {
        return false;
    }
    operation.header = response.header;
    operation.outcome = Outcome::ok;
    return true;
}

}  // namespace ringfort::sim
