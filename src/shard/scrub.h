// Reads what lies on this shard's disk, slowly and again and again, so that what went bad there is found while the state it
// stood for is still in memory: a disk tells of a rotten block only who reads it, and a checkpoint or an old entry may lie
// for months until a start needs it.
//
// Range by range: the checkpoint against the checksum in the record that names it, then the entries behind it, as far as
// they are applied, against theirs. (Entries still in memory are not read; a later pass finds them.) What cannot be read
// back is told, and a new checkpoint is written from the state in memory, which all of it lies behind. Of a replica that is
// out of service nothing is read: it is rebuilt, and what it has is written then.
//
// Not an entry for raft to repair: applied entries are in the state, and after the checkpoint nobody here needs them.
#pragma once

#include <memory>

#include "base/aligned_buffer.h"
#include "shard/checkpoint_file.h"
#include "shard/context.h"
#include "shard/job_operation.h"
#include "shard/log_store.h"

namespace ringfort::shard {

class Replica;

class Scrub {
  public:
    explicit Scrub(Context& context);

    // Bytes per second at most: what is left to clients of any disk is all but this. And at the pace's floor half is left to
    // what somebody waits for: a snapshot received.
    static constexpr std::uint64_t rate_max = 2 * mib;
    static_assert(2 * rate_max <= BackgroundPace::rate_floor);
    // After a piece that was read while the log's flushes were slow.
    static constexpr Duration slow_interval{1s};

    void on_timers(Instant now);
    Instant next_deadline() const { return next_; }
    // A checkpoint, or it is about to be. On a slow disk reading it takes long: this is no leak.
    bool has_file_open() const { return file_ != 0 || stage_ == Stage::open; }

  private:
    enum class Stage : std::uint8_t { range, open, checkpoint, entries };

    // false: it waits, until next_ at the latest.
    bool step(Instant now);
    bool begin_range(Instant now);
    bool take_opened();
    bool read_checkpoint(Instant now);
    bool take_chunk();
    bool read_entries(Instant now);
    void take_entries();
    void close_file();
    bool may_read(Instant now);
    void went(Instant now, std::uint64_t bytes);
    Replica* replica();
    void on_damage(LogIndex through, const std::string& what);

    Context& context_;
    Stage stage_{Stage::range};
    RangeId range_{};              // being read
    bool any_{false};              // of this pass: range_ is one
    CheckpointRecord record_;      // being read
    JobOperation operation_;
    env::FileId file_{0};          // open, if it is not 0
    AlignedBuffer chunk_;
    std::uint64_t offset_{0};
    std::uint64_t chunk_bytes_{0};
    std::uint64_t checksum_{0};    // of what was read of the checkpoint
    LogIndex entry_{};             // the next to read
    LogIndex asked_through_{};
    std::unique_ptr<EntryRead> read_;   // asked for, and what it gave; null: nothing is
    Instant next_{};         // when to look again
    Instant next_read_{};    // by what was read last
};

}  // namespace ringfort::shard
