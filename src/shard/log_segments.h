// The log's segment files: which are live, which stand ready, and how old ones come back.
//
// Some segments (two) stand ready ahead of need. They are made in the background: an old segment is renamed to the next
// number (its bytes then name another segment and never parse), else a file is filled with zeros, at the shard's pace and
// before the log has used up half of what it has; a crash leaves it shorter than a segment, and it is removed at start.
// The first, for which everything waits, is made at once. Old segments are kept while all files together stay within a
// goal: a log that grows and shrinks writes no zeros again. A log that has become quiet gives them back: it needs no more
// than what zeros made in leisure can give it. ENOSPC at creation is an ordinary answer; it is tried again
// from time to time, and when a segment becomes free. So is any other error on the way to a segment that stands ready:
// nothing of the log lies there, and a disk that fails says so again where it counts. Files with blocks that could not
// be read are not used again.
//
// Segments are freed oldest first, one after the other, once no live entry lies in them and the records that made the
// last one dead are durable; and they are renamed or removed in that order. So the files on disk are always the newest
// part of the log, without a gap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bounds.h"
#include "base/instant.h"
#include "env/disk.h"
#include "log/run_list.h"
#include "shard/background_pace.h"

namespace ringfort::shard {

struct Segment {
    std::uint64_t number{0};
    env::FileId file{0};
    std::uint64_t bytes{0};
    std::uint64_t used{0};           // next write; recovered segments take none
    std::uint64_t live_entries{0};
    std::uint64_t live_bytes{0};
    std::uint64_t free_after{0};     // batch that must be durable before the segment may go
    std::uint32_t readers{0};        // its file must stay
    bool has_bad_blocks{false};      // some could not be read: the file is not used again
};

class SegmentSet {
  public:
    static constexpr Duration retry_after{1s};
    // Zeros written at a time: what the disk takes `zeros_take` for. Each write costs a worker thread of the kernel's
    // besides, as its blocks are new: a put cost 14 % more when all were of the smallest size. A flush of the log may have
    // to wait behind one, hence no more on a slow disk; at most the pages that a disk usually takes in one request.
    static constexpr std::size_t zeros_bytes_min = 256 * kib;
    static constexpr std::size_t zeros_bytes_max = 254 * limits::block_bytes;
    static constexpr Duration zeros_take{4ms};
    // Bytes per second of zeros while the log is far from needing them. At the disk's pace a new node, which writes little
    // yet, filled its spare files in its first seconds, and who put meanwhile had a p99 of 43 ms instead of 6.
    static constexpr std::uint64_t zeros_leisurely_rate = 2 * mib;

    // A log that began no segment for so long is quiet: at the leisurely rate zeros for one are there in half the time.
    static constexpr Duration quiet_after{60s};
    static_assert(quiet_after / 1s * zeros_leisurely_rate >= limits::segment_bytes_default);

    SegmentSet(env::Disk& disk, BackgroundPace& pace, std::string directory, std::uint64_t segment_bytes,
               std::uint64_t bytes_goal, std::size_t ready_wanted);
    void set_bytes_goal(std::uint64_t bytes) { bytes_goal_ = bytes; }

    // ---- recovery
    void add_recovered(const Segment& segment);          // in order
    // A file that holds nothing that counts: is given a new number, or removed if it has another size or bad blocks.
    void add_unused(std::uint64_t number, std::uint64_t bytes, bool has_bad_blocks);
    void set_next_number(std::uint64_t number) { next_number_ = number; }

    // ---- the log's end
    // `batch`, its first, states every replica: older segments may go only when that is durable. Requires: has_ready().
    Segment& open_next(std::uint64_t batch);
    bool has_ready() const { return !ready_.empty(); }
    Segment* active() { return has_active_ ? &live_.back() : nullptr; }
    const Segment* active() const { return has_active_ ? &live_.back() : nullptr; }
    bool quiet() const { return has_active_ && now_ >= quiet_at_; }   // at the last step

    // ---- live entries. `batch`: the open batch, whose records change what is live.
    void add_live(const log::EntryRun& run);
    void drop_live(const log::EntryRun& run, std::uint64_t batch);
    Segment* find(std::uint64_t number);
    Segment& oldest() { return live_.front(); }
    std::size_t live_count() const { return live_.size(); }
    std::size_t count() const { return live_.size() + ready_.size() + unused_.size() + (filling() ? 1 : 0); }
    std::uint64_t live_segments_bytes() const;
    std::uint64_t bytes() const;                    // of all files
    std::uint64_t live_bytes() const { return live_bytes_; }
    Segment& operator[](std::size_t i) { return live_[i]; }

    // One step of background work, if none is under way. `log_written`: bytes, since the start.
    void step(Instant now, std::uint64_t durable, std::uint64_t log_written);
    bool working() const { return stage_ != Stage::idle; }
    // Whether the next segment is there or can be had: false while creation fails for want of space.
    bool has_space() const { return !no_space_ || ready_.size() >= ready_wanted_; }
    // What the last new file met. Requires: !has_space().
    env::DiskErrc space_error() const { return space_error_; }
    // When step() has something to do although nothing happens.
    Instant next_deadline() const;
    // What file operations met other than want of room, for people, once until they go well again; empty: nothing.
    std::string take_trouble() { return std::exchange(trouble_, {}); }
    std::uint64_t files_created() const { return files_created_; }

    static std::string name(std::string_view directory, std::uint64_t number);
    // The number in a segment's file name; 0: it is not one.
    static std::uint64_t parse_name(std::string_view name, std::string_view directory);

  private:
    enum class Stage : std::uint8_t { idle, creating, making, filling, flushing, renaming, opening, removing };
    struct Unused {
        std::uint64_t number{0};
        std::uint64_t bytes{0};
        bool could_not_be_made{false};   // its removal is no reason to try again at once
        bool to_be_removed{false};
    };
    struct Ready {
        std::uint64_t number{0};
        env::FileId file{0};
        std::uint64_t bytes{0};
    };

    void free_oldest_if_dead(std::uint64_t durable);
    bool spares_unused() const;
    void rename_unused();
    void remove_unused();
    void create();
    void make(std::uint64_t log_written);
    void fill(std::uint64_t log_written);
    void judge_zeros(Duration took);
    void give_up_filling();
    bool on_failed(Stage stage);
    void on_not_made();
    void on_not_renamed();
    void note_trouble(std::string_view what);
    bool names_may_be_tried() const { return now_ >= names_retry_at_; }
    Instant next_fill() const;
    bool filling() const { return stage_ == Stage::filling || stage_ == Stage::flushing; }
    std::uint64_t room() const;   // of the active segment and those ready
    std::string name(std::uint64_t number) const { return name(directory_, number); }
    static void on_done(env::DiskOperation& op);
    void finish_stage();

    env::Disk& disk_;
    BackgroundPace& pace_;
    std::string directory_;
    std::uint64_t segment_bytes_;
    std::uint64_t bytes_goal_;
    std::size_t ready_wanted_;
    std::uint64_t next_number_{1};
    std::vector<Segment> live_;     // by number, the active one last
    bool has_active_{false};
    Instant quiet_at_{};            // unless another segment is begun before
    std::vector<Ready> ready_;      // by number
    std::vector<Unused> unused_;
    std::uint64_t live_bytes_{0};

    Stage stage_{Stage::idle};
    std::uint64_t working_number_{0};
    env::DiskOperation op_;
    // The file being filled with zeros.
    env::FileId file_{0};
    std::uint64_t filled_{0};       // bytes
    LogRace race_;
    std::size_t zeros_count_{zeros_bytes_min};   // written at a time
    Instant zeros_begin_{never};                 // of a write not yet judged; never: none
    bool no_space_{false};
    env::DiskErrc space_error_{};    // with no_space_: no room, or a disk that fails
    Instant retry_at_{never};
    Instant now_{};
    std::uint64_t log_written_{0};   // at the last step
    Instant next_leisurely_{};       // when zeros go that nobody waits for
    Instant names_retry_at_{};       // of unused files: one could not be renamed, opened or removed
    std::string trouble_;
    bool trouble_told_{false};
    std::uint64_t files_created_{0};
};

}  // namespace ringfort::shard
