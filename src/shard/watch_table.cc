#include "shard/watch_table.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/checksum.h"

namespace ringfort::shard {

// With n buckets, of the smallest power of two that is not below n; those that are not there yet are still part of the
// bucket half of it before them.
std::size_t WatchTable::bucket_of(std::uint32_t sink, std::uint64_t request_id) const {
    std::array<std::byte, sizeof(sink) + sizeof(request_id)> text;
    store(text.data(), sink);
    store(text.data() + sizeof(sink), request_id);
    const std::size_t whole = std::bit_ceil(buckets_.size());
    const std::size_t at = checksum(text, seed_) & (whole - 1);
    return at < buckets_.size() ? at : at - whole / 2;
}

void WatchTable::push(std::size_t bucket, std::uint32_t slot) {
    watchers_[slot].table_next = buckets_[bucket];
    buckets_[bucket] = slot;
}

std::uint32_t WatchTable::find(std::uint32_t sink, std::uint64_t request_id) const {
    if (buckets_.empty()) {
        return no_slot;
    }
    std::uint32_t at = buckets_[bucket_of(sink, request_id)];
    while (at != no_slot && (watchers_[at].sink != sink || watchers_[at].request_id != request_id)) {
        at = watchers_[at].table_next;
    }
    return at;
}

void WatchTable::grow() {
    const std::size_t divided = buckets_.size() - std::bit_floor(buckets_.size());
    buckets_.push_back(no_slot);
    if (buckets_.size() == 1) {
        return;
    }
    std::uint32_t at = buckets_[divided];
    buckets_[divided] = no_slot;
    while (at != no_slot) {
        const Watcher& watcher = watchers_[at];
        const std::uint32_t next = watcher.table_next;
        push(bucket_of(watcher.sink, watcher.request_id), at);
        at = next;
    }
}

void WatchTable::insert(std::uint32_t slot) {
    if (count_ == buckets_.size()) {
        grow();
    }
    count_++;
    push(bucket_of(watchers_[slot].sink, watchers_[slot].request_id), slot);
}

void WatchTable::erase(std::uint32_t slot) {
    std::uint32_t* link = &buckets_[bucket_of(watchers_[slot].sink, watchers_[slot].request_id)];
    while (*link != slot) {
        link = &watchers_[*link].table_next;
    }
    *link = watchers_[slot].table_next;
    count_--;
}

std::size_t WatchTable::longest() const {
    std::size_t out = 0;
    for (std::uint32_t at : buckets_) {
        std::size_t here = 0;
        for (; at != no_slot; at = watchers_[at].table_next) {
            here++;
        }
        out = std::max(out, here);
    }
    return out;
}

}  // namespace ringfort::shard
