#include "client/public_client_leases.h"

#include <algorithm>

#include "base/bounds.h"

namespace ringfort::client {

namespace {

constexpr Duration retry_pause_max = 500ms;
constexpr std::int64_t ttl_max_s = 1'000'000'000;   // longer ones are renewed as often as these

}  // namespace

Duration KeptLeases::whole(const Kept& kept) const {
    return std::chrono::seconds(std::clamp<std::int64_t>(kept.ttl, 1, ttl_max_s));
}

void KeptLeases::set_lives_until(Kept& kept, Instant until) {
    if (!kept.lives || kept.lives(until)) {
        kept.lives_until = until;
    }
}

void KeptLeases::set_due(Id id, Kept& kept, Instant at) {
    due_.erase({kept.due, id});
    kept.due = std::min(at, kept.lives_until);
    due_.emplace(kept.due, id);
}

void KeptLeases::add(Id id, std::int64_t ttl, std::int64_t timeout_ms, Instant asked, Lost lost,
                     Lives lives) {
    const std::lock_guard lock(mutex_);
    remove(id);
    Kept& kept = kept_[id];
    kept.ttl = ttl;
    kept.timeout_ms = timeout_ms;
    kept.lost = std::move(lost);
    kept.lives = std::move(lives);
    set_lives_until(kept, asked + whole(kept));
    set_due(id, kept, asked);   // that is at once
}

void KeptLeases::remove(Id id) {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_.find(id); found != kept_.end()) {
        due_.erase({found->second.due, id});
        kept_.erase(found);
    }
}

void KeptLeases::run(Instant now, const Renew& renew) {
    const std::lock_guard lock(mutex_);
    std::map<std::pair<std::uint64_t, std::int64_t>, std::vector<std::int64_t>> asked;   // by domain and timeout
    const auto ask = [&](const std::pair<const std::pair<std::uint64_t, std::int64_t>, std::vector<std::int64_t>>& group) {
        renew(group.second, {.domain = group.first.first, .timeout_ms = group.first.second});
    };
    while (!due_.empty() && due_.begin()->first <= now) {
        const Id id = due_.begin()->second;
        Kept& kept = kept_[id];
        if (kept.lives_until <= now) {
            const Lost lost = std::move(kept.lost);
            remove(id);
            lost();
            continue;
        }
        kept.asking = true;
        set_due(id, kept, kept.lives_until);
        const std::int64_t third_ms = whole(kept).count() / 3'000'000;
        const std::int64_t timeout_ms = kept.timeout_ms > 0 ? kept.timeout_ms : third_ms;
        auto& group = asked[{id.domain, timeout_ms}];
        group.push_back(id.number);
        if (group.size() == limits::lease_keep_alive_ids_max) {
            ask({{id.domain, timeout_ms}, std::move(group)});
            group = {};
        }
    }
    for (const auto& group : asked) {
        if (!group.second.empty()) {
            ask(group);
        }
    }
}

Instant KeptLeases::next_due() {
    const std::lock_guard lock(mutex_);
    return due_.empty() ? never : due_.begin()->first;
}

void KeptLeases::on_answer(std::uint64_t domain, const std::vector<std::int64_t>& ids, Instant asked, Instant now,
                           const Outcome<LeaseKeepAliveReply>& reply) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < ids.size(); i++) {
        const Id id{domain, ids[i]};
        const auto found = kept_.find(id);
        if (found == kept_.end() || !found->second.asking) {
            continue;   // no longer wanted
        }
        Kept& kept = found->second;
        kept.asking = false;
        if (!reply || i >= reply->ttls.size()) {
            set_due(id, kept, now + std::min(retry_pause_max, whole(kept) / 10));
        } else if (reply->ttls[i] > 0) {
            kept.ttl = reply->ttls[i];
            set_lives_until(kept, asked + whole(kept));
            set_due(id, kept, asked + whole(kept) / 3);
        } else {
            set_lives_until(kept, now);   // it is gone: run() says so
            set_due(id, kept, now);
        }
    }
}

}  // namespace ringfort::client
