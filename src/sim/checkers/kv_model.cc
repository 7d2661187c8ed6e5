#include "sim/checkers/kv_model.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

template <class T>
bool related(api::CompareResult result, const T& left, const T& right) {
    switch (result) {
        case api::CompareResult::equal: return left == right;
        case api::CompareResult::not_equal: return left != right;
        case api::CompareResult::greater: return left > right;
        case api::CompareResult::less: return left < right;
    }
    UNREACHABLE();
}

// Ties are in the order of the keys, whichever way is sorted.
void arrange(const Arrangement& how, std::vector<RecordedKv>& kvs) {
    if (how.target == api::SortTarget::key && how.order != api::SortOrder::descend) {
        return;
    }
    const auto sort_by = [&](auto of) {
        how.order == api::SortOrder::descend ? std::ranges::stable_sort(kvs, std::ranges::greater{}, of)
                                             : std::ranges::stable_sort(kvs, std::ranges::less{}, of);
    };
    switch (how.target) {
        case api::SortTarget::key: sort_by(&RecordedKv::key); return;
        case api::SortTarget::version: sort_by(&RecordedKv::version); return;
        case api::SortTarget::create: sort_by(&RecordedKv::create_revision); return;
        case api::SortTarget::mod: sort_by(&RecordedKv::mod_revision); return;
        case api::SortTarget::value: sort_by(&RecordedKv::value); return;
    }
    UNREACHABLE();
}

bool beyond(const std::string& key, const StepRequest& step) {
    if (step.range_end.empty()) {
        return key != step.key;
    }
    return step.range_end != std::string(1, '\0') && key >= step.range_end;
}

}  // namespace

const RecordedKv* KvModel::find(const std::string& key, api::Revision at) const {
    const auto found = keys_.find(key);
    return found == keys_.end() ? nullptr : find(found->second, at);
}

const RecordedKv* KvModel::find(const std::vector<Version>& versions, api::Revision at) const {
    keys_visited_++;
    auto next = std::upper_bound(versions.begin(), versions.end(), at,
                                 [](api::Revision revision, const Version& version) { return revision < version.at; });
    if (next == versions.begin()) {
        return nullptr;
    }
    --next;
    return next->live ? &next->kv : nullptr;
}

bool KvModel::holds(const CompareRequest& compare, api::Revision at) const {
    if (compare.range_end.empty()) {
        return holds_for(compare, find(compare.key, at));
    }
    // Of an interval: every key that exists; if none does, a key that does not exist is looked at.
    const StepRequest interval{StepKind::range, compare.key, compare.range_end, {}, false, 0, 0};
    bool any = false;
    for (auto it = keys_.lower_bound(compare.key); it != keys_.end() && !beyond(it->first, interval); ++it) {
        const RecordedKv* kv = find(it->second, at);
        any = any || kv != nullptr;
        if (kv != nullptr && !holds_for(compare, kv)) {
            return false;
        }
    }
    return any || holds_for(compare, nullptr);
}

bool KvModel::holds_for(const CompareRequest& compare, const RecordedKv* kv) {
    switch (compare.target) {
        case api::CompareTarget::version: return related(compare.result, kv ? kv->version : 0, compare.number);
        case api::CompareTarget::create: return related(compare.result, kv ? kv->create_revision : 0, compare.number);
        case api::CompareTarget::mod: return related(compare.result, kv ? kv->mod_revision : 0, compare.number);
        case api::CompareTarget::value: return kv != nullptr && related(compare.result, kv->value, compare.value);
        case api::CompareTarget::lease: return related(compare.result, kv ? kv->lease : 0, compare.number);
    }
    UNREACHABLE();
}

StepResult KvModel::range(const StepRequest& step, api::Revision at) const {
    StepResult out;
    const Arrangement& how = step.arrangement;
    const std::int64_t kept_max = step.limit > 0 && how.is_plain() ? step.limit + 1 : INT64_MAX;   // the rest is cut anyway
    if (step.revision > 0) {
        at = step.revision;
    }
    for (auto it = keys_.lower_bound(step.key); it != keys_.end() && !beyond(it->first, step); ++it) {
        if (const RecordedKv* kv = find(it->second, at)) {
            out.count++;
            if (!how.count_only && how.wants(*kv) && std::ssize(out.kvs) < kept_max) {
                out.kvs.push_back(*kv);
            }
        }
    }
    arrange(how, out.kvs);
    if (step.limit > 0 && std::ssize(out.kvs) > step.limit) {
        out.more = true;
        out.kvs.resize(static_cast<std::size_t>(step.limit));
    }
    for (RecordedKv& kv : out.kvs) {
        if (how.keys_only) {
            kv.value.clear();
        }
    }
    return out;
}

bool KvModel::lacks_key(const std::vector<StepRequest>& steps) const {
    return std::ranges::any_of(steps, [&](const StepRequest& step) {
        return step.kind == StepKind::put && step.needs_key() && find(step.key, revision_) == nullptr;
    });
}

StepResult KvModel::put(const StepRequest& step, api::Revision at) {
    StepResult out;
    std::vector<Version>& versions = keys_[step.key];
    const RecordedKv* before = find(versions, at);
    RecordedKv now{step.key, step.value, at, at, 1, step.lease};
    if (before != nullptr) {
        now.value = step.ignore_value ? before->value : now.value;
        now.lease = step.ignore_lease ? before->lease : now.lease;
        now.create_revision = before->create_revision;
        now.version = before->version + 1;
        if (step.prev_kv) {
            out.kvs.push_back(*before);
        }
    }
    versions.push_back({at, true, std::move(now)});
    touched_.back().push_back(step.key);
    return out;
}

StepResult KvModel::remove(const StepRequest& step, api::Revision at) {
    StepResult out;
    for (auto it = keys_.lower_bound(step.key); it != keys_.end() && !beyond(it->first, step); ++it) {
        if (const RecordedKv* kv = find(it->second, at)) {
            out.count++;
            if (step.prev_kv) {
                out.kvs.push_back(*kv);
            }
            it->second.push_back({at, false, {}});
            touched_.back().push_back(it->first);
        }
    }
    return out;
}

bool KvModel::holds_keys(api::LeaseId lease) const {
    keys_visited_ += keys_.size();
    return std::ranges::any_of(keys_, [&](const auto& item) {
        return !item.second.empty() && item.second.back().live && item.second.back().kv.lease == lease;
    });
}

// The end of a lease, asked for or not.
void KvModel::revoke(const StepRequest& step, api::Revision at) {
    keys_visited_ += keys_.size();
    for (auto& [key, versions] : keys_) {
        if (!versions.empty() && versions.back().live && versions.back().kv.lease == step.lease) {
            versions.push_back({at, false, {}});
            touched_.back().push_back(key);
        }
    }
}

KvModel::Execution KvModel::execute(const RecordedOperation& operation) {
    Execution out;
    const api::Revision next = revision_ + 1;
    out.succeeded = std::all_of(operation.compares.begin(), operation.compares.end(),
                                [&](const CompareRequest& compare) { return holds(compare, revision_); });
    const auto& steps = out.succeeded ? operation.success : operation.failure;
    if (lacks_key(steps)) {
        return out;
    }
    touched_.emplace_back();
    for (const auto& step : steps) {
        switch (step.kind) {
            case StepKind::range: out.results.push_back(range(step, next)); break;
            case StepKind::put: out.results.push_back(put(step, next)); break;
            case StepKind::remove: out.results.push_back(remove(step, next)); break;
            case StepKind::revoke:
                revoke(step, next);
                out.results.emplace_back();
                break;
            case StepKind::compact:   // loses old versions, changes no state
            case StepKind::grant:
            case StepKind::keep_alive:
            case StepKind::time_to_live:
            case StepKind::hash:
            case StepKind::disarm: out.results.emplace_back(); break;
        }
    }
    out.modified = !touched_.back().empty();
    if (out.modified) {
        revision_ = next;
    } else {
        touched_.pop_back();
    }
    return out;
}

KvModel::Execution KvModel::read(const RecordedOperation& operation, api::Revision at) const {
    ASSERT(at <= revision_);
    Execution out;
    out.succeeded = std::all_of(operation.compares.begin(), operation.compares.end(),
                                [&](const CompareRequest& compare) { return holds(compare, at); });
    for (const auto& step : out.succeeded ? operation.success : operation.failure) {
        if (step.kind != StepKind::range && step.kind != StepKind::put && step.kind != StepKind::remove) {
            out.results.emplace_back();
            continue;
        }
        StepRequest looked_at = step;
        looked_at.kind = StepKind::range;
        StepResult found = range(looked_at, at);
        if (step.kind != StepKind::range) {
            out.modified = out.modified || step.kind == StepKind::put || found.count > 0;
            found = StepResult{};
        }
        out.results.push_back(std::move(found));
    }
    return out;
}

void KvModel::undo() {
    ASSERT(revision_ > 1);
    for (const auto& key : touched_.back()) {
        auto& versions = keys_[key];
        ASSERT(!versions.empty() && versions.back().at == revision_);
        versions.pop_back();
    }
    touched_.pop_back();
    revision_--;
}

}  // namespace ringfort::sim
