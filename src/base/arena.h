// A bump allocator for what lives until the end of one step: decoded requests, replies being built.
// Nothing is destroyed one by one: only trivially destructible types go in. Chunks are kept for the next use.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ringfort {

class Arena {
  public:
    // `chunk_bytes`: how much is taken from the heap at a time; a larger object gets a chunk of its own.
    explicit Arena(std::size_t chunk_bytes = 64 * 1024);
    Arena(Arena&&) noexcept = default;
    Arena& operator=(Arena&&) noexcept = default;

    // Uninitialised memory, valid until reset(). `alignment` is a power of two, at most 64.
    std::byte* allocate(std::size_t bytes, std::size_t alignment);

    // `count` value-initialised objects.
    template <class T>
    std::span<T> make_array(std::size_t count) {
        static_assert(std::is_trivially_destructible_v<T>);
        if (count == 0) {
            return {};
        }
        T* first = reinterpret_cast<T*>(allocate(count * sizeof(T), alignof(T)));
        for (std::size_t i = 0; i < count; i++) {
            new (first + i) T();
        }
        return {first, count};
    }
    template <class T>
    T* make() {
        return make_array<T>(1).data();
    }
    std::string_view copy(std::string_view text);

    // Everything handed out becomes invalid; the first chunk is kept, others go back to the heap.
    void reset();
    // Bytes handed out since reset().
    std::size_t used_bytes() const { return used_bytes_; }

  private:
    struct Chunk {
        std::unique_ptr<std::byte[]> memory;
        std::size_t bytes{0};
    };
    std::size_t chunk_bytes_;
    std::size_t used_bytes_{0};
    std::vector<Chunk> chunks_;
    std::size_t offset_{0};  // into the last chunk
};

}  // namespace ringfort
