#include "sim/workload.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

constexpr std::uint64_t bulk_one_in = 12;
constexpr std::uint32_t large_value_bytes = 60'000;
constexpr std::size_t leases_max = 4;   // of a client in a domain, at a time

// Of the keys that are few, and of those that are many and lie behind them.
std::string end_of_few(std::uint32_t domain) { return domain_prefix(domain) + "~"; }
std::string end_of_domain(std::uint32_t domain) { return domain_prefix(domain) + "\xff"; }

}  // namespace

std::string domain_prefix(std::uint32_t domain) {
    ASSERT(domain < 100);
    return "d" + std::string(domain < 10 ? "0" : "") + std::to_string(domain) + "/";
}

std::vector<std::string> domain_splits(std::uint32_t domains) {
    std::vector<std::string> out;
    for (std::uint32_t domain = 1; domain < domains; domain++) {
        out.push_back(domain_prefix(domain));
    }
    return out;
}

Workload::Workload(const WorkloadOptions& options, std::uint32_t domains, std::uint32_t client, std::uint64_t seed)
    : options_(options), domains_(domains), client_(client), random_(seed), details_(seed + 0x1f83d9abfb41bd6b) {}

std::string Workload::key(std::uint32_t domain) {
    const bool hot = !options_.uniform && random_.one_in(2);
    const std::uint64_t number = random_.below(hot ? std::min<std::uint32_t>(2, options_.keys) : options_.keys);
    return domain_prefix(domain) + std::to_string(100 + number).substr(1);
}

std::string Workload::value() {
    std::string out = "c" + std::to_string(client_) + "v" + std::to_string(++values_) + ":";
    // Of really large ones a few are enough.
    const bool large = options_.value_bytes_max > large_value_bytes && random_.one_in(4);
    const std::size_t bytes = random_.below((large ? options_.value_bytes_max
                                                   : std::min(options_.value_bytes_max, large_value_bytes)) + 1);
    if (out.size() < bytes) {
        out.resize(bytes, static_cast<char>('a' + values_ % 26));
    }
    return out;
}

StepRequest Workload::get(std::uint32_t domain) { return {StepKind::range, key(domain), {}, {}, false, 0, 0}; }

StepRequest Workload::range(std::uint32_t domain) {
    StepRequest out = get(domain);
    out.range_end = end_of_few(domain);
    out.limit = random_.one_in(3) ? static_cast<std::int64_t>(random_.between(1, 5)) : 0;
    if (details_.one_in(3)) {
        out.arrangement = arrangement(domain);
    }
    return out;
}

// Bounds are around what exists: of keys that many puts were made on, and of those made since.
Arrangement Workload::arrangement(std::uint32_t domain) {
    Arrangement out;
    if (details_.one_in(2)) {
        out.target = static_cast<api::SortTarget>(details_.below(5));
        out.order = static_cast<api::SortOrder>(details_.below(3));
    }
    const auto seen = static_cast<std::uint64_t>(revision_[domain]);
    for (api::Revision* bound : {&out.min_mod, &out.max_mod, &out.min_create, &out.max_create}) {
        if (details_.one_in(6)) {
            *bound = static_cast<api::Revision>(details_.below(seen + 2));
        }
    }
    out.keys_only = details_.one_in(4);
    out.count_only = details_.one_in(8);
    return out;
}

// The next page of what is being read page by page, at the revision of its first; else a first page.
RecordedOperation Workload::page(std::uint32_t domain) {
    RecordedOperation out;
    if (auto next = next_page_.extract(domain)) {
        out.success.push_back(std::move(next.mapped()));
    } else {
        StepRequest first{StepKind::range, domain_prefix(domain), end_of_few(domain), {}, false, 0, 0};
        first.limit = static_cast<std::int64_t>(random_.between(1, 3));
        out.success.push_back(std::move(first));
    }
    out.serializable = random_.one_in(4);
    return out;
}

void Workload::turn_page(const RecordedOperation& operation) {
    if (operation.transaction || operation.results.size() != 1 || !operation.results[0].more ||
        operation.results[0].kvs.empty()) {   // what the judge will not let pass
        return;
    }
    StepRequest next = operation.success[0];
    next.key = operation.results[0].kvs.back().key + '\0';
    next.revision = next.revision > 0 ? next.revision : operation.header.revision;
    next_page_[operation.domain] = std::move(next);
}

StepRequest Workload::put(std::uint32_t domain) {
    StepRequest out{StepKind::put, key(domain), {}, value(), !random_.one_in(4), 0, 0};
    out.lease = options_.leases > 0 && random_.one_in(2) ? lease(domain) : 0;
    if (last_seen_.contains(out.key) && details_.one_in(options_.keeps_one_in)) {
        out.ignore_value = details_.one_in(2);
        out.ignore_lease = !out.ignore_value || details_.one_in(2);
        out.value = out.ignore_value ? std::string{} : out.value;
        out.lease = out.ignore_lease ? 0 : out.lease;
    }
    if (out.lease != 0 && options_.lease_keys > 0 && random_.one_in(2)) {
        const std::uint64_t number = random_.below(options_.lease_keys);
        out.key = end_of_few(domain) + "l" + std::to_string(1000 + number).substr(1);
    }
    return out;
}

StepRequest Workload::remove(std::uint32_t domain, bool many) {
    StepRequest out{StepKind::remove, key(domain), {}, {}, !random_.one_in(4), 0, 0};
    if (many && random_.one_in(4)) {
        out.key = domain_prefix(domain);
        out.range_end = end_of_few(domain);
    } else if (many) {
        out.range_end = key(domain);   // often behind the key: then nothing is removed
    }
    return out;
}

CompareRequest Workload::compare(std::uint32_t domain) {
    CompareRequest out;
    out.key = key(domain);
    out.target = static_cast<api::CompareTarget>(random_.below(options_.leases > 0 ? 5 : 4));
    out.result = random_.one_in(3) ? static_cast<api::CompareResult>(random_.below(4)) : api::CompareResult::equal;
    if (random_.one_in(8)) {
        out.range_end = random_.one_in(2) ? key(domain) : end_of_few(domain);
        if (out.range_end <= out.key) {
            out.range_end.clear();
        }
    }
    const auto seen = last_seen_.find(out.key);
    if (seen != last_seen_.end()) {
        const RecordedKv& kv = seen->second;
        if (out.target == api::CompareTarget::value && kv.value.size() == shortened_bytes) {
            out.target = api::CompareTarget::mod;   // nobody remembers the whole value
        }
        out.value = kv.value;
        out.number = out.target == api::CompareTarget::version  ? kv.version
                     : out.target == api::CompareTarget::create ? kv.create_revision
                     : out.target == api::CompareTarget::lease  ? kv.lease
                                                                : kv.mod_revision;
    }
    return out;
}

RecordedOperation Workload::transaction(std::uint32_t domain) {
    RecordedOperation out;
    out.transaction = true;
    for (std::uint64_t i = random_.below(3); i > 0; i--) {
        out.compares.push_back(compare(domain));
    }
    // A key may be written once in a transaction (etcd: duplicate key).
    std::vector<std::string> written;
    for (auto* branch : {&out.success, &out.failure}) {
        written.clear();
        for (std::uint64_t i = random_.below(4); i > 0; i--) {
            StepRequest step;
            if (random_.one_in(3)) {
                step = random_.one_in(3) ? range(domain) : get(domain);
            } else {
                step = random_.one_in(4) ? remove(domain, false) : put(domain);
            }
            const bool again = std::find(written.begin(), written.end(), step.key) != written.end();
            if (step.kind != StepKind::range) {
                if (again) {
                    continue;
                }
                written.push_back(step.key);
            }
            branch->push_back(std::move(step));
        }
    }
    if (out.success.empty() && out.failure.empty()) {
        out.success.push_back(put(domain));
    }
    return out;
}

// Mostly of what is a little behind the newest revision, so that reads of the past meet both sides of it.
RecordedOperation Workload::compaction(std::uint32_t domain) {
    RecordedOperation out;
    const api::Revision seen = std::max<api::Revision>(revision_[domain], 1);
    const auto back = static_cast<api::Revision>(random_.below(40));
    out.success.push_back({StepKind::compact, {}, {}, {}, false, 0, std::max<api::Revision>(seen - back, 1),
                           random_.one_in(4)});
    return out;
}

// Of revisions that others ask for, too.
RecordedOperation Workload::hash(std::uint32_t domain) {
    RecordedOperation out;
    StepRequest step{StepKind::hash, {}, {}, {}, false, 0, 0};
    if (!random_.one_in(3)) {
        step.revision = revision_[domain] / 16 * 16;
    }
    out.success.push_back(std::move(step));
    return out;
}

// One of its own; 0: it has none.
api::LeaseId Workload::lease(std::uint32_t domain) {
    const auto& mine = leases_[domain];
    return mine.empty() ? 0 : mine[random_.below(mine.size())];
}

void Workload::forget(std::uint32_t domain, api::LeaseId lease) { std::erase(leases_[domain], lease); }

// Short ones, some of which are kept alive, and some not often enough.
RecordedOperation Workload::about_lease(std::uint32_t domain) {
    RecordedOperation out;
    StepRequest step;
    step.lease = lease(domain);
    const std::uint64_t lot = random_.below(12);
    if (step.lease == 0 || (lot < 3 && leases_[domain].size() < leases_max)) {
        step.kind = StepKind::grant;
        const bool chosen = random_.one_in(4);
        step.lease = chosen ? 0 : (static_cast<api::LeaseId>(client_) << 32) + ++granted_;
        step.ttl = static_cast<std::int64_t>(random_.between(1, 5));
        if (!chosen && random_.one_in(8)) {
            leases_[domain].push_back(step.lease);   // before it is there
        }
    } else if (lot < 8) {
        step.kind = StepKind::keep_alive;
    } else if (lot < 9) {
        step.kind = StepKind::revoke;
    } else {
        step.kind = StepKind::time_to_live;
    }
    out.success.push_back(std::move(step));
    return out;
}

std::string Workload::bulk_key(std::uint32_t domain, std::uint64_t number) {
    return end_of_few(domain) + std::to_string(100'000 + number).substr(1);
}

// Puts of neighbours, as many as a transaction may have.
RecordedOperation Workload::bulk_fill(std::uint32_t domain) {
    RecordedOperation out;
    out.transaction = true;
    const std::uint64_t most = std::min(options_.bulk_keys, options_.txn_ops);
    const std::uint64_t first = random_.below(options_.bulk_keys);
    for (std::uint64_t i = random_.between(1, most); i > 0; i--) {
        StepRequest step = put(domain);
        step.key = bulk_key(domain, (first + i) % options_.bulk_keys);
        step.ignore_value = step.ignore_lease = false;
        // A new text: hundreds of them must not keep the room of large ones.
        step.value = (step.value.empty() ? value() : step.value).substr(0, 16);
        step.prev_kv = false;
        out.success.push_back(std::move(step));
    }
    return out;
}

RecordedOperation Workload::bulk(std::uint32_t domain) {
    const std::uint64_t lot = random_.below(10);
    if (lot < 6) {
        return bulk_fill(domain);
    }
    RecordedOperation out;
    StepRequest step;
    step.key = end_of_few(domain);
    step.range_end = end_of_domain(domain);
    if (random_.one_in(3)) {
        step.key = bulk_key(domain, random_.below(options_.bulk_keys));
    }
    if (lot < 9) {
        out.serializable = random_.one_in(4);
        step.limit = random_.one_in(4) ? static_cast<std::int64_t>(random_.between(1, options_.bulk_keys)) : 0;
    } else {
        step.kind = StepKind::remove;
    }
    out.success.push_back(std::move(step));
    return out;
}

RecordedOperation Workload::next() {
    const auto domain = static_cast<std::uint32_t>(random_.below(domains_));
    const auto& o = options_;
    const std::uint64_t total = o.puts + o.gets + o.stale_gets + o.past_gets + o.ranges + o.pages + o.removes +
                                o.range_removes + o.transactions + o.compactions + o.leases + o.hashes + o.disarms;
    std::uint64_t lot = random_.below(total);
    const auto drawn = [&](std::uint32_t weight) {
        const bool hit = lot < weight;
        lot -= hit ? 0 : weight;
        return hit;
    };
    RecordedOperation out;
    if (o.bulk_keys > 0 && random_.one_in(bulk_one_in)) {
        out = bulk(domain);
    } else if (drawn(o.puts)) {
        out.success.push_back(put(domain));
    } else if (drawn(o.gets)) {
        out.success.push_back(get(domain));
    } else if (drawn(o.stale_gets)) {
        out.success.push_back(random_.one_in(2) ? get(domain) : range(domain));
        out.serializable = true;
    } else if (drawn(o.past_gets)) {
        out.success.push_back(random_.one_in(2) ? get(domain) : range(domain));
        const auto seen = static_cast<std::uint64_t>(revision_[domain]);
        out.success[0].revision = static_cast<api::Revision>(seen > 0 ? random_.between(1, seen) : 0);
    } else if (drawn(o.ranges)) {
        out.success.push_back(range(domain));
    } else if (drawn(o.pages)) {
        out = page(domain);
    } else if (drawn(o.removes)) {
        out.success.push_back(remove(domain, false));
    } else if (drawn(o.range_removes)) {
        out.success.push_back(remove(domain, true));
    } else if (drawn(o.leases)) {
        out = about_lease(domain);
    } else if (drawn(o.hashes)) {
        out = hash(domain);
    } else if (drawn(o.disarms)) {
        out.success.push_back({StepKind::disarm, {}, {}, {}, false, 0, 0});
    } else if (drawn(o.compactions)) {
        out = compaction(domain);
    } else {
        out = transaction(domain);
    }
    out.client = client_;
    out.domain = domain;
    if (random_.one_in(o.hurry_one_in)) {
        out.timeout = Duration(static_cast<std::int64_t>(random_.between(1, 100))) * 1'000'000;
    }
    return out;
}

void Workload::learn(const RecordedOperation& operation) {
    if (operation.error == api::Errc::lease_not_found) {
        for (const auto* branch : {&operation.success, &operation.failure}) {
            for (const StepRequest& step : *branch) {
                forget(operation.domain, step.lease);
            }
        }
    }
    if (operation.outcome != Outcome::ok) {
        return;
    }
    if (const api::LeaseId lease = operation.about_lease(); lease != 0 && operation.client == client_) {
        const StepKind kind = operation.success[0].kind;
        const bool gone = kind == StepKind::revoke || operation.results[0].ttl < (kind == StepKind::keep_alive ? 1 : 0);
        auto& mine = leases_[operation.domain];
        if (gone) {
            forget(operation.domain, lease);
        } else if (std::ranges::find(mine, lease) == mine.end()) {
            mine.push_back(lease);
        }
    }
    turn_page(operation);
    api::Revision& revision = revision_[operation.domain];
    revision = std::max(revision, operation.header.revision);
    for (std::size_t i = 0; i < operation.results.size(); i++) {
        const auto& steps = operation.branch();
        if (i < steps.size() && steps[i].arrangement.keys_only) {
            continue;   // nobody remembers the values
        }
        for (const auto& kv : operation.results[i].kvs) {
            RecordedKv& last = last_seen_[kv.key];
            if (last.mod_revision <= kv.mod_revision) {
                last = kv;
            }
        }
    }
}

}  // namespace ringfort::sim
