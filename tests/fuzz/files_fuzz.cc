// Any text as one of the small files of a data directory: reading is total, and there is one way to write each.
//
// Input: one byte of switches. By switch 1 the rest is the memory of peers, else the identity; by switch 2 the last line
// is made the right checksum.
#include <cstdint>
#include <string>

#include "base/assertion.h"
#include "base/checksum.h"
#include "shard/peer_memory.h"
#include "uring/identity.h"

using namespace ringfort;

namespace {

std::string with_checksum(std::string text) {
    std::uint64_t sum = checksum(as_bytes(text));
    text += "checksum ";
    for (int digit = 0; digit < 16; digit++, sum <<= 4) {
        text += "0123456789abcdef"[sum >> 60];
    }
    return text + "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if ((data[0] & 2) != 0) {
        text = with_checksum(text);
    }
    if ((data[0] & 1) != 0) {
        const auto memory = shard::decode_peer_memory(text);
        ASSERT(!memory || shard::encode_peer_memory(*memory) == text);
    } else {
        const auto identity = uring::decode_identity(text);
        ASSERT(!identity || uring::decode_identity(uring::encode_identity(*identity)).has_value());
    }
    return 0;
}
