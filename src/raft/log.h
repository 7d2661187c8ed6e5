// What the core knows of the log: the ids of all entries after the snapshot, as runs of equal terms, and the sizes of
// those whose payload is in memory. It holds no payloads.
//
// Invariants: snapshot.index <= last.index; runs cover snapshot.index + 1 ... last.index without gaps, terms strictly
// rise from run to run; the entries in memory are a suffix of the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "raft/types.h"

namespace ringfort::raft {

// Payload sizes of the entries in memory: a ring that grows, and in the steady state does not allocate.
class SizeRing {
  public:
    std::size_t count() const { return tail_ - head_; }
    std::uint32_t operator[](std::size_t i) const { return sizes_[(head_ + i) & mask()]; }
    void push_back(std::uint32_t bytes) {
        if (count() == sizes_.size()) {
            grow();
        }
        sizes_[tail_++ & mask()] = bytes;
    }
    void drop_front(std::size_t drop_count);
    void drop_back(std::size_t drop_count);

  private:
    std::size_t mask() const { return sizes_.size() - 1; }
    void grow();

    std::vector<std::uint32_t> sizes_ = std::vector<std::uint32_t>(64);  // a power of two long
    std::size_t head_{0};
    std::size_t tail_{0};
};

enum class Residence : std::uint8_t { memory, disk };

class Log {
  public:
    explicit Log(EntryId snapshot) : snapshot_(snapshot), last_(snapshot) {}

    EntryId snapshot() const { return snapshot_; }
    EntryId last() const { return last_; }
    // Entries from here on are in memory.
    LogIndex first_in_memory() const { return LogIndex(last_.index.value + 1 - sizes_.count()); }

    std::optional<Term> term_at(LogIndex index) const;
    bool holds(EntryId id) const { return term_at(id.index) == id.term; }
    // The last index <= `index` whose term is <= `term`: where a log with (index, term) may agree with this one
    // (thesis 3.2). An index before the snapshot is answered as it is.
    LogIndex last_not_after(LogIndex index, Term term) const;
    // How many entries from `first` on fit into `bytes_max`; at least one. Requires: `first` is in memory, first <= end.
    struct Piece {
        std::uint32_t entry_count{0};
        std::uint64_t bytes{0};
    };
    Piece piece(LogIndex first, LogIndex end, std::uint64_t bytes_max) const;

    // Requires: term >= last().term. Entries on disk come before entries in memory.
    void append(Term term, std::uint32_t payload_bytes, Residence residence);
    // Entries from `from` on are void. Requires: snapshot.index < from <= last.index.
    void truncate(LogIndex from);
    // Forgets entries up to `through`. Requires: snapshot.index <= through <= last.index.
    void compact(LogIndex through);
    // The log begins anew behind `snapshot`.
    void restore(EntryId snapshot);
    void evict(LogIndex through);

    void check_invariants() const;

  private:
    struct Run {
        LogIndex first{};
        Term term{};
    };

    EntryId snapshot_;
    EntryId last_;
    std::vector<Run> runs_;
    SizeRing sizes_;
};

}  // namespace ringfort::raft
