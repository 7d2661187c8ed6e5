// One simulated machine: disk, clock, host, and the process on it, if one runs. Drives the process's shards as a real
// machine would: a turn when something woke it or its deadline came, never two at once, each taking virtual time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "shard/inspect.h"
#include "shard/log_move.h"
#include "shard/shard.h"
#include "sim/checkers/rest.h"
#include "sim/disk_media.h"
#include "sim/network_port.h"
#include "sim/sim_clock.h"
#include "sim/sim_disk.h"
#include "sim/sim_mailbox.h"
#include "sim/sim_process.h"

namespace ringfort::sim {

inline constexpr std::uint16_t client_port = 2379;
inline constexpr std::uint16_t peer_port = 2380;

class SimNode;

// Looks at a shard after each of its turns.
class TurnObserver {
  public:
    virtual ~TurnObserver() = default;
    virtual void after_turn(SimNode& node, shard::Shard& shard) = 0;
    // The process is gone, however it came.
    virtual void on_end(SimNode& node) = 0;
    // The process ended by its own decision; after on_end().
    virtual void on_halt(SimNode& node, env::Halt how, std::string_view reason) = 0;
    // From the next start on its replicas lie in another number of shards.
    virtual void on_shard_count(SimNode& node) = 0;
};

struct SimNodeOptions {
    shard::NodeConfig config;          // of the cluster and this member; instance, fresh and shard are the node's own
    DiskProfile disk;
    SimClock::Options clock;
    Duration turn_cost{10us};
    std::size_t mailbox_capacity{1024};
    std::uint64_t seed{0};
    bool trace{false};
};

// Where a process dies: at its `count`-th completion of the disk, or event of the network, from now on. The shard has not
// heard of it, or has had the turn in which it did.
struct CrashPoint {
    enum class Event : std::uint8_t { disk, network };
    Event event{Event::disk};
    std::uint64_t count{1};
    bool after_turn{false};
    bool power_cut{false};
    std::uint32_t keep_per_million{0};   // of a power cut
};

class SimNode {
  public:
    SimNode(EventQueue& queue, SimNetwork& network, HostId host, const SimNodeOptions& options, TurnObserver& observer);
    ~SimNode();
    SimNode(const SimNode&) = delete;
    SimNode& operator=(const SimNode&) = delete;

    // Begins a process as soon as the disk is rid of the one before. Requires: !running().
    void start();
    // Asks the process to stop in order; it ends some time later.
    void stop();
    void kill();
    // What flushes that lie have claimed has reached the medium just before, unless it shall be lost.
    enum class Claims : std::uint8_t { come_true, lost };
    void cut_power(std::uint32_t keep_per_million, Claims claims = Claims::come_true);
    void power_on();
    // Kills it later, or cuts its power. One point at a time; the process that dies before takes it along.
    void crash_at(const CrashPoint& point) { crash_point_ = point; }
    bool crash_pending() const { return crash_point_.has_value(); }
    void call_off_crash() { crash_point_.reset(); }
    // SIGSTOP and SIGCONT.
    void pause();
    void resume();
    // The data directory is lost; the next start makes a new one. Requires: !running() and a quiet disk.
    void wipe();
    // From the next start on; it begins by moving the replicas. Requires: !running().
    void set_shard_count(std::uint32_t count);
    // As a refused move asks for: the next start is with the count the directory has. false: it was wanted with no other.
    bool give_up_move();

    bool running() const { return life_ != nullptr; }
    bool starting() const { return start_wanted_; }
    bool powered() const { return powered_; }
    bool paused() const { return paused_; }
    bool ready() const;
    NodeId id() const { return options_.config.self; }
    InstanceId instance() const { return instance_; }   // 0: no data directory yet
    HostId host() const { return host_; }
    const std::string& name() const { return options_.config.name; }
    DiskMedia& media() { return media_; }
    SimClock& clock() { return clock_; }
    std::uint64_t turns() const { return turns_; }
    std::size_t shard_count() const { return options_.config.shard_count; }
    // Requires: running().
    std::vector<shard::ReplicaView> inspect();
    std::vector<shard::HashView> hashes();
    // The store of a range, for tests that spoil it; null: none is there. Requires: running().
    kv::Store* store_of(RangeId range);
    // What it has logged in this life. Requires: running().
    const std::deque<SimLogSink::Line>& log_lines() const;
    // Of all its shards together. Requires: running().
    shard::HeldView held();
    shard::FollowerReadsView follower_reads();
    // Of one of its shards. Requires: running(), and that the shard is there.
    std::vector<shard::LinkView> links(ShardId shard);
    // Of each of its shards. Requires: running().
    std::vector<Holdings> holdings();
    // Nothing while a checkpoint is being written, loaded, sent or received. Requires: running().
    std::optional<NodeFiles> files();
    std::size_t open_files() const;

  private:
    struct ShardSlot;
    struct Life;

    void begin_life();
    void begin_move(shard::NodeConfig config, std::uint32_t from_count);
    std::uint32_t stored_shard_count();
    void end_move();
    void remove_retired_shards();
    void end_life(Death death);
    void count_towards_crash(CrashPoint::Event event);
    void crash();
    void wake(std::size_t shard);
    void schedule_turn(std::size_t shard, Instant at);
    void run_turn(std::size_t shard);
    static void on_wake(void* context, std::uint64_t shard);
    static void on_disk(void* context, std::uint64_t shard);
    static void on_network(void* context, std::uint64_t shard);
    static void on_crash(void* context, std::uint64_t life, std::uint64_t);
    static void on_turn(void* context, std::uint64_t shard, std::uint64_t token);
    static void on_start(void* context, std::uint64_t token, std::uint64_t);

    EventQueue& queue_;
    SimNetwork& network_;
    HostId host_;
    SimNodeOptions options_;
    TurnObserver& observer_;
    Prng random_;
    DiskMedia media_;
    SimClock clock_;
    std::unique_ptr<Life> life_;
    std::uint64_t lives_{0};
    std::uint64_t token_{0};          // of the last turn scheduled, over all lives
    std::uint64_t turns_{0};
    std::optional<CrashPoint> crash_point_;
    InstanceId instance_{};           // 0: no data directory yet
    std::uint32_t first_shard_count_{0};   // of the data directory, until the file `shards` says another
    bool start_wanted_{false};
    bool powered_{true};
    bool paused_{false};
};

}  // namespace ringfort::sim
