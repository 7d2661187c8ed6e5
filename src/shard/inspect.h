// What the simulator's judges and tests may see of a shard. Nothing here changes anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "kv/lease_table.h"
#include "kv/store.h"
#include "raft/types.h"
#include "shard/link_view.h"
#include "shard/pool_view.h"
#include "shard/shard.h"
#include "shard/turn_work.h"

namespace ringfort::shard {

struct ReplicaView {
    RangeId range{};
    raft::Role role{};
    Term term{};
    NodeId leader{};
    LogIndex commit{};
    Term commit_term{};            // of the entry there; 0: not in the log, nor the last that the snapshot covers
    LogIndex applied{};
    raft::EntryId last{};
    std::uint64_t state_hash{0};   // at `applied`
    bool in_doubt{false};
    bool out_of_service{false};    // its state was found to be wrong, and is not rebuilt yet
    bool damaged{false};           // an entry's payload is lost here, and not fetched from a peer yet
    std::uint64_t live_bytes{0};   // of the store; 0 for the directory
    std::size_t pending{0};        // answers owed
    std::size_t alarms{0};         // raised
    Incarnation incarnation{};
    InstanceId instance{};         // of the data directory
    raft::EntryId durable{};       // of its own log, the last that is
};

std::vector<ReplicaView> inspect(Shard& shard);
// For tests that spoil it. Null: there is none.
kv::Store* store_of(Shard& shard, RangeId range);

// The leases of a range as its replica here has them.
struct LeaseView {
    api::LeaseId id{0};
    kv::LeaseFacts facts;
};
struct LeasesView {
    RangeId range{};
    LogIndex applied{};
    api::Revision revision{0};       // then
    std::vector<LeaseView> leases;   // by id
};
std::vector<LeasesView> inspect_leases(Shard& shard);

// The hash of each range's keys and values at the current revision, in one go.
struct HashView {
    RangeId range{};
    LogIndex applied{};
    api::HashKvResponse hash;
};
std::vector<HashView> inspect_hashes(Shard& shard);

// What clients make the shard hold.
struct HeldView {
    std::size_t replies{0};    // bytes of answers that connections have not taken
    std::size_t requests{0};   // bytes received from clients and not yet used
    std::size_t forwarded{0};  // bytes of requests that wait for another place or its answer, or came from one and wait
    std::size_t sorted{0};     // bytes of references to what is being sorted
    std::size_t reads{0};      // bytes of requests in read rounds, or that wait at a follower
    std::size_t streams{0};    // long replies that have not ended
    std::size_t watch_keys{0}; // bytes of the keys of watches
};

HeldView inspect_held(Shard& shard);

// What it holds of everything that has a bound (see PoolView).
PoolList inspect_pools(Shard& shard);
// Of its last turn.
const TurnWork& inspect_work(Shard& shard);
std::vector<LinkView> inspect_links(Shard& shard);
// Files of its log, and whether a checkpoint is being written, loaded, sent or received.
struct FilesView {
    std::uint64_t log_files{0};
    std::vector<std::string> checkpoints;   // that its replicas begin from
    bool checkpoint_work{false};
    bool scrubbing{false};                  // a checkpoint is open, to be read and compared
};
FilesView inspect_files(Shard& shard);

// Linearizable reads that came to a replica that did not lead.
struct FollowerReadsView {
    std::uint64_t asked{0};       // questions to leaders
    std::uint64_t served{0};      // here
    std::uint64_t passed_on{0};   // taken here, and then left to the leader's node
    std::uint64_t given_up{0};    // times that a replica was found behind
    std::uint64_t waiting{0};     // now
};

FollowerReadsView inspect_follower_reads(Shard& shard);

}  // namespace ringfort::shard
