// Stand-alone range reads: checks, the pin, and pieces in the caller's arena around a RangeScan.
#include "api/key_range.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "kv/range_scan.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

class PinnedRangeRead final : public RangeRead {
  public:
    PinnedRangeRead(StoreState& state, PageCounts& page_counts, const api::RangeRequest& request, api::Revision at)
        : state_(state), page_counts_(page_counts), at_(at), scan_(state, request, at) {
        state_.pin(at_);
        if (scan_.count_known()) {
            count_source_ = PageCounts::Source::tree;
        } else if (const auto count = page_counts_.find(scan_.interval(), at_)) {
            MARK("a read of the past finds the count that the page before it left");
            scan_.set_count(*count);
        }
    }
    ~PinnedRangeRead() override { state_.unpin(at_); }

    Step step(WorkBudget& budget, std::size_t piece_bytes, Arena& arena, api::RangeResponse& out) override {
        PairSink sink = sink_for(budget, arena, out);
        sink.bytes_limit = piece_bytes;
        const Step result = scan_.step(state_, budget, sink);
        out.kvs = {sink.pairs, sink.count};
        if (result == Step::done) {
            out.count = scan_.count();
            out.more = scan_.more();
            leave_count();
        }
        return result;
    }

    api::Revision revision() const override { return at_; }
    std::size_t held_bytes() const override { return scan_.held_bytes(); }

  private:
    // Room for what this step can add, behind the pairs already there.
    PairSink sink_for(const WorkBudget& budget, Arena& arena, const api::RangeResponse& out) const {
        const auto step_max = static_cast<std::uint64_t>(std::max<std::int64_t>(budget.keys, 0)) + 1;
        PairSink sink;
        sink.room = out.kvs.size() + std::min(scan_.pairs_left_max(), step_max);
        sink.pairs = reinterpret_cast<api::KeyValue*>(
            arena.allocate(sink.room * sizeof(api::KeyValue), alignof(api::KeyValue)));
        for (const api::KeyValue& pair : out.kvs) {
            new (sink.pairs + sink.count) api::KeyValue(pair);
            sink.count++;
            sink.bytes += pair.key.size() + pair.value.size() + sizeof(api::KeyValue);
        }
        return sink;
    }

    // Requires: the scan is done.
    void leave_count() {
        const auto rest = scan_.rest();
        if (rest && at_ >= state_.compact_revision) {
            page_counts_.add(count_source_, rest->interval, at_,
                             rest->count - (MUTANT(page_counts_one_short) ? 1u : 0u));
        }
    }

    StoreState& state_;
    PageCounts& page_counts_;
    api::Revision at_;
    RangeScan scan_;
    PageCounts::Source count_source_{PageCounts::Source::page};
};

constexpr std::string_view too_many_to_sort_text =
    "more than 1048576 keys to sort by something else than the key: with a limit there may be any number";
static_assert(sorted_range_keys_max == 1'048'576);

bool too_many_to_sort(const StoreState& state, const api::RangeRequest& request) {
    const bool sorted = request.sort_target != api::SortTarget::key && !request.count_only;
    const bool limited = request.limit > 0 && static_cast<std::uint64_t>(request.limit) <= sorted_range_keys_max;
    const api::KeyRange range{request.key, request.range_end};
    if (!sorted || limited || api::is_point(range)) {
        return false;
    }
    const api::Interval interval = api::interval_of(range);
    return state.tree.count(interval.begin, interval.end).records > sorted_range_keys_max;
}

}  // namespace

Result<std::unique_ptr<RangeRead>, api::ErrorInfo> Store::open_range(const api::RangeRequest& request) {
    StoreState& state = impl_->state;
    if (request.sort_order > api::SortOrder::descend || request.sort_target > api::SortTarget::value) {
        return failure(api::ErrorInfo{api::Errc::invalid_sort_option, "", {}, {}});
    }
    const api::Revision at = request.revision <= 0 ? state.revision : request.revision;
    if (at > state.revision) {
        return failure(api::ErrorInfo{api::Errc::future_revision, "", {}, {}});
    }
    if (at < state.compact_revision && !MUTANT(compacted_is_read)) {
        return failure(api::ErrorInfo{api::Errc::compacted, "", {}, {}});
    }
    if (too_many_to_sort(state, request)) {
        return failure(api::ErrorInfo{api::Errc::too_many_requests, too_many_to_sort_text, {}, {}});
    }
    return std::make_unique<PinnedRangeRead>(state, impl_->page_counts, request, at);
}

}  // namespace ringfort::kv
