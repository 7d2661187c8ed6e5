// Everything outside of one shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "env/clock.h"
#include "env/disk.h"
#include "env/mailbox.h"
#include "env/network.h"

namespace ringfort::env {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// Lines for people. Never blocks: a full queue drops lines and counts them.
class LogSink {
  public:
    virtual ~LogSink() = default;
    virtual void write(LogLevel level, std::string_view line) = 0;
};

// How a node ends by its own decision: each has an exit code of its own (server/exit_codes.h).
enum class Halt : std::uint8_t {
    stopped,        // orderly stop, finished
    log_failed,     // a write or flush of the log failed
    corrupt,        // a range is damaged beyond repair
    refused,        // the data directory or the cluster does not fit, or cannot be read; nothing was changed
    no_disk_space,  // at start, where nothing can be served without it
};

class Process {
  public:
    virtual ~Process() = default;
    // Asks the shell to end the process once this turn is over. `reason` is one sentence for the operator.
    virtual void halt(Halt how, std::string_view reason) = 0;
    // User and system time of the whole process in microseconds (status replies; never decides anything).
    virtual std::uint64_t cpu_us() const = 0;
    // Memory of the whole process that is resident (likewise).
    virtual std::uint64_t resident_bytes() const = 0;
};

// Memory that will be written soon, taken from the system in one call instead of one page fault each. A hint that changes
// nothing but time; null where there is none. For whole pages.
using Populate = void (*)(void* memory, std::size_t bytes);

struct World {
    Disk& disk;
    Network& network;
    Clock& clock;
    Mailbox& mailbox;
    LogSink& log;
    Process& process;
    std::uint64_t seed;   // of the shard's generator
    Populate populate{nullptr};
};

}  // namespace ringfort::env
