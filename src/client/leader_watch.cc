#include "client/leader_watch.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "client/retry_policy.h"

namespace ringfort::client {

LeaderWatch::LeaderWatch(Core& core, std::string_view name, Reader reader, void* context)
    : core_(core), keys_(name), reader_(reader), context_(context) {}

LeaderWatch::~LeaderWatch() {
    if (token_ != 0) {
        core_.cancel(token_);
    }
    core_.call_off(this);
}

void LeaderWatch::read() {
    ASSERT(token_ == 0);
    watch_.reset();
    line_.clear();
    api::RangeRequest line;
    line.key = keys_.begin;
    line.range_end = keys_.end;
    api::Request request;
    request.op = line;
    token_ = core_.submit(request, &LeaderWatch::on_response, this, &LeaderWatch::begin_afresh);
}

void LeaderWatch::go_on() {
    if (next_ == 0) {
        read();
    } else {
        watch_from(next_);
    }
}

void LeaderWatch::rest() { core_.call_in(recipe_pause, &LeaderWatch::on_alarm, this); }

void LeaderWatch::on_response(void* context, std::uint64_t, const api::Response& response) {
    auto& self = *static_cast<LeaderWatch*>(context);
    const auto* error = std::get_if<api::ErrorInfo>(&response.body);
    self.token_ = response.more_frames ? self.token_ : 0;
    if (error == nullptr) {
        self.on_read(response);
    } else {
        self.rest_or_end(error->code, error->detail);
    }
}

void LeaderWatch::rest_or_end(api::Errc code, std::string_view detail) {
    if (recipe_asks_again(code)) {
        rest();
        return;
    }
    LeaderNews news;
    news.error = code;
    news.detail = detail;
    reader_(context_, news);
}

void LeaderWatch::on_read(const api::Response& response) {
    const auto* range = std::get_if<api::RangeResponse>(std::get_if<api::Result>(&response.body));
    ASSERT(range != nullptr);   // the core compared the kinds
    for (const api::KeyValue& kv : range->kvs) {
        put(kv);
    }
    if (!response.more_frames) {
        watch_from(response.header.revision + (MUTANT(leaders_watched_late) ? 2 : 1));
        LeaderNews news;
        news.header = response.header;
        tell(news);
    }
}

void LeaderWatch::put(const api::KeyValue& kv) {
    line_.insert_or_assign(std::string(kv.key),
                           Place{kv.create_revision, kv.mod_revision, kv.version, kv.lease, std::string(kv.value)});
}

void LeaderWatch::watch_from(api::Revision revision) {
    api::WatchRequest request;
    request.key = keys_.begin;
    request.range_end = keys_.end;
    request.start_revision = revision;
    request.require_leader = true;   // a node that is cut off would say nothing
    watch_ = std::make_unique<Watch>(core_, request, std::nullopt, &LeaderWatch::on_watch, this);
    watch_->start();
}

void LeaderWatch::on_watch(void* context, const WatchNews& news) {
    auto& self = *static_cast<LeaderWatch*>(context);
    if (news.kind == WatchNews::Kind::revision) {
        self.on_revision(news);
    } else if (news.kind == WatchNews::Kind::ended) {
        MARK("a watch of leaders ends");
        self.next_ = news.compact_revision > 0 ? 0 : self.watch_->next();
        self.watch_.reset();
        if (news.error == api::Errc::ok) {
            self.rest();
        } else {
            self.rest_or_end(news.error, news.reason);
        }
    }
}

void LeaderWatch::on_revision(const WatchNews& news) {
    for (const api::Event& event : news.events) {
        if (event.type == api::EventType::put) {
            put(event.kv);
        } else if (const auto at = line_.find(event.kv.key); at != line_.end()) {
            line_.erase(at);
        }
    }
    LeaderNews out;
    out.header = news.header;
    out.token = news.token;
    out.bytes = news.bytes;
    tell(out);
}

// Whoever is first, if that was not told yet.
void LeaderWatch::tell(LeaderNews news) {
    const auto first = std::ranges::min_element(line_, {}, [](const auto& one) { return one.second.create; });
    if (first == line_.end() || (first->first == told_key_ && first->second.mod == told_mod_)) {
        done(news.token, news.bytes);
        return;
    }
    const auto& [key, place] = *first;
    told_key_ = key;
    told_mod_ = place.mod;
    news.leader = {key, place.create, place.mod, place.version, place.value, place.lease};
    reader_(context_, news);
}

}  // namespace ringfort::client
