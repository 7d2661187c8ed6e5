// One shard's log: open batch, flushes, segments, entries in memory and on disk, recovery, space.
//
// All ranges of the shard append to the open batch; close_batch() submits it and opens the next. A batch is durable when
// it and all before it are: then on_durable(sequence) runs. The batch's memory is also where followers' appends and apply
// read entries from. Batches leave memory oldest first, when their room is needed and once they are durable, applied or
// not: a replica that cannot apply must not hold up the others. What has left is read with read().
//
// Disk format: log/format.h. Recovery table: log/recovery.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/instant.h"
#include "env/world.h"
#include "raft/types.h"
#include "shard/background_pace.h"

namespace ringfort::shard {

// Counts the shard's batches since this start; strictly rising. Batch 0 does not exist.
using BatchSequence = std::uint64_t;

// A checkpoint as a log record names it.
struct CheckpointRecord {
    raft::EntryId applied{};
    std::uint64_t state_hash{0};
    std::uint64_t bytes{0};
    std::uint64_t file_checksum{0};
    raft::Configuration configuration;   // in force at `applied`
    std::string file;                    // name in the shard's directory; empty: the initial state (1, 1), no file
};

// Too few for a quorum without one that counts for nothing until it is rebuilt: what it lost nobody gives back.
inline bool too_few_to_rebuild(const raft::Configuration& configuration) {
    return configuration.voters.size() < 3 || (!configuration.outgoing.empty() && configuration.outgoing.size() < 3);
}

// What recovery found of one range.
struct RecoveredReplica {
    RangeId range{};
    raft::HardState hard_state;
    bool promises_in_doubt{false};           // hard state lost or damaged: the replica needs a new incarnation
    std::optional<CheckpointRecord> checkpoint;
    std::vector<raft::Entry> entries;        // after the checkpoint, in order; payloads in memory for config and fence
                                             // kinds, else empty views (read them with read())
    std::vector<LogIndex> damaged;           // entries whose payload is lost but id and checksum are known
};

struct RecoveredLog {
    bool fresh{false};                       // no log was there
    bool replicas_unknown{false};            // records were lost: replicas may be missing below, of which nothing else
                                             // is known; stays so until replicas_known()
    std::vector<RecoveredReplica> replicas;  // by range id
    std::vector<std::string> notes;          // one line each for the operator: cuts, damage
};

struct LogOptions {
    ShardId shard{};
    // Of the node. Replicas in the log that shard_of() places elsewhere do not count, and are gone from then on: they are
    // what a change of the shard count left behind, finished or not. 0: all count.
    std::uint32_t shard_count{0};
    InstanceId instance{};
    std::size_t members{0};                  // of the cluster; 0: not known
    std::string directory;                   // "shard-0"
    std::size_t segment_bytes{limits::segment_bytes_default};
    std::size_t segments_ready{2};           // that stand ready ahead of need
    std::size_t window_bytes{32 * mib};      // batches kept in memory
    std::uint64_t log_bytes_goal{1 * gib};   // above it, what holds the oldest segment is asked to go (set_log_goal)
};

struct LogCounters {
    std::uint64_t batches{0};         // durable
    std::uint64_t flushes{0};         // device flushes asked for (dsync writes, syncs)
    std::uint64_t bytes_written{0};   // to log files, padding included
    std::uint64_t entry_bytes{0};     // payloads appended
    std::uint64_t segments{0};        // files, live and ready
    std::uint64_t file_bytes{0};      // of these files
    std::uint64_t copied_entries{0};  // live entries written again so that an old segment can go
    Duration flush_p99{0};
    Duration oldest_flush{0};         // age of the oldest write in flight; 0: none
};

// Who is told. Calls come from dispatch of the disk; on_log_failed() may also come from close_batch().
class LogListener {
  public:
    virtual ~LogListener() = default;
    virtual void on_recovered(RecoveredLog& recovered) = 0;      // views are valid during the call
    virtual void on_durable(BatchSequence through) = 0;
    // The log took its last write: nothing more becomes durable. Permanent.
    virtual void on_log_failed(std::string_view reason) = 0;
    // A checkpoint of this range would free the oldest segment.
    virtual void on_checkpoint_wanted(RangeId range) = 0;
};

// Reads old entries; a member of whoever asks.
class EntryRead {
  public:
    using Callback = void (*)(EntryRead& read);
    Callback callback{nullptr};
    void* context{nullptr};
    bool in_flight{false};
    // Results: entries with payloads in `memory`, a prefix of what was asked; `damaged` if the next one is unreadable.
    std::vector<raft::Entry> entries;
    bool damaged{false};
    // The unreadable one. If the directory of its batch can be read, in either place: without its payload, and how long
    // that was. Else nothing but ids is known, and those behind it through `damaged_through`, of the same term, are lost
    // with it.
    raft::EntryId damaged_id{};
    LogIndex damaged_through{};
    std::optional<raft::Entry> damaged_entry;
    std::size_t damaged_bytes{0};
    std::uint64_t disk_bytes{0};    // that the disk was asked for
    std::unique_ptr<class EntryReadState> state;

    EntryRead();
    ~EntryRead();
};

enum class LogStart : std::uint8_t {
    any,        // an empty directory is a fresh log
    existing,   // an empty directory is a lost log: the start fails, and nothing is written
};

class LogStore {
  public:
    LogStore(env::World& world, const LogOptions& options, LogListener& listener);
    ~LogStore();
    LogStore(const LogStore&) = delete;
    LogStore& operator=(const LogStore&) = delete;

    // Reads every segment, decides by the recovery table, syncs all files, opens a new epoch; then on_recovered(). Works
    // in steps of close_batch(): call that every turn from here on, and by next_deadline() at the latest. A log that
    // cannot be started (files that cannot be opened, a later format, no disk space; read errors that hide what no peer
    // could give back, and then nothing is written) ends in on_log_failed().
    void start(LogStart how = LogStart::any);

    // While it starts: how much of the log has been read, of 100; 100 from then on.
    std::uint64_t percent_read() const;

    // ---- building the open batch; after on_recovered(). Once the log has failed all this is taken and dropped.
    //
    // Admission: entries need can_append() before (for a peer's append: once for the whole message, before raft sees it,
    // so that what raft must persist is never refused halfway; a message that does not fit is dropped, and sent again).
    // All other records are always taken: room for them is set aside, half of each directory, and of one replica's hard
    // states in one batch only the last is kept. Small entries raft makes itself (noop, config, fence) count as such.

    // Room for an entry's payload in the batch: fill it, then seal_entry() with checksum(payload) before the next append.
    // Indices of a range rise by one; truncate first to go back.
    MutableBytes append_entry(RangeId range, raft::EntryId id, raft::EntryKind kind, std::size_t payload_bytes);
    void seal_entry(std::uint64_t checksum);
    // A replica's first record; before any other of its range. Initial state (1, 1) or empty (joins by snapshot).
    void append_created(RangeId range, const raft::HardState& hard_state, const CheckpointRecord* initial);
    // The same for a replica that comes from another shard's log, with all that log knows: its entries follow.
    void append_moved(RangeId range, const raft::HardState& hard_state, bool promises_in_doubt,
                      const CheckpointRecord* checkpoint);
    // An entry whose payload is lost: it will be found damaged. Until the next start it must not be read here.
    void append_lost_entry(RangeId range, const raft::Entry& entry, std::size_t payload_bytes);
    void append_hard_state(RangeId range, const raft::HardState& hard_state);
    void append_truncate(RangeId range, LogIndex from);             // entries >= from are void
    void append_checkpoint(RangeId range, const CheckpointRecord& checkpoint);        // made here
    void append_snapshot_installed(RangeId range, const CheckpointRecord& checkpoint);  // came from a peer; voids the log
    void append_repaired(RangeId range, const raft::Entry& entry);  // a damaged entry's payload, found again
    void append_removed(RangeId range);

    // Whether `entries` entries with this many payload bytes in all can be taken now: window, disk space and batch bounds.
    // false: try after on_durable. What was refused has room set aside in the next batch, so it is not starved.
    bool can_append(std::size_t payload_bytes, std::size_t entries = 1) const;
    // Whether the disk has room for the log to grow; false: refuse writes with no_space, keep deletes and compaction.
    bool has_space() const;
    // What the last new file of the log met: no room, or a disk that fails. Requires: !has_space().
    env::DiskErrc space_error() const;

    // The sequence the open batch will have. Effects that wait for durability wait for this.
    BatchSequence open_batch() const;
    // Of the last record so far: the open batch if it holds any, else the one before. An open batch that stays empty is
    // never written.
    BatchSequence last_batch() const;
    BatchSequence durable() const;
    // Submits the open batch if it holds anything and fewer than the bound are in flight; else it goes on growing.
    // Called at the end of each turn. Also seals an idle log (10 ms) and does background work in small steps.
    void close_batch(Instant now);
    // Everything appended is durable, and so is a later batch that says so: damage in it can be told from a torn write.
    bool sealed() const;
    // When close_batch() wants to be called at the latest although nothing happens.
    Instant next_deadline() const;

    // ---- entries
    // In memory: the entry, valid until the next close_batch(); else nullopt.
    std::optional<raft::Entry> find(RangeId range, LogIndex index) const;
    // Likewise, `first` and what follows it in memory, as far as it lies together; how many. 0: `first` is not in memory.
    std::size_t find(RangeId range, LogIndex first, std::span<raft::Entry> out) const;
    // From memory or disk, asynchronously; never answered inside of this call. Results hold their own memory. They are what
    // was in the log when it was read: entries may have been truncated since, so compare ids. `read` lives until answered.
    void read(RangeId range, LogIndex first, LogIndex last, std::size_t bytes_max, EntryRead& read);
    // Not once a checkpoint at it or behind it was appended, durable or not.
    bool holds(RangeId range, LogIndex index) const;
    // Up to where a read from `first` stays within about so many bytes: through the run of entries, of one batch, that
    // reaches them. Requires: the log holds `first`.
    enum class Measure : std::uint8_t { payloads, batches };
    LogIndex reach(RangeId range, LogIndex first, LogIndex last, std::size_t bytes, Measure measure) const;
    // Applied through here. A check only: memory does not wait for it (see above).
    void release(RangeId range, LogIndex applied);
    // First entry still in memory without a read.
    LogIndex first_in_memory(RangeId range) const;
    // Log bytes of the range since its last checkpoint.
    std::uint64_t bytes_since_checkpoint(RangeId range) const;
    // It writes so little that it keeps no files for later (SegmentSet::quiet_after).
    bool quiet() const;

    // Every replica that belongs here has been appended: what a loss of records may have hidden is known again.
    void replicas_known();

    // How large the log may grow before idle ranges are asked for checkpoints: about max(1 GiB, live data).
    void set_log_goal(std::uint64_t bytes);

    const LogCounters& counters(Instant now);
    // counters().bytes_written alone, for every turn.
    std::uint64_t bytes_written() const;
    // What is written to this disk besides the log goes by it. Each turn of the log feeds it.
    BackgroundPace& pace();
    FlushFacts flush_facts() const;
    bool failed() const;
    // refused: the log was not touched, it is missing or of a later version. no_disk_space: at start only.
    env::Halt failed_as() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace ringfort::shard
