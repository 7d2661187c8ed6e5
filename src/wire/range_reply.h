// The reply that carries most of the bytes, written by hand: a FlatBuffer in one forward pass, without a builder.
#pragma once

#include "api/types.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::wire {

// Of the frame: what a long reply is counted by, at its sender, on its way, and at its reader (schemas/README.md).
std::size_t range_reply_bytes(const api::RangeResponse& range);
// Appends the frame. `header`: without its length. False, and nothing appended, if it would be longer than
// client_frame_bytes_max.
bool encode_range_reply(const FrameHeader& header, const api::ResponseHeader& from, const api::RangeResponse& range,
                        OutBuffer& out);

}  // namespace ringfort::wire
