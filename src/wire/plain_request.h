// Frames of requests that say nothing but two texts: a put of a key and a value, a get or removal of a key or of an
// interval, everything else as it is when it is not given. Laid out at once instead of table by table: they are nearly all
// that a client sends.
#pragma once

#include "api/types.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::wire {

enum class PlainOutcome : std::uint8_t {
    appended,
    too_long,    // longer than client_frame_bytes_max; nothing appended
    not_plain,   // it says more; nothing appended
};
PlainOutcome encode_plain_request(const FrameHeader& header, const api::Request& request, OutBuffer& out);

}  // namespace ringfort::wire
