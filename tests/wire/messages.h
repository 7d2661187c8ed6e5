// Random messages of every kind, and their texts, field by field: two messages are equal if their texts are.
#pragma once

#include <string>

#include "api/types.h"
#include "base/arena.h"
#include "base/prng.h"
#include "wire/client_codec.h"
#include "wire/peer_codec.h"

namespace ringfort::wire::test {

// Messages of one seed; what they view lies in `arena`.
class RandomMessages {
  public:
    RandomMessages(std::uint64_t seed, Arena& arena) : prng_(seed), arena_(arena) {}

    api::Request request();
    // Of the operation with this place in api::Operation.
    api::Operation operation(std::size_t index);
    api::Response response();
    api::Result result(std::size_t index);
    ClientHello client_hello();
    ClientHelloReply client_hello_reply();
    raft::Message raft_message();
    // Of the alternative with this place in PeerFrame.
    PeerFrame peer_frame(std::size_t index);
    Prng& prng() { return prng_; }

  private:
    std::uint64_t u64();
    std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(u64()); }
    bool coin() { return prng_.below(2) == 0; }
    // Of an enumeration from 1 to `last`.
    template <class T>
    T enumerator(T last) {
        return static_cast<T>(prng_.between(1, static_cast<std::uint64_t>(last)));
    }
    std::string_view text(std::size_t bytes_max);
    std::span<const std::string_view> texts();
    std::span<const std::int64_t> numbers();
    api::KeyValue kv();
    std::span<const api::KeyValue> kvs();
    api::TxnRequest txn(std::size_t depth);
    std::span<const api::RequestOp> ops(std::size_t depth);
    api::TxnResponse txn_response(std::size_t depth);
    raft::EntryId entry_id() { return {Term(u64()), LogIndex(u64())}; }

    Prng prng_;
    Arena& arena_;
};

std::string text_of(const api::Request& request);
std::string text_of(const api::Response& response);
std::string text_of(const ClientHello& hello);
std::string text_of(const ClientHelloReply& reply);
std::string text_of(const PeerFrame& frame);

// The kind of a response whose result has this place in api::Result.
ClientKind kind_of_result(std::size_t index);
void encode_peer_frame(const PeerFrame& frame, OutBuffer& out);

}  // namespace ringfort::wire::test
