// A checkpoint file: the state machine's own byte stream, cut into chunks, in a file of its own.
//
// The file is the stream padded with zeros to a whole block. Its checksum is chained: c0 = 0, c(i+1) = XXH3(chunk i,
// seed c(i)), over chunks of `checkpoint_chunk_bytes` (the last is shorter). Length and checksum stand in the log record
// that names the file; without such a record the file is garbage and is removed at start. One that the disk cannot read is
// kept as "unread-..." until its replica has been rebuilt and has another one: the disk may read it again, and by then it
// may be the only one there is.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "env/disk.h"
#include "raft/types.h"

namespace ringfort::shard {

inline constexpr std::size_t checkpoint_chunk_bytes = 256 * kib;

inline constexpr std::string_view checkpoint_prefix = "checkpoint-";

inline std::string checkpoint_file_name(const std::string& directory, RangeId range, raft::EntryId applied,
                                        std::uint64_t number) {
    return directory + '/' + std::string(checkpoint_prefix) + std::to_string(range.value) + "-" +
           std::to_string(applied.index.value) + "-" + std::to_string(number);
}

inline constexpr std::string_view unread_prefix = "unread-";

// Of a checkpoint file that is set aside, as the disk cannot read it.
inline std::string unread_file_name(std::string name) {
    return name.insert(name.rfind('/') + 1, unread_prefix);
}

// Whose it is, by its name in its directory; nothing: it is not one set aside.
inline std::optional<RangeId> range_of_unread_file(std::string_view name) {
    if (!name.starts_with(unread_prefix) || !name.substr(unread_prefix.size()).starts_with(checkpoint_prefix)) {
        return std::nullopt;
    }
    name.remove_prefix(unread_prefix.size() + checkpoint_prefix.size());
    std::uint64_t range = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), range);
    return error == std::errc{} && end != name.data() + name.size() && *end == '-' ? std::optional(RangeId(range))
                                                                                   : std::nullopt;
}

// Whether a file that cannot be opened is lost. Whatever else comes in the way of it says nothing of the file.
inline bool is_lost(env::DiskErrc open_error) {
    return open_error == env::DiskErrc::not_found || open_error == env::DiskErrc::read_failed;
}

inline std::uint64_t chain_checksum(std::uint64_t before, Bytes chunk) {
    return checksum(chunk, before);
}

}  // namespace ringfort::shard
