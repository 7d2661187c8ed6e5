#include "raft/log.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::raft {

void SizeRing::drop_front(std::size_t drop_count) {
    ASSERT(drop_count <= count());
    head_ += drop_count;
}

void SizeRing::drop_back(std::size_t drop_count) {
    ASSERT(drop_count <= count());
    tail_ -= drop_count;
}

void SizeRing::grow() {
    std::vector<std::uint32_t> larger(sizes_.size() * 2);
    const std::size_t kept = count();
    for (std::size_t i = 0; i < kept; i++) {
        larger[i] = (*this)[i];
    }
    sizes_ = std::move(larger);
    head_ = 0;
    tail_ = kept;
}

std::optional<Term> Log::term_at(LogIndex index) const {
    if (index > last_.index || index < snapshot_.index) {
        return std::nullopt;
    }
    if (index == last_.index) {
        return last_.term;
    }
    if (index == snapshot_.index) {
        return snapshot_.term;
    }
    if (index >= runs_.back().first) {
        return runs_.back().term;
    }
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                        [](LogIndex wanted, const Run& run) { return wanted < run.first; });
    ASSERT(after != runs_.begin());
    return std::prev(after)->term;
}

LogIndex Log::last_not_after(LogIndex index, Term term) const {
    index = std::min(index, last_.index);
    if (index <= snapshot_.index) {
        return index;
    }
    for (std::size_t i = runs_.size(); i > 0; i--) {
        const Run& run = runs_[i - 1];
        if (run.first > index) {
            continue;
        }
        if (run.term <= term) {
            return index;
        }
        index = run.first.prev();
    }
    return snapshot_.index;
}

Log::Piece Log::piece(LogIndex first, LogIndex end, std::uint64_t bytes_max) const {
    ASSERT(first >= first_in_memory());
    ASSERT(first <= end && end <= last_.index);
    const std::size_t offset = distance(first_in_memory(), first);
    const std::size_t available = distance(first, end) + 1;
    Piece out{.entry_count = 1, .bytes = sizes_[offset]};
    for (; out.entry_count < available; out.entry_count++) {
        const std::uint64_t bytes = out.bytes + sizes_[offset + out.entry_count];
        if (bytes > bytes_max) {
            break;
        }
        out.bytes = bytes;
    }
    return out;
}

void Log::append(Term term, std::uint32_t payload_bytes, Residence residence) {
    ASSERT(term >= last_.term);
    const LogIndex index = last_.index.next();
    if (runs_.empty() || runs_.back().term != term) {
        runs_.push_back({.first = index, .term = term});
    }
    last_ = {.term = term, .index = index};
    if (residence == Residence::memory) {
        sizes_.push_back(payload_bytes);
    } else {
        ASSERT(sizes_.count() == 0);
    }
}

void Log::truncate(LogIndex from) {
    ASSERT(from > snapshot_.index && from <= last_.index);
    const std::size_t drop_count = distance(from, last_.index) + 1;
    sizes_.drop_back(std::min(drop_count, sizes_.count()));
    while (!runs_.empty() && runs_.back().first >= from) {
        runs_.pop_back();
    }
    last_.index = from.prev();
    last_.term = runs_.empty() ? snapshot_.term : runs_.back().term;
}

void Log::compact(LogIndex through) {
    ASSERT(through >= snapshot_.index && through <= last_.index);
    const EntryId snapshot{.term = *term_at(through), .index = through};
    evict(through);
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), through.next(),
                                        [](LogIndex wanted, const Run& run) { return wanted < run.first; });
    if (through == last_.index) {
        runs_.clear();
    } else {
        ASSERT(after != runs_.begin());
        runs_.erase(runs_.begin(), std::prev(after));
        runs_.front().first = through.next();
    }
    snapshot_ = snapshot;
}

void Log::restore(EntryId snapshot) {
    runs_.clear();
    sizes_.drop_front(sizes_.count());
    snapshot_ = snapshot;
    last_ = snapshot;
}

void Log::evict(LogIndex through) {
    const LogIndex first = first_in_memory();
    if (through >= first) {
        sizes_.drop_front(std::min<std::size_t>(distance(first, through) + 1, sizes_.count()));
    }
}

void Log::check_invariants() const {
    ASSERT(snapshot_.index <= last_.index);
    ASSERT(sizes_.count() <= distance(snapshot_.index, last_.index));
    ASSERT(runs_.empty() == (snapshot_.index == last_.index));
    LogIndex expected = snapshot_.index.next();
    Term term = snapshot_.term;
    for (std::size_t i = 0; i < runs_.size(); i++) {
        ASSERT(i == 0 ? runs_[i].first == expected : runs_[i].first >= expected);
        ASSERT(i == 0 ? runs_[i].term >= term : runs_[i].term > term);
        expected = runs_[i].first.next();
        term = runs_[i].term;
    }
    ASSERT(last_.term == term);
    ASSERT(last_.index.next() >= expected);
}

}  // namespace ringfort::raft
