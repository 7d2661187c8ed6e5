// A bounded queue from one thread to one other. Each side keeps its own copy of the other's position and reads the
// shared one only when the copy says full or empty.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/assertion.h"

namespace ringfort::uring {

template <class T>
class SpscQueue {
  public:
    // Capacity is rounded up to a power of two.
    explicit SpscQueue(std::size_t capacity)
        : mask_(std::bit_ceil(capacity) - 1), items_(std::make_unique<T[]>(mask_ + 1)) {
        ASSERT(capacity > 0);
    }

    // ---- the producer's side
    // false: full; the item is untouched.
    bool try_push(T&& item) {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_seen_ > mask_) {
            head_seen_ = head_.load(std::memory_order_acquire);
            if (tail - head_seen_ > mask_) {
                return false;
            }
        }
        items_[tail & mask_] = std::move(item);
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }
    // At least this many pushes will succeed.
    std::size_t free_slots() {
        head_seen_ = head_.load(std::memory_order_acquire);
        return mask_ + 1 - (tail_.load(std::memory_order_relaxed) - head_seen_);
    }

    // ---- the consumer's side
    bool empty() const {
        return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_acquire);
    }
    bool try_pop(T& item) {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_seen_) {
            tail_seen_ = tail_.load(std::memory_order_acquire);
            if (head == tail_seen_) {
                return false;
            }
        }
        item = std::move(items_[head & mask_]);
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    std::size_t capacity() const { return mask_ + 1; }

  private:
    static constexpr std::size_t cache_line = 64;

    const std::size_t mask_;
    const std::unique_ptr<T[]> items_;
    alignas(cache_line) std::atomic<std::size_t> tail_{0};  // written by the producer
    std::size_t head_seen_{0};                              // producer's; Invariant: head_seen_ <= head_
    alignas(cache_line) std::atomic<std::size_t> head_{0};  // written by the consumer
    std::size_t tail_seen_{0};                              // consumer's; Invariant: tail_seen_ <= tail_
};

}  // namespace ringfort::uring
