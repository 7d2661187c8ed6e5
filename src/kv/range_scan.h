// A range request executed in steps over the tree, at one revision. Engine of stand-alone reads and of ranges in
// transactions.
//
// Natural order, either way, streams in constant memory. Any other order collects references (24 B a key; with a limit only
// the best `limit` of them) in a heap with the last in order on top, sorts it in place pop by pop, then streams. Ties
// are in key order, whichever way the request sorts. Values may be long, so that a step may end between any two
// comparisons.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "api/key_range.h"
#include "kv/store_state.h"

namespace ringfort::kv {

// Where a step puts pairs. Ends a piece: no room left, or `bytes` reached.
struct PairSink {
    api::KeyValue* pairs{nullptr};
    std::size_t count{0};
    std::size_t room{0};
    std::size_t bytes{0};
    std::size_t bytes_limit{std::numeric_limits<std::size_t>::max()};
    std::size_t pair_bytes{sizeof(api::KeyValue)};   // what a pair counts for besides its key and value
    bool count_only{false};                          // nothing is written: there are no `pairs`

    bool full() const { return count == room || bytes >= bytes_limit; }
};

// Whether revisions decide which pairs the request wants.
bool has_filter(const api::RangeRequest& request);

class RangeScan {
  public:
    // `at`: the revision to read; what it needs must not be compacted while the scan lives.
    RangeScan(const StoreState& state, const api::RangeRequest& request, api::Revision at);

    [[nodiscard]] Step step(const StoreState& state, WorkBudget& budget, PairSink& sink);

    api::Interval interval() const { return {begin_, end_}; }
    // Else it takes a walk over the whole interval.
    bool count_known() const { return count_known_; }
    // Requires: not stepped yet.
    void set_count(std::uint64_t count);

    // Once done.
    bool more() const { return !request_.count_only && limit_ > 0 && matched_ > limit_; }
    std::int64_t count() const { return static_cast<std::int64_t>(count_); }
    // What the limit cut off: where the next page begins (backward: ends), and how many keys are there. Views into the scan.
    // nullopt: nothing, or no interval, as the answer is not in the order of keys.
    struct Rest {
        api::Interval interval;
        std::uint64_t count;
    };
    std::optional<Rest> rest() const;

    // Memory of references.
    std::size_t held_bytes() const { return references_.capacity() * sizeof(Reference); }
    // No more pairs than this are still to come.
    std::uint64_t pairs_left_max() const;

  private:
    enum class Stage : std::uint8_t { walk, sort, emit, done };
    struct Reference {
        const KeyRecord* record;
        const Version* version;
        std::int64_t order;   // what is sorted by, or as much of it as fits: spares most looks at the version
    };

    bool sorted() const;
    bool backward() const;
    bool wanted(const Version& version) const;
    // Whether the rest of the walk can change the answer.
    bool walk_over() const;
    bool precedes(const Reference& a, const Reference& b, WorkBudget& budget) const;
    std::int64_t order_of(const Version& version) const;
    KeyTree::Cursor resume(const StoreState& state) const;
    bool inside(std::string_view key) const;
    Step walk(const StoreState& state, WorkBudget& budget, PairSink& sink);
    // False: the budget ended among the versions of the key.
    bool find_visible(const KeyRecord& record, WorkBudget& budget);
    void cut_after(std::string_view key);
    void take(const KeyRecord& record, const Version& version, WorkBudget& budget);
    [[nodiscard]] bool settle(std::size_t count, WorkBudget& budget);
    void move_down(std::size_t count, WorkBudget& budget);
    void move_up(WorkBudget& budget);
    void emit(const KeyRecord& record, const Version& version, WorkBudget& budget, PairSink& sink);
    Step sort(WorkBudget& budget);
    Step emit_sorted(WorkBudget& budget, PairSink& sink);

    api::RangeRequest request_;            // its texts are not used
    std::string begin_;
    std::optional<std::string> end_;
    api::Revision at_;
    std::uint64_t limit_;                  // 0: none
    std::uint64_t records_;                // key records in the interval when the scan began

    Stage stage_{Stage::walk};
    std::string position_;                 // the next key to look at (backward: the last one looked at)
    bool started_{false};
    const Version* chain_{nullptr};        // where to go on among the versions of the key at position_
    bool count_known_{false};
    std::uint64_t count_{0};
    std::uint64_t seen_{0};                // keys walked that are there
    std::uint64_t matched_{0};
    std::uint64_t emitted_{0};
    std::string cut_;                      // the key at which the limit was reached
    std::uint64_t seen_to_cut_{0};         // that one included
    std::vector<Reference> references_;
    // The reference on its way to its place in the heap, if there is one: down first, to a leaf, then up.
    enum class Moving : std::uint8_t { none, down, up };
    Moving moving_{Moving::none};
    std::size_t moving_at_{0};
    std::size_t unsorted_{0};              // references not yet in their final place
};

}  // namespace ringfort::kv
