#include "client/public_client_watch.h"

#include "client/public_convert.h"

namespace ringfort::client {

namespace {

Error cancelled() {
    return {ErrorCode::cancelled, ErrorClass::definite, "etcdserver: watch canceled", "the watch is over"};
}

Event to_public(const api::Event& event) {
    Event out;
    out.type = static_cast<EventType>(event.type);
    out.kv = client::to_public(event.kv);
    if (event.prev_kv) {
        out.prev_kv = client::to_public(*event.prev_kv);
    }
    return out;
}

}  // namespace

PublicWatch::PublicWatch(Core& core, std::uint64_t& answered, std::uint64_t id, std::string_view key,
                         const WatchOptions& options, Client::WatchCallback callback)
    : answered_(answered), id_(id), key_(key), range_end_(options.range_end), callback_(std::move(callback)) {
    api::WatchRequest request;
    request.key = key_;
    request.range_end = range_end_;
    request.start_revision = options.start_revision;
    request.progress_notify = options.progress_notify;
    request.prev_kv = options.prev_kv;
    request.no_put = options.no_put;
    request.no_delete = options.no_delete;
    request.require_leader = options.require_leader;
    watch_.emplace(core, request, std::nullopt, &PublicWatch::on_news, this);
}

void PublicWatch::on_news(void* context, const WatchNews& news) {
    auto& self = *static_cast<PublicWatch*>(context);
    if (news.kind == WatchNews::Kind::resumed) {
        return;
    }
    if (news.kind == WatchNews::Kind::ended && news.error != api::Errc::ok) {
        self.tell(client::to_public(api::ErrorInfo{news.error, news.reason, {}, {}}), 0, 0);
        return;
    }
    WatchReply reply;
    reply.header = client::to_public(news.header);
    reply.watch_id = self.id_;
    reply.created = news.kind == WatchNews::Kind::created;
    reply.canceled = news.kind == WatchNews::Kind::ended;
    reply.compact_revision = news.compact_revision;
    reply.cancel_reason = news.reason;
    for (const api::Event& event : news.events) {
        reply.events.push_back(to_public(event));
    }
    self.tell(std::move(reply), news.token, news.bytes);
}

void PublicWatch::tell(Outcome<WatchReply> reply, std::uint64_t token, std::uint64_t bytes) {
    answered_++;
    const bool last = !reply || reply->canceled;
    if (callback_) {
        callback_(std::move(reply));
        if (bytes > 0) {
            done(token, bytes);
        }
        return;
    }
    const std::lock_guard lock(mutex_);
    over_ |= last;
    waiting_.push_back({std::move(reply), token, bytes});
    there_.notify_one();
}

void PublicWatch::close() {
    watch_->stop();
    const std::lock_guard lock(mutex_);
    over_ = true;
    there_.notify_one();
}

std::optional<PublicWatch::Taken> PublicWatch::take() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
        return over_ ? std::optional<Taken>({cancelled(), 0, 0}) : std::nullopt;
    }
    Taken taken = std::move(waiting_.front());
    waiting_.pop_front();
    return taken;
}

void PublicWatch::wait(std::int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return !waiting_.empty() || over_; };
    if (timeout_ms < 0) {
        there_.wait(lock, ready);
    } else {
        there_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready);
    }
}

}  // namespace ringfort::client
