// What compaction will be able to give back, in the order in which it may.
//
// An entry is a version that supersedes something: once its mod revision is compacted, the version under it is out of
// reach, and, if it is itself the removal and the newest, so is its key. Commands append in revision order; entries
// of a loaded checkpoint come in key order and are kept in a heap until they are gone. All of them are older than
// anything appended, since loading ends before the first command.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/work_budget.h"
#include "kv/slab.h"
#include "kv/version.h"

namespace ringfort::kv {

class GarbageQueue {
  public:
    explicit GarbageQueue(Slab& slab) : slab_(slab) {}

    // Requires: not before any version appended earlier, in (mod, sub).
    void append(Version* version);
    void load(Version* version);

    bool empty() const { return loaded_.empty() && size_ == 0; }
    // Requires: !empty().
    Version* front() const;
    void pop();
    // Gives back in steps what is not the slab's; true when it is done. After the first step nothing else may be called.
    bool dismantle(WorkBudget& budget);
    std::uint64_t size() const { return size_ + loaded_.size(); }
    // Of the heap of loaded entries; the rest is in the slab.
    std::uint64_t heap_bytes() const { return loaded_.size() * sizeof(Loaded); }

  private:
    static constexpr std::size_t chunk_entries = 510;
    struct Chunk {
        Chunk* next;
        std::uint64_t unused;
        Version* entry[chunk_entries];
    };
    static_assert(sizeof(Chunk) == 4096);

    struct Loaded {
        api::Revision mod;
        std::uint32_t sub;
        Version* version;
    };
    // Orders a heap with the oldest at the front.
    static bool later(const Loaded& a, const Loaded& b) {
        return a.mod != b.mod ? a.mod > b.mod : a.sub > b.sub;
    }

    Slab& slab_;
    Chunk* first_{nullptr};
    Chunk* last_{nullptr};
    std::size_t first_at_{0};   // next entry to pop in *first_
    std::size_t last_at_{0};    // next free entry in *last_
    std::uint64_t size_{0};     // entries in the chunks
    std::deque<Loaded> loaded_; // a deque grows without moving what it holds
};

}  // namespace ringfort::kv
