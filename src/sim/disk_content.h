// What a write carries, kept without the zeros at its end: most of what is ever written is padding and new segments.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/bytes.h"

namespace ringfort::sim {

// How many bytes are left without the zeros at the end.
inline std::size_t bytes_before_zeros(Bytes bytes) {
    constexpr std::size_t step = 512;
    static constexpr std::byte zeros[step]{};
    std::size_t left = bytes.size();
    while (left >= step && std::memcmp(bytes.data() + left - step, zeros, step) == 0) {
        left -= step;
    }
    while (left > 0 && bytes[left - 1] == std::byte{0}) {
        left--;
    }
    return left;
}

class DiskContent {
  public:
    DiskContent() = default;
    explicit DiskContent(Bytes bytes) : size_(bytes.size()) {
        const Bytes kept = bytes.first(bytes_before_zeros(bytes));
        kept_.assign(kept.begin(), kept.end());
    }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // Zeros follow, up to size().
    Bytes kept() const { return kept_; }
    bool operator==(Bytes bytes) const {
        return bytes.size() == size_ && bytes_before_zeros(bytes) == kept_.size() &&
               std::equal(kept_.begin(), kept_.end(), bytes.begin());
    }
    // The bytes from `offset` on. Requires: they lie within it.
    void read(std::size_t offset, MutableBytes out) const {
        const std::size_t part = offset < kept_.size() ? std::min(out.size(), kept_.size() - offset) : 0;
        std::copy_n(kept_.data() + std::min(offset, kept_.size()), part, out.begin());
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(part), out.end(), std::byte{0});
    }
    // Leaves the first `bytes`, at most all of it.
    void truncate(std::size_t bytes) {
        size_ = std::min(size_, bytes);
        kept_.resize(std::min(kept_.size(), size_));
        kept_.resize(bytes_before_zeros(kept_));
    }

  private:
    std::vector<std::byte> kept_;   // Invariant: empty, or its last byte is not zero
    std::size_t size_{0};
};

}  // namespace ringfort::sim
