// The batches in memory: a ring in which the open batch grows and closed ones stay until their room is needed.
//
// Closed batches leave oldest first, and only once they are durable: what is not in memory can be read from disk.
// The open batch never moves while it holds payloads, for views of them are out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/ring_queue.h"

namespace ringfort::shard {

class BatchWindow {
  public:
    // Requires: a multiple of the block.
    explicit BatchWindow(std::size_t bytes);

    std::byte* open_memory() { return memory_.data() + open_begin_; }
    const std::byte* open_memory() const { return memory_.data() + open_begin_; }
    // Contiguous bytes the open batch may use.
    std::size_t capacity() const;
    // Tries to make capacity() at least `wanted`: evicts batches that are durable; moves the open batch if it is empty.
    void make_room(std::size_t wanted, std::uint64_t durable, bool open_is_empty);

    // Closes the open batch; the next begins behind it. `directory` is the offset of its directory.
    void close(std::uint64_t sequence, std::size_t bytes, std::size_t directory);
    bool can_close() const { return !closed_.full(); }

    struct View {
        const std::byte* memory{nullptr};     // nullptr: not in memory
        const std::byte* directory{nullptr};
        std::size_t bytes{0};
    };
    View find(std::uint64_t sequence) const;
    // The oldest closed batch in memory; `none` if there is none.
    std::uint64_t oldest(std::uint64_t none) const;

  private:
    struct Closed {
        std::uint64_t sequence{0};
        std::size_t begin{0};
        std::size_t bytes{0};
        std::size_t directory{0};
    };
    AlignedBuffer memory_;
    RingQueue<Closed> closed_;    // Invariant: sequences rise by one
    std::size_t open_begin_{0};   // a multiple of the block
};

}  // namespace ringfort::shard
