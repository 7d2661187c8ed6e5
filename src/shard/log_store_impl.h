// Inside of LogStore: how its parts hang together. The parts know nothing of each other.
//
//   window     memory of batches              replicas   promises, checkpoints, places of entries
//   segments   files, live entries, space     writer     batches in flight, what is durable
//   pace       of what else goes to the disk
//   recovery   at start only                  reads      old entries from disk
//   collector  what keeps old segments alive is written again, or a checkpoint of it is asked for
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "log/format.h"
#include "log/records.h"
#include "shard/background_pace.h"
#include "shard/log_collector.h"
#include "shard/log_index.h"
#include "shard/log_reader.h"
#include "shard/log_recovery.h"
#include "shard/log_segments.h"
#include "shard/log_store.h"
#include "shard/log_window.h"
#include "shard/log_writer.h"

namespace ringfort::shard {

struct LogStore::Impl final : LogWriter::Owner, LogReader::Owner, LogCollector::Owner {
    enum class Phase : std::uint8_t {
        idle,
        recovering,   // reading, judging, replaying
        syncing,      // what was read may not be durable yet
        opening,      // waiting for the first segment, then for the epoch's first batch
        running,
        failed,
    };
    static constexpr Duration seal_after{10ms};

    Impl(env::World& env_world, const LogOptions& log_options, LogListener& log_listener);

    // ---- bounds of a batch, made smaller for small segments and windows (tests)
    std::size_t own_bytes_max() const;
    std::size_t directory_bytes_max() const;
    // What the open batch would take on disk and in memory with these payloads and this directory.
    std::size_t batch_bytes(std::size_t payloads, std::size_t directory_bytes) const;

    // ---- the open batch
    MutableBytes append(log::RecordType type, LogReplica& replica, const log::RecordHeader& head, raft::EntryId id,
                        std::uint8_t kind, std::size_t payload_bytes);
    MutableBytes append_new(LogReplica& replica, raft::EntryId id, std::uint8_t kind, std::size_t payload_bytes);
    void add_run(LogReplica& replica, const log::EntryRun& run);
    bool can_append(std::size_t payload_bytes, std::size_t entries) const;
    bool disk_has_room(std::size_t bytes) const;
    void create(RangeId range, const raft::HardState& hard_state, bool in_doubt, const CheckpointRecord* checkpoint);
    bool belongs_here(RangeId range) const;
    void drop(LogReplica& replica, const log::EntryRun& run);
    void truncate(LogReplica& replica, std::uint64_t from);
    void trim(LogReplica& replica, std::uint64_t through);
    bool open_is_empty() const { return directory.size() == 0; }
    LogReplica& replica_of(RangeId range);
    // What comes next is another record.
    void end_entries_record() {
        directory_ends_in_entries = false;
        copy_run.count = 0;
    }
    void replace_run(LogReplica& replica);

    // ---- closing
    void close(Instant now);
    bool submit_open(std::uint32_t flags);
    bool make_room_for(std::size_t bytes);
    void switch_segment(std::uint64_t batch, std::uint32_t& flags);
    void place_open_runs(const log::BatchPlace& place);
    void maybe_seal(Instant now);
    void fail(std::string reason);
    void fail_without_segment();
    void tell_failure();
    Instant next_deadline() const;

    // ---- start
    void step_recovery(Instant now);
    std::optional<std::string> lost_to_read_errors();
    void take_files();
    void take_replicas();
    void sync_next();
    void open_epoch();
    void report_recovered();

    // ---- entries
    std::optional<raft::Entry> find(const LogReplica& replica, std::uint64_t index) const;
    std::size_t find(const LogReplica& replica, std::uint64_t first, std::span<raft::Entry> out) const;
    LogIndex first_in_memory(LogReplica& replica);

    // LogWriter::Owner
    void on_written_through(std::uint64_t sequence) override;
    void on_write_failed(std::string_view what, env::DiskErrc error) override;
    // LogReader::Owner
    const log::EntryRun* run_of(RangeId range, std::uint64_t index) override;
    std::optional<raft::Entry> entry_in_memory(RangeId range, std::uint64_t index) override;
    Segment* segment_of(std::uint64_t number) override;
    Bytes healed_directory(std::uint64_t batch) override;
    // LogCollector::Owner
    void read_live(RangeId range, std::uint64_t first, std::uint64_t last, std::size_t bytes_max,
                   EntryRead& read) override;
    bool write_again(RangeId range, const raft::Entry& entry, std::uint64_t segment) override;
    void want_checkpoint(RangeId range) override;

    env::World& world;
    const LogOptions options;
    LogListener& listener;
    Phase phase{Phase::idle};
    std::string failure;
    bool failure_told{false};
    env::Halt failed_as{env::Halt::log_failed};

    BatchWindow window;
    ReplicaTable replicas;
    BackgroundPace pace;
    SegmentSet segments;
    LogWriter writer;
    LogReader reader;
    LogCollector collector;
    std::unique_ptr<LogRecovery> recovery;

    // The open batch.
    std::uint64_t open_sequence{1};
    std::size_t payload_bytes{0};
    log::DirectoryWriter directory;
    struct OpenRun {
        RangeId range{};
        std::uint64_t first{0};
    };
    std::vector<OpenRun> open_runs;
    RangeId last_entry_range{};        // whose entries record ends the directory, if
    bool directory_ends_in_entries{false};
    log::EntryRun copy_run;            // the copies that end the directory; count 0: none do
    std::uint32_t unsealed_item{0};    // of the entry being filled; 0: none
    Bytes unsealed_payload;
    // Small entries must not keep a large one out for ever: what was refused in one batch has room set aside in the next.
    mutable std::size_t payload_refused{0};  // the largest, since the batch was opened
    std::size_t payload_reserved{0};         // smaller entries leave room for this

    // The batch before the open one.
    log::DirectoryWriter previous_directory;
    std::uint64_t previous_directory_checksum{checksum({})};
    std::uint64_t previous_checksum{0};
    log::BatchPlace previous_place;
    bool previous_is_seal{true};

    std::uint64_t epoch{0};
    std::uint64_t epoch_begin{0};
    log::Opening cut;
    bool replicas_unknown{false};
    LogStart how_to_start{LogStart::any};
    Instant started{};

    // Start: files still to be synced.
    env::DiskOperation sync_operation;
    std::size_t files_synced{0};
    std::map<std::uint64_t, std::vector<std::byte>> healed;   // directories known only from their copy, by batch

    std::vector<std::byte> void_memory;  // what append_entry() hands out once the log has failed
    std::vector<RangeId> checkpoint_wanted;  // to be told from dispatch
    LogCounters counters;
    std::uint64_t counters_seen_through{0};
};

}  // namespace ringfort::shard
