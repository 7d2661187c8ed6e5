// The log on disk, version 1. Everything is little-endian and starts at a multiple of 8 bytes.
//
// A log is a row of segment files of fixed size, `log-<number, 16 hex digits>` in the shard's directory. A file is made
// of zero blocks, or is an old segment under a new number; so its blocks hold zeros or older bytes until they are
// written. Every batch names the segment and offset it was written for: older bytes never pass for new ones.
//
//   segment  | batch | batch | batch | ... | older bytes |      each batch begins on a block boundary (4 KiB)
//
//   batch    +--------------------+ 0
//            | header, 192 bytes  |  where and when it was written, sizes, checksums of directory and copy
//            +--------------------+ 192
//            | payloads           |  one after the other, each padded with zeros to 8 bytes
//            +--------------------+ 192 + payload_bytes
//            | directory          |  records: everything but the payloads, with each payload's checksum and place
//            +--------------------+ ... + directory_bytes
//            | copy               |  the whole directory of the batch before this one
//            +--------------------+ ... + copy_bytes
//            | zeros              |  to the next block boundary
//            +--------------------+ bytes
//
// The header's checksum covers the header, and so (by their checksums in it) directory and copy, and so (by their
// checksums in the directory) the payloads. Its seed is the instance id. What a payload's checksum is, is fixed too:
// checksum(payload).
//
//   record   +---------------------------+ 0
//            | type u8, flags u8, 0 u16  |
//            | bytes u32                 |  of the whole record, a multiple of 8
//            | range u64                 |
//            | incarnation u64           |
//            | sequence u64              |  see below
//            +---------------------------+ 32
//            | body, by type             |  records.h
//            +---------------------------+
//
// Sequences: the records of a range are numbered. A created record begins at (batch sequence << 20), which is above
// every number the range had in a former life here; entries take one each, other records one. Copies and repaired
// entries take none: they carry the number their entry had. Shard state records take none: they carry the last taken.
// So a range's history is ordered by number wherever its records lie, and a gap in the numbers is a lost record.
//
// The first batch of each segment ends its directory with an opening record and the state of every replica (hard state,
// checkpoint, log bounds) as of the end of that batch. Recovery therefore needs nothing that lies before the oldest
// segment kept, and a segment may go when no live entry lies in it.
//
// Each start opens an epoch in a segment of its own; a segment holds batches of one epoch only. Batch sequences run on
// over epochs. Every header of an epoch names the epoch's first sequence: batches of older epochs from there on count
// for nothing (they lie behind the cut), and those before it were durable when the epoch was opened.
//
// Residual risk. A batch that was answered for, but which no later batch names as durable, cannot be told from a torn
// one if it rots: it would be cut. Any later batch names it; an idle log writes one (a seal) after 10 ms. So what
// remains is: the last batch before a crash becomes unreadable, after it was durable and within the time of one flush
// or 10 ms of idleness. The replica then has forgotten what it answered for in that batch. If a batch's directory and
// the copy of it in the next batch are both unreadable, its records are unknown: the replicas not proven untouched by
// the numbering are recovered with their promises in doubt. So are all replicas if blocks cannot be read where the log
// would go on: a torn write leaves no such block.
//
// No batch has an epoch above the number of its segment: each start takes both anew, the epoch one above all it has read.
// A start that could not read every block takes one above the numbers of all files: so it is above what they may hide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/bounds.h"
#include "base/bytes.h"

namespace ringfort::log {

inline constexpr std::uint64_t batch_magic = 0x314c'474f'4c46'4e52;  // "RNFLOGL1" as bytes
inline constexpr std::uint32_t format_version = 1;

inline constexpr std::size_t header_bytes = 192;
inline constexpr std::size_t record_header_bytes = 32;
inline constexpr std::size_t payload_alignment = 8;

// Own part of a batch: header, payloads, directory without shard state.
inline constexpr std::size_t own_bytes_max = limits::batch_bytes_max;
// Directory without shard state. Half of it is for entries, the rest is room for what raft must persist at once.
inline constexpr std::size_t directory_bytes_max = 1 * mib - limits::block_bytes;
inline constexpr std::size_t replicas_max = 2048;        // on one shard
inline constexpr std::size_t file_name_bytes_max = 96;   // of a checkpoint
inline constexpr std::size_t configuration_nodes_max = 2 * limits::members_max;  // over all four lists
inline constexpr std::size_t state_record_bytes_max = 496;
// The largest batch there can be: own part, shard state, and a copy of a directory with shard state. Decoders refuse
// more.
inline constexpr std::size_t whole_directory_bytes_max =
    directory_bytes_max + replicas_max * state_record_bytes_max + limits::block_bytes;
inline constexpr std::size_t whole_batch_bytes_max =
    own_bytes_max + replicas_max * state_record_bytes_max + whole_directory_bytes_max + 2 * limits::block_bytes;

// No log ever gets here; so that arithmetic on what a header says cannot overflow.
inline constexpr std::uint64_t sequence_max = std::uint64_t{1} << 43;
inline constexpr std::uint64_t epoch_max = std::uint64_t{1} << 43;

// Payload lengths have 24 bits in the directory.
inline constexpr std::size_t payload_bytes_max = limits::command_bytes_max;

enum BatchFlags : std::uint32_t {
    flag_opening = 1,      // first of its segment
    flag_seal = 2,         // of an idle log: no records
    flag_epoch = 4,        // first of its epoch
};
inline constexpr std::uint32_t known_flags = flag_opening | flag_seal | flag_epoch;

struct BatchHeader {
    std::uint64_t magic{batch_magic};
    std::uint32_t version{format_version};
    std::uint32_t flags{0};
    std::uint64_t instance{0};
    std::uint32_t shard{0};
    std::uint32_t zero{0};
    std::uint64_t segment{0};
    std::uint64_t offset{0};             // in the segment
    std::uint64_t epoch{0};              // from 1
    std::uint64_t epoch_begin{0};        // sequence of the epoch's first batch; the cut is before it
    std::uint64_t sequence{0};           // from 1
    std::uint64_t durable_through{0};    // highest batch known durable when this one was submitted
    std::uint32_t bytes{0};              // of the whole batch, a multiple of the block
    std::uint32_t payload_bytes{0};
    std::uint32_t directory_bytes{0};
    std::uint32_t copy_bytes{0};
    std::uint64_t directory_checksum{0};
    std::uint64_t copy_checksum{0};      // equals the directory checksum of the batch before
    std::uint64_t previous_checksum{0};  // header checksum of the batch before; 0: none
    std::uint64_t previous_segment{0};   // where the batch before lies
    std::uint64_t previous_offset{0};
    std::uint32_t previous_bytes{0};
    std::uint32_t zero2{0};
    std::uint64_t zeros[5]{};
    std::uint64_t checksum{0};           // of all before it, seeded with the instance

    std::size_t directory_offset() const { return header_bytes + payload_bytes; }
    std::size_t copy_offset() const { return directory_offset() + directory_bytes; }
    std::size_t used_bytes() const { return copy_offset() + copy_bytes; }
};
static_assert(sizeof(BatchHeader) == header_bytes && std::is_trivially_copyable_v<BatchHeader>);
static_assert(offsetof(BatchHeader, sequence) == 64 && offsetof(BatchHeader, checksum) == header_bytes - 8);
static_assert(payload_bytes_max < (1U << 24), "a payload's length has 24 bits");
static_assert(header_bytes + payload_bytes_max + directory_bytes_max <= own_bytes_max, "any command fits");
static_assert(whole_batch_bytes_max < limits::segment_bytes_default, "one batch never crosses a segment");
static_assert(header_bytes % payload_alignment == 0 && limits::block_bytes % payload_alignment == 0);

// What a reader knows of a segment before it reads it.
struct SegmentIdentity {
    std::uint64_t instance{0};
    std::uint32_t shard{0};
    std::uint64_t segment{0};
};

// Sets the checksum.
void seal_header(BatchHeader& header);

enum class HeaderState : std::uint8_t {
    none,       // not a batch of this segment at this place
    newer,      // an intact header of a later format version
    valid,
};
// Total: judges the block at `offset` of a segment of `segment_bytes`. Requires: block has at least header_bytes.
HeaderState read_header(Bytes block, const SegmentIdentity& identity, std::uint64_t offset,
                        std::uint64_t segment_bytes, BatchHeader& out);

}  // namespace ringfort::log
