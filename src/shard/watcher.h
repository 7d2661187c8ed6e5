// What a node keeps of a watch, and of whom its frames go to. A watch at rest takes less than 200 bytes: a Watcher, its
// group in the index (watch_index.h), and its keys.
#pragma once

#include <cstdint>
#include <string_view>

#include "api/types.h"
#include "base/ids.h"
#include "base/work_budget.h"
#include "shard/origin.h"
#include "shard/slot_pool.h"
#include "wire/out_buffer.h"

namespace ringfort::shard {

// What work costs, in keys walked: a watch looked at; a place in the index made or given up; a frame.
inline constexpr std::int64_t watch_look_keys = 1, watch_move_keys = 4, watch_frame_keys = 1;

// A change by its revision and its place in it.
struct ChangeId {
    api::Revision revision{0};
    std::uint32_t sub{0};
    auto operator<=>(const ChangeId&) const = default;
};

enum class WatcherState : std::uint8_t {
    free,
    in_pass,   // in that pass's index and list
    pending,   // of its feed: waits for a pass over what it has missed
    parked,    // in its sink's list: the connection is behind
    starved,   // in no list: the client grants no credit
    elsewhere, // of a connection here whose range is on another shard: here it has its request id alone, and no keys
};

struct Watcher {
    std::uint64_t request_id{0};
    // The first change it has not been told. In a pass, what lies before the pass has been told, whatever stands here.
    ChangeId next{};
    const char* text{nullptr};              // first key, then end; of a single key the end is the key and a zero byte
    std::uint32_t begin_bytes{0};
    std::uint32_t end_bytes{0};
    std::int32_t credit_bytes{0};
    std::uint32_t sink{no_slot};
    std::uint32_t sink_next{no_slot}, sink_previous{no_slot};     // of the same sink
    std::uint32_t table_next{no_slot};                            // of the same bucket of the table (watch_table.h)
    std::uint32_t list_next{no_slot}, list_previous{no_slot};     // of its pass, of those pending, or of those parked
    std::uint32_t group{no_slot};                                 // in the pass's index
    std::uint32_t group_next{no_slot}, group_previous{no_slot};
    std::uint16_t feed{0};                  // of one elsewhere: the shard
    std::uint8_t pass{0};                   // of the feed
    WatcherState state{WatcherState::free};
    bool no_end : 1 {false};                // its interval has none
    bool point : 1 {false};                 // it has one key
    bool prev_kv : 1 {false};
    bool no_put : 1 {false};
    bool no_delete : 1 {false};
    bool require_leader : 1 {false};
    bool progress_notify : 1 {false};
    bool progress_wanted : 1 {false};       // asked for, and not answered
    bool spoke : 1 {false};                 // since it was looked at last for a mark
    bool cancelled : 1 {false};             // elsewhere: that shard was told so
    bool open : 1 {false};                  // it was told a part of a revision, and not yet that this was all

    std::string_view begin() const { return {text, begin_bytes}; }
    // Of an interval without end nothing.
    std::string_view end() const {
        return point ? std::string_view(text, begin_bytes + 1U) : std::string_view(text + begin_bytes, end_bytes);
    }
    std::size_t text_bytes() const { return std::size_t{begin_bytes} + end_bytes; }
    // With both filters it is given marks alone.
    bool wants_changes() const { return !no_put || !no_delete; }
    bool ends_behind(std::string_view key) const { return no_end || key < end(); }
};
static_assert(sizeof(Watcher) <= 96);

// A place in an index is found by its keys.
inline void take_move(WorkBudget& budget, const Watcher& watcher) {
    budget.take(watch_move_keys, static_cast<std::int64_t>(watcher.text_bytes()));
}

// A list through list_next and list_previous.
struct WatcherList {
    std::uint32_t first{no_slot};
    std::uint32_t last{no_slot};
    std::size_t count{0};
};

class Watchers : public SlotPool<Watcher> {
  public:
    void append(WatcherList& list, std::uint32_t slot) {
        Watcher& watcher = (*this)[slot];
        watcher.list_previous = list.last;
        watcher.list_next = no_slot;
        (list.last != no_slot ? (*this)[list.last].list_next : list.first) = slot;
        list.last = slot;
        list.count++;
    }
    void remove(WatcherList& list, std::uint32_t slot) {
        Watcher& watcher = (*this)[slot];
        ASSERT(list.count > 0);
        (watcher.list_previous != no_slot ? (*this)[watcher.list_previous].list_next : list.first) = watcher.list_next;
        (watcher.list_next != no_slot ? (*this)[watcher.list_next].list_previous : list.last) = watcher.list_previous;
        watcher.list_next = watcher.list_previous = no_slot;
        list.count--;
    }
};

// A client connection as watches see it: of this shard, or of another one of the node.
struct WatchSink {
    std::uint64_t session{0};
    ShardId shard{};                        // where it is
    std::uint32_t first{no_slot};           // its watches, through sink_next
    std::size_t count{0};
    std::size_t key_bytes{0};               // memory of their keys
    WatcherList parked;
    bool in_rooms{false};                   // listed: those parked are being fetched
    bool in_dirty{false};                   // listed: `out` is to be mailed
    bool gone{false};                       // the connection is closed: nobody is told anything
    bool in_gone{false};                    // listed: its watches are being dropped
    // Of another shard's: frames that wait for the end of the turn, first answers among them, and bytes mailed there that
    // its client has not taken.
    wire::OutBuffer out;
    std::uint32_t answered{0};              // requests for watches, by what is in `out`,
    std::size_t answered_bytes{0};          // and how large they were
    std::size_t mailed_bytes{0};
};

}  // namespace ringfort::shard
