// Kinds of mail between the shards of a node (env::Mail::kind) and what their words mean.
#pragma once

#include <cstdint>

namespace ringfort::shard {

enum class MailKind : std::uint32_t {
    // words: token, (request kind | redirect << 8 | credit for a long reply << 32), range, time left in ns; buffer: the
    // request's body
    request = 1,
    // words: token, (request kind | frame flags << 8); buffer: the reply's body
    reply = 2,
    // words: token; the sender no longer wants the reply
    cancel = 3,
    // words: token, bytes; more of a long reply may be sent
    credit = 4,
    // buffer: the directory's checkpoint, from shard 0, after each change
    directory = 5,
    // the buffer goes back to the shard it was made on
    return_buffer = 6,
    // words: token, target node (0: status is asked), range or ~0, time left in ns; this shard's part of a request about
    // the whole node
    node_ask = 7,
    // words: incarnation of this node; from shard 0, before the directory. Above 1: its data was lost once
    identity = 8,
    // no words; to shard 0 at the first start of a node: the sender's log exists durably
    log_ready = 9,
    // words: token, error code, leaderships handed over; buffer: of a status, the body of a reply. Answers node_ask
    node_part = 10,
    // words: bytes; the memory the sender's data takes
    memory = 11,
    // Watches of a session here whose range is there. words: session, request id, credit; buffer: the request's body
    watch_open = 12,
    // words: session, requests for watches that are answered by it, bytes of these; buffer: whole frames
    watch_frames = 13,
    // words: session, bytes of frames that its connection has taken
    watch_took = 14,
    // words: session, request id, bytes, whether a mark is wanted
    watch_grant = 15,
    // words: session, request id
    watch_cancel = 16,
    // words: session; all of its watches end
    watch_gone = 17,
};

}  // namespace ringfort::shard
