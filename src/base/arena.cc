#include "base/arena.h"

#include <cstring>

#include "base/assertion.h"
#include "base/bytes.h"

namespace ringfort {

Arena::Arena(std::size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {
    ASSERT(chunk_bytes > 0);
}

std::byte* Arena::allocate(std::size_t bytes, std::size_t alignment) {
    ASSERT(alignment <= 64 && (alignment & (alignment - 1)) == 0);
    if (!chunks_.empty()) {
        const auto base = reinterpret_cast<std::uintptr_t>(chunks_.back().memory.get());
        const std::size_t start = round_up(base + offset_, alignment) - base;
        if (start + bytes <= chunks_.back().bytes) {
            offset_ = start + bytes;
            used_bytes_ += bytes;
            return chunks_.back().memory.get() + start;
        }
    }
    const std::size_t chunk = bytes + alignment > chunk_bytes_ ? bytes + alignment : chunk_bytes_;
    chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(chunk), chunk});
    offset_ = 0;
    return allocate(bytes, alignment);
}

std::string_view Arena::copy(std::string_view text) {
    if (text.empty()) {
        return {};
    }
    std::byte* to = allocate(text.size(), 1);
    std::memcpy(to, text.data(), text.size());
    return {reinterpret_cast<const char*>(to), text.size()};
}

void Arena::reset() {
    if (chunks_.size() > 1) {
        chunks_.resize(1);
    }
    if (!chunks_.empty() && chunks_.front().bytes > chunk_bytes_) {
        chunks_.clear();
    }
    offset_ = 0;
    used_bytes_ = 0;
}

}  // namespace ringfort
