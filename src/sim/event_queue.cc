#include "sim/event_queue.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::sim {

void EventQueue::schedule(Instant at, Callback callback, void* context, std::uint64_t a, std::uint64_t b) {
    ASSERT(at >= now_);
    ASSERT(callback != nullptr);
    heap_.push_back({at.ns, sequence_++, callback, context, a, b});
    sift_up(heap_.size() - 1);
}

bool EventQueue::run_one(Instant until) {
    if (heap_.empty() || heap_.front().at_ns > until.ns) {
        now_ = std::max(now_, until);
        return false;
    }
    const Event event = heap_.front();
    heap_.front() = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) {
        sift_down(0);
    }
    ASSERT(event.at_ns >= now_.ns);
    now_ = Instant{event.at_ns};
    events_++;
    note(static_cast<std::uint64_t>(event.at_ns) ^ (event.sequence << 40));
    note(event.a);
    event.callback(event.context, event.a, event.b);
    return true;
}

void EventQueue::sift_up(std::size_t place) {
    const Event event = heap_[place];
    while (place > 0) {
        const std::size_t parent = (place - 1) / 4;
        if (!before(event, heap_[parent])) {
            break;
        }
        heap_[place] = heap_[parent];
        place = parent;
    }
    heap_[place] = event;
}

void EventQueue::sift_down(std::size_t place) {
    const Event event = heap_[place];
    while (true) {
        const std::size_t first = place * 4 + 1;
        if (first >= heap_.size()) {
            break;
        }
        const std::size_t last = std::min(first + 4, heap_.size());
        std::size_t best = first;
        for (std::size_t child = first + 1; child < last; child++) {
            if (before(heap_[child], heap_[best])) {
                best = child;
            }
        }
        if (!before(heap_[best], event)) {
            break;
        }
        heap_[place] = heap_[best];
        place = best;
    }
    heap_[place] = event;
}

}  // namespace ringfort::sim
