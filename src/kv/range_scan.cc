#include "kv/range_scan.h"

#include <algorithm>
#include <bit>

#include "api/key_range.h"
#include "base/mutant.h"
#include "kv/compare_texts.h"
#include "kv/key_tree_node.h"

namespace ringfort::kv {

namespace {

bool within(api::Revision value, api::Revision min, api::Revision max) {
    return (min == 0 || value >= min) && (max == 0 || value <= max);
}

// What a push into the heap counts for, in keys walked.
constexpr std::int64_t heap_push_keys = 2;

}  // namespace

bool has_filter(const api::RangeRequest& request) {
    return request.min_mod_revision != 0 || request.max_mod_revision != 0 ||
           request.min_create_revision != 0 || request.max_create_revision != 0;
}

RangeScan::RangeScan(const StoreState& state, const api::RangeRequest& request, api::Revision at)
    : request_(request),
      begin_(request.key),
      at_(at),
      limit_(request.limit > 0 ? static_cast<std::uint64_t>(request.limit) : 0) {
    const api::KeyRange range{request.key, request.range_end};
    if (api::is_point(range)) {
        end_ = begin_;
        end_->push_back('\0');
    } else if (const api::Interval interval = api::interval_of(range); interval.end) {
        end_ = std::string(*interval.end);
    }
    const KeyTree::Counts counts = state.tree.count(begin_, end_);
    records_ = counts.records;
    count_known_ = at >= state.newest_revision() || MUTANT(count_is_of_today);
    count_ = count_known_ ? counts.live : 0;
    position_ = begin_;
    if (sorted() && !request.count_only) {
        references_.reserve(limit_ == 0 ? records_ : std::min(limit_, records_));
    }
}

bool RangeScan::sorted() const {
    return request_.sort_target != api::SortTarget::key;
}

bool RangeScan::backward() const {
    return !sorted() && request_.sort_order == api::SortOrder::descend;
}

bool RangeScan::inside(std::string_view key) const {
    return backward() ? key >= begin_ : !end_ || key < *end_ || (MUTANT(range_holds_its_end) && key == *end_);
}

bool RangeScan::wanted(const Version& version) const {
    if (MUTANT(revision_filter_ends_early) && version.mod == request_.max_mod_revision) {
        return false;
    }
    return within(version.mod, request_.min_mod_revision, request_.max_mod_revision) &&
           within(version.create(), request_.min_create_revision, request_.max_create_revision);
}

void RangeScan::set_count(std::uint64_t count) {
    ASSERT(stage_ == Stage::walk && !started_ && seen_ == 0 && count <= records_);
    count_known_ = true;
    count_ = count;
}

std::optional<RangeScan::Rest> RangeScan::rest() const {
    ASSERT(stage_ == Stage::done);
    if (sorted() || !more()) {
        return std::nullopt;
    }
    ASSERT(seen_to_cut_ < count_);
    return Rest{backward() ? api::Interval{begin_, cut_} : api::Interval{cut_, end_}, count_ - seen_to_cut_};
}

std::uint64_t RangeScan::pairs_left_max() const {
    if (request_.count_only || stage_ == Stage::done) {
        return 0;
    }
    const std::uint64_t all = limit_ == 0 ? records_ : std::min(limit_, records_);
    return all - emitted_;
}

Step RangeScan::step(const StoreState& state, WorkBudget& budget, PairSink& sink) {
    if (stage_ == Stage::walk && walk(state, budget, sink) == Step::done) {
        unsorted_ = references_.size();
        stage_ = sorted() && !request_.count_only ? Stage::sort : Stage::done;
    }
    if (stage_ == Stage::sort && sort(budget) == Step::done) {
        stage_ = Stage::emit;
    }
    if (stage_ == Stage::emit && emit_sorted(budget, sink) == Step::done) {
        stage_ = Stage::done;
    }
    return stage_ == Stage::done ? Step::done : Step::more;
}

// ---------------------------------------------------------------------------------------------- walk

KeyTree::Cursor RangeScan::resume(const StoreState& state) const {
    if (!backward()) {
        return state.tree.lower_bound(position_);
    }
    if (!started_) {
        return end_ ? state.tree.last_before(*end_) : state.tree.last_before(std::nullopt);
    }
    return state.tree.last_before(position_ + '\0');
}

bool RangeScan::walk_over() const {
    if (!count_known_) {
        return false;
    }
    if (request_.count_only) {
        return true;
    }
    // Without a filter the count tells whether there is more; with one, the first match beyond the limit does.
    const std::uint64_t seen_enough = has_filter(request_) ? limit_ + 1 : limit_;
    return !sorted() && limit_ > 0 && matched_ >= seen_enough;
}

Step RangeScan::walk(const StoreState& state, WorkBudget& budget, PairSink& sink) {
    if (end_ && *end_ <= begin_) {
        return Step::done;
    }
    if (!walk_over()) {
        for (auto cursor = resume(state); !cursor.at_end(); backward() ? cursor.prev() : cursor.next()) {
            const KeyRecord& record = *cursor.record();
            if (!inside(record.key())) {
                break;
            }
            if (!backward()) {
                cursor.prefetch_next();
            }
            if (budget.spent() || !settle(references_.size(), budget) || !find_visible(record, budget)) {
                position_.assign(record.key());
                started_ = true;
                return Step::more;
            }
            const bool there = chain_ != nullptr && !chain_->tombstone();
            const bool match = there && !request_.count_only && wanted(*chain_);
            const bool emits = match && !sorted() && (limit_ == 0 || matched_ < limit_);
            if (emits && sink.full()) {
                position_.assign(record.key());
                started_ = true;
                return Step::more;
            }
            seen_ += there ? 1 : 0;
            matched_ += match ? 1 : 0;
            if (emits) {
                emit(record, *chain_, budget, sink);
                if (matched_ == limit_) {
                    cut_after(record.key());
                }
            } else if (match && sorted()) {
                take(record, *chain_, budget);
                budget.take(heap_push_keys, 0);
            }
            chain_ = nullptr;
            budget.take(1, emits ? 0 : record.key_bytes);
            if (walk_over()) {
                break;
            }
        }
    }
    if (!count_known_) {
        count_ = seen_;
    } else if (!has_filter(request_)) {
        matched_ = count_;
    }
    return Step::done;
}

void RangeScan::cut_after(std::string_view key) {
    cut_.assign(key);
    if (!backward()) {
        cut_.push_back('\0');   // the next key that there could be
    }
    seen_to_cut_ = seen_;
}

// Ensures: chain_ is what a reader at at_ sees, null if nothing.
bool RangeScan::find_visible(const KeyRecord& record, WorkBudget& budget) {
    if (chain_ == nullptr) {
        chain_ = record.latest;
    }
    while (chain_ != nullptr && chain_->mod > at_ && !MUTANT(past_read_sees_newest)) {
        // Newer than what is read, so kept as long as the revision read is: a pause here is safe.
        if (budget.spent()) {
            return false;
        }
        chain_ = chain_->older();
        budget.take(1, 0);
    }
    return true;
}

void RangeScan::emit(const KeyRecord& record, const Version& version, WorkBudget& budget, PairSink& sink) {
    api::KeyValue pair = key_value(record, version);
    if (request_.keys_only) {
        pair.value = {};   // the lease stays: etcd's index path drops it by accident
    }
    ASSERT(sink.count < sink.room);
    if (!sink.count_only) {
        new (sink.pairs + sink.count) api::KeyValue(pair);
    }
    sink.count++;
    const std::size_t bytes = pair.key.size() + pair.value.size() + sink.pair_bytes;
    sink.bytes += bytes;
    emitted_++;
    budget.take(0, static_cast<std::int64_t>(bytes));
}

// ---------------------------------------------------------------------------------------------- sort

std::int64_t RangeScan::order_of(const Version& version) const {
    switch (request_.sort_target) {
        case api::SortTarget::version:
            return version.version();
        case api::SortTarget::create:
            return version.create();
        case api::SortTarget::mod:
            return version.mod;
        case api::SortTarget::value:
            // The first seven bytes: they fit a positive number.
            return static_cast<std::int64_t>(key_head(version.value(), 0) >> 8);
        case api::SortTarget::key:
            break;
    }
    UNREACHABLE();
}

// Whether a stands before b in the answer.
bool RangeScan::precedes(const Reference& a, const Reference& b, WorkBudget& budget) const {
    const bool down = request_.sort_order == api::SortOrder::descend && !MUTANT(sorts_upwards_only);
    if (a.order != b.order) {
        return down ? a.order > b.order : a.order < b.order;
    }
    if (request_.sort_target == api::SortTarget::value) {
        const int order = compare_texts(a.version->value(), b.version->value(), budget);
        if (order != 0) {
            return down ? order > 0 : order < 0;
        }
    }
    return compare_texts(a.record->key(), b.record->key(), budget) < 0;
}

// Requires: the heap is settled.
void RangeScan::take(const KeyRecord& record, const Version& version, WorkBudget& budget) {
    const Reference reference{&record, &version, order_of(version)};
    if (limit_ == 0 || references_.size() < limit_) {
        references_.push_back(reference);
        moving_ = Moving::up;
        moving_at_ = references_.size() - 1;
    } else if (precedes(reference, references_.front(), budget)) {
        references_.front() = reference;
        moving_ = Moving::down;
        moving_at_ = 0;
    }
}

// Makes the first `count` references a heap again, with the last in order on top. False: the budget ended.
bool RangeScan::settle(std::size_t count, WorkBudget& budget) {
    while (moving_ != Moving::none) {
        if (budget.spent()) {
            return false;
        }
        moving_ == Moving::down ? move_down(count, budget) : move_up(budget);
    }
    return true;
}

// Without a look at what moves: it mostly belongs near the leaves, and so one comparison a level is enough.
void RangeScan::move_down(std::size_t count, WorkBudget& budget) {
    std::size_t child = 2 * moving_at_ + 1;
    if (child >= count) {
        moving_ = Moving::up;
        return;
    }
    if (child + 1 < count && precedes(references_[child], references_[child + 1], budget)) {
        child++;
    }
    std::swap(references_[moving_at_], references_[child]);
    moving_at_ = child;
}

void RangeScan::move_up(WorkBudget& budget) {
    const std::size_t parent = (moving_at_ - 1) / 2;
    if (moving_at_ == 0 || !precedes(references_[parent], references_[moving_at_], budget)) {
        moving_ = Moving::none;
        return;
    }
    std::swap(references_[moving_at_], references_[parent]);
    moving_at_ = parent;
}

Step RangeScan::sort(WorkBudget& budget) {
    while (settle(unsorted_, budget)) {
        if (unsorted_ <= 1) {
            return Step::done;
        }
        budget.take(static_cast<std::int64_t>(std::bit_width(unsorted_)), 0);   // the way down the heap
        unsorted_--;
        std::swap(references_.front(), references_[unsorted_]);
        moving_ = Moving::down;
        moving_at_ = 0;
    }
    return Step::more;
}

Step RangeScan::emit_sorted(WorkBudget& budget, PairSink& sink) {
    while (emitted_ < references_.size()) {
        if (budget.spent() || sink.full()) {
            return Step::more;
        }
        emit(*references_[emitted_].record, *references_[emitted_].version, budget, sink);
        budget.take(1, 0);
    }
    return Step::done;
}

}  // namespace ringfort::kv
