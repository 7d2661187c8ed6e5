// Bytes waiting to be sent on one connection: frames are appended while the former ones are being sent.
//
// Two buffers change places: one is in the kernel's hands (send), the other grows. Both keep their memory up to a bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assertion.h"
#include "base/bytes.h"
#include "base/uninitialised.h"

namespace ringfort::wire {

class OutBuffer {
  public:
    // Room for `count` more bytes at the end, aligned to 8 if all appends were multiples of 8. Valid until the next call.
    // Not initialised.
    std::byte* extend(std::size_t count) {
        const std::size_t at = growing_.size();
        growing_.resize(at + count);
        return growing_.data() + at;
    }
    void append(Bytes bytes) { growing_.insert(growing_.end(), bytes.begin(), bytes.end()); }

    // Bytes not yet handed to send.
    std::size_t pending_bytes() const { return growing_.size(); }
    // Bytes not yet known to have left.
    std::size_t held_bytes() const { return growing_.size() + sending_.size(); }
    bool sending() const { return !sending_.empty(); }
    // The bytes appended last, for what patches or checksums a frame in place.
    std::byte* at(std::size_t offset) {
        ASSERT(offset <= growing_.size());
        return growing_.data() + offset;
    }
    // Takes back what was appended after `offset`.
    void truncate(std::size_t offset) {
        ASSERT(offset <= growing_.size());
        growing_.resize(offset);
    }

    // Moves all pending bytes to the sending side. Requires: !sending() and pending_bytes() > 0.
    Bytes start_send() {
        ASSERT(sending_.empty() && !growing_.empty());
        sending_.swap(growing_);
        return sending_;
    }
    void send_done() {
        ASSERT(!sending_.empty());
        if (sending_.capacity() > keep_bytes_max) {
            Buffer().swap(sending_);
        }
        sending_.clear();
    }

    // A stack for the codecs: offsets of the tables of a vector that is being built. Empty between messages.
    std::vector<std::uint32_t>& offsets() { return offsets_; }

  private:
    using Buffer = std::vector<std::byte, Uninitialised<std::byte>>;

    static constexpr std::size_t keep_bytes_max = 1 * mib;
    Buffer growing_;
    Buffer sending_;
    std::vector<std::uint32_t> offsets_;
};

}  // namespace ringfort::wire
