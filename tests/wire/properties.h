// What holds for every decoder and any bytes: it ends, stays within its bound of memory, and what it gives is a message:
// encoded and decoded again it is the same. Aborts if not, so that tests and fuzzers can share it.
#pragma once

#include "wire/client_codec.h"
#include "wire/peer_codec.h"

namespace ringfort::wire::test {

// Each returns whether the bytes were a message.
bool check_request(ClientKind kind, Bytes body);
bool check_response(ClientKind kind, std::uint8_t flags, Bytes body);
bool check_client_hello(Bytes body);
bool check_client_hello_reply(Bytes body);
bool check_credit(Bytes body);
// `frame`: whole, header included. With the checksum that belongs to it, so that what lies behind is reached.
bool check_peer_frame(Bytes frame);

// A copy of its own and aligned to 8, so that reading outside of it is caught.
class Copy {
  public:
    explicit Copy(Bytes bytes);
    ~Copy();
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    MutableBytes bytes() { return {memory_, bytes_}; }

  private:
    std::byte* memory_;
    std::size_t bytes_;
};

}  // namespace ringfort::wire::test
