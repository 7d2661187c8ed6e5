// What the log knows of each replica in memory: its newest promises and checkpoint, and where its entries lie.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "log/records.h"
#include "log/replay.h"
#include "log/run_list.h"
#include "raft/types.h"
#include "shard/log_store.h"

namespace ringfort::shard {

struct LogReplica {
    RangeId range{};
    raft::HardState hard_state;
    bool promises_in_doubt{false};   // found at recovery; ends with a new incarnation
    std::optional<CheckpointRecord> checkpoint;
    log::RunList runs;               // after the checkpoint
    std::uint64_t last_sequence{0};  // number of its last record
    std::uint64_t payload_bytes{0};  // of `runs`
    LogIndex memory_first{1};        // entries from here on were appended in batches that are in memory
    std::uint64_t hard_state_batch{0};   // the open batch that holds its hard state record, at
    std::uint32_t hard_state_record{0};

    raft::EntryId last() const;
    log::RecordHeader head(log::RecordType type, std::uint64_t sequence) const;
    log::RecordHeader next_head(log::RecordType type) { return head(type, ++last_sequence); }
};

log::HardStateBody to_body(const raft::HardState& hard_state);
raft::HardState from_body(const log::HardStateBody& body, std::uint64_t incarnation);
// A view: `checkpoint` must outlive it.
log::CheckpointBody to_body(const CheckpointRecord& checkpoint);
CheckpointRecord from_body(const log::OwnedCheckpoint& checkpoint);

// The replicas, by range.
class ReplicaTable {
  public:
    LogReplica* find(RangeId range);
    const LogReplica* find(RangeId range) const { return const_cast<ReplicaTable*>(this)->find(range); }
    // Requires: there is none of this range, and fewer than log::replicas_max.
    LogReplica& add(RangeId range);
    void remove(RangeId range);
    std::size_t size() const { return replicas_.size(); }
    LogReplica& operator[](std::size_t i) { return *replicas_[i]; }

    // An upper bound of what write_states() appends.
    std::size_t state_bytes_max() const { return (replicas_.size() + 1) * log::state_record_bytes_max; }
    // Every replica's state, as a segment begins with it.
    void write_states(log::DirectoryWriter& directory) const;

  private:
    std::vector<std::unique_ptr<LogReplica>> replicas_;  // sorted by range
    LogReplica* last_found_{nullptr};
};

}  // namespace ringfort::shard
