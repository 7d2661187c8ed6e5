// Buckets of a hash table of things by number, linked through the things. It grows by one bucket with each of them, and each
// time one bucket is divided (linear hashing): nothing pays for the growth of a large table.
#pragma once

#include <algorithm>
#include <bit>
#include <deque>

#include "shard/slot_pool.h"

namespace ringfort::shard {

// `Things` has `std::uint32_t& next_in_bucket(slot)` and `std::uint64_t hash(slot) const`, which stays as it is while the
// thing is in here.
template <class Things>
class GrowingBuckets {
  public:
    bool empty() const { return count_ == 0; }
    // Of the bucket where things of that hash are; no_slot: it is empty.
    std::uint32_t first(std::uint64_t hash) const { return buckets_.empty() ? no_slot : buckets_[bucket_of(hash)]; }

    void insert(Things& things, std::uint32_t slot) {
        if (count_ == buckets_.size()) {
            grow(things);
        }
        count_++;
        push(things, slot);
    }
    // Requires: it is there.
    void erase(Things& things, std::uint32_t slot) {
        std::uint32_t* link = &buckets_[bucket_of(things.hash(slot))];
        while (*link != slot) {
            link = &things.next_in_bucket(*link);
        }
        *link = things.next_in_bucket(slot);
        count_--;
    }
    // Of the fullest bucket, for tests.
    std::size_t longest(Things& things) const {
        std::size_t out = 0;
        for (std::uint32_t at : buckets_) {
            std::size_t here = 0;
            for (; at != no_slot; at = things.next_in_bucket(at)) {
                here++;
            }
            out = std::max(out, here);
        }
        return out;
    }

  private:
    // With n buckets, of the smallest power of two that is not below n; those that are not there yet are still part of the
    // bucket half of it before them.
    std::size_t bucket_of(std::uint64_t hash) const {
        const std::size_t whole = std::bit_ceil(buckets_.size());
        const std::size_t at = hash & (whole - 1);
        return at < buckets_.size() ? at : at - whole / 2;
    }
    void push(Things& things, std::uint32_t slot) {
        std::uint32_t& bucket = buckets_[bucket_of(things.hash(slot))];
        things.next_in_bucket(slot) = bucket;
        bucket = slot;
    }
    void grow(Things& things) {
        const std::size_t divided = buckets_.size() - std::bit_floor(buckets_.size());
        buckets_.push_back(no_slot);
        if (buckets_.size() == 1) {
            return;
        }
        std::uint32_t at = buckets_[divided];
        buckets_[divided] = no_slot;
        while (at != no_slot) {
            const std::uint32_t next = things.next_in_bucket(at);
            push(things, at);
            at = next;
        }
    }

    std::deque<std::uint32_t> buckets_;   // first of each; grows without moving what it holds
    std::size_t count_{0};
};

}  // namespace ringfort::shard
