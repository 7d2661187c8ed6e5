// A transaction in progress, in four stages, each in bounded steps:
//
//   plan      walks the tree of nested transactions down the branches their compares choose, all compares seeing the
//             state before the transaction, and lists the ops to execute in order
//   check     whether every listed op can be executed; one that cannot fails the whole transaction, nothing applied
//   measure   whether the answer fits a frame; else likewise
//   execute   the listed ops, each seeing what the ones before it wrote
#pragma once

#include <optional>
#include <vector>

#include "kv/answer_meter.h"
#include "kv/delete_job.h"
#include "kv/range_scan.h"

namespace ringfort::kv {

class TxnJob {
  public:
    // `answer`: where the reply is built; null: no reply, and then ranges are not executed.
    void begin(const api::TxnRequest& request, Arena* answer);
    [[nodiscard]] Step step(StoreState& state, WorkBudget& budget);
    // Once done: ok, or why nothing was applied.
    api::Errc error() const { return error_; }
    const api::TxnResponse& response() const { return response_; }
    // Lets go of what grew large.
    void reset();

  private:
    enum class Stage : std::uint8_t { plan, check, measure, execute, done };

    struct Frame {
        const api::TxnRequest* txn;
        api::TxnResponse* response;              // null: no reply
        std::span<const api::RequestOp> branch;  // once its compares are decided
        std::span<api::ResponseOp> responses;
        std::size_t at;                          // compares, then ops, done
        bool decided;
    };
    struct Planned {
        const api::RequestOp* op;
        api::ResponseOp* response;               // null: no reply
        std::uint64_t pairs_max;                 // it answers with no more
    };

    Step plan(const StoreState& state, WorkBudget& budget);
    void decide(Frame& frame, bool succeeded);
    void enter(const api::RequestOp& op, api::ResponseOp* response);
    // nullopt: the budget ended.
    std::optional<bool> compare(const StoreState& state, const api::Compare& compare, WorkBudget& budget);
    Step check(const StoreState& state, WorkBudget& budget);
    Step measure(const StoreState& state, WorkBudget& budget);
    Step execute(StoreState& state, WorkBudget& budget);
    Step execute_op(StoreState& state, const Planned& planned, WorkBudget& budget);
    Step execute_range(StoreState& state, const Planned& planned, WorkBudget& budget);
    Step execute_delete(StoreState& state, const Planned& planned, WorkBudget& budget);

    Stage stage_{Stage::done};
    Arena* answer_{nullptr};
    api::TxnResponse response_;
    api::Errc error_{api::Errc::ok};
    std::vector<Frame> frames_;
    std::vector<Planned> planned_;
    std::size_t at_{0};                     // into planned_, in check, measure and execute
    std::size_t pairs_at_sight_{0};         // of all planned
    AnswerMeter meter_;
    std::optional<std::string> position_;   // of a range compare in progress: the next key to look at
    bool compare_met_key_{false};
    std::optional<RangeScan> scan_;
    PairSink sink_;
    DeleteJob delete_;
    bool deleting_{false};
};

// The answer to a put whose state does not permit it; ok otherwise.
api::Errc check_put(const StoreState& state, const api::PutRequest& put, const KeyRecord* record);
// Executes a put that check_put permits, and charges for what it writes: a kept value is written like a given one.
api::PutResponse execute_put(StoreState& state, const api::PutRequest& put, KeyRecord* record, WorkBudget& budget);

}  // namespace ringfort::kv
