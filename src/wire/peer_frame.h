// What the two halves of the peer codec share.
#pragma once

#include "base/checksum.h"
#include "wire/flat_reader.h"
#include "wire/flat_writer.h"
#include "wire/peer_codec.h"

#include <peer_generated.h>

namespace ringfort::wire {

// In front of the head: u64 checksum, u32 head_bytes, u32 zero.
inline constexpr std::size_t peer_prefix_bytes = 16;
inline constexpr std::size_t peer_checksum_bytes = 8;

// Of a frame whose header starts at `header`: covers the header's first 8 bytes as the seed, and all behind the checksum.
inline std::uint64_t peer_checksum(const std::byte* header, Bytes behind_checksum) {
    return checksum(behind_checksum, load<std::uint64_t>(header));
}

}  // namespace ringfort::wire
