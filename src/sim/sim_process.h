// Log lines and the end of a simulated process.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "env/world.h"
#include "sim/event_queue.h"

namespace ringfort::sim {

class SimLogSink final : public env::LogSink {
  public:
    struct Line {
        env::LogLevel level;
        std::string text;
    };

    // Lines go to stderr with true time and name when `trace` is on.
    SimLogSink(const EventQueue& queue, std::string name, bool trace)
        : queue_(queue), name_(std::move(name)), trace_(trace) {}
    void write(env::LogLevel level, std::string_view line) override;
    // The newest lines of this life, oldest first.
    const std::deque<Line>& lines() const { return lines_; }

  private:
    const EventQueue& queue_;
    std::string name_;
    bool trace_;
    static constexpr std::size_t lines_max = 1000;
    std::deque<Line> lines_;
};

class SimProcess final : public env::Process {
  public:
    // The first reason counts.
    void halt(env::Halt how, std::string_view reason) override {
        if (!halted_) {
            halted_ = how;
            reason_ = std::string(reason);
        }
    }
    std::uint64_t cpu_us() const override { return 0; }
    std::uint64_t resident_bytes() const override { return 0; }
    std::optional<env::Halt> halted() const { return halted_; }
    const std::string& reason() const { return reason_; }

  private:
    std::optional<env::Halt> halted_;
    std::string reason_;
};

}  // namespace ringfort::sim
