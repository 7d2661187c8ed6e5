// A checkpoint file: the state machine's own byte stream, cut into chunks, in a file of its own.
//
// The file is the stream padded with zeros to a whole block. Its checksum is chained: c0 = 0, c(i+1) = XXH3(chunk i,
// seed c(i)), over chunks of `checkpoint_chunk_bytes` (the last is shorter). Length and checksum stand in the log record
// that names the file; without such a record the file is garbage and is removed at start.
#pragma once

#include <cstdint>
#include <string>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "env/disk.h"
#include "raft/types.h"

namespace ringfort::shard {

inline constexpr std::size_t checkpoint_chunk_bytes = 256 * kib;

inline std::string checkpoint_file_name(const std::string& directory, RangeId range, raft::EntryId applied,
                                        std::uint64_t number) {
    return directory + "/checkpoint-" + std::to_string(range.value) + "-" + std::to_string(applied.index.value) + "-" +
           std::to_string(number);
}

// Whether a file that cannot be opened is lost. Whatever else comes in the way of it says nothing of the file.
inline bool is_lost(env::DiskErrc open_error) {
    return open_error == env::DiskErrc::not_found || open_error == env::DiskErrc::read_failed;
}

inline std::uint64_t chain_checksum(std::uint64_t before, Bytes chunk) {
    return checksum(chunk, before);
}

}  // namespace ringfort::shard
