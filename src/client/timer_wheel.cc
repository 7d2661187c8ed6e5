#include "client/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/assertion.h"

namespace ringfort::client {

TimerWheel::TimerWheel(std::size_t capacity) : links_(capacity), slots_(slot_count) {}

void TimerWheel::set(std::uint32_t id, Instant due) {
    if (is_set(id)) {
        unlink(id);
    }
    // A time already past goes to the slot looked at next.
    const std::int64_t tick = std::max(tick_of(due.ns), tick_);
    const auto slot = static_cast<std::uint32_t>(tick) % slot_count;
    Link& link = links_[id];
    List& list = slots_[slot];
    link = {due.ns, list.last, none, slot};
    if (list.last == none) {
        list.first = id;
        occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
    } else {
        links_[list.last].next = id;
    }
    list.last = id;
    count_++;
}

void TimerWheel::clear(std::uint32_t id) {
    if (is_set(id)) {
        unlink(id);
    }
}

void TimerWheel::unlink(std::uint32_t id) {
    Link& link = links_[id];
    ASSERT(link.slot != no_slot && count_ > 0);
    List& list = slots_[link.slot];
    (link.prev == none ? list.first : links_[link.prev].next) = link.next;
    (link.next == none ? list.last : links_[link.next].prev) = link.prev;
    if (list.first == none) {
        occupied_[link.slot / 64] &= ~(std::uint64_t{1} << (link.slot % 64));
    }
    link = {};
    count_--;
}

void TimerWheel::collect_slot(std::uint32_t slot, Instant now, std::vector<std::uint32_t>& due) {
    for (std::uint32_t id = slots_[slot].first; id != none;) {
        const std::uint32_t next = links_[id].next;
        if (links_[id].due_ns <= now.ns) {
            unlink(id);
            due.push_back(id);
        }
        id = next;
    }
}

void TimerWheel::collect_due(Instant now, std::vector<std::uint32_t>& due) {
    const std::int64_t now_tick = tick_of(now.ns);
    if (now_tick < tick_) {
        return;
    }
    const std::int64_t last = std::min(now_tick, tick_ + slot_count - 1);
    for (std::int64_t tick = tick_; tick <= last && count_ > 0; tick++) {
        const auto slot = static_cast<std::uint32_t>(tick) % slot_count;
        if ((occupied_[slot / 64] >> (slot % 64) & 1) != 0) {
            collect_slot(slot, now, due);
        }
    }
    tick_ = now_tick;   // its slot may hold timers due later in this very tick
}

Instant TimerWheel::next_due() const {
    if (count_ == 0) {
        return never;
    }
    const auto start = static_cast<std::uint32_t>(tick_) % slot_count;
    for (std::uint32_t step = 0; step < slot_count;) {
        const std::uint32_t slot = (start + step) % slot_count;
        const std::uint64_t word = occupied_[slot / 64] >> (slot % 64);
        if (word != 0) {
            step += static_cast<std::uint32_t>(std::countr_zero(word));
            return {(tick_ + step + 1) << slot_ns_log2};
        }
        step += 64 - slot % 64;
    }
    UNREACHABLE();   // a timer is set, so a bit is
}

}  // namespace ringfort::client
