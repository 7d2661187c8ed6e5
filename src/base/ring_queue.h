// A FIFO of bounded capacity in one allocation made at construction. Not for sharing between threads.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/assertion.h"

namespace ringfort {

template <class T>
class RingQueue {
  public:
    // Capacity is rounded up to a power of two.
    explicit RingQueue(std::size_t capacity)
        : mask_(std::bit_ceil(capacity) - 1), items_(std::make_unique<T[]>(mask_ + 1)) {
        ASSERT(capacity > 0);
    }
    RingQueue(const RingQueue& other) : RingQueue(other.capacity()) {
        for (std::size_t i = 0; i < other.count(); i++) {
            push(other[i]);
        }
    }
    RingQueue(RingQueue&&) = default;
    RingQueue& operator=(RingQueue&&) = default;

    bool empty() const { return head_ == tail_; }
    bool full() const { return count() == capacity(); }
    std::size_t count() const { return tail_ - head_; }
    std::size_t capacity() const { return mask_ + 1; }

    // Requires: !full().
    void push(T item) {
        ASSERT(!full());
        items_[tail_++ & mask_] = std::move(item);
    }
    // Requires: !empty().
    T pop() {
        ASSERT(!empty());
        return std::move(items_[head_++ & mask_]);
    }
    // The i-th oldest. Requires: i < count().
    T& operator[](std::size_t i) {
        ASSERT(i < count());
        return items_[(head_ + i) & mask_];
    }
    const T& operator[](std::size_t i) const {
        ASSERT(i < count());
        return items_[(head_ + i) & mask_];
    }
    T& front() { return (*this)[0]; }
    T& back() { return (*this)[count() - 1]; }
    // Drops the newest. Requires: !empty().
    void pop_back() {
        ASSERT(!empty());
        tail_--;
    }
    void clear() {
        while (!empty()) {
            discard_front();
        }
    }

  private:
    void discard_front() { items_[head_++ & mask_] = T(); }

    std::size_t mask_;
    std::unique_ptr<T[]> items_;
    std::size_t head_{0};  // Invariant: head_ <= tail_ <= head_ + capacity
    std::size_t tail_{0};
};

}  // namespace ringfort
