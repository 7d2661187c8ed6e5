// What the client codecs share.
#pragma once

#include <cstring>

#include "api/types.h"
#include "wire/client_codec.h"
#include "wire/flat_reader.h"
#include "wire/flat_writer.h"

#include <client_generated.h>

namespace ringfort::wire {

// Appends a frame whose body is the FlatBuffer `build(builder)` returns the root of. False, and nothing appended, if it
// would be longer than client_frame_bytes_max.
template <class Build>
bool append_client_frame(OutBuffer& out, const FrameHeader& header, std::size_t hint_bytes, Build&& build) {
    const std::size_t begin = out.pending_bytes();
    out.extend(limits::frame_header_bytes);
    append_flat(out, hint_bytes, build);
    const std::size_t length = out.pending_bytes() - begin;
    if (length > client_frame_bytes_max) {
        out.truncate(begin);
        return false;
    }
    FrameHeader whole = header;
    whole.length = static_cast<std::uint32_t>(length);
    encode_frame_header(out.at(begin), whole);
    return true;
}

// A vector of longs as an array in the arena.
inline std::span<const std::int64_t> numbers(const FlatStructs& from, FlatReader& reader, Arena& arena) {
    const std::span<std::int64_t> out = reader.take_array<std::int64_t>(arena, from.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = from.field<std::int64_t>(i, 0);
    }
    return out;
}
// Absent if there are none.
inline Flat<flatbuffers::Vector<std::int64_t>> put_numbers(FlatBuilder& builder, std::span<const std::int64_t> from) {
    return from.empty() ? 0 : builder.CreateVector(from.data(), from.size());
}

// Enough for the tables of a request or reply with one key.
inline constexpr std::size_t small_body_bytes = 384;

}  // namespace ringfort::wire
