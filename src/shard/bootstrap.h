// From an empty or recovered data directory to a node that takes part.
//
// A directory that was never used asks every other initial member before anything is made: only if all of them answer,
// and none remembers another instance of this member, is the cluster (or this node's part of it) new. If one remembers
// another instance, this node's data was lost: it comes back with a higher incarnation, counts in no quorum, and is filled
// by its peers until their fence for it is durable here. Which instances belong to the cluster is remembered in a small
// file, written before the first promise.
//
// No incarnation may stand for two directories: the fence of the first would end the doubt of the second. A directory
// therefore promises nothing under a new incarnation before as many peers as a quorum has members remember durably that
// it is this directory's; and it draws one above all that as many peers remember. Any two such sets of peers meet, so a
// later directory hears of it, and of two that ask at once only one gets it. An incarnation that fewer peers heard of
// stands for nothing, and may be drawn again. It costs no availability: a fence needs a quorum without this node as well.
// (The other way is to draw numbers at random, which needs no second answer. Then uniqueness is a matter of chance, as
// incarnations have to rise and little of the number is left for it; and a peer that knows a higher one from a directory
// that never stood refuses this one for ever.)
//
// What remains: with five members or more, a directory that drew a number after an announcement in vain, was lost, and had
// told one peer only, leaves that peer with a number above what the next directory draws if it hears of neither. That peer
// refuses it, and must: for all it knows the higher number stands for promises. The node takes part without that peer
// until its directory is wiped once more; both say so.
//
// A peer reports, and lets a link come up with, only what it remembers durably; until then it refuses, and is asked again.
//
// Only shard 0 asks and remembers durably; the other shards are told by mail, and refuse what is older than they heard.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shard/context.h"
#include "shard/patience.h"
#include "shard/peer_links.h"
#include "shard/peer_memory.h"

namespace ringfort::shard {

// "host:port" of the node's own client listener as it advertises it; empty if it advertises none.
std::string_view own_client_address(const NodeConfig& config);

struct ReplicaStart;
struct LoadedState;

class Bootstrap {
  public:
    explicit Bootstrap(Context& context);

    // Reads the memory of peers, then starts the log's recovery.
    void start();
    void on_recovered(RecoveredLog& recovered);
    // What a peer says it is, found not to be outdated. False: it may have no link yet, but shall come again.
    [[nodiscard]] bool on_peer_heard(PeerLinks::Peer& peer, InstanceId instance, Incarnation incarnation);
    // The directory changed (shard 0) or was mailed (others): makes the replicas that belong here.
    void on_directory(const kv::Directory& directory);
    // Of one shard of this node, at its first start: its log exists durably. Only shard 0 is told.
    void on_log_ready();
    // From shard 0, again and again: what this node is in the cluster.
    void on_identity(Incarnation incarnation);

    void on_timers(Instant now);
    bool recovered() const { return stage_ != Stage::reading_memory && stage_ != Stage::recovering; }
    bool loading() const { return loading_ > 0; }
    // Every replica that the directory places here exists.
    bool complete() const { return complete_; }

  private:
    enum class Stage : std::uint8_t { reading_memory, recovering, loading, asking, saving, running };

    void read_memory();
    void on_memory_read();
    // false: halted.
    bool recall(std::string_view text);
    PeerMemory memory() const;
    void save_memory();
    void on_memory_saved();
    void tell_no_space();
    struct Pending;   // a replica whose checkpoint is being loaded
    void restore(RecoveredReplica& recovered);
    void on_checkpoint_loaded(Pending& pending, LoadedState state);
    bool may_rebuild(const Pending& pending, const LoadedState& state);
    void rebuild(const Pending& pending, bool unreadable, ReplicaStart& loaded);
    void add_restored(ReplicaStart&& start);
    void decide();
    // It is up, and what it says of this node holds for what this node is now.
    bool remembers_us(const PeerLinks::Peer& peer) const;
    void announce(Incarnation incarnation);
    void report_waiting();
    void create_directory_replica();
    void make_replica(const kv::RangeRecord& range);
    void tell_domains();
    void tell_differences(const kv::DirectoryState& founded);
    bool refuse_unknown(RangeId range);
    void add_fresh(RangeId range, DomainId domain, const std::vector<NodeId>& voters);

    Context& context_;
    Stage stage_{Stage::reading_memory};
    env::DiskOperation operation_;
    Patience patience_;            // with the file of peers
    bool no_space_told_{false};
    bool memory_found_{false};
    bool wiped_{false};
    bool replicas_unknown_{false};   // the log lost records, and perhaps replicas with them
    bool complete_{false};
    bool differences_told_{false};
    std::size_t logs_ready_{0};            // of this node's shards, at its first start
    std::size_t loading_{0};
    Instant report_at_{};
    struct Heard {
        NodeId node;
        InstanceId instance;
        Incarnation incarnation;
        bool operator==(const Heard&) const = default;
    };
    // Not remembered yet, at most one of each peer. It does not change while it is being written, or waits to be again.
    std::vector<Heard> heard_;
    // Replicas whose checkpoint is being loaded; their recovered parts are kept meanwhile.
    std::vector<std::unique_ptr<Pending>> pending_;

  public:
    ~Bootstrap();
};

}  // namespace ringfort::shard
