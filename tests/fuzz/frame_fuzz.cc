// A stream read whole and the same stream read in pieces give the same preamble, frames and error.
// Input: u8 piece sizes' seed, u8 skip preamble, 6 unused, then the stream.
#include <string>
#include <vector>

#include "base/assertion.h"
#include "base/prng.h"
#include "wire/frame.h"

namespace {

using namespace ringfort;

constexpr std::size_t frame_max = 64 * kib;

std::string read(Bytes stream, bool preamble, std::uint64_t seed) {
    Prng prng(seed);
    wire::FrameReader reader(frame_max);
    std::string seen;
    while (!stream.empty()) {
        const std::size_t bytes = seed == 0 ? stream.size() : prng.between(1, std::min<std::size_t>(stream.size(), 100));
        // A copy of its own, so that reading outside of the piece is caught.
        const std::vector<std::byte> piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(bytes));
        stream = stream.subspan(bytes);
        reader.feed(piece);
        if (preamble) {
            const auto next = reader.next_preamble(wire::PeerRole::client);
            if (!next) {
                return seen + "preamble " + std::string(to_string(next.error()));
            }
            if (!*next) {
                continue;
            }
            preamble = false;
            seen += "preamble;";
        }
        while (true) {
            const auto next = reader.next();
            if (!next) {
                return seen + std::string(to_string(next.error()));
            }
            if (!*next) {
                break;
            }
            const wire::FrameReader::Frame& frame = **next;
            ASSERT(reinterpret_cast<std::uintptr_t>(frame.body.data()) % wire::frame_alignment == 0);
            ASSERT(frame.header.length == limits::frame_header_bytes + frame.body.size());
            seen += std::to_string(frame.header.request_id) + std::string(as_text(frame.body)) + ";";
        }
        ASSERT(reader.held_bytes() <= frame_max + 64 * kib);
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    if (bytes < 8) {
        return 0;
    }
    const Bytes stream(reinterpret_cast<const std::byte*>(data) + 8, bytes - 8);
    const bool preamble = data[1] % 2 == 0;
    ASSERT(read(stream, preamble, 0) == read(stream, preamble, data[0] + 1u));
    return 0;
}
