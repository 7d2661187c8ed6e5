// Objects by number, in chunks that never move: growth is never more than a chunk at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "base/assertion.h"

namespace ringfort::shard {

inline constexpr std::uint32_t no_slot = UINT32_MAX;

template <class T>
class SlotPool {
  public:
    // A fresh one. The caller bounds how many there are.
    std::uint32_t take() {
        used_++;
        if (!free_.empty()) {
            const std::uint32_t slot = free_.back();
            free_.pop_back();
            return slot;
        }
        if (end_ % chunk_slots == 0) {
            chunks_.push_back(std::make_unique<T[]>(chunk_slots));
        }
        return end_++;
    }
    void give_back(std::uint32_t slot) {
        ASSERT(used_ > 0);
        used_--;
        (*this)[slot] = T{};
        free_.push_back(slot);
    }
    T& operator[](std::uint32_t slot) { return chunks_[slot / chunk_slots][slot % chunk_slots]; }
    const T& operator[](std::uint32_t slot) const { return chunks_[slot / chunk_slots][slot % chunk_slots]; }
    // Slots that were ever taken are below this.
    std::uint32_t end() const { return end_; }
    std::size_t used() const { return used_; }

  private:
    static constexpr std::uint32_t chunk_slots = 256;
    std::deque<std::unique_ptr<T[]>> chunks_;   // a deque grows without moving what it holds
    std::deque<std::uint32_t> free_;
    std::uint32_t end_{0};
    std::size_t used_{0};
};

}  // namespace ringfort::shard
