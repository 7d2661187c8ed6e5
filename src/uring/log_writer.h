// Log lines on their way from the shards to a descriptor, normally stderr. Shards put lines into a bounded queue and
// never wait; one thread writes. A full queue, or a reader that does not read, costs lines, and their number is written
// as soon as there is room again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

#include "base/ids.h"
#include "env/world.h"

namespace ringfort::uring {

class LogWriter {
  public:
    static constexpr std::size_t line_bytes_max = 1000;   // longer ones are cut and end in "..."
    static constexpr std::size_t lines_max = 1024;

    // `fd` stays the caller's.
    LogWriter(int fd, env::LogLevel least);
    // Writes what is queued, as long as somebody reads: at most half a second.
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    // From any thread. `origin` stands before the text: "shard 0"; may be empty.
    void write(env::LogLevel level, std::string_view origin, std::string_view line);
    bool wants(env::LogLevel level) const { return level >= least_; }
    std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  private:
    // A place in the queue. `turn` says whose it is: equal to the position: free for the producer of that position;
    // position + 1: filled; it grows by the queue's length each time round.
    struct Slot {
        std::atomic<std::uint64_t> turn{0};
        std::int64_t wall_ns{0};
        env::LogLevel level{};
        std::uint16_t bytes{0};
        std::array<char, line_bytes_max> text;
    };

    void run();
    bool write_next();
    bool write_out(std::string_view text);

    const int fd_;
    const env::LogLevel least_;
    std::unique_ptr<std::array<Slot, lines_max>> slots_;
    alignas(64) std::atomic<std::uint64_t> next_{0};      // position of the next line put in
    alignas(64) std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint32_t> wake_{0};                  // changes with every line, and at the end
    std::atomic<std::int64_t> give_up_ns_{0};             // after the end began: when to stop waiting for the reader
    std::uint64_t taken_{0};                              // the writer's: position of the next line to write
    std::uint64_t dropped_told_{0};                       // the writer's
    std::thread thread_;
};

// One shard's view of it.
class ShardLog final : public env::LogSink {
  public:
    ShardLog(LogWriter& writer, ShardId shard);
    void write(env::LogLevel level, std::string_view line) override { writer_.write(level, origin_, line); }

  private:
    LogWriter& writer_;
    std::string origin_;
};

}  // namespace ringfort::uring
