#include "kv/history.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assertion.h"

namespace ringfort::kv {

namespace {

// On the way down a heap of runs two neighbours are looked at in each level: far less than a key walked in the tree.
constexpr int heap_levels_per_key = 4;

}  // namespace

void History::append(KeyRecord* record, Version* version) {
    if (end_ % chunk_changes == 0 || chunks_.empty()) {
        chunks_.push_back(static_cast<Chunk*>(slab_.allocate(sizeof(Chunk))));
    }
    chunks_.back()->change[end_ % chunk_changes] = {record, version};
    end_++;
}

// ---------------------------------------------------------------------------------------------- loading

void History::load(KeyRecord* record, Version* version) {
    ASSERT(end_ == 0 && !merging_);
    if (runs_.empty() || runs_.back().loaded.size() == run_changes) {
        close_run();
        runs_.emplace_back().loaded.reserve(run_changes);
    }
    runs_.back().loaded.push_back({version->mod, record, version});
    loaded_++;
}

// The run being filled is whole.
void History::close_run() {
    if (!runs_.empty()) {
        std::sort(runs_.back().loaded.begin(), runs_.back().loaded.end(), earlier);
        std::push_heap(runs_.begin(), runs_.end(), later);
    }
}

// The first run begins later than it did.
void History::sink_first() {
    for (std::size_t at = 0, child = 1; child < runs_.size(); at = child, child = 2 * at + 1) {
        if (child + 1 < runs_.size() && later(runs_[child], runs_[child + 1])) {
            child++;
        }
        if (!later(runs_[at], runs_[child])) {
            return;
        }
        std::swap(runs_[at], runs_[child]);
    }
}

bool History::merge(WorkBudget& budget) {
    if (!merging_) {
        merging_ = true;
        close_run();
    }
    while (!runs_.empty() && !budget.spent()) {
        budget.take(1 + static_cast<int>(std::bit_width(runs_.size())) / heap_levels_per_key, 0);
        Run& oldest = runs_.front();
        append(oldest.front().record, oldest.front().version);
        oldest.at++;
        loaded_--;
        if (oldest.at == oldest.loaded.size()) {
            std::swap(oldest, runs_.back());
            runs_.pop_back();
        }
        sink_first();
    }
    return runs_.empty();
}

// ---------------------------------------------------------------------------------------------- places

std::uint64_t History::first_at(api::Revision revision) const {
    ASSERT(runs_.empty());
    std::uint64_t low = begin_;
    std::uint64_t high = end_;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        if ((*this)[middle].mod() < revision) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// ---------------------------------------------------------------------------------------------- compaction

void History::lose(std::uint64_t number) {
    Change& change = chunk_of(number)->change[number % chunk_changes];
    lost_at_ = change.mod();
    change = {nullptr, reinterpret_cast<Version*>(static_cast<std::uintptr_t>(lost_at_))};
}

void History::pop() {
    ASSERT(begin_ < reclaimed_);
    begin_++;
    if (begin_ % chunk_changes == 0 || begin_ == end_) {
        slab_.release(chunks_.front(), sizeof(Chunk));
        chunks_.pop_front();
    }
}

bool History::dismantle(WorkBudget& budget) {
    constexpr std::int64_t run_keys = 64;
    for (; !runs_.empty() && !budget.spent(); budget.take(run_keys, 0)) {
        loaded_ -= runs_.back().loaded.size() - runs_.back().at;
        runs_.pop_back();
    }
    chunks_.clear();   // of addresses: the blocks are the slab's
    return runs_.empty();
}

}  // namespace ringfort::kv
