#include "client/public_client_observer.h"

#include "client/public_convert.h"

namespace ringfort::client {

void PublicObserver::start() {
    if (!client_.core) {
        add({client_.not_an_endpoint()});
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
    add({Client::Impl::cancelled()});
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
        self.add({to_public(api::ErrorInfo{news.error, news.detail, {}, {}})});
    } else {
        self.add({Leader{to_public(news.header), to_public(news.leader)}, news.token, news.bytes});
    }
}

void PublicObserver::add(Taken one) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(one));
    there_.notify_one();
}

std::optional<PublicObserver::Taken> PublicObserver::take() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
        return std::nullopt;
    }
    if (!waiting_.front().leader) {
        return waiting_.front();
    }
    Taken taken = std::move(waiting_.front());
    waiting_.pop_front();
    return taken;
}

void PublicObserver::wait(std::int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return !waiting_.empty(); };
    if (timeout_ms < 0) {
        there_.wait(lock, ready);
    } else {
        there_.wait_for(lock, from_ms(timeout_ms), ready);
    }
}

}  // namespace ringfort::client
