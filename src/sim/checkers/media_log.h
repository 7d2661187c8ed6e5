// One shard's log as its node's disk has it: every batch is decoded as it is written, and counts from the moment on when
// a power cut would keep it and all before it. What it then says goes to the books of entries and promises.
//
// This is the judges' own replay, batch by batch: not a word of the shard's is believed but the batches themselves. A
// restart is told by the epoch it opens. What the epoch's opening says was cut must not have been durable; what it says
// was not must be on the disk; and the replicas' states in it must be what the log before it gives. The disk may lose
// more than that only when it was damaged: then the opening is believed, and what it no longer names is lost.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "log/format.h"
#include "log/records.h"
#include "raft/types.h"
#include "sim/checkers/entry_book.h"
#include "sim/checkers/promises.h"
#include "sim/disk_media.h"

namespace ringfort::sim {

class MediaLog {
  public:
    // A replica, as the durable batches give it.
    struct Replica {
        raft::HardState promises;          // but for the commit index
        bool doubt_found{false};           // recovery found its promises lost
        raft::EntryId base{};              // a checkpoint stands for everything through here
        std::string checkpoint_file{};
        raft::EntryId fence{};             // the first of the present incarnation that the log has; 0: none
        struct Entry {
            Term term;                               // 0: unknown, as the next
            std::optional<std::uint64_t> checksum;   // nothing: a start counts it, and it was not seen here
        };
        std::deque<Entry> entries;         // behind the base

        raft::EntryId last() const;        // its term may be unknown
        // The term of the entry there, the base's included; nothing: the log does not have it, or it is unknown.
        std::optional<Term> term_at(LogIndex index) const;
    };

    // `media` and books outlive it. `node` is counted from 0, and `self` as members know it.
    MediaLog(DiskMedia& media, std::size_t node, NodeId self, std::uint32_t shard, EntryBook& entries,
             PromiseBook& promises)
        : media_(media), node_(node), self_(self), shard_(shard), entries_(entries), promises_(promises) {}

    // All that return a text say what is wrong, empty if nothing is.

    // The batch goes to the disk. Requires: `batch` is whole, of this shard, and `header` its header.
    std::string on_write(const log::BatchHeader& header, Bytes batch);
    // Takes in what has become durable.
    std::string poll();
    bool waits() const { return !pending_.empty(); }

    const std::map<RangeId, Replica>& replicas() const { return replicas_; }
    const Replica* find(RangeId range) const;
    std::uint64_t durable() const { return durable_; }   // sequence of the last batch taken in
    std::uint64_t instance() const { return instance_; }

  private:
    struct Batch {
        log::BatchHeader header;
        std::vector<std::byte> content;
    };

    bool is_durable(const Batch& batch);
    std::string open_epoch(const Batch& first);
    std::string take_in(const Batch& batch);
    std::string apply(const log::Record& record, bool opens_epoch);
    std::string apply_entries(Replica& replica, const log::Record& record);
    void forget_fence_of_another(RangeId range, Replica& replica, Incarnation incarnation);
    void note_fence(RangeId range, Replica& replica, raft::EntryId id, Bytes payload);
    void set_fence(RangeId range, Replica& replica, raft::EntryId id);
    std::string apply_copies(Replica& replica, const log::Record& record);
    std::string apply_state(Replica& replica, const log::Record& record, bool opens_epoch);
    std::string adopt_state(Replica& replica, const log::Record& record);
    std::string install(Replica& replica, const log::Record& record);
    std::string cover(RangeId range, Replica& replica, const log::CheckpointBody& checkpoint);
    std::string drop_from(RangeId range, Replica& replica, LogIndex from);
    std::string set_promises(RangeId range, Replica& replica, std::uint64_t incarnation,
                             const log::HardStateBody& body);
    std::string count_entries(RangeId range, const Replica& replica);
    std::string drop_unnamed();
    std::string wrong(RangeId range, const std::string& what) const;
    bool excused() const { return !media_.sound(); }
    const std::string& segment_name(std::uint64_t segment);

    DiskMedia& media_;
    const std::size_t node_;
    const NodeId self_;
    const std::uint32_t shard_;
    EntryBook& entries_;
    PromiseBook& promises_;

    std::uint64_t instance_{0};
    std::uint64_t epoch_{0};
    std::uint64_t durable_{0};
    std::deque<Batch> pending_;                // by sequence; the epoch that is not open yet comes last
    std::map<RangeId, Replica> replicas_;
    std::vector<RangeId> named_;               // by the opening being taken in
    Bytes taking_;   // the batch that is being taken in
    std::vector<std::vector<std::byte>> spare_;
    std::vector<std::byte> scratch_;
    std::uint64_t named_segment_{0};
    std::string segment_name_;
};

}  // namespace ringfort::sim
