// Where a range's log lies: runs of entries of one term that stand in one record of one batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assertion.h"

namespace ringfort::log {

struct BatchPlace {
    std::uint64_t segment{0};
    std::uint64_t offset{0};
    std::uint64_t sequence{0};
    std::uint32_t bytes{0};
};

struct EntryRun {
    std::uint64_t first{0};           // index
    std::uint64_t term{0};
    std::uint64_t sequence{0};        // of `first`
    std::uint64_t appended_batch{0};  // that held the entries as first written; never above place.sequence, which it is
                                      // unless they were copied
    BatchPlace place;
    std::uint32_t count{0};
    std::uint32_t record{0};          // offset in the batch's directory
    std::uint32_t skipped{0};         // entries of the record before `first`
    std::uint32_t payload_bytes{0};   // of the run; shared out evenly when a run is cut

    std::uint64_t end() const { return first + count; }
    std::uint64_t last() const { return first + count - 1; }
    // The part [from, to). Requires: it lies within the run and is not empty.
    EntryRun part(std::uint64_t from, std::uint64_t to) const;
};

// Runs by index, not overlapping; holes are possible while a log is being recovered. Dropped parts go to `dropped`.
class RunList {
  public:
    bool empty() const { return begin_ == runs_.size(); }
    std::size_t size() const { return runs_.size() - begin_; }
    const EntryRun& operator[](std::size_t i) const { return runs_[begin_ + i]; }
    const EntryRun& front() const { return runs_[begin_]; }
    const EntryRun& back() const { return runs_.back(); }
    const EntryRun* begin() const { return runs_.data() + begin_; }
    const EntryRun* end() const { return runs_.data() + runs_.size(); }

    // The run that holds `index`, or nullptr. O(log runs), O(1) for the newest.
    const EntryRun* find(std::uint64_t index) const;
    // The first run that ends after `index`, or end().
    const EntryRun* at_or_after(std::uint64_t index) const;

    // Requires: it begins after the last.
    void append(const EntryRun& run);
    // One more entry in the last run's record.
    void extend_last(std::uint32_t payload_bytes);
    // Says where batch `sequence` lies, to its runs from `from` on that do not know yet; each goes to `placed`.
    template <class Placed>
    void place(std::uint64_t from, const BatchPlace& place, Placed&& placed);

    template <class Dropped>
    void truncate(std::uint64_t from, Dropped&& dropped);  // entries >= from
    template <class Dropped>
    void trim(std::uint64_t through, Dropped&& dropped);   // entries <= through
    // Puts `run` where it belongs, in place of what was there.
    template <class Dropped>
    void replace(const EntryRun& run, Dropped&& dropped);

  private:
    void compact();

    std::vector<EntryRun> runs_;
    std::size_t begin_{0};  // runs before it are gone
};

template <class Placed>
void RunList::place(std::uint64_t from, const BatchPlace& place, Placed&& placed) {
    for (std::size_t i = static_cast<std::size_t>(at_or_after(from) - runs_.data()); i < runs_.size(); i++) {
        EntryRun& run = runs_[i];
        if (run.place.sequence != place.sequence) {
            return;
        }
        if (run.place.segment == 0) {
            run.place = place;
            placed(run);
        }
    }
}

template <class Dropped>
void RunList::truncate(std::uint64_t from, Dropped&& dropped) {
    while (!empty() && runs_.back().last() >= from) {
        EntryRun& run = runs_.back();
        if (run.first >= from) {
            dropped(run);
            runs_.pop_back();
        } else {
            dropped(run.part(from, run.end()));
            run = run.part(run.first, from);
        }
    }
}

template <class Dropped>
void RunList::trim(std::uint64_t through, Dropped&& dropped) {
    while (!empty() && runs_[begin_].first <= through) {
        EntryRun& run = runs_[begin_];
        if (run.last() <= through) {
            dropped(run);
            begin_++;
        } else {
            dropped(run.part(run.first, through + 1));
            run = run.part(through + 1, run.end());
        }
    }
    compact();
}

template <class Dropped>
void RunList::replace(const EntryRun& run, Dropped&& dropped) {
    ASSERT(run.count > 0);
    compact();
    std::size_t at = static_cast<std::size_t>(at_or_after(run.first) - runs_.data());
    const auto position = [&](std::size_t i) { return runs_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (at < runs_.size() && runs_[at].first < run.first) {  // keep what lies before
        const EntryRun old = runs_[at];
        runs_[at] = old.part(old.first, run.first);
        at++;
        runs_.insert(position(at), old.part(run.first, old.end()));
    }
    std::size_t until = at;
    while (until < runs_.size() && runs_[until].first < run.end()) {
        const EntryRun old = runs_[until];
        if (old.end() > run.end()) {  // keep what lies behind
            dropped(old.part(old.first, run.end()));
            runs_[until] = old.part(run.end(), old.end());
            break;
        }
        dropped(old);
        until++;
    }
    if (until > at) {
        const std::size_t gone = until - at - 1;
        if (at - begin_ < runs_.size() - until) {  // what is copied again stands near the front of a long list
            std::move_backward(position(begin_), position(at), position(at + gone));
            begin_ += gone;
            runs_[at + gone] = run;
        } else {
            runs_[at] = run;
            runs_.erase(position(at + 1), position(until));
        }
    } else {
        runs_.insert(position(at), run);
    }
}

}  // namespace ringfort::log
