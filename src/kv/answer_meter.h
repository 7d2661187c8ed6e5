// How large the answer of a command can get, found out before the command changes anything: what would not fit a frame is
// refused as a whole (request_too_large), on every replica alike, whether somebody waits for the answer there or not.
//
// Each op is measured in the state before the command. What earlier ops of the transaction put into its interval is added,
// and where they could move other keys below its limit, the limit counts for nothing. So the measure is never less than
// the answer, and equal to it if no op reads what another one writes.
#pragma once

#include <optional>
#include <vector>

#include "base/bounds.h"
#include "kv/range_scan.h"

namespace ringfort::kv {

class AnswerMeter {
  public:
    // An upper bound of the pairs the op answers with, found without looking at the state: 0, 1, or 2 for many. A command
    // with no more than one pair in all needs no meter: whatever is stored fits a frame.
    static std::size_t pairs_at_sight(const api::RequestOp& op);

    void begin();
    // Ops in the order of their execution, no nested transactions. more: the budget ended; call again with the same op.
    [[nodiscard]] Step add(const StoreState& state, const api::RequestOp& op, WorkBudget& budget);
    bool too_large() const { return bytes_ > limits::answer_bytes_max; }
    std::uint64_t bytes() const { return bytes_; }
    // No more pairs than this come from the op added last.
    std::uint64_t pairs_max() const { return pairs_; }
    // Lets go of what grew large.
    void reset();

  private:
    struct Put {
        std::string_view key;
        std::uint64_t bytes;   // of the pair it makes
    };

    void add_put(const StoreState& state, const api::PutRequest& put);
    void add_live_pair(const StoreState& state, std::string_view key, bool with_value);
    void add_earlier_puts(const api::KeyRange& range, WorkBudget& budget);
    bool put_inside(const api::KeyRange& range) const;
    bool removed_from(const api::KeyRange& range) const;
    void begin_scan(const StoreState& state, const api::RangeRequest& range);
    [[nodiscard]] Step scan(const StoreState& state, WorkBudget& budget);

    std::uint64_t bytes_{0};
    std::uint64_t pairs_{0};
    std::optional<RangeScan> scan_;       // of the op being added
    // Of the ops added before. Views into the command.
    std::vector<Put> puts_;
    std::vector<api::KeyRange> removals_;
};

}  // namespace ringfort::kv
