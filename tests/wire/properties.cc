#include "properties.h"

#include <cstdlib>

#include "base/assertion.h"
#include "base/checksum.h"
#include "messages.h"

namespace ringfort::wire::test {

namespace {

// Of the one frame in `out`.
Bytes body_of(OutBuffer& out) {
    const auto header = decode_frame_header(out.at(0), limits::frame_bytes_max);
    ASSERT(header);
    ASSERT(header->length == out.pending_bytes());
    return Bytes(out.at(0), out.pending_bytes()).subspan(limits::frame_header_bytes);
}

}  // namespace

Copy::Copy(Bytes bytes) : memory_(static_cast<std::byte*>(std::malloc(bytes.size()))), bytes_(bytes.size()) {
    if (!bytes.empty()) {
        std::memcpy(memory_, bytes.data(), bytes.size());
    }
}
Copy::~Copy() {
    std::free(memory_);
}

bool check_request(ClientKind kind, Bytes body) {
    Arena arena;
    const auto decoded = decode_request(kind, body, arena);
    ASSERT(arena.used_bytes() <= limits::decoded_bytes_max);
    if (!decoded) {
        return false;
    }
    ASSERT(kind_of(decoded->op) == kind);
    OutBuffer out;
    if (!encode_request(1, *decoded, out)) {
        return true;  // offsets of the original aliased
    }
    Arena again_arena;
    const auto again = decode_request(kind, body_of(out), again_arena);
    ASSERT(again);
    ASSERT(text_of(*again) == text_of(*decoded));
    return true;
}

bool check_response(ClientKind kind, std::uint8_t flags, Bytes body) {
    Arena arena;
    const auto decoded = decode_response(kind, flags, body, arena);
    ASSERT(arena.used_bytes() <= reply_decoded_bytes_max);
    if (!decoded) {
        return false;
    }
    OutBuffer out;
    if (!encode_response(1, kind, *decoded, out)) {
        return true;
    }
    Arena again_arena;
    const auto again = decode_response(kind, flags, body_of(out), again_arena);
    ASSERT(again);
    ASSERT(text_of(*again) == text_of(*decoded));
    return true;
}

bool check_client_hello(Bytes body) {
    const auto decoded = decode_client_hello(body);
    if (!decoded) {
        return false;
    }
    OutBuffer out;
    encode_client_hello(*decoded, out);
    const auto again = decode_client_hello(body_of(out));
    ASSERT(again && text_of(*again) == text_of(*decoded));
    return true;
}

bool check_client_hello_reply(Bytes body) {
    const auto decoded = decode_client_hello_reply(body);
    if (!decoded) {
        return false;
    }
    OutBuffer out;
    encode_client_hello_reply(*decoded, out);
    const auto again = decode_client_hello_reply(body_of(out));
    ASSERT(again && text_of(*again) == text_of(*decoded));
    return true;
}

bool check_credit(Bytes body) {
    const auto decoded = decode_credit(body);
    if (!decoded) {
        return false;
    }
    OutBuffer out;
    encode_credit(1, *decoded, out);
    const auto again = decode_credit(body_of(out));
    ASSERT(again && *again == *decoded);
    return true;
}

bool check_peer_frame(Bytes frame) {
    Copy copy(frame);
    const MutableBytes bytes = copy.bytes();
    if (bytes.size() >= 24) {
        store(bytes.data() + 16, checksum(bytes.subspan(24), load<std::uint64_t>(bytes.data())));
    }
    FrameReader reader(limits::frame_bytes_max);
    reader.feed(bytes);
    const auto cut = reader.next();
    if (!cut || !*cut) {
        return false;
    }
    Arena arena;
    const auto decoded = decode_peer(**cut, arena);
    // Heads decode to a small multiple of themselves.
    ASSERT(arena.used_bytes() <= 4 * frame.size() + 1024);
    if (!decoded) {
        return false;
    }
    OutBuffer out;
    encode_peer_frame(*decoded, out);
    FrameReader again_reader(limits::frame_bytes_max);
    again_reader.feed({out.at(0), out.pending_bytes()});
    const auto again_cut = again_reader.next();
    ASSERT(again_cut && *again_cut);
    Arena again_arena;
    const auto again = decode_peer(**again_cut, again_arena);
    ASSERT(again);
    ASSERT(text_of(*again) == text_of(*decoded));
    return true;
}

}  // namespace ringfort::wire::test
