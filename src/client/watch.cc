#include "client/watch.h"

#include <algorithm>

#include "base/mark.h"
#include "base/mutant.h"
#include "client/core_impl.h"

namespace ringfort::client {

namespace {

api::KeyValue copy(const api::KeyValue& kv, Arena& arena) {
    api::KeyValue out = kv;
    out.key = arena.copy(kv.key);
    out.value = arena.copy(kv.value);
    return out;
}

}  // namespace

Watch::Watch(Core& core, const api::WatchRequest& request, std::optional<DomainId> domain, Reader reader, void* context)
    : core_(core),
      key_(request.key),
      range_end_(request.range_end),
      request_(request),
      domain_(domain),
      reader_(reader),
      context_(context),
      next_(request.start_revision) {
    request_.key = key_;
    request_.range_end = range_end_;
}

Watch::~Watch() { stop(); }

void Watch::start() {
    ASSERT(!ended_);
    api::Request request;
    request_.start_revision = next_;
    request.op = request_;
    request.domain = domain_;
    open_ = false;
    forget_part();
    token_ = core_.submit(request, &Watch::on_response, this);
}

void Watch::stop() {
    if (!ended_ && token_ != 0) {
        core_.cancel(token_);
    }
    ended_ = true;
}

void Watch::ask_mark() {
    mark_wanted_ = true;
    if (open_) {
        core_.grant(token_, 0, true);
    }
}

void Watch::forget_part() {
    part_.clear();
    arena_.reset();
}

// ---------------------------------------------------------------------------------------------- frames

void Watch::on_response(void* context, std::uint64_t, const api::Response& response) {
    auto& self = *static_cast<Watch*>(context);
    if (response.ok()) {
        self.on_frame(response);
    } else {
        self.on_error(response);
    }
}

void Watch::on_frame(const api::Response& response) {
    const auto* watch = std::get_if<api::WatchResponse>(std::get_if<api::Result>(&response.body));
    ASSERT(watch != nullptr);   // the core compared the kinds
    // So an older node ends a watch for want of a leader.
    const bool leaderless = watch->canceled && watch->cancel_reason == api::error_text(api::Errc::no_leader);
    if (watch->created && !watch->canceled) {
        on_created(response);
    } else if (leaderless && !response.more_frames) {
        start();
    } else if (watch->canceled || !response.more_frames) {
        end(response, api::Errc::ok, watch);
    } else {
        on_events(response, *watch);
    }
}

void Watch::on_created(const api::Response& response) {
    const bool again = created_;
    created_ = true;
    open_ = true;
    next_ = next_ == 0 ? response.header.revision + 1 : next_;
    const std::uint64_t token = token_;
    if (mark_wanted_) {
        core_.grant(token, 0, true);
    }
    core_.grant(token, core_.frame_bytes());
    WatchNews news;
    news.kind = again ? WatchNews::Kind::resumed : WatchNews::Kind::created;
    news.header = response.header;
    news.revision = response.header.revision;
    reader_(context_, news);
}

void Watch::on_events(const api::Response& response, const api::WatchResponse& watch) {
    const std::uint32_t bytes = core_.frame_bytes();
    if (watch.goes_on) {
        keep(watch);
        core_.grant(token_, bytes);
        return;
    }
    WatchNews news;
    news.header = response.header;
    news.revision = response.header.revision;
    news.events = watch.events;
    if (!part_.empty()) {
        part_.insert(part_.end(), watch.events.begin(), watch.events.end());
        news.events = part_;
    }
    if (news.events.empty()) {
        news.kind = WatchNews::Kind::mark;
        core_.grant(token_, bytes);
        mark_wanted_ = false;
    } else {
        news.kind = WatchNews::Kind::revision;
        news.bytes = bytes;
        news.token = token_;
    }
    next_ = std::max(next_, response.header.revision + (MUTANT(watch_resumes_at_last) ? 0 : 1));
    std::vector<api::Event> whole;
    whole.swap(part_);   // the reader may stop, or destroy, this watch
    reader_(context_, news);
}

void Watch::keep(const api::WatchResponse& watch) {
    if (part_.empty()) {
        arena_.reset();
    }
    for (const api::Event& event : watch.events) {
        api::Event kept = event;
        kept.kv = copy(event.kv, arena_);
        if (event.prev_kv) {
            kept.prev_kv = copy(*event.prev_kv, arena_);
        }
        part_.push_back(kept);
    }
}

// ---------------------------------------------------------------------------------------------- ends

void Watch::on_error(const api::Response& response) {
    const auto& error = std::get<api::ErrorInfo>(response.body);
    if (!may_pass(error.code)) {
        end(response, error.code, nullptr);
        return;
    }
    MARK("a watch goes on elsewhere");
    start();
}

void Watch::end(const api::Response& response, api::Errc code, const api::WatchResponse* last) {
    ended_ = true;
    WatchNews news;
    news.kind = WatchNews::Kind::ended;
    news.header = response.header;
    news.error = code;
    if (last != nullptr) {
        news.compact_revision = last->compact_revision;
        news.reason = last->cancel_reason;
    } else {
        news.reason = std::get<api::ErrorInfo>(response.body).detail;
    }
    reader_(context_, news);
}

}  // namespace ringfort::client
