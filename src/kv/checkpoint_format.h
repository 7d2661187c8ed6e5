// The checkpoint of a range: a stream of blocks, each one checksummed, whose payloads concatenate to a stream of items.
//
//   block    u32 payload_bytes (1..64 Ki), u32 number (from 0), u64 checksum of the payload seeded with number, payload
//
//   items    head; alarms in order; leases, and each lease in the order of ids; then for each key in key order: key, its
//            versions newest first; then end
//   head     u8 1, u64 magic, u32 format version, u64 range, u64 applied, i64 revision, i64 compact_revision, u64 hash
//   alarm    u8 7, u64 member, u8 type
//   leases   u8 5, u32 section version, i64 lease clock, u64 its term, u64 count. Not there if nobody ever spoke of leases
//   lease    u8 6, i64 id, i64 ttl, i64 deadline, u64 version. Its keys follow from their newest versions
//   key      u8 2, u32 key_bytes, key
//   version  u8 3, u8 flags (1 removal, 2 the key's last), i64 mod, u32 sub, i64 create, i64 version, i64 lease,
//            u32 value_bytes, value; a removal has create, version, lease and value_bytes 0
//   end      u8 4, u64 keys, u64 versions, u64 content (the checksums of all blocks but those that hold the end, chained)
//
// The end has a block of its own. What is written is what a reader at any revision from compact_revision to revision can
// see and nothing else, so the same state gives the same bytes, however far compaction has come in giving space back.
// Integers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/checksum.h"

namespace ringfort::kv::checkpoint {

inline constexpr std::uint64_t magic = 0x3176'6b63'7466'6e72;   // "rnftckv1"
inline constexpr std::uint32_t format_version = 1;
inline constexpr std::uint32_t leases_version = 1;

inline constexpr std::size_t block_head_bytes = 4 + 4 + 8;
inline constexpr std::size_t block_payload_bytes_max = 64 * 1024;

enum class ItemKind : std::uint8_t { head = 1, key = 2, version = 3, end = 4, leases = 5, lease = 6, alarm = 7 };
inline constexpr std::uint8_t removal_flag = 1;
inline constexpr std::uint8_t last_flag = 2;

inline constexpr std::size_t head_bytes = 1 + 8 + 4 + 8 + 8 + 8 + 8 + 8;
inline constexpr std::size_t key_fixed_bytes = 1 + 4;
inline constexpr std::size_t version_fixed_bytes = 1 + 1 + 8 + 4 + 8 + 8 + 8 + 4;
inline constexpr std::size_t end_bytes = 1 + 8 + 8 + 8;
inline constexpr std::size_t leases_bytes = 1 + 4 + 8 + 8 + 8;
inline constexpr std::size_t lease_bytes = 1 + 8 + 8 + 8 + 8;
inline constexpr std::size_t alarm_item_bytes = 1 + 8 + 1;
inline constexpr std::size_t fixed_bytes_max = head_bytes;

inline std::uint64_t chain_content(std::uint64_t content, std::uint64_t block_checksum) {
    std::byte field[8];
    store(field, block_checksum);
    return checksum(field, content);
}

}  // namespace ringfort::kv::checkpoint
