// What the parts of a shard share. One per shard; every part holds a reference and nothing else ties them together.
#pragma once

#include <algorithm>
#include <string>

#include "base/arena.h"
#include "base/instant.h"
#include "base/prng.h"
#include "env/world.h"
#include "kv/directory.h"
#include "raft/raft.h"
#include "shard/log_store.h"
#include "shard/node_config.h"
#include "shard/turn_work.h"

namespace ringfort::shard {

class PeerLinks;
class Sessions;
class Router;
class ReadRounds;
class FollowerReads;
class Replicas;
class Checkpoints;
class Streams;
class Forwards;
class LogQueue;
class LeaseKeeper;
class Watches;
class HashWalks;
class SpaceAlarms;
class StateCompare;

struct Context {
    env::World& world;
    NodeConfig config;
    Prng prng;

    Instant now{};        // read once a turn
    Instant started_at{};
    bool stopping{false}; // refuses new work
    bool halted{false};   // the log failed or the node must not serve: nothing leaves any more

    LogStore* log{nullptr};
    PeerLinks* links{nullptr};
    Sessions* sessions{nullptr};
    Router* router{nullptr};
    ReadRounds* rounds{nullptr};
    FollowerReads* follower_reads{nullptr};
    Replicas* replicas{nullptr};
    Checkpoints* checkpoints{nullptr};
    Streams* streams{nullptr};
    Forwards* forwards{nullptr};
    LogQueue* log_queue{nullptr};
    LeaseKeeper* leases{nullptr};
    Watches* watches{nullptr};
    HashWalks* hash_walks{nullptr};
    SpaceAlarms* space_alarms{nullptr};
    StateCompare* state_compare{nullptr};

    // When timers are wanted earlier than they last said: whoever sets a deadline outside of the timers lowers it.
    Instant timers_wanted{never};
    void want_timers(Instant at) { timers_wanted = std::min(timers_wanted, at); }

    // The directory as this shard knows it: the replica's own on shard 0, a mailed copy elsewhere. Null before.
    const kv::Directory* directory{nullptr};
    // The largest request: as the cluster agreed on it, once that is known.
    std::uint32_t request_bytes() const {
        const bool agreed = directory != nullptr && directory->bootstrapped();
        return agreed ? directory->state().settings.request_bytes : config.settings.request_bytes;
    }

    Arena request_arena{};  // of the request being handled
    Arena answer_arena{};   // of the answer being built
    Arena frame_arena{};    // of the peer frame being handled
    TurnWork work{};        // of this turn so far, or of the last

    void log_line(env::LogLevel level, const std::string& line) { world.log.write(level, line); }
};

}  // namespace ringfort::shard
