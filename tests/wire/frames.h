// Encoded frames in tests: cut them, read them.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::wire::test {

inline Bytes pending(OutBuffer& out) {
    return {out.at(0), out.pending_bytes()};
}

// The one frame in `bytes`, in place. Requires: aligned to 8.
inline FrameReader::Frame only_frame(Bytes bytes) {
    FrameReader reader(limits::frame_bytes_max);
    reader.feed(bytes);
    auto frame = reader.next();
    EXPECT_TRUE(frame && *frame);
    EXPECT_EQ((*frame)->header.length, bytes.size());
    EXPECT_TRUE(reader.take_unconsumed().empty());
    return **frame;
}

}  // namespace ringfort::wire::test
