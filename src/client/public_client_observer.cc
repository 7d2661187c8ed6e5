#include "client/public_client_observer.h"

#include "client/public_convert.h"

namespace ringfort::client {

void PublicObserver::start() {
    if (!client_.core) {
        inbox_.end(client_.not_an_endpoint());
        return;
    }
    watch_.emplace(*client_.core, name_, &PublicObserver::on_news, this);
    watch_->start();
}

void PublicObserver::abandon() {
    watch_.reset();
    abandoned_ = true;
}

void PublicObserver::close() {
    watch_.reset();
    inbox_.end(Client::Impl::cancelled());
}

void PublicObserver::done(std::uint64_t token, std::uint64_t bytes) {
    if (watch_) {
        watch_->done(token, bytes);
    }
}

void PublicObserver::on_news(void* context, const LeaderNews& news) {
    auto& self = *static_cast<PublicObserver*>(context);
    self.client_.answered_count++;
    if (news.error != api::Errc::ok) {
        self.inbox_.end(to_public(api::ErrorInfo{news.error, news.detail, {}, {}}));
    } else {
        self.inbox_.add({Leader{to_public(news.header), to_public(news.leader)}, news.token, news.bytes});
    }
}

}  // namespace ringfort::client
