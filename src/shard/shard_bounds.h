// Bounds of a shard's queues and pools. What stands here ships, and is no setting; the simulator draws them tiny, so that
// what happens at each of them is met.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bounds.h"
#include "base/bytes.h"
#include "base/instant.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

struct ShardBounds {
    // ---- a client connection
    std::size_t connection_requests{limits::requests_per_connection_max};   // without an answer
    // Answers the client has not taken: above this its requests are not read.
    std::size_t reply_backlog_bytes{4 * mib};
    // Requests that were read before may fill it further. Above this a read is refused: it can be repeated.
    std::size_t reply_backlog_reads_bytes{32 * mib};
    // Above this the client is left alone.
    std::size_t reply_backlog_end_bytes{64 * mib};
    // Replies from elsewhere: waiting here, and passed on to come. At least a reply's first credit and a piece more, which a
    // sender may take of any credit: with less none is ever asked for.
    static constexpr std::size_t first_reply_credit_bytes = 64 * kib;
    static constexpr std::size_t session_replies_bytes_min = first_reply_credit_bytes + limits::reply_piece_bytes;
    std::size_t session_replies_bytes{8 * mib};

    // ---- watches
    std::size_t connection_watches{64 * 1024};
    std::size_t watches{4 * 1024 * 1024};
    // Memory of their keys, of those of a connection and of all: the first holds that of any one watch.
    std::size_t connection_watch_key_bytes{32 * mib};
    std::size_t watch_key_bytes{512 * mib};
    // Changes that those in the present have not been told: above this they are in compaction's way no more.
    std::size_t watch_lag_changes{64 * 1024};
    // Bytes that wait for a connection: above this its watches are told nothing.
    std::size_t watch_backlog_bytes{1 * mib};

    // ---- reads
    std::size_t streams{1024};
    // While compaction waits for a stream: for so long, and while so much is written behind its revision.
    Duration stream_pin_time{60s};
    std::size_t stream_pin_bytes{256 * mib};
    std::size_t unopened_streams{64 * 1024};
    std::size_t held_reads{256 * 1024};       // more than a cluster's nodes have under way to one leader (forwards)
    std::size_t held_read_bytes{64 * mib};
    std::size_t hash_walks{64};               // of key spaces, asked for and not answered
    std::size_t sort_bytes{64 * mib};         // references of sorted ranges, of all streams together: 24 B a key
    std::size_t round_reads{64 * 1024};       // that wait for one read round
    std::size_t round_bytes{64 * mib};
    std::size_t follower_reads{64 * 1024};
    std::size_t follower_read_bytes{64 * mib};

    // ---- what goes to other shards and nodes
    std::size_t waiting_mail{4096};           // for room in their queues: above this no credit and no cancel is read
    std::size_t forwards{64 * 1024};
    std::size_t forward_bytes{64 * mib};      // of bodies held
    // Bytes of each class a peer may have on its way to us without more credit. Control has no bound but the protocol's.
    // The same on every node.
    std::array<std::uint64_t, wire::link_class_count> link_credit_bytes{UINT64_MAX, 16 * mib, 8 * mib, 4 * mib};
    std::size_t deferred_appends{64 * 1024};  // of a link, for want of credit
    std::size_t incoming_peers{256};          // connections that have not said hello yet

    // ---- a replica, a node's shard 0
    std::size_t pending_writes{64 * 1024};    // rounded up to a power of two
    std::size_t physical_compactions{256};
    std::size_t keep_alives{64 * 1024};       // requests without an answer, of a shard
    std::size_t keep_alive_ids{1024 * 1024};  // of them
    std::size_t node_jobs{256};               // requests that several shards or nodes answer
};

}  // namespace ringfort::shard
