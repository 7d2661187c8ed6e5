#include "sim/watch_told.h"

#include <algorithm>

#include "sim/workload.h"

namespace ringfort::sim {

RecordedWatch draw_watch(Prng& random, const WorkloadOptions& workload, std::uint32_t domains,
                         const std::vector<api::Revision>& newest) {
    RecordedWatch wanted;
    wanted.domain = static_cast<std::uint32_t>(random.below(domains));
    const std::string prefix = domain_prefix(wanted.domain);
    wanted.key = prefix;
    switch (random.below(4)) {
        case 0:   // one key
            wanted.key += std::to_string(100 + random.below(std::min<std::uint32_t>(workload.keys, 4))).substr(1);
            break;
        case 1:   // the few
            wanted.range_end = prefix + "~";
            break;
        case 2:   // some of them
            wanted.key += std::to_string(random.below(5));
            wanted.range_end = prefix + "~";
            break;
        default: wanted.range_end = prefix + "\xff"; break;
    }
    if (wanted.domain == 0 && !wanted.range_end.empty() && random.one_in(8)) {
        wanted.key.clear();   // from the smallest key on: the first domain begins there
    }
    const api::Revision told = newest[wanted.domain];
    if (told > 0 && !random.one_in(3)) {
        const auto back = static_cast<api::Revision>(random.below(random.one_in(4) ? 2000 : 60));
        wanted.start_revision = std::max<api::Revision>(told + 10 - back, 1);
    }
    wanted.prev_kv = random.one_in(2);
    wanted.no_put = random.one_in(8);
    wanted.no_delete = !wanted.no_put && random.one_in(8);
    wanted.require_leader = random.one_in(2);
    wanted.progress_notify = random.one_in(2);
    return wanted;
}

api::WatchRequest make_watch_request(const RecordedWatch& record) {
    api::WatchRequest request;
    request.key = record.key;
    request.range_end = record.range_end;
    request.start_revision = record.start_revision;
    request.prev_kv = record.prev_kv;
    request.no_put = record.no_put;
    request.no_delete = record.no_delete;
    request.require_leader = record.require_leader;
    request.progress_notify = record.progress_notify;
    return request;
}

WatchTold told_of(const client::WatchNews& news, Instant now) {
    WatchTold out;
    switch (news.kind) {
        case client::WatchNews::Kind::created: out.kind = WatchTold::Kind::created; break;
        case client::WatchNews::Kind::resumed: out.kind = WatchTold::Kind::resumed; break;
        case client::WatchNews::Kind::revision: out.kind = WatchTold::Kind::revision; break;
        case client::WatchNews::Kind::mark: out.kind = WatchTold::Kind::mark; break;
        case client::WatchNews::Kind::ended: out.kind = WatchTold::Kind::ended; break;
    }
    out.at = now;
    out.revision = news.revision;
    out.compact_revision = news.compact_revision;
    out.error = news.error;
    for (const api::Event& event : news.events) {
        RecordedEvent one;
        one.removal = event.type == api::EventType::remove;
        one.kv = recorded(event.kv);
        one.has_prev = event.prev_kv.has_value();
        if (event.prev_kv) {
            one.prev = recorded(*event.prev_kv);
        }
        out.events.push_back(std::move(one));
    }
    return out;
}

}  // namespace ringfort::sim
