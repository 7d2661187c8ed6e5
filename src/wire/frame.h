// Frames: what both protocols put on a connection after the preamble. Byte layout; the meaning of bodies is the codecs'.
//
//   preamble (16 bytes, once, from the side that connects; the acceptor answers with its own first frame):
//     "RINGFORT" u16 version_first u16 version_last u8 role (1 client, 2 peer) u8 zero[3]
//   frame: u32 length, u8 kind, u8 flags, u16 zero, u64 request_id, body, zero padding
//     length: whole frame, header and padding included; a multiple of 8, at least 16
//
// 'R' (0x52) is not a TLS record type, and "RINGFORT" is not HTTP/2's "PRI * HTTP/2.0".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/bounds.h"
#include "base/result.h"
#include "base/uninitialised.h"

namespace ringfort::wire {

inline constexpr std::uint16_t protocol_version = 1;
inline constexpr std::size_t preamble_bytes = 16;
inline constexpr std::size_t frame_alignment = 8;

enum class PeerRole : std::uint8_t { client = 1, peer = 2 };

struct Preamble {
    std::uint16_t version_first{protocol_version};
    std::uint16_t version_last{protocol_version};
    PeerRole role{PeerRole::client};
};

enum class FrameErrc : std::uint8_t {
    not_ringfort,          // the preamble's magic is not there (TLS, HTTP, another protocol)
    unsupported_version,
    wrong_role,            // a client on the peer port or the reverse
    bad_length,            // not a multiple of 8, too small
    too_large,             // over the connection's bound
    reserved_not_zero,
    bad_checksum,          // peer frames
    malformed_body,
    unknown_kind,
};
std::string_view to_string(FrameErrc code);

enum FrameFlags : std::uint8_t {
    flag_more = 1,         // replies: another frame of the same request follows
    flag_error = 2,        // replies: the body is an Error
    flag_goes_on = 4,      // watches: frames with more of the same revision follow
};

struct FrameHeader {
    std::uint32_t length{0};
    std::uint8_t kind{0};
    std::uint8_t flags{0};
    std::uint64_t request_id{0};
};

void encode_preamble(std::byte* out, const Preamble& preamble);   // preamble_bytes
Result<Preamble, FrameErrc> decode_preamble(Bytes bytes, PeerRole expected);
void encode_frame_header(std::byte* out, const FrameHeader& header);   // limits::frame_header_bytes
Result<FrameHeader, FrameErrc> decode_frame_header(const std::byte* bytes, std::size_t frame_bytes_max);

// Cuts a byte stream into frames. Frames that lie whole and aligned in the received bytes are seen in place; others are
// gathered in a buffer of at most frame_bytes_max. feed() the received bytes, then call next() until it has none.
class FrameReader {
  public:
    explicit FrameReader(std::size_t frame_bytes_max);

    struct Frame {
        FrameHeader header;
        Bytes body;       // aligned to 8; padding included; valid until the next call of next() or feed()
    };
    // Requires: the last bytes fed were used up (next() gave nothing). `bytes` stay valid until they are used up.
    void feed(Bytes bytes);
    // A frame; nothing (bytes used up); or an error (the connection must be closed).
    Result<std::optional<Frame>, FrameErrc> next();
    // The header of what next() would give; nothing: not enough of it is there, or next() would give an error.
    std::optional<FrameHeader> peek() const;
    // Bytes fed and not yet given out, in order: what a hand-over of the connection takes along. Ends the reader.
    std::vector<std::byte> take_unconsumed();
    // Until a preamble was seen next_preamble() must be used instead of next().
    Result<std::optional<Preamble>, FrameErrc> next_preamble(PeerRole expected);
    // Memory held now.
    std::size_t held_bytes() const;

  private:
    using Words = std::vector<std::uint64_t, Uninitialised<std::uint64_t>>;

    Result<std::optional<Frame>, FrameErrc> next_gathered();
    // Moves fed bytes to held_ until it has that many. False: not enough were fed.
    bool gather(std::size_t bytes);
    // Forgets the gathered frame that was handed out.
    void drop_given();

    std::size_t frame_bytes_max_;
    Bytes fed_;                       // not yet consumed part of what was fed
    Words held_;                      // gathered bytes, in words so that frames are aligned
    std::size_t held_bytes_{0};       // filled part of held_
    bool held_given_{false};          // the gathered frame was handed out and is dropped at the next call
};

}  // namespace ringfort::wire
