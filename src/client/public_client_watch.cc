#include "client/public_client_watch.h"

#include "client/public_convert.h"

namespace ringfort::client {

Error watch_cancelled() {
    return {ErrorCode::cancelled, ErrorClass::definite, "etcdserver: watch canceled", "the watch is over"};
}

PublicWatch::PublicWatch(Core& core, std::uint64_t& answered, std::vector<std::uint64_t>& over, std::uint64_t id,
                         std::string_view key, const WatchOptions& options, Client::WatchCallback callback)
    : answered_(answered), over_ids_(over), id_(id), callback_(std::move(callback)) {
    Arena texts(256);   // the watch has copies
    watch_.emplace(core, client::to_api(key, options, texts), std::nullopt, &PublicWatch::on_news, this);
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
        reply.events.push_back(client::to_public(event));
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
        if (last) {
            over_ids_.push_back(id_);
        }
        return;
    }
    inbox_.add({std::move(reply), token, bytes});
    if (last) {
        inbox_.end(watch_cancelled());
    }
}

void PublicWatch::close() {
    watch_->stop();
    inbox_.end(watch_cancelled());
}

}  // namespace ringfort::client
