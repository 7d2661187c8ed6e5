// Timers of a fixed set of things (requests, connections), each at most one: a hashed wheel with constant cost for
// setting and clearing, because a request's deadline is set and cleared on every request and almost never fires.
//
// Resolution: due timers are found exactly; next_due() may be up to one slot (about a millisecond) late.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/instant.h"

namespace ringfort::client {

class TimerWheel {
  public:
    // Ids are 0 .. capacity - 1.
    explicit TimerWheel(std::size_t capacity);

    // Moves the timer if it is set already.
    void set(std::uint32_t id, Instant due);
    void clear(std::uint32_t id);
    bool is_set(std::uint32_t id) const { return links_[id].slot != no_slot; }
    // Appends the ids whose time has come, earliest slot first and in setting order within one; they are cleared.
    void collect_due(Instant now, std::vector<std::uint32_t>& due);
    // When to call collect_due() next at the latest; never if nothing is set.
    Instant next_due() const;
    std::size_t count() const { return count_; }

  private:
    static constexpr int slot_ns_log2 = 20;
    static constexpr std::uint32_t slot_count = 4096;   // one turn of the wheel is about 4.3 s
    static constexpr std::uint32_t none = UINT32_MAX;
    static constexpr std::uint32_t no_slot = UINT32_MAX;

    struct Link {
        std::int64_t due_ns{0};
        std::uint32_t prev{none};
        std::uint32_t next{none};
        std::uint32_t slot{no_slot};
    };
    struct List {
        std::uint32_t first{none};
        std::uint32_t last{none};
    };

    static std::int64_t tick_of(std::int64_t ns) { return ns >> slot_ns_log2; }
    void unlink(std::uint32_t id);
    void collect_slot(std::uint32_t slot, Instant now, std::vector<std::uint32_t>& due);

    std::vector<Link> links_;
    std::vector<List> slots_;
    std::array<std::uint64_t, slot_count / 64> occupied_{};   // bit s: slot s is not empty
    std::int64_t tick_{0};    // Invariant: no timer is due in a tick before this one
    std::size_t count_{0};
};

}  // namespace ringfort::client
