#include "shard/held_gets.h"

#include <utility>

#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/request_extent.h"
#include "shard/router.h"

namespace ringfort::shard {

bool HeldGets::add(Replica& replica, const PendingRead& read) {
    ASSERT(is_point_get(*read.request));
    const std::size_t bytes = sizeof(Held) + read.request->key.size();
    const ShardBounds& bounds = context_.config.bounds;
    if (count_ >= bounds.held_gets || held_bytes_ + bytes > bounds.held_get_bytes) {
        return false;
    }
    std::deque<Held>& queue = waiting_[{static_cast<std::uint64_t>(read.origin.kind), read.origin.place}];
    Held& held = queue.emplace_back();
    held.origin = read.origin;
    held.replica = &replica;
    held.key = read.request->key;
    held.request = *read.request;
    held.request.key = {};
    held.deadline = read.deadline;
    count_++;
    held_bytes_ += bytes;
    return true;
}

HeldGets::Held HeldGets::take_front(std::deque<Held>& queue) {
    Held held = std::move(queue.front());
    queue.pop_front();
    count_--;
    held_bytes_ -= sizeof(Held) + held.key.size();
    return held;
}

bool HeldGets::run(WorkBudget& budget) {
    bool more = false;
    auto at = waiting_.lower_bound(next_);
    for (std::size_t places = waiting_.size(); places > 0; places--) {
        at = at == waiting_.end() ? waiting_.begin() : at;
        std::deque<Held>& queue = at->second;
        const auto goes_on = [&] {
            return !queue.empty() && (context_.router->takes_answers(queue.front().origin) ||
                                      context_.now >= queue.front().deadline);
        };
        while (goes_on() && !budget.spent()) {
            Held held = take_front(queue);
            held.request.key = held.key;
            if (context_.now >= held.deadline) {
                budget.take(1, 0);
                context_.router->answer_error(held.origin, api::Errc::timed_out, "", held.replica->header());
            } else {
                context_.router->serve_read(*held.replica, {held.origin, &held.request, {}, held.deadline, 0}, budget);
            }
        }
        more |= goes_on();
        at = queue.empty() ? waiting_.erase(at) : std::next(at);
        if (budget.spent()) {
            break;   // the next one begins next time
        }
    }
    next_ = at == waiting_.end() ? Place{} : at->first;
    return more || (budget.spent() && count_ > 0);
}

// An answer may close the connection it goes to: the queue stays where it is for whoever is at it.
void HeldGets::on_origin_gone(OriginKind kind, std::uint64_t place) {
    const auto at = waiting_.find({static_cast<std::uint64_t>(kind), place});
    while (at != waiting_.end() && !at->second.empty()) {
        take_front(at->second);
    }
}

void HeldGets::fail_all(api::Errc code) {
    while (!waiting_.empty()) {
        const auto at = waiting_.begin();
        while (!at->second.empty()) {
            const Held held = take_front(at->second);
            context_.router->answer_error(held.origin, code, "", held.replica->header());
        }
        waiting_.erase(at);
    }
}

}  // namespace ringfort::shard
