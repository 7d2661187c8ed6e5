// What a client may send to a node. Input: u8 kind, 7 unused, then the body.
#include "properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace ringfort;
    if (bytes < 8) {
        return 0;
    }
    wire::test::Copy body({reinterpret_cast<const std::byte*>(data) + 8, bytes - 8});
    const auto kind = static_cast<wire::ClientKind>(data[0]);
    if (kind == wire::ClientKind::hello) {
        wire::test::check_client_hello(body.bytes());
    } else if (kind == wire::ClientKind::credit) {
        wire::test::check_credit(body.bytes());
    } else {
        wire::test::check_request(kind, body.bytes());
    }
    return 0;
}
