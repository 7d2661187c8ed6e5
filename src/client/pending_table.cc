#include "client/pending_table.h"

#include "base/assertion.h"
#include "base/mutant.h"

namespace ringfort::client {

PendingTable::PendingTable(std::size_t capacity) : slots_(capacity) {
    ASSERT(capacity > 0 && capacity < no_request);
    free_.reserve(capacity);
    for (std::size_t i = capacity; i > 0; i--) {
        free_.push_back(static_cast<std::uint32_t>(i - 1));
    }
}

std::uint32_t PendingTable::acquire() {
    ASSERT(!free_.empty());
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Pending& pending = slots_[index];
    ASSERT(pending.callback == nullptr);
    pending.generation += MUTANT(client_token_reused) ? 0U : 1U;
    if (pending.generation == 0) {
        pending.generation = 1;   // a token is never 0
    }
    return index;
}

void PendingTable::release(std::uint32_t index) {
    Pending& old = slots_[index];
    ASSERT(old.callback != nullptr && old.prev == no_request && old.next == no_request);
    frame_bytes_ -= old.frame.size();
    Pending fresh;
    fresh.generation = old.generation;
    if (old.frame.capacity() <= frame_keep_bytes_max) {
        fresh.frame = std::move(old.frame);
        fresh.frame.clear();
    }
    old = std::move(fresh);
    free_.push_back(index);
}

std::uint32_t PendingTable::find(std::uint64_t token) const {
    const auto index = static_cast<std::uint32_t>(token);
    const auto generation = static_cast<std::uint32_t>(token >> 32);
    if (index >= slots_.size() || slots_[index].generation != generation || slots_[index].callback == nullptr) {
        return no_request;
    }
    return index;
}

void PendingTable::keep_frame(std::uint32_t index, Bytes frame) {
    std::vector<std::byte>& kept = slots_[index].frame;
    frame_bytes_ -= kept.size();
    kept.assign(frame.begin(), frame.end());
    frame_bytes_ += kept.size();
}

void PendingTable::append(PendingList& list, std::uint32_t index) {
    Pending& pending = slots_[index];
    ASSERT(pending.prev == no_request && pending.next == no_request && list.first != index);
    pending.prev = list.last;
    (list.last == no_request ? list.first : slots_[list.last].next) = index;
    list.last = index;
    list.count++;
}

void PendingTable::remove(PendingList& list, std::uint32_t index) {
    Pending& pending = slots_[index];
    ASSERT(list.count > 0);
    (pending.prev == no_request ? list.first : slots_[pending.prev].next) = pending.next;
    (pending.next == no_request ? list.last : slots_[pending.next].prev) = pending.prev;
    pending.prev = no_request;
    pending.next = no_request;
    list.count--;
}

}  // namespace ringfort::client
