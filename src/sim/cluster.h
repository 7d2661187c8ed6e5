// A whole simulated world: network, nodes, clients, their history, and the judges that watch every turn.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/checkers/leases.h"
#include "sim/checkers/log_judge.h"
#include "sim/checkers/replicas.h"
#include "sim/narrator.h"
#include "sim/run_options.h"
#include "sim/sim_client.h"
#include "sim/sim_node.h"
#include "sim/stranger.h"

namespace ringfort::sim {

class Cluster final : public TurnObserver {
  public:
    explicit Cluster(const RunOptions& options);
    ~Cluster() override;

    EventQueue& queue() { return queue_; }
    SimNetwork& network() { return *network_; }
    const RunOptions& options() const { return options_; }
    Prng& prng() { return random_; }
    History& history() { return history_; }
    WatchRecords& watch_records() { return watch_records_; }
    const LockRecords& lock_records() const { return lock_records_; }
    std::size_t node_count() const { return nodes_.size(); }
    SimNode& node(std::size_t index) { return *nodes_[index]; }
    std::vector<std::unique_ptr<SimClient>>& clients() { return clients_; }
    const std::vector<std::unique_ptr<SimClient>>& clients() const { return clients_; }
    Stranger& stranger() { return *stranger_; }   // silent until it is started
    std::size_t leader_node();   // that leads the most ranges; any if none does

    // What a judge found first; empty while nothing is wrong.
    const std::string& violation() const { return violation_; }
    const LogJudge& log_judge() const { return log_judge_; }
    std::uint64_t leaders_seen() const { return judge_.leaders_seen(); }
    const LeaseJudge& lease_judge() const { return lease_judge_; }
    void report(std::string violation);
    // The hash of that replica's state becomes a wrong one, and is not judged until excuse_state() ends that. false: not
    // now, a command is being applied.
    bool spoil_state(std::size_t node, RangeId range);
    void excuse_state(std::size_t node, bool excused) { judge_.excuse(nodes_[node]->id(), excused); }
    // Halting for this reason is right now: the node's disk was made to fail, or it was told to stop.
    void expect_halt(std::size_t node, env::Halt how) { expected_halts_[node] |= 1u << static_cast<unsigned>(how); }
    void expect_no_halt(std::size_t node) { expected_halts_[node] = 0; }
    // Nodes whose process ended by itself since the last call, for the fault scheduler to restart.
    struct Ended {
        std::size_t node;
        env::Halt how;
    };
    std::vector<Ended> take_halted() { return std::exchange(halted_, {}); }

    // What keeps these nodes from serving is harm to data, and was told. Either one of them ended by itself for a range,
    // and took all its ranges along; or there are ranges that do not go on, and a process that ended or a line of one that
    // runs names each of them, or the directory if it is one.
    bool harm_is_named(const std::vector<bool>& among);
    // A node that is gone for good; its machine has no power, and nobody expects anything of it.
    void lose_for_ever(std::size_t node) { lost_[node] = true; }
    bool lost(std::size_t node) const { return lost_[node]; }
    // Who is left.
    std::vector<bool> present() const;
    // All that are left were ready at one time.
    bool formed() const { return formed_; }
    bool all_ready() const { return ready(present()); }
    bool ready(const std::vector<bool>& among) const;
    // Every node's replicas, one line each, to stderr: what a person looks at when something did not come back.
    void describe();
    // Every replica of every range, on these nodes, has applied the same and is in the same state; else why not.
    std::string difference(const std::vector<bool>& among);
    std::string difference() { return difference(present()); }
    // Whether their keys and values are the same, too, where they have applied the same: what their hashes of state cannot
    // tell, which came along with a checkpoint. Empty: they are. Requires: these nodes run.
    std::string hashes_differ(const std::vector<bool>& among);
    // To be told now and then: whether the cluster is formed.
    void look();

    // What is held or open that nothing needs, once nothing is asked for; empty: nothing.
    std::string unrest(const std::vector<bool>& among);
    // What was committed and is not in a replica of this node; empty: nothing. Requires: it runs.
    std::string lost_entries(std::size_t node);

    void after_turn(SimNode& node, shard::Shard& shard) override;
    void on_end(SimNode& node) override;
    void on_halt(SimNode& node, env::Halt how, std::string_view reason) override;
    void on_shard_count(SimNode& node) override { log_judge_.on_move(index_of(node)); }

  private:
    std::set<RangeId> ranges_in_trouble(const std::vector<bool>& among);
    std::set<RangeId> ranges_named() const;
    std::string alarm_stays(SimNode& node) const;
    void check_held(SimNode& node);
    bool has_applied(const SimNode& node, std::span<const shard::ReplicaView> views);
    void look_at_leases(SimNode& node, shard::Shard& shard);
    void make_nodes();
    void make_clients();
    std::size_t index_of(const SimNode& node) const;

    RunOptions options_;
    EventQueue queue_;
    Prng random_;
    History history_;
    WatchRecords watch_records_;
    LockRecords lock_records_;
    ReplicaJudge judge_;
    Narrator narrator_{queue_};
    LogJudge log_judge_;
    LeaseJudge lease_judge_;
    std::map<std::pair<NodeId, RangeId>, LogIndex> leases_seen_at_;   // by node: what it had applied then
    std::string violation_;
    std::unique_ptr<SimNetwork> network_;
    std::vector<std::unique_ptr<SimNode>> nodes_;
    std::vector<std::unique_ptr<SimClient>> clients_;
    std::unique_ptr<Stranger> stranger_;
    std::vector<std::uint32_t> expected_halts_;   // by node: bits of env::Halt
    std::vector<Ended> halted_;
    std::vector<bool> lost_;
    bool formed_{false};
    std::vector<bool> ended_for_range_;      // by node: so it was when its process ended by itself the last time
    std::set<RangeId> named_by_halts_;
    std::uint64_t turns_seen_{0};
};

}  // namespace ringfort::sim
