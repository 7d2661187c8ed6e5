// Batches on their way to the disk, and what is durable. Two recipes, chosen for each batch as the disk prefers:
//
//   dsync   one write that is durable when it completes
//   sync    a plain write; behind it one data sync at a time, which covers all writes completed before it
//
// A batch is durable when it and all earlier ones are. The first failed write or sync ends everything: what the blocks
// hold is unknown then, and nothing is tried again.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bounds.h"
#include "base/bytes.h"
#include "base/instant.h"
#include "env/clock.h"
#include "env/disk.h"
#include "shard/background_pace.h"

namespace ringfort::shard {

// Latencies by powers of two in four steps each; old ones fade.
class FlushHistogram {
  public:
    void add(Duration latency);
    Duration p99() const;

  private:
    static constexpr std::size_t bucket_count = 64 * 4;
    std::array<std::uint32_t, bucket_count> counts_{};
    std::uint32_t total_{0};
};

class LogWriter {
  public:
    class Owner {
      public:
        virtual void on_written_through(std::uint64_t sequence) = 0;
        virtual void on_write_failed(std::string_view what, env::DiskErrc error) = 0;

      protected:
        ~Owner() = default;
    };
    LogWriter(env::Disk& disk, env::Clock& clock, Owner& owner);

    bool full() const { return count_ == flights_.size(); }
    bool idle() const { return count_ == 0; }
    bool failed() const { return failed_; }
    std::uint64_t durable() const { return durable_; }
    // What an earlier start made durable.
    void set_durable(std::uint64_t sequence) { durable_ = sequence; }

    // Requires: !full(), !failed(); sequence follows the last. `bytes` stay valid until it is durable.
    void submit(std::uint64_t sequence, env::FileId file, std::uint64_t offset, Bytes bytes);

    std::uint64_t flushes() const { return flushes_; }
    std::uint64_t bytes_written() const { return bytes_written_; }
    Duration flush_p99() const { return latencies_.p99(); }
    Duration oldest(Instant now) const;
    FlushFacts facts() const;
    // When the last flight ended.
    Instant idle_since() const { return idle_since_; }

  private:
    enum class State : std::uint8_t { writing, written, syncing, done };
    struct Flight {
        env::DiskOperation op;
        State state{State::writing};
        std::uint64_t sequence{0};
        env::FileId file{0};
        bool dsync{false};
        Instant submitted{};
    };

    static void on_write(env::DiskOperation& op);
    static void on_sync(env::DiskOperation& op);
    Flight& flight(std::size_t i) { return flights_[(first_ + i) % flights_.size()]; }
    void start_sync();
    void finish_done();
    void fail(std::string_view what, env::DiskErrc error);

    env::Disk& disk_;
    env::Clock& clock_;
    Owner& owner_;
    std::array<Flight, limits::batches_in_flight_max> flights_;  // a ring, by sequence
    std::size_t first_{0};
    std::size_t count_{0};
    env::DiskOperation sync_;
    bool sync_in_flight_{false};
    bool failed_{false};
    std::uint64_t durable_{0};
    std::uint64_t flushes_{0};
    std::uint64_t bytes_written_{0};
    FlushHistogram latencies_;
    FlushFacts ended_;   // but for the oldest in flight
    Instant idle_since_{};
};

}  // namespace ringfort::shard
