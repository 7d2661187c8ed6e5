// What one node may send to another. Input: a whole frame; its checksum is made right before it is decoded.
#include "properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    ringfort::wire::test::check_peer_frame({reinterpret_cast<const std::byte*>(data), bytes});
    return 0;
}
