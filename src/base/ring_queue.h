// A FIFO of bounded capacity in one allocation made at construction; memory that is never used is never touched. Not for
// sharing between threads.
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
        : mask_(std::bit_ceil(capacity) - 1), items_(std::allocator<T>().allocate(mask_ + 1)) {
        ASSERT(capacity > 0);
    }
    // The same items in the same order; where they lie is the copy's own.
    RingQueue(const RingQueue& other) : RingQueue(other.capacity()) {
        for (std::size_t i = 0; i < other.count(); i++) {
            push(other[i]);
        }
    }
    // Requires of one that was moved from: it is only destroyed or assigned to.
    RingQueue(RingQueue&& other) noexcept
        : mask_(other.mask_), items_(std::exchange(other.items_, nullptr)), head_(std::exchange(other.head_, 0)),
          tail_(std::exchange(other.tail_, 0)) {}
    RingQueue& operator=(RingQueue&& other) noexcept {
        std::swap(mask_, other.mask_);
        std::swap(items_, other.items_);
        std::swap(head_, other.head_);
        std::swap(tail_, other.tail_);
        return *this;
    }
    ~RingQueue() {
        clear();
        if (items_ != nullptr) {
            std::allocator<T>().deallocate(items_, mask_ + 1);
        }
    }

    bool empty() const { return head_ == tail_; }
    bool full() const { return count() == capacity(); }
    std::size_t count() const { return tail_ - head_; }
    std::size_t capacity() const { return mask_ + 1; }

    // Requires: !full().
    void push(T item) {
        ASSERT(!full());
        std::construct_at(&items_[tail_++ & mask_], std::move(item));
    }
    // Requires: !empty().
    T pop() {
        ASSERT(!empty());
        T out = std::move(front());
        std::destroy_at(&items_[head_++ & mask_]);
        return out;
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
        std::destroy_at(&items_[--tail_ & mask_]);
    }
    void clear() {
        while (!empty()) {
            std::destroy_at(&items_[head_++ & mask_]);
        }
    }

  private:
    std::size_t mask_;
    T* items_;             // those between head_ and tail_ are alive
    std::size_t head_{0};  // Invariant: head_ <= tail_ <= head_ + capacity
    std::size_t tail_{0};
};

}  // namespace ringfort
