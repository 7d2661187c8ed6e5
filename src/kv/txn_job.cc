#include "kv/txn_job.h"

#include "api/key_range.h"
#include "base/mutant.h"
#include "kv/compare_texts.h"

namespace ringfort::kv {

namespace {

bool holds(api::CompareResult wanted, int order) {
    switch (wanted) {
        case api::CompareResult::equal:
            return order == 0;
        case api::CompareResult::greater:
            return order > 0;
        case api::CompareResult::less:
            return order < 0;
        case api::CompareResult::not_equal:
            return order != 0;
    }
    UNREACHABLE();   // decode_command lets no other value in
}

int three_way(std::int64_t a, std::int64_t b) {
    return a < b ? -1 : (a > b ? 1 : 0);
}

// `version`: the key's live version; null: the key is missing, which compares like zeros, except by value: no value
// compare holds for a missing key.
bool holds(const api::Compare& compare, const Version* version, WorkBudget& budget) {
    switch (compare.target) {
        case api::CompareTarget::version:
            return holds(compare.result, three_way(version == nullptr ? 0 : version->version(), compare.number));
        case api::CompareTarget::create:
            return holds(compare.result, three_way(version == nullptr ? 0 : version->create(), compare.number));
        case api::CompareTarget::mod:
            return holds(compare.result, three_way(version == nullptr ? 0 : version->mod, compare.number));
        case api::CompareTarget::lease:
            return holds(compare.result, three_way(version == nullptr ? 0 : version->lease(), compare.number));
        case api::CompareTarget::value:
            return version == nullptr
                       ? MUTANT(missing_value_compares)
                       : holds(compare.result, compare_texts(version->value(), compare.value, budget));
    }
    UNREACHABLE();
}

const Version* live_version(const KeyRecord* record) {
    return record == nullptr || record->latest->tombstone() ? nullptr : record->latest;
}

api::Errc check_range(const StoreState& state, const api::RangeRequest& range) {
    if (range.revision > state.revision) {
        return api::Errc::future_revision;
    }
    // Here only 0 is the latest: a negative revision is a number like any other, and compacted.
    const bool compacted = range.revision != 0 && range.revision < state.compact_revision;
    return (compacted && !MUTANT(txn_reads_compacted)) || range.revision < 0 ? api::Errc::compacted : api::Errc::ok;
}

}  // namespace

void TxnJob::begin(const api::TxnRequest& request, Arena* answer) {
    answer_ = answer;
    response_ = {};
    error_ = api::Errc::ok;
    frames_.clear();
    planned_.clear();
    at_ = 0;
    pairs_at_sight_ = 0;
    meter_.begin();
    frames_.push_back({&request, &response_, {}, {}, 0, false});
    stage_ = Stage::plan;
}

void TxnJob::reset() {
    scan_.reset();
    meter_.reset();
    constexpr std::size_t kept = 1024;
    if (planned_.capacity() > kept) {
        std::vector<Planned>().swap(planned_);
    }
}

Step TxnJob::step(StoreState& state, WorkBudget& budget) {
    if (stage_ == Stage::plan && plan(state, budget) == Step::done) {
        stage_ = Stage::check;
    }
    if (stage_ == Stage::check && check(state, budget) == Step::done) {
        stage_ = error_ == api::Errc::ok ? (pairs_at_sight_ > 1 ? Stage::measure : Stage::execute) : Stage::done;
        at_ = 0;
    }
    if (stage_ == Stage::measure && measure(state, budget) == Step::done) {
        stage_ = error_ == api::Errc::ok ? Stage::execute : Stage::done;
        at_ = 0;
    }
    if (stage_ == Stage::execute && execute(state, budget) == Step::done) {
        stage_ = Stage::done;
    }
    return stage_ == Stage::done ? Step::done : Step::more;
}

// ---------------------------------------------------------------------------------------------- plan

Step TxnJob::plan(const StoreState& state, WorkBudget& budget) {
    while (!frames_.empty()) {
        if (budget.spent()) {
            return Step::more;
        }
        Frame& frame = frames_.back();
        if (!frame.decided) {
            if (frame.at == frame.txn->compare.size() || (MUTANT(first_compare_decides) && frame.at == 1)) {
                decide(frame, true);
                continue;
            }
            const std::optional<bool> holding = compare(state, frame.txn->compare[frame.at], budget);
            if (!holding) {
                return Step::more;
            }
            frame.at++;
            if (!*holding) {
                decide(frame, false);
            }
        } else if (frame.at == frame.branch.size()) {
            frames_.pop_back();
        } else {
            const std::size_t at = frame.at++;
            enter(frame.branch[at], frame.responses.empty() ? nullptr : &frame.responses[at]);
            budget.take(1, 0);
        }
    }
    return Step::done;
}

void TxnJob::decide(Frame& frame, bool succeeded) {
    frame.decided = true;
    frame.at = 0;
    frame.branch = succeeded ? frame.txn->success : frame.txn->failure;
    if (frame.response != nullptr) {
        frame.response->succeeded = succeeded;
        if (answer_ != nullptr) {
            frame.responses = answer_->make_array<api::ResponseOp>(frame.branch.size());
            frame.response->responses = frame.responses;
        }
    }
}

// Invalidates references into frames_.
void TxnJob::enter(const api::RequestOp& op, api::ResponseOp* response) {
    const auto* nested = std::get_if<api::TxnRequest>(&op.op);
    if (nested == nullptr) {
        planned_.push_back({&op, response, 1});
        pairs_at_sight_ += AnswerMeter::pairs_at_sight(op);
        return;
    }
    api::TxnResponse* nested_response = nullptr;
    if (response != nullptr) {
        nested_response = &response->op.emplace<api::TxnResponse>();
    }
    frames_.push_back({nested, nested_response, {}, {}, 0, false});
}

std::optional<bool> TxnJob::compare(const StoreState& state, const api::Compare& compare, WorkBudget& budget) {
    const api::KeyRange range{compare.key, compare.range_end};
    if (api::is_point(range)) {
        budget.take(1, 0);
        return holds(compare, live_version(state.find(compare.key)), budget);
    }
    const api::Interval interval = api::interval_of(range);
    if (!position_) {
        position_ = std::string(interval.begin);
        compare_met_key_ = false;
    }
    for (auto cursor = state.tree.lower_bound(*position_); !cursor.at_end(); cursor.next()) {
        const KeyRecord& record = *cursor.record();
        if (interval.end && record.key() >= *interval.end) {
            break;
        }
        if (budget.spent()) {
            position_->assign(record.key());
            return std::nullopt;
        }
        cursor.prefetch_next();
        budget.take(1, record.key_bytes);
        if (!cursor.live()) {
            continue;
        }
        compare_met_key_ = true;
        if (!holds(compare, record.latest, budget)) {
            position_.reset();
            return false;
        }
    }
    position_.reset();
    // An interval without keys compares like one missing key.
    return compare_met_key_ || holds(compare, nullptr, budget);
}

// ---------------------------------------------------------------------------------------------- check

Step TxnJob::check(const StoreState& state, WorkBudget& budget) {
    for (; at_ < planned_.size(); at_++) {
        if (budget.spent()) {
            return Step::more;
        }
        const auto& op = planned_[at_].op->op;
        if (const auto* put = std::get_if<api::PutRequest>(&op)) {
            error_ = check_put(state, *put, state.find(put->key));
        } else if (const auto* range = std::get_if<api::RangeRequest>(&op)) {
            error_ = check_range(state, *range);
        }
        if (error_ != api::Errc::ok) {
            return Step::done;
        }
        budget.take(1, 0);
    }
    return Step::done;
}

// ---------------------------------------------------------------------------------------------- measure

Step TxnJob::measure(const StoreState& state, WorkBudget& budget) {
    for (; at_ < planned_.size(); at_++) {
        if (budget.spent() || meter_.add(state, *planned_[at_].op, budget) == Step::more) {
            return Step::more;
        }
        planned_[at_].pairs_max = meter_.pairs_max();
        if (meter_.too_large()) {
            error_ = api::Errc::request_too_large;
            return Step::done;
        }
    }
    return Step::done;
}

// ---------------------------------------------------------------------------------------------- execute

Step TxnJob::execute(StoreState& state, WorkBudget& budget) {
    for (; at_ < planned_.size(); at_++) {
        if (budget.spent() || execute_op(state, planned_[at_], budget) == Step::more) {
            return Step::more;
        }
    }
    return Step::done;
}

Step TxnJob::execute_op(StoreState& state, const Planned& planned, WorkBudget& budget) {
    if (const auto* put = std::get_if<api::PutRequest>(&planned.op->op)) {
        const api::PutResponse response = execute_put(state, *put, state.find(put->key), budget);
        if (planned.response != nullptr) {
            planned.response->op = response;
        }
        return Step::done;
    }
    if (std::holds_alternative<api::RangeRequest>(planned.op->op)) {
        return execute_range(state, planned, budget);
    }
    return execute_delete(state, planned, budget);
}

Step TxnJob::execute_range(StoreState& state, const Planned& planned, WorkBudget& budget) {
    if (planned.response == nullptr) {
        return Step::done;   // a range changes nothing, and nobody waits for it here
    }
    if (!scan_) {
        const auto& range = std::get<api::RangeRequest>(planned.op->op);
        const api::Revision at = range.revision != 0            ? range.revision
                                 : MUTANT(txn_blind_to_itself) ? state.revision
                                                               : state.writing_revision();
        scan_.emplace(state, range, at);
        const std::uint64_t room = std::min(scan_->pairs_left_max(), planned.pairs_max);
        sink_ = {};
        sink_.room = room;
        sink_.pairs = reinterpret_cast<api::KeyValue*>(
            answer_->allocate(room * sizeof(api::KeyValue), alignof(api::KeyValue)));
    }
    if (scan_->step(state, budget, sink_) == Step::more) {
        ASSERT(budget.spent());   // and not the room
        return Step::more;
    }
    planned.response->op = api::RangeResponse{{sink_.pairs, sink_.count}, scan_->more(), scan_->count()};
    scan_.reset();
    return Step::done;
}

Step TxnJob::execute_delete(StoreState& state, const Planned& planned, WorkBudget& budget) {
    if (!deleting_) {
        const auto& request = std::get<api::DeleteRangeRequest>(planned.op->op);
        delete_.begin(request, planned.response == nullptr ? nullptr : answer_, planned.pairs_max);
        deleting_ = true;
    }
    if (delete_.step(state, budget) == Step::more) {
        return Step::more;
    }
    deleting_ = false;
    if (planned.response != nullptr) {
        planned.response->op = delete_.response();
    }
    return Step::done;
}

}  // namespace ringfort::kv
