#include "log/run_list.h"

#include <algorithm>

namespace ringfort::log {

EntryRun EntryRun::part(std::uint64_t from, std::uint64_t to) const {
    ASSERT(first <= from && from < to && to <= end());
    EntryRun out = *this;
    const auto before = static_cast<std::uint32_t>(from - first);
    out.first = from;
    out.sequence += before;
    out.skipped += before;
    out.count = static_cast<std::uint32_t>(to - from);
    // Cumulative shares, so that the parts of a run add up to the whole.
    const auto share = [&](std::uint64_t entries) { return std::uint64_t{payload_bytes} * entries / count; };
    out.payload_bytes = static_cast<std::uint32_t>(share(to - first) - share(from - first));
    return out;
}

const EntryRun* RunList::at_or_after(std::uint64_t index) const {
    return std::partition_point(begin(), end(), [&](const EntryRun& run) { return run.end() <= index; });
}

const EntryRun* RunList::find(std::uint64_t index) const {
    if (empty()) {
        return nullptr;
    }
    const EntryRun* run = back().first <= index ? &back() : at_or_after(index);
    return run != end() && run->first <= index && index < run->end() ? run : nullptr;
}

void RunList::append(const EntryRun& run) {
    ASSERT(empty() || back().end() <= run.first);
    if (empty()) {
        runs_.clear();
        begin_ = 0;
    }
    runs_.push_back(run);
}

void RunList::extend_last(std::uint32_t payload_bytes) {
    ASSERT(!empty());
    runs_.back().count++;
    runs_.back().payload_bytes += payload_bytes;
}

// Moves the runs down once most of the memory before them is unused, so that each is moved a bounded number of times.
void RunList::compact() {
    if (begin_ > 0 && begin_ >= runs_.size() - begin_) {
        runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(begin_));
        begin_ = 0;
    }
}

}  // namespace ringfort::log
