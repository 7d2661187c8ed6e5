// The pace of what a shard does to its disk besides the log: checkpoints written, snapshots sent, written and read back,
// segments filled with zeros. It shares a disk with the log, and nobody waits for it; clients wait for the log.
//
// How the disk does is seen from the log's own flushes, by what they take on average in a window of time:
//   quiet      windows in which nothing went by this pace, or no more than the floor, teach what a flush takes by itself;
//              work begins at a low rate after one without any;
//   calm       the rate rises while it is what holds the work up: fast up to where the disk last had enough, then slowly;
//   congested  flushes take more than `slower_max` times as long as quiet ones, and longer than these ever vary: the rate
//              falls by a quarter; by half if they take twice as long as even that.
// Both are in proportion to the rate, so that a window that is slow by chance, as some are on any busy machine, costs
// little.
// While one flush in flight is very late already, nothing goes but at the floor: what is being written then only
// lengthens the wait. At the floor something always goes, so that all work ends.
//
// Work that must be over before the log has grown by so much has a LogRace besides: it follows the log's own writes.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/instant.h"

namespace ringfort::shard {

// What the log knows of its flushes; sums since the start.
struct FlushFacts {
    std::uint64_t count{0};          // that ended
    Duration time{0};                // they took, together
    Instant oldest{never};           // when the oldest in flight was submitted; never: none is
};

// What so many bytes take at a rate in bytes per second. Requires: rate > 0, bytes < 16 GiB.
Duration time_at_rate(std::uint64_t bytes, std::uint64_t rate);

// Work of `work_bytes` that has to end before the log has grown by `log_bytes` more: at any time as great a share of it
// is done as the log has used of its room.
struct LogRace {
    std::uint64_t work_bytes{0};
    std::uint64_t log_bytes{0};      // 0: at once
    std::uint64_t log_begin{0};      // bytes the log had written when it began

    bool behind(std::uint64_t done_bytes, std::uint64_t log_written) const;
    // By a quarter of that share or more: nothing is gained by going on at once. Whoever hurries here takes the processor
    // from clients in one burst, and has nothing to do afterwards.
    bool well_ahead(std::uint64_t done_bytes, std::uint64_t log_written) const;
};

class BackgroundPace {
  public:
    static constexpr Duration window{50ms};
    static constexpr std::uint64_t rate_floor = 4 * mib;       // bytes per second, as all rates here
    static constexpr std::uint64_t rate_max = 256 * mib;
    static constexpr std::uint64_t rate_begin = 8 * mib;
    static constexpr std::uint64_t known_begin = 64 * mib;     // up to here the rate rises fast before anything is known
    static constexpr std::int64_t slower_max = 2;
    static constexpr Duration slower_always{1ms};              // by so much any flush may be slower

    explicit BackgroundPace(std::uint64_t rate_ceiling = rate_max);

    // Every turn, and when flushes ended.
    void observe(Instant now, const FlushFacts& facts);
    // Whether the next piece may go. false: ask again at next_at(), or after a flush has ended.
    bool may_go(Instant now) const { return now >= next_at(now); }
    Instant next_at(Instant now) const;
    // What goes is the floor: work that need not end soon waits better.
    bool at_floor(Instant now) const { return rate_ == rate_floor || held(now); }
    // A piece goes: asked for by may_go(), or because it cannot wait.
    void went(Instant now, std::uint64_t bytes);

    std::uint64_t rate() const { return rate_; }
    std::uint64_t pieces() const { return pieces_; }
    Duration quiet_flush() const { return quiet_; }

  private:
    // What a flush may take on average before the disk counts as congested.
    Duration slow_flush() const;
    bool held(Instant now) const;
    void end_window(Instant now);
    void learn(Duration mean);
    enum class Verdict : std::uint8_t { calm, congested, badly_congested };
    void adapt(Instant now, Verdict verdict);

    const std::uint64_t rate_ceiling_;
    std::uint64_t rate_{rate_begin};
    std::uint64_t known_{known_begin};   // the disk last had enough at this rate or a little more
    bool was_congested_{false};
    Duration quiet_{0};                  // what a flush takes by itself; 0: not known
    Duration quiet_varies_{0};           // by so much on average, from window to window
    FlushFacts facts_;
    // The window.
    Instant begin_{};
    FlushFacts at_begin_;
    std::uint64_t went_bytes_{0};        // in it
    std::uint64_t went_before_{0};       // in the one before
    // Pieces.
    std::uint64_t pieces_{0};
    Instant next_{};                     // by the rate
    Instant next_at_floor_{};            // by the floor
};

}  // namespace ringfort::shard
