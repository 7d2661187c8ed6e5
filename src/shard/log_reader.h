// Reads entries that left memory: from their batch on disk, checked by its directory's checksums. Where the directory is
// lost, or the header that says where it is, the copy of it in the next batch serves.
//
// Batches are often small, and a read of a disk that is busy or far away takes long whatever its size. So batches up to
// whole_bytes_max are read in extents: those behind that are wanted as well and lie near come in the same read. What an
// extent does not give (a block of it cannot be read) is read batch by batch, and then block by block.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "env/disk.h"
#include "log/records.h"
#include "log/run_list.h"
#include "shard/log_segments.h"
#include "shard/log_store.h"

namespace ringfort::shard {

class LogReader;

class EntryReadState {
  public:
    explicit EntryReadState(EntryRead& read) : read_(read), op_(&on_read, this) {}

  private:
    friend class LogReader;
    enum class Stage : std::uint8_t { idle, extent, header, directory, payloads, copy_header, copy };
    static void on_read(env::DiskOperation& op);

    EntryRead& read_;
    LogReader* reader_{nullptr};
    RangeId range_{};
    std::uint64_t next_{0};        // index
    std::uint64_t last_{0};
    std::size_t bytes_left_{0};
    Stage stage_{Stage::idle};
    env::DiskOperation op_;
    log::EntryRun run_;            // being read, a part of it
    bool narrow_{false};           // a block could not be read: no more is read at once than one entry needs
    bool extents_{true};           // more than a batch may be read at once
    std::uint64_t segment_{0};     // held while reading; 0: none
    std::uint64_t copy_segment_{0};   // likewise, of the next batch
    std::uint64_t copy_offset_{0};    // of the next batch
    int copy_places_tried_{0};        // where the next batch may be
    AlignedBuffer extent_;            // read last; stays while the runs that follow lie in it
    std::uint64_t extent_segment_{0};
    std::uint64_t extent_offset_{0};
    AlignedBuffer buffer_;            // a part of one batch, read alone
    Bytes seen_;                      // of the batch: in buffer_ if there is one, else in extent_;
    std::uint64_t seen_offset_{0};    // from here on
    log::BatchHeader header_;
    std::uint64_t directory_batch_{0};  // whose directory is in directory_; 0: none
    std::vector<std::byte> directory_;
    std::vector<AlignedBuffer> kept_;   // payloads of the results
    std::vector<std::vector<std::byte>> copied_;
};

class LogReader {
  public:
    class Owner {
      public:
        virtual const log::EntryRun* run_of(RangeId range, std::uint64_t index) = 0;
        virtual std::optional<raft::Entry> entry_in_memory(RangeId range, std::uint64_t index) = 0;
        virtual Segment* segment_of(std::uint64_t number) = 0;
        // The directory of a batch that lost its own; empty: it did not.
        virtual Bytes healed_directory(std::uint64_t batch) = 0;

      protected:
        ~Owner() = default;
    };
    // Batches up to this size are read whole; of larger ones the header, the directory and the payloads wanted.
    static constexpr std::size_t whole_bytes_max = 256 * kib;
    static constexpr std::size_t extent_bytes_max = 512 * kib;
    static_assert(whole_bytes_max <= extent_bytes_max);

    LogReader(env::Disk& disk, Owner& owner, InstanceId instance, ShardId shard)
        : disk_(disk), owner_(owner), instance_(instance), shard_(shard) {}

    void start(RangeId range, std::uint64_t first, std::uint64_t last, std::size_t bytes_max, EntryRead& read);
    // Reads that need no disk are answered here, never inside start().
    void answer_ready();
    bool has_ready() const { return !ready_.empty(); }

  private:
    friend class EntryReadState;
    // wait: the disk is asked, or all is done.
    enum class Next : std::uint8_t { go_on, wait };

    void go_on(EntryReadState& state);
    bool goes_on(const EntryReadState& state) const;
    bool take_from_memory(EntryReadState& state);
    Next read_run(EntryReadState& state);
    Next begin_run(EntryReadState& state);
    void issue_extent(EntryReadState& state);
    bool extent_holds_run(const EntryReadState& state) const;
    void issue(EntryReadState& state, EntryReadState::Stage stage, std::uint64_t begin, std::uint64_t end);
    void read_copy(EntryReadState& state);
    void issue_copy(EntryReadState& state, EntryReadState::Stage stage, std::uint64_t begin, std::uint64_t end);
    void read(EntryReadState& state, std::uint64_t number, std::uint64_t offset, AlignedBuffer& into);
    bool take_copy_header(EntryReadState& state);
    bool take_copy(EntryReadState& state);
    void on_read(EntryReadState& state);
    Next on_failed_read(EntryReadState& state, EntryReadState::Stage stage);
    Next take_seen(EntryReadState& state, EntryReadState::Stage stage);
    bool take_header(EntryReadState& state);
    bool take_directory(EntryReadState& state);
    Next take_payloads(EntryReadState& state);
    Bytes keep_payloads(EntryReadState& state, std::uint64_t begin, std::uint64_t end);
    std::span<const log::EntryItem> items_of(const EntryReadState& state) const;
    Next on_copy_read(EntryReadState& state, EntryReadState::Stage stage);
    void release(EntryReadState& state);
    void release_copy(EntryReadState& state);
    void name_damaged(EntryReadState& state);
    void finish(EntryReadState& state, bool damaged);

    env::Disk& disk_;
    Owner& owner_;
    InstanceId instance_;
    ShardId shard_;
    std::vector<EntryReadState*> ready_;
};

}  // namespace ringfort::shard
