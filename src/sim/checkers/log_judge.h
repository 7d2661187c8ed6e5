// Holds what replicas say against what the disks have: nothing is committed before a quorum has it durable, leaders were
// elected by durable votes and have what was committed, logs match, nothing committed changes or goes away.
//
// What the disks have is learned from the writes themselves (media_log.h). Only what changed since the last look costs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shard/inspect.h"
#include "sim/checkers/entry_book.h"
#include "sim/checkers/media_log.h"
#include "sim/checkers/promises.h"
#include "sim/disk_media.h"

namespace ringfort::sim {

class LogJudge {
  public:
    explicit LogJudge(std::size_t nodes) : entries_(nodes), promises_(nodes), nodes_(nodes) {}

    // Watches the disk of the node, counted from 0. `media` outlives this or is never written again.
    void watch(std::size_t node, NodeId id, DiskMedia& media);
    // After a turn of one of the node's shards. Returns what is wrong, empty if nothing is.
    std::string observe(std::size_t node, NodeId id, std::span<const shard::ReplicaView> views);
    // Its number of shards changes: replicas go to other logs of the node. Which of them a batch continues is not known
    // here: from now on it may have anything durable. Once a quorum has moved nothing is judged any more.
    void on_move(std::size_t node);
    // The process ended.
    void forget(std::size_t node) { nodes_[node].seen.clear(); }
    // Everything that was ever committed is in this replica's state.
    std::string check_final(std::size_t node, const shard::ReplicaView& view) const;

    // The node's disk reads as it should, if it is sound and never had another number of shards. Requires: nothing is
    // being written.
    std::string check_disk(std::size_t node) const;

    const EntryBook& entries() const { return entries_; }

  private:
    struct Seen {
        Term term{};
        raft::Role role{};
        LogIndex commit{};
    };
    struct Node final : DiskWatcher {
        void on_write(std::uint64_t offset, Bytes content) override;

        LogJudge* judge{nullptr};
        std::size_t number{0};
        NodeId id{};
        DiskMedia* media{nullptr};
        std::vector<std::unique_ptr<MediaLog>> logs;   // by shard
        std::map<RangeId, Seen> seen;                  // in this life of the process
        bool moved{false};                             // then it has no logs here
        std::uint64_t looked_at{0};                    // operations of the disk that had ended
        std::uint64_t rollbacks{0};                    // of the disk, when it was written last
    };
    std::string poll(Node& node);
    std::string on_leader(Node& node, NodeId id, const shard::ReplicaView& view) const;
    std::optional<Term> term_at(const Node& node, RangeId range, LogIndex index) const;

    EntryBook entries_;
    PromiseBook promises_;
    std::vector<Node> nodes_;
    std::string found_;   // by a watcher
    bool off_{false};     // a quorum has moved
};

}  // namespace ringfort::sim
