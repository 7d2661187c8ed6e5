// What a node may send to a client. Input: u8 kind, u8 flags, 6 unused, then the body.
#include "properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace ringfort;
    if (bytes < 8) {
        return 0;
    }
    wire::test::Copy body({reinterpret_cast<const std::byte*>(data) + 8, bytes - 8});
    const auto kind = static_cast<wire::ClientKind>(data[0]);
    const auto flags = static_cast<std::uint8_t>(data[1] & (wire::flag_more | wire::flag_error));
    if (kind == wire::ClientKind::hello && flags == 0) {
        wire::test::check_client_hello_reply(body.bytes());
    } else {
        wire::test::check_response(kind, flags, body.bytes());
    }
    return 0;
}
