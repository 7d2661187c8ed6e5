// What a data directory says of itself: the file `identity`.
//
//   ringfort identity            first line, exactly
//   format 1                     then one "key value" a line, in this order; numbers of ids are 16 hex digits
//   instance 0123456789abcdef
//   cluster 0123456789abcdef
//   node 0123456789abcdef
//   shards 2
//   incarnation 1
//   checksum 0123456789abcdef    XXH3 of all bytes before this line
//
// A format newer than ours is told apart before anything after it is read, so that later formats may differ freely.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace ringfort::uring {

inline constexpr std::uint32_t data_format_current = 1;

struct Identity {
    std::uint32_t format{data_format_current};
    InstanceId instance{};
    ClusterId cluster{};
    NodeId node{};
    std::uint32_t shard_count{1};
    Incarnation incarnation{1};
    bool operator==(const Identity&) const = default;
};

enum class IdentityErrc : std::uint8_t { malformed, newer_format };

std::string encode_identity(const Identity& identity);
Result<Identity, IdentityErrc> decode_identity(std::string_view text);

}  // namespace ringfort::uring
