#include "shard/log_queue.h"

#include "shard/peer_links.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

// Senders have bounds of their own, far below: this one only says that there is one.
constexpr std::size_t queued_bytes_max = 512 * mib;

}  // namespace

void LogQueue::list_pools(PoolList& out) const {
    out.push_back({"writes that wait for room in the log", writes_.size()});
    out.push_back({"bytes of writes that wait for room in the log", held_bytes_, queued_bytes_max});
}

bool LogQueue::add(QueuedWrite&& write) {
    if (held_bytes_ + write.body.size() > queued_bytes_max) {
        return false;
    }
    if (write.origin.kind == OriginKind::link) {
        Link* link = context_.links->find_origin(write.origin.place);
        write.withheld_bytes = link != nullptr ? link->withhold() : 0;
    }
    held_bytes_ += write.body.size();
    writes_.push_back(std::move(write));
    return true;
}

QueuedWrite LogQueue::take_front() {
    QueuedWrite write = std::move(writes_.front());
    writes_.pop_front();
    held_bytes_ -= write.body.size();
    return write;
}

void LogQueue::run() {
    while (!writes_.empty()) {
        QueuedWrite write = take_front();
        if (context_.now >= write.deadline) {
            context_.router->answer_error(write.origin, api::Errc::too_many_requests, "the log had no room in time", {});
        } else if (!context_.router->take_queued(write)) {
            held_bytes_ += write.body.size();
            writes_.push_front(std::move(write));
            return;
        }
        Link* link = write.withheld_bytes > 0 ? context_.links->find_origin(write.origin.place) : nullptr;
        if (link != nullptr) {
            link->grant(wire::LinkClass::forward, write.withheld_bytes);
        }
    }
}

void LogQueue::on_link_lost(std::uint64_t place) {
    std::erase_if(writes_, [&](const QueuedWrite& write) {
        const bool gone = write.origin.kind == OriginKind::link && write.origin.place == place;
        held_bytes_ -= gone ? write.body.size() : 0;
        return gone;
    });
}

void LogQueue::fail_all(api::Errc code) {
    while (!writes_.empty()) {
        context_.router->answer_error(take_front().origin, code, "", {});
    }
}

}  // namespace ringfort::shard
