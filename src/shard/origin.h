// Where a request came from, and so where its answer goes.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/instant.h"
#include "wire/client_codec.h"

namespace ringfort::shard {

enum class OriginKind : std::uint8_t {
    none,      // nobody waits any more
    session,   // a client connection of this shard: place is the session's id, token the client's request id
    link,      // forwarded by another node: place is the link's place(), token the forwarder's
    mail,      // handed over by another shard of this node: place is the shard, token the sender's
    internal,  // the shard's own proposal
    leases,    // LeaseKeeper's: place is the range, token its own
};

struct Origin {
    OriginKind kind{OriginKind::none};
    wire::ClientKind request{wire::ClientKind::hello};
    std::uint64_t place{0};
    std::uint64_t token{0};
};

}  // namespace ringfort::shard
