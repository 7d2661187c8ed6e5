#include "kv/answer_meter.h"

#include <algorithm>

#include "api/key_range.h"

namespace ringfort::kv {

namespace {

// More pairs than this do not fit, whatever they hold.
constexpr std::int64_t pairs_limit = limits::answer_bytes_max / limits::answer_pair_bytes;
// How many earlier changes one looks through for the price of a key walked.
constexpr std::size_t changes_per_key = 16;

bool contains(const api::KeyRange& range, std::string_view key) {
    return api::is_point(range) ? key == range.key : api::interval_of(range).contains(key);
}

bool overlap(const api::KeyRange& a, const api::KeyRange& b) {
    return contains(a, b.key) || contains(b, a.key);
}

bool in_key_order(const api::RangeRequest& range) {
    return range.sort_target == api::SortTarget::key;
}

const Version* live_version(const KeyRecord* record) {
    return record == nullptr || record->latest->tombstone() ? nullptr : record->latest;
}

}  // namespace

std::size_t AnswerMeter::pairs_at_sight(const api::RequestOp& op) {
    if (const auto* put = std::get_if<api::PutRequest>(&op.op)) {
        return put->prev_kv ? 1 : 0;
    }
    if (const auto* range = std::get_if<api::RangeRequest>(&op.op)) {
        return range->count_only ? 0 : (range->range_end.empty() ? 1 : 2);
    }
    if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&op.op)) {
        return !remove->prev_kv ? 0 : (remove->range_end.empty() ? 1 : 2);
    }
    UNREACHABLE();   // nested transactions have been taken apart
}

void AnswerMeter::begin() {
    bytes_ = 0;
    pairs_ = 0;
    puts_.clear();
    removals_.clear();
}

void AnswerMeter::reset() {
    scan_.reset();
    constexpr std::size_t kept = 1024;
    if (puts_.capacity() > kept) {
        std::vector<Put>().swap(puts_);
    }
    if (removals_.capacity() > kept) {
        std::vector<api::KeyRange>().swap(removals_);
    }
}

Step AnswerMeter::add(const StoreState& state, const api::RequestOp& op, WorkBudget& budget) {
    if (scan_) {
        return scan(state, budget);
    }
    bytes_ += limits::answer_op_bytes;
    pairs_ = 0;
    budget.take(1, 0);
    if (const auto* put = std::get_if<api::PutRequest>(&op.op)) {
        if (put->prev_kv) {
            add_live_pair(state, put->key, true);
            add_earlier_puts({put->key, {}}, budget);
        }
        add_put(state, *put);
        return Step::done;
    }
    if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&op.op)) {
        const api::KeyRange range{remove->key, remove->range_end};
        if (remove->prev_kv && api::is_point(range)) {
            add_live_pair(state, remove->key, true);
        } else if (remove->prev_kv) {
            api::RangeRequest all;
            all.key = remove->key;
            all.range_end = remove->range_end;
            begin_scan(state, all);
        }
        if (remove->prev_kv) {
            add_earlier_puts(range, budget);
        }
        removals_.push_back(range);
    } else if (const auto& range = std::get<api::RangeRequest>(op.op); !range.count_only) {
        if (range.range_end.empty() && range.revision == 0 && !has_filter(range)) {
            add_live_pair(state, range.key, !range.keys_only);
        } else {
            begin_scan(state, range);
        }
        if (range.revision == 0) {
            add_earlier_puts({range.key, range.range_end}, budget);
        }
    }
    return scan_ ? scan(state, budget) : Step::done;
}

void AnswerMeter::add_put(const StoreState& state, const api::PutRequest& put) {
    std::size_t value_bytes = put.value.size();
    if (put.ignore_value) {
        if (const Version* former = live_version(state.find(put.key)); former != nullptr) {
            value_bytes += former->value_bytes();
        }
    }
    puts_.push_back({put.key, limits::answer_pair_bytes + put.key.size() + value_bytes});
}

void AnswerMeter::add_live_pair(const StoreState& state, std::string_view key, bool with_value) {
    if (const Version* version = live_version(state.find(key)); version != nullptr) {
        bytes_ += limits::answer_pair_bytes + key.size() + (with_value ? version->value_bytes() : 0);
        pairs_++;
    }
}

void AnswerMeter::add_earlier_puts(const api::KeyRange& range, WorkBudget& budget) {
    for (const Put& put : puts_) {
        if (contains(range, put.key)) {
            bytes_ += put.bytes;
            pairs_++;
        }
    }
    budget.take(static_cast<std::int64_t>((puts_.size() + removals_.size()) / changes_per_key), 0);
}

bool AnswerMeter::put_inside(const api::KeyRange& range) const {
    return std::any_of(puts_.begin(), puts_.end(), [&](const Put& put) { return contains(range, put.key); });
}

bool AnswerMeter::removed_from(const api::KeyRange& range) const {
    return std::any_of(removals_.begin(), removals_.end(),
                       [&](const api::KeyRange& removal) { return overlap(removal, range); });
}

void AnswerMeter::begin_scan(const StoreState& state, const api::RangeRequest& range) {
    api::RangeRequest measured = range;
    const api::KeyRange keys{range.key, range.range_end};
    // A put in the interval can only displace others in key order; by another order, or past a filter, it can also make
    // room for them, as a removal always can.
    const bool displaces_only = in_key_order(range) && !has_filter(range);
    const bool changed = range.revision == 0 && (removed_from(keys) || (!displaces_only && put_inside(keys)));
    if (changed || range.limit > pairs_limit) {
        measured.limit = 0;
    }
    if (measured.limit <= 0) {
        // All of them: in whatever order.
        measured.sort_target = api::SortTarget::key;
        measured.sort_order = api::SortOrder::none;
    }
    scan_.emplace(state, measured, range.revision == 0 ? state.revision : range.revision);
}

Step AnswerMeter::scan(const StoreState& state, WorkBudget& budget) {
    PairSink sink;
    sink.count_only = true;
    sink.pair_bytes = limits::answer_pair_bytes;
    sink.room = std::numeric_limits<std::size_t>::max();
    sink.bytes_limit = too_large() ? 0 : limits::answer_bytes_max - bytes_ + 1;
    const Step step = too_large() ? Step::done : scan_->step(state, budget, sink);
    bytes_ += sink.bytes;
    pairs_ += sink.count;
    if (step == Step::more && !too_large()) {
        return Step::more;
    }
    scan_.reset();
    return Step::done;
}

}  // namespace ringfort::kv
