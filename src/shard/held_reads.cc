#include "shard/held_reads.h"

#include <utility>

#include "shard/lease_keeper.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/request_extent.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

// The text of a question; null: it has none.
std::string_view* key_in(HeldReads::Question& question) {
    if (auto* get = std::get_if<api::RangeRequest>(&question)) {
        return &get->key;
    }
    auto* lease = std::get_if<api::LeaseTimeToLiveRequest>(&question);
    return lease != nullptr ? &lease->from_key : nullptr;
}

bool is_about_leases(const HeldReads::Question& question) {
    return !std::holds_alternative<api::RangeRequest>(question);
}

}  // namespace

HeldReads::Place HeldReads::place_of(OriginKind kind, std::uint64_t place, bool about_leases) {
    return {static_cast<std::uint64_t>(kind), place, about_leases ? 1u : 0u};
}

bool HeldReads::add(Replica& replica, const Origin& origin, const Question& question, Instant deadline) {
    ASSERT(is_about_leases(question) || is_point_get(std::get<api::RangeRequest>(question)));
    Held held{origin, &replica, {}, question, deadline};
    std::string_view* key = key_in(held.question);
    const std::size_t bytes = sizeof(Held) + (key != nullptr ? key->size() : 0);
    const ShardBounds& bounds = context_.config.bounds;
    if (count_ >= bounds.held_reads || held_bytes_ + bytes > bounds.held_read_bytes) {
        return false;
    }
    if (key != nullptr) {
        held.key = std::exchange(*key, {});
    }
    waiting_[place_of(origin.kind, origin.place, is_about_leases(question))].push_back(std::move(held));
    count_++;
    held_bytes_ += bytes;
    return true;
}

HeldReads::Held HeldReads::take_front(std::deque<Held>& queue) {
    Held held = std::move(queue.front());
    queue.pop_front();
    count_--;
    held_bytes_ -= sizeof(Held) + held.key.size();
    return held;
}

bool HeldReads::may_be_answered(const Held& held) const {
    const bool waits_for_command = is_about_leases(held.question) && held.replica->store()->applying();
    return context_.now >= held.deadline || (!waits_for_command && context_.router->takes_answers(held.origin));
}

void HeldReads::answer(Held& held, WorkBudget& budget) {
    if (context_.now >= held.deadline) {
        budget.take(1, 0);
        context_.router->answer_error(held.origin, api::Errc::timed_out, "", held.replica->header());
        return;
    }
    if (held.replica->out_of_service()) {
        budget.take(1, 0);
        context_.router->answer_error(held.origin, api::Errc::unhealthy, out_of_service_text, held.replica->header());
        return;
    }
    if (std::string_view* key = key_in(held.question)) {
        *key = held.key;
    }
    if (const auto* get = std::get_if<api::RangeRequest>(&held.question)) {
        context_.router->serve_read(*held.replica, {held.origin, get, {}, held.deadline, 0}, budget);
    } else {
        budget.take(1, 0);
        context_.leases->answer(*held.replica, held.origin, held.question, budget);
    }
}

bool HeldReads::run(WorkBudget& budget) {
    bool more = false;
    auto at = waiting_.lower_bound(next_);
    for (std::size_t places = waiting_.size(); places > 0; places--) {
        at = at == waiting_.end() ? waiting_.begin() : at;
        std::deque<Held>& queue = at->second;
        const auto goes_on = [&] { return !queue.empty() && may_be_answered(queue.front()); };
        while (goes_on() && !budget.spent()) {
            Held held = take_front(queue);
            answer(held, budget);
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
void HeldReads::on_origin_gone(OriginKind kind, std::uint64_t place) {
    for (const bool about_leases : {false, true}) {
        const auto at = waiting_.find(place_of(kind, place, about_leases));
        while (at != waiting_.end() && !at->second.empty()) {
            take_front(at->second);
        }
    }
}

void HeldReads::fail_all(api::Errc code) {
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
