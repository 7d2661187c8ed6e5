// Sees to it that the oldest segment can go: what little is live in it is written again at the log's end; where much
// of a range is live, a checkpoint is asked for. Works in small steps, one segment at a time, oldest first.
#pragma once

#include <cstdint>

#include "base/instant.h"
#include "shard/log_index.h"
#include "shard/log_segments.h"
#include "shard/log_store.h"

namespace ringfort::shard {

class LogCollector {
  public:
    class Owner {
      public:
        virtual void read_live(RangeId range, std::uint64_t first, std::uint64_t last, std::size_t bytes_max,
                               EntryRead& read) = 0;
        // Appends a copy of the entry if it is still live in that segment. false: no room now.
        virtual bool write_again(RangeId range, const raft::Entry& entry, std::uint64_t segment) = 0;
        virtual void want_checkpoint(RangeId range) = 0;

      protected:
        ~Owner() = default;
    };
    // A segment with at most this share of live bytes is written again.
    static constexpr std::uint64_t few_live_share = 8;
    static constexpr std::size_t read_bytes = 256 * kib;
    static constexpr std::size_t entries_per_step = 256;

    LogCollector(Owner& owner, ReplicaTable& replicas, SegmentSet& segments, std::uint64_t bytes_goal);

    void set_bytes_goal(std::uint64_t bytes) { bytes_goal_ = bytes; }
    // From the end of a turn.
    void step();
    // Another step soon can do something, whatever the disk does.
    bool wants_step() const { return !read_.in_flight && !refused_ && next_entry_ < read_.entries.size(); }
    std::uint64_t copied_entries() const { return copied_entries_; }

  private:
    struct Holder {
        RangeId range{};
        std::uint64_t first{0};   // of the first run that lies there
        std::uint64_t last{0};
        std::uint64_t bytes{0};
        bool operator==(const Holder&) const = default;
    };
    bool wanted(bool& space) const;
    const Holder& biggest_holder(const Segment& segment);
    Holder find_biggest_holder(std::uint64_t segment) const;
    void copy_entries();
    void ask(RangeId range);

    Owner& owner_;
    ReplicaTable& replicas_;
    SegmentSet& segments_;
    std::uint64_t bytes_goal_;
    // Invariant: of the segment with this number while it has as many live entries.
    Holder holder_;
    std::uint64_t holder_segment_{0};
    std::uint64_t holder_entries_{0};
    EntryRead read_;
    RangeId reading_range_{};
    std::uint64_t segment_{0};        // being emptied
    std::size_t next_entry_{0};       // of read_.entries, to be written again
    bool refused_{false};             // there was no room for it: something must become durable first
    std::uint64_t asked_segment_{0};  // for whose sake a checkpoint was asked for,
    RangeId asked_range_{};           // of this range,
    std::uint64_t asked_at_{0};       // when the newest segment was this one
    std::uint64_t unreadable_segment_{0};  // holds a damaged live entry: only a checkpoint or repair frees it
    std::uint64_t copied_entries_{0};
};

}  // namespace ringfort::shard
