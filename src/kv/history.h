// Every change that can still be told, in the order in which it was made: what watches are served from, and what
// compaction walks to give space back.
//
// 16 bytes a change, in blocks of the slab. Changes are numbered: a number stays true as long as its change is kept, so
// that whoever reads along holds a number and no pointer. Two other ways were weighed. To keep no index and to look for the
// versions of an interval in the tree costs nothing until somebody watches, but then a whole walk and a sort for each
// watcher that is behind. To keep the newest changes alone bounds the memory, but needs that walk for the rest.
//
// Compaction at revision C passes two places. Below `reclaimed()` what a change superseded is gone. Those at C itself are
// kept on: a watch may begin at C. A removal whose key goes with it leaves a hole; then it may not (`lost_at()`), and all of
// them go.
//
// Commands append in order; changes of a loaded checkpoint come in key order, as sorted runs, and are merged before the
// first command.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/work_budget.h"
#include "kv/slab.h"
#include "kv/version.h"

namespace ringfort::kv {

class History {
  public:
    struct Change {
        KeyRecord* record;   // null: a hole
        Version* version;    // of a hole: no address, but its revision

        api::Revision mod() const {
            return record != nullptr ? version->mod
                                     : static_cast<api::Revision>(reinterpret_cast<std::uintptr_t>(version));
        }
    };

    explicit History(Slab& slab) : slab_(slab) {}

    // Requires: not before any change appended earlier, in (mod, sub).
    void append(KeyRecord* record, Version* version);

    // ---- loading. Requires: nothing was appended.
    void load(KeyRecord* record, Version* version);
    // Appends what was loaded, in order; true when it is done.
    bool merge(WorkBudget& budget);

    // ---- numbers of changes kept: [begin, end)
    std::uint64_t begin() const { return begin_; }
    std::uint64_t end() const { return end_; }
    bool empty() const { return begin_ == end_ && runs_.empty(); }
    const Change& operator[](std::uint64_t number) const { return chunk_of(number)->change[number % chunk_changes]; }
    // The first change of that revision or a later one; end() if there is none. Requires: nothing waits to be merged.
    std::uint64_t first_at(api::Revision revision) const;

    // ---- compaction
    std::uint64_t reclaimed() const { return reclaimed_; }
    // The next change is dealt with. Requires: reclaimed() < end().
    void reclaim() { reclaimed_++; }
    // The change becomes a hole. Its version may be freed after that.
    void lose(std::uint64_t number);
    void set_lost_at(api::Revision revision) { lost_at_ = revision; }
    // The newest revision with a hole.
    api::Revision lost_at() const { return lost_at_; }
    // Forgets the oldest. Requires: begin() < reclaimed().
    void pop();

    // Gives back in steps what is not the slab's; true when it is done. After the first step nothing else may be called.
    bool dismantle(WorkBudget& budget);
    // What is not in the slab.
    std::uint64_t heap_bytes() const { return loaded_ * sizeof(Loaded) + chunks_.size() * sizeof(Chunk*); }

  private:
    static constexpr std::size_t chunk_changes = 256;
    static constexpr std::size_t run_changes = 1024;
    struct Chunk {
        Change change[chunk_changes];
    };
    static_assert(sizeof(Chunk) == Slab::small_bytes_max);

    struct Loaded {
        api::Revision mod;
        KeyRecord* record;
        Version* version;
    };
    struct Run {
        std::vector<Loaded> loaded;   // oldest first, once it is sorted
        std::size_t at{0};
        const Loaded& front() const { return loaded[at]; }
    };
    static bool earlier(const Loaded& a, const Loaded& b) {
        return a.mod != b.mod ? a.mod < b.mod : a.version->sub < b.version->sub;
    }
    static bool later(const Run& a, const Run& b) { return earlier(b.front(), a.front()); }

    Chunk* chunk_of(std::uint64_t number) const {
        return chunks_[number / chunk_changes - begin_ / chunk_changes];
    }
    void close_run();
    void sink_first();

    Slab& slab_;
    std::deque<Chunk*> chunks_;       // a deque grows without moving what it holds
    std::uint64_t begin_{0};
    std::uint64_t end_{0};
    std::uint64_t reclaimed_{0};      // Invariant: in [begin_, end_]
    api::Revision lost_at_{0};
    std::deque<Run> runs_;            // a heap with the oldest change at the front, but for the one being filled, the last
    std::uint64_t loaded_{0};         // changes in them
    bool merging_{false};
};

}  // namespace ringfort::kv
