// Reads a shard's log at start: every segment whole, one at a time, in slices; then judges and replays.
//
// No step of reading and scanning computes for more than about a millisecond: slices are scanned as they arrive, the rest
// goes on in step().
//
// Segments that hold nothing (zeros, or an old segment under a new number) are read to their end as well. That could be
// spared only by believing that nothing follows where nothing begins; but rot at the beginning of a segment must not cost
// what was answered for behind it. What apply needs again it reads again: the log is larger than its memory.
//
// What cannot be listed, opened or read is asked for again before it is believed (patience.h): of a segment the blocks
// that could not be read, all in a round, and as long as a round brings some of them. Once that was in vain, an error
// that passes would have passed: what else cannot be read is believed at once.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "env/disk.h"
#include "log/recovery.h"
#include "log/replay.h"
#include "log/scan.h"
#include "shard/log_segments.h"
#include "shard/log_store.h"
#include "shard/patience.h"

namespace ringfort::shard {

class LogRecovery {
  public:
    static constexpr std::size_t slice_bytes = 1 * mib;   // a slow disk answers few reads a second

    LogRecovery(env::Disk& disk, const LogOptions& options);

    void start();
    // Goes on computing, if there is something to compute, and tries again what is due.
    void step(Instant now);
    // When step() has something to do although nothing happens.
    Instant next_deadline() const;
    bool done() const { return stage_ == Stage::done; }
    // How much of the log has been read, of 100.
    std::uint64_t percent_read() const;
    // Not empty: the log cannot be read at all (a file operation failed, or a later version wrote it).
    const std::string& refusal() const { return refusal_; }

    // ---- results, once done
    struct File {
        std::uint64_t number{0};
        std::uint64_t bytes{0};
        env::FileId file{0};
        bool counts{false};          // holds a batch that counts
        bool has_bad_blocks{false};  // some cannot be read
    };
    std::vector<File>& files() { return files_; }
    const log::Judgement& judgement() const { return judgement_; }
    log::Replay& replay() { return *replay_; }
    bool all_readable() const;
    // Which segments the disk cannot read, and how many blocks of each.
    std::string unreadable() const;
    std::uint64_t last_sequence() const;      // of the last batch that counts
    std::vector<std::string> notes() const;

  private:
    enum class Stage : std::uint8_t { idle, listing, opening, reading, scanning, judging, rereading, replaying, done };

    // Not zeroed: touching a whole segment's memory at once takes tens of milliseconds. What is read of it was written.
    class Buffer {
      public:
        void resize(std::size_t bytes);
        std::size_t size() const { return bytes_; }
        std::byte* data() { return memory_.get(); }
        MutableBytes span() { return {memory_.get(), bytes_}; }

      private:
        struct Free {
            void operator()(std::byte* p) const { std::free(p); }
        };
        std::unique_ptr<std::byte, Free> memory_;
        std::size_t bytes_{0};
    };

    static void on_operation(env::DiskOperation& op);
    void on_listed();
    void open_next_file();
    void open_file();
    void on_opened();
    void begin_reading(std::size_t file, std::uint64_t offset, std::uint64_t bytes);
    void read_next();
    void on_read();
    void on_read_again();
    void end_reading();
    void read_again();
    void try_again();
    void on_failed(std::string what);
    void reread_next();
    void scan();
    void judge_all();
    void refuse(std::string why);

    env::Disk& disk_;
    const LogOptions& options_;
    Stage stage_{Stage::idle};
    env::DiskOperation op_;
    std::string refusal_;
    std::vector<File> files_;             // by number
    std::vector<log::SegmentScan> scans_; // one for each file
    std::size_t current_{0};              // file being read
    Buffer buffer_;                       // what is read of it: the whole segment, or one batch
    std::uint64_t region_offset_{0};      // where that begins in the file
    std::size_t reread_{0};               // batch being read again
    std::uint64_t read_{0};               // bytes of the buffer read
    std::uint64_t reading_{0};            // bytes asked for
    bool by_blocks_{false};               // a slice could not be read: block by block until its end
    std::uint64_t by_blocks_until_{0};
    Patience patience_;
    bool in_vain_{false};                      // it was spent on blocks that could not be read
    std::vector<std::uint64_t> unreadable_;    // blocks of the buffer that could not be read, by offset
    std::vector<std::uint64_t> tried_again_;   // and still cannot, in this round
    bool in_round_{false};
    std::size_t trying_{0};                    // of unreadable_, in this round
    std::uint64_t read_later_{0};              // blocks that could be read at a later try
    log::Judgement judgement_;
    std::unique_ptr<log::Replay> replay_;
};

}  // namespace ringfort::shard
