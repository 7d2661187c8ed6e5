#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/aligned_buffer.h"
#include "base/prng.h"
#include "frames.h"

namespace ringfort::wire {
namespace {

using test::pending;

constexpr std::size_t frame_max = 4096;

void append_frame(OutBuffer& out, std::uint64_t request_id, std::size_t body_bytes) {
    const std::size_t length = limits::frame_header_bytes + body_bytes;
    std::byte* at = out.extend(length);
    encode_frame_header(at, {.length = static_cast<std::uint32_t>(length), .kind = 3, .request_id = request_id});
    for (std::size_t i = 0; i < body_bytes; i++) {
        at[limits::frame_header_bytes + i] = static_cast<std::byte>(request_id + i);
    }
}

std::string text_of(const FrameReader::Frame& frame) {
    return std::to_string(frame.header.request_id) + ":" + std::string(as_text(frame.body)) + ";";
}

FrameErrc error_of(FrameReader& reader, Bytes bytes) {
    reader.feed(bytes);
    const auto frame = reader.next();
    EXPECT_FALSE(frame);
    return frame ? FrameErrc{} : frame.error();
}

TEST(Frame, header_round_trips) {
    std::byte bytes[limits::frame_header_bytes];
    encode_frame_header(bytes, {.length = 1024, .kind = 7, .flags = flag_more | flag_error, .request_id = UINT64_MAX});
    const auto header = decode_frame_header(bytes, 1024);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->length, 1024u);
    EXPECT_EQ(header->kind, 7);
    EXPECT_EQ(header->flags, 3);
    EXPECT_EQ(header->request_id, UINT64_MAX);
}

TEST(Frame, header_of_the_bound_is_taken_and_eight_bytes_more_are_too_large) {
    std::byte bytes[limits::frame_header_bytes];
    encode_frame_header(bytes, {.length = frame_max});
    EXPECT_TRUE(decode_frame_header(bytes, frame_max));
    encode_frame_header(bytes, {.length = frame_max + 8});
    const auto header = decode_frame_header(bytes, frame_max);
    ASSERT_FALSE(header);
    EXPECT_EQ(header.error(), FrameErrc::too_large);
}

TEST(Frame, lengths_below_a_header_or_not_of_eights_are_bad) {
    for (const std::uint32_t length : {0u, 8u, 15u, 17u, 20u, 1023u, UINT32_MAX}) {
        std::byte bytes[limits::frame_header_bytes] = {};
        store(bytes, length);
        const auto header = decode_frame_header(bytes, frame_max);
        ASSERT_FALSE(header) << length;
        EXPECT_EQ(header.error(), FrameErrc::bad_length) << length;
    }
}

TEST(Frame, reserved_bits_must_be_zero) {
    for (const std::size_t at : {5u, 6u, 7u}) {
        std::byte bytes[limits::frame_header_bytes];
        encode_frame_header(bytes, {.length = 16});
        bytes[at] = std::byte{8};
        const auto header = decode_frame_header(bytes, frame_max);
        ASSERT_FALSE(header) << at;
        EXPECT_EQ(header.error(), FrameErrc::reserved_not_zero) << at;
    }
}

TEST(Preamble, round_trips_for_both_roles) {
    for (const PeerRole role : {PeerRole::client, PeerRole::peer}) {
        std::byte bytes[preamble_bytes];
        encode_preamble(bytes, {.role = role});
        const auto preamble = decode_preamble(bytes, role);
        ASSERT_TRUE(preamble);
        EXPECT_EQ(preamble->version_first, protocol_version);
        EXPECT_EQ(preamble->version_last, protocol_version);
        EXPECT_EQ(preamble->role, role);
    }
}

TEST(Preamble, every_fault_has_its_error) {
    std::byte good[preamble_bytes];
    encode_preamble(good, {.role = PeerRole::client});
    const auto fault = [&](std::size_t at, std::uint8_t value) {
        std::byte bytes[preamble_bytes];
        std::copy(std::begin(good), std::end(good), bytes);
        bytes[at] = static_cast<std::byte>(value);
        const auto preamble = decode_preamble(bytes, PeerRole::client);
        EXPECT_FALSE(preamble) << at;
        return preamble ? FrameErrc{} : preamble.error();
    };
    EXPECT_EQ(fault(0, 'P'), FrameErrc::not_ringfort);
    EXPECT_EQ(fault(7, 't'), FrameErrc::not_ringfort);
    EXPECT_EQ(fault(8, 2), FrameErrc::unsupported_version);    // first > ours
    EXPECT_EQ(fault(10, 0), FrameErrc::unsupported_version);   // last < ours
    EXPECT_EQ(fault(12, 2), FrameErrc::wrong_role);
    EXPECT_EQ(fault(12, 9), FrameErrc::wrong_role);
    EXPECT_EQ(fault(13, 1), FrameErrc::reserved_not_zero);
    EXPECT_EQ(fault(15, 1), FrameErrc::reserved_not_zero);
}

TEST(Preamble, a_wider_interval_of_versions_is_taken) {
    std::byte bytes[preamble_bytes];
    encode_preamble(bytes, {.version_first = 0, .version_last = 9, .role = PeerRole::peer});
    const auto preamble = decode_preamble(bytes, PeerRole::peer);
    ASSERT_TRUE(preamble);
    EXPECT_EQ(preamble->version_last, 9);
}

TEST(FrameReader, strangers_are_known_by_their_first_wrong_byte) {
    for (const std::string_view stranger : {"\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\n", "RINGFORD"}) {
        FrameReader reader(frame_max);
        reader.feed(as_bytes(stranger));
        const auto preamble = reader.next_preamble(PeerRole::client);
        ASSERT_FALSE(preamble) << stranger;
        EXPECT_EQ(preamble.error(), FrameErrc::not_ringfort);
    }
}

TEST(FrameReader, whole_aligned_frames_are_seen_in_place_without_memory) {
    OutBuffer out;
    append_frame(out, 1, 8);
    append_frame(out, 2, 0);
    append_frame(out, 3, 1000);
    FrameReader reader(frame_max);
    reader.feed(pending(out));
    std::size_t at = 0;
    for (std::uint64_t id = 1; id <= 3; id++) {
        const auto frame = reader.next();
        ASSERT_TRUE(frame && *frame);
        EXPECT_EQ((*frame)->header.request_id, id);
        EXPECT_EQ((*frame)->body.data(), out.at(at + limits::frame_header_bytes));
        at += (*frame)->header.length;
    }
    EXPECT_FALSE(*reader.next());
    EXPECT_EQ(reader.held_bytes(), 0u);
}

TEST(FrameReader, bodies_are_aligned_whatever_the_received_bytes_are) {
    OutBuffer out;
    append_frame(out, 1, 64);
    append_frame(out, 2, 128);
    for (std::size_t shift = 0; shift < 8; shift++) {
        AlignedBuffer memory(4096);
        std::memcpy(memory.data() + shift, out.at(0), out.pending_bytes());
        FrameReader reader(frame_max);
        reader.feed({memory.data() + shift, out.pending_bytes()});
        for (std::uint64_t id = 1; id <= 2; id++) {
            const auto frame = reader.next();
            ASSERT_TRUE(frame && *frame);
            EXPECT_EQ((*frame)->header.request_id, id);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>((*frame)->body.data()) % frame_alignment, 0u);
            EXPECT_EQ((*frame)->body[5], static_cast<std::byte>(id + 5));
        }
        EXPECT_FALSE(*reader.next());
    }
}

TEST(FrameReader, peek_tells_the_header_of_the_next_frame_wherever_its_bytes_lie) {
    OutBuffer out;
    append_frame(out, 1, 24);
    append_frame(out, 2, 0);
    append_frame(out, 3, 8);
    for (std::size_t piece = 1; piece <= out.pending_bytes(); piece++) {
        FrameReader reader(frame_max);
        std::uint64_t id = 1;
        for (std::size_t at = 0; at < out.pending_bytes(); at += piece) {
            reader.feed(pending(out).subspan(at, std::min(piece, out.pending_bytes() - at)));
            for (;;) {
                const auto header = reader.peek();
                const auto frame = reader.next();
                ASSERT_TRUE(frame.has_value());
                ASSERT_TRUE(!*frame || header);
                if (!*frame) {
                    break;
                }
                EXPECT_EQ(header->request_id, id);
                EXPECT_EQ((*frame)->header.request_id, id);
                id++;
            }
        }
        EXPECT_EQ(id, 4u) << piece;
    }
    FrameReader reader(16);
    reader.feed(pending(out));
    EXPECT_FALSE(reader.peek()) << "too large";
}

// The stream: a preamble and frames of many sizes. Split in two at every byte, and in pieces of every size.
class FrameReaderSplit : public testing::Test {
  protected:
    FrameReaderSplit() {
        encode_preamble(out_.extend(preamble_bytes), {.role = PeerRole::client});
        for (const std::size_t body : {0u, 8u, 16u, 24u, 120u, 0u, 336u}) {
            append_frame(out_, body + 1, body);
            FrameReader::Frame frame{{.request_id = body + 1}, pending(out_).last(body)};
            expected_ += text_of(frame);
        }
    }

    // Every frame of the stream cut at `cuts` (ascending).
    std::string read(const std::vector<std::size_t>& cuts) {
        FrameReader reader(frame_max);
        std::string seen;
        bool preamble_seen = false;
        std::size_t begin = 0;
        for (const std::size_t end : cuts) {
            // A copy of its own, so that reading outside of the piece is caught.
            const Bytes piece = pending(out_).subspan(begin, end - begin);
            const std::vector<std::byte> received(piece.begin(), piece.end());
            reader.feed(received);
            if (!preamble_seen) {
                const auto preamble = reader.next_preamble(PeerRole::client);
                EXPECT_TRUE(preamble);
                preamble_seen = preamble && *preamble;
            }
            while (preamble_seen) {
                const auto frame = reader.next();
                EXPECT_TRUE(frame);
                if (!frame || !*frame) {
                    break;
                }
                seen += text_of(**frame);
            }
            begin = end;
        }
        return seen;
    }

    OutBuffer out_;
    std::string expected_;
};

TEST_F(FrameReaderSplit, in_two_at_every_byte) {
    for (std::size_t at = 0; at <= out_.pending_bytes(); at++) {
        ASSERT_EQ(read({at, out_.pending_bytes()}), expected_) << at;
    }
}

TEST_F(FrameReaderSplit, in_pieces_of_every_size) {
    for (std::size_t size = 1; size <= 64; size++) {
        std::vector<std::size_t> cuts;
        for (std::size_t at = size; at < out_.pending_bytes(); at += size) {
            cuts.push_back(at);
        }
        cuts.push_back(out_.pending_bytes());
        ASSERT_EQ(read(cuts), expected_) << size;
    }
}

TEST_F(FrameReaderSplit, hand_over_gives_exactly_what_was_not_consumed) {
    const Bytes stream = pending(out_);
    for (std::size_t at = preamble_bytes; at <= stream.size(); at++) {
        for (int frames_before = 0; frames_before < 3; frames_before++) {
            FrameReader first(frame_max);
            // In two pieces, so that there are both gathered and fed bytes.
            first.feed(stream.first(at / 2));
            std::string seen;
            bool preamble = first.next_preamble(PeerRole::client)->has_value();
            if (preamble) {
                while (const auto frame = *first.next()) {
                    seen += text_of(*frame);
                }
            }
            first.feed(stream.subspan(at / 2, at - at / 2));
            if (!preamble) {
                preamble = first.next_preamble(PeerRole::client)->has_value();
            }
            for (int i = 0; preamble && i < frames_before; i++) {
                if (const auto frame = *first.next()) {
                    seen += text_of(*frame);
                }
            }
            ASSERT_TRUE(preamble);
            std::vector<std::byte> rest = first.take_unconsumed();
            rest.insert(rest.end(), stream.begin() + static_cast<std::ptrdiff_t>(at), stream.end());
            FrameReader second(frame_max);
            second.feed(rest);
            while (const auto frame = *second.next()) {
                seen += text_of(*frame);
            }
            ASSERT_EQ(seen, expected_) << at << " " << frames_before;
        }
    }
}

TEST(FrameReader, memory_grows_with_what_arrives_not_with_what_a_header_promises) {
    std::byte header[limits::frame_header_bytes];
    encode_frame_header(header, {.length = limits::frame_bytes_max});
    FrameReader reader(limits::frame_bytes_max);
    reader.feed(header);
    EXPECT_FALSE(*reader.next());
    EXPECT_LE(reader.held_bytes(), 64u);
    const std::vector<std::byte> some(1000);
    reader.feed(some);
    EXPECT_FALSE(*reader.next());
    EXPECT_LE(reader.held_bytes(), 4096u);
}

TEST(FrameReader, memory_of_a_large_frame_is_given_back) {
    OutBuffer out;
    append_frame(out, 1, 1 * mib);
    append_frame(out, 2, 8);
    const Bytes stream = pending(out);
    FrameReader reader(limits::frame_bytes_max);
    reader.feed(stream.first(100));
    EXPECT_FALSE(*reader.next());
    reader.feed(stream.subspan(100));
    ASSERT_TRUE(*reader.next());
    EXPECT_GE(reader.held_bytes(), 1 * mib);
    EXPECT_LE(reader.held_bytes(), 2 * mib);
    const auto frame = *reader.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->header.request_id, 2u);
    EXPECT_FALSE(*reader.next());
    EXPECT_LE(reader.held_bytes(), 64 * kib);
}

TEST(FrameReader, an_oversized_frame_is_refused_by_its_header_and_stays_refused) {
    std::byte header[limits::frame_header_bytes];
    encode_frame_header(header, {.length = frame_max + 8});
    FrameReader whole(frame_max);
    EXPECT_EQ(error_of(whole, header), FrameErrc::too_large);
    FrameReader pieces(frame_max);
    pieces.feed(Bytes(header).first(7));
    EXPECT_FALSE(*pieces.next());
    EXPECT_EQ(error_of(pieces, Bytes(header).subspan(7)), FrameErrc::too_large);
    EXPECT_EQ(pieces.next().error(), FrameErrc::too_large);
}

TEST(OutBuffer, frames_appended_during_a_send_wait_for_the_next) {
    OutBuffer out;
    append_frame(out, 1, 8);
    const Bytes first = out.start_send();
    EXPECT_EQ(first.size(), 24u);
    EXPECT_TRUE(out.sending());
    EXPECT_EQ(out.pending_bytes(), 0u);
    append_frame(out, 2, 16);
    EXPECT_EQ(out.pending_bytes(), 32u);
    EXPECT_EQ(out.held_bytes(), 56u);
    EXPECT_EQ(load<std::uint64_t>(first.data() + 8), 1u);
    out.send_done();
    EXPECT_EQ(out.held_bytes(), 32u);
    EXPECT_EQ(load<std::uint64_t>(out.start_send().data() + 8), 2u);
}

}  // namespace
}  // namespace ringfort::wire
