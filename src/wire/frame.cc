#include "wire/frame.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/assertion.h"

namespace ringfort::wire {

namespace {

constexpr std::string_view magic = "RINGFORT";
constexpr std::uint8_t known_flags = flag_more | flag_error | flag_goes_on;
// Gathered bytes beyond this are given back once their frame was consumed.
constexpr std::size_t keep_words_max = 64 * kib / sizeof(std::uint64_t);

bool starts_like_magic(Bytes bytes) {
    const std::size_t count = std::min(bytes.size(), magic.size());
    return count == 0 || std::memcmp(bytes.data(), magic.data(), count) == 0;
}

}  // namespace

std::string_view to_string(FrameErrc code) {
    switch (code) {
        case FrameErrc::not_ringfort: return "not the ringfort protocol";
        case FrameErrc::unsupported_version: return "protocol version not supported";
        case FrameErrc::wrong_role: return "wrong port: clients and peers have their own";
        case FrameErrc::bad_length: return "bad frame length";
        case FrameErrc::too_large: return "frame too large";
        case FrameErrc::reserved_not_zero: return "reserved bits of a frame are set";
        case FrameErrc::bad_checksum: return "bad frame checksum";
        case FrameErrc::malformed_body: return "frame body cannot be decoded";
        case FrameErrc::unknown_kind: return "unknown kind of frame";
    }
    UNREACHABLE();
}

void encode_preamble(std::byte* out, const Preamble& preamble) {
    std::memset(out, 0, preamble_bytes);
    std::memcpy(out, magic.data(), magic.size());
    store(out + 8, preamble.version_first);
    store(out + 10, preamble.version_last);
    store(out + 12, preamble.role);
}

Result<Preamble, FrameErrc> decode_preamble(Bytes bytes, PeerRole expected) {
    if (bytes.size() < preamble_bytes || !starts_like_magic(bytes)) {
        return failure(FrameErrc::not_ringfort);
    }
    Preamble preamble;
    preamble.version_first = load<std::uint16_t>(bytes.data() + 8);
    preamble.version_last = load<std::uint16_t>(bytes.data() + 10);
    // Before anything else that a later version may have given a meaning.
    if (preamble.version_first > protocol_version || preamble.version_last < protocol_version) {
        return failure(FrameErrc::unsupported_version);
    }
    if (load<std::uint8_t>(bytes.data() + 12) != static_cast<std::uint8_t>(expected)) {
        return failure(FrameErrc::wrong_role);
    }
    preamble.role = expected;
    for (std::size_t i = 13; i < preamble_bytes; i++) {
        if (bytes[i] != std::byte{0}) {
            return failure(FrameErrc::reserved_not_zero);
        }
    }
    return preamble;
}

void encode_frame_header(std::byte* out, const FrameHeader& header) {
    ASSERT(header.length >= limits::frame_header_bytes && header.length % frame_alignment == 0);
    store(out, header.length);
    store(out + 4, header.kind);
    store(out + 5, header.flags);
    store(out + 6, std::uint16_t{0});
    store(out + 8, header.request_id);
}

Result<FrameHeader, FrameErrc> decode_frame_header(const std::byte* bytes, std::size_t frame_bytes_max) {
    FrameHeader header;
    header.length = load<std::uint32_t>(bytes);
    header.kind = load<std::uint8_t>(bytes + 4);
    header.flags = load<std::uint8_t>(bytes + 5);
    header.request_id = load<std::uint64_t>(bytes + 8);
    if (header.length < limits::frame_header_bytes || header.length % frame_alignment != 0) {
        return failure(FrameErrc::bad_length);
    }
    if (load<std::uint16_t>(bytes + 6) != 0 || (header.flags & ~known_flags) != 0) {
        return failure(FrameErrc::reserved_not_zero);
    }
    if (header.length > frame_bytes_max) {
        return failure(FrameErrc::too_large);
    }
    return header;
}

FrameReader::FrameReader(std::size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {
    ASSERT(frame_bytes_max >= limits::frame_header_bytes);
}

void FrameReader::feed(Bytes bytes) {
    ASSERT(fed_.empty());
    drop_given();
    fed_ = bytes;
}

Result<std::optional<FrameReader::Frame>, FrameErrc> FrameReader::next() {
    drop_given();
    const bool in_place = held_bytes_ == 0 && reinterpret_cast<std::uintptr_t>(fed_.data()) % frame_alignment == 0;
    if (in_place && fed_.size() >= limits::frame_header_bytes) {
        TRY_ASSIGN(const FrameHeader header, decode_frame_header(fed_.data(), frame_bytes_max_));
        if (fed_.size() >= header.length) {
            const Bytes body = fed_.subspan(limits::frame_header_bytes, header.length - limits::frame_header_bytes);
            fed_ = fed_.subspan(header.length);
            return Frame{header, body};
        }
    }
    return next_gathered();
}

Result<std::optional<FrameReader::Frame>, FrameErrc> FrameReader::next_gathered() {
    if (!gather(limits::frame_header_bytes)) {
        return std::nullopt;
    }
    const auto* held = reinterpret_cast<const std::byte*>(held_.data());
    TRY_ASSIGN(const FrameHeader header, decode_frame_header(held, frame_bytes_max_));
    if (!gather(header.length)) {
        return std::nullopt;
    }
    held_given_ = true;
    held = reinterpret_cast<const std::byte*>(held_.data());  // may have moved
    return Frame{header, Bytes(held, header.length).subspan(limits::frame_header_bytes)};
}

bool FrameReader::gather(std::size_t bytes) {
    if (held_bytes_ < bytes) {
        const std::size_t count = std::min(bytes - held_bytes_, fed_.size());
        if (count > 0) {
            // Grows with what has arrived, not with what a header promises; doubling, up to the frame.
            const std::size_t words = div_ceil(held_bytes_ + count, sizeof(std::uint64_t));
            if (held_.size() < words) {
                held_.resize(std::min(std::max(words, 2 * held_.size()), div_ceil(bytes, sizeof(std::uint64_t))));
            }
            std::memcpy(reinterpret_cast<std::byte*>(held_.data()) + held_bytes_, fed_.data(), count);
            held_bytes_ += count;
            fed_ = fed_.subspan(count);
        }
    }
    return held_bytes_ >= bytes;
}

void FrameReader::drop_given() {
    if (held_given_) {
        held_given_ = false;
        held_bytes_ = 0;
        if (held_.capacity() > keep_words_max) {
            Words().swap(held_);
        }
    }
}

std::optional<FrameHeader> FrameReader::peek() const {
    std::array<std::byte, limits::frame_header_bytes> bytes{};
    const Bytes gathered = held_given_ ? Bytes{} : Bytes(std::as_bytes(std::span(held_))).first(held_bytes_);
    const std::size_t first = std::min(gathered.size(), bytes.size());
    if (first + fed_.size() < bytes.size()) {
        return std::nullopt;
    }
    std::ranges::copy(gathered.first(first), bytes.begin());
    std::ranges::copy(fed_.first(bytes.size() - first), bytes.begin() + static_cast<std::ptrdiff_t>(first));
    const auto header = decode_frame_header(bytes.data(), frame_bytes_max_);
    return header ? std::optional(*header) : std::nullopt;
}

std::vector<std::byte> FrameReader::take_unconsumed() {
    drop_given();
    const auto* held = reinterpret_cast<const std::byte*>(held_.data());
    std::vector<std::byte> bytes(held, held + held_bytes_);
    bytes.insert(bytes.end(), fed_.begin(), fed_.end());
    held_bytes_ = 0;
    fed_ = {};
    Words().swap(held_);
    return bytes;
}

Result<std::optional<Preamble>, FrameErrc> FrameReader::next_preamble(PeerRole expected) {
    const bool whole = gather(preamble_bytes);
    const Bytes held(reinterpret_cast<const std::byte*>(held_.data()), held_bytes_);
    if (!starts_like_magic(held)) {
        return failure(FrameErrc::not_ringfort);
    }
    if (!whole) {
        return std::nullopt;
    }
    TRY_ASSIGN(const Preamble preamble, decode_preamble(held, expected));
    held_bytes_ = 0;
    return preamble;
}

std::size_t FrameReader::held_bytes() const {
    return held_.capacity() * sizeof(std::uint64_t);
}

}  // namespace ringfort::wire
