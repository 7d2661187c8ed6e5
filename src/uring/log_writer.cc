#include "uring/log_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include <fmt/format.h>

#include "base/assertion.h"
#include "uring/clock_source.h"

namespace ringfort::uring {

using env::LogLevel;

namespace {

constexpr Duration patience_at_end = 500ms;

std::string_view name_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    UNREACHABLE();
}

std::string stamp(std::int64_t wall_ns) {
    const std::time_t seconds = wall_ns / 1'000'000'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                       utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, wall_ns % 1'000'000'000 / 1000);
}

}  // namespace

LogWriter::LogWriter(int fd, LogLevel least)
    : fd_(fd), least_(least), slots_(std::make_unique<std::array<Slot, lines_max>>()) {
    for (std::uint64_t i = 0; i < lines_max; i++) {
        (*slots_)[i].turn.store(i, std::memory_order_relaxed);
    }
    thread_ = std::thread([this] { run(); });
}

LogWriter::~LogWriter() {
    give_up_ns_.store((monotonic_now() + patience_at_end).ns, std::memory_order_release);
    wake_.fetch_add(1, std::memory_order_release);
    wake_.notify_one();
    thread_.join();
}

void LogWriter::write(LogLevel level, std::string_view origin, std::string_view line) {
    if (!wants(level)) {
        return;
    }
    std::uint64_t position = next_.load(std::memory_order_relaxed);
    Slot* slot = nullptr;
    while (true) {
        slot = &(*slots_)[position % lines_max];
        const std::uint64_t turn = slot->turn.load(std::memory_order_acquire);
        if (turn == position) {
            if (next_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
                break;
            }
        } else if (turn < position) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return;
        } else {
            position = next_.load(std::memory_order_relaxed);
        }
    }
    slot->wall_ns = wall_now().ns;
    slot->level = level;
    const auto written = origin.empty()
                             ? fmt::format_to_n(slot->text.data(), line_bytes_max, "{}", line)
                             : fmt::format_to_n(slot->text.data(), line_bytes_max, "[{}] {}", origin, line);
    slot->bytes = static_cast<std::uint16_t>(std::min(written.size, line_bytes_max));
    if (written.size > line_bytes_max) {
        std::memcpy(slot->text.data() + line_bytes_max - 3, "...", 3);
    }
    slot->turn.store(position + 1, std::memory_order_release);
    wake_.fetch_add(1, std::memory_order_release);
    wake_.notify_one();
}

void LogWriter::run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    while (true) {
        const std::uint32_t seen = wake_.load(std::memory_order_acquire);
        const bool ending = give_up_ns_.load(std::memory_order_acquire) != 0;
        while (write_next()) {
        }
        const std::uint64_t dropped = dropped_.load(std::memory_order_relaxed);
        if (dropped != dropped_told_ &&
            write_out(fmt::format("{} warning {} log lines were dropped\n", stamp(wall_now().ns),
                                  dropped - dropped_told_))) {
            dropped_told_ = dropped;
        }
        if (ending) {
            return;
        }
        wake_.wait(seen, std::memory_order_acquire);
    }
}

// False: nothing left to write, or nobody reads.
bool LogWriter::write_next() {
    Slot& slot = (*slots_)[taken_ % lines_max];
    if (slot.turn.load(std::memory_order_acquire) != taken_ + 1) {
        return false;
    }
    const std::string text = fmt::format("{} {} {}\n", stamp(slot.wall_ns), name_of(slot.level),
                                         std::string_view(slot.text.data(), slot.bytes));
    slot.turn.store(taken_ + lines_max, std::memory_order_release);
    taken_++;
    return write_out(text);
}

// Blocks as long as nobody reads, until the end begins and its patience is over.
bool LogWriter::write_out(std::string_view text) {
    while (!text.empty()) {
        pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
        if (poll(&ready, 1, 50) <= 0) {
            const std::int64_t give_up = give_up_ns_.load(std::memory_order_acquire);
            if (give_up != 0 && monotonic_now().ns >= give_up) {
                return false;
            }
            continue;
        }
        // A line is shorter than PIPE_BUF: a pipe that is ready takes it whole.
        const ssize_t written = ::write(fd_, text.data(), text.size());
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return false;   // the descriptor is closed or its reader gone: nobody can be told
        }
        if (written > 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    }
    return true;
}

ShardLog::ShardLog(LogWriter& writer, ShardId shard)
    : writer_(writer), origin_(fmt::format("shard {}", shard.value)) {}

}  // namespace ringfort::uring
