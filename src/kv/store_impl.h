// What a Store is inside: the state, and the command being applied.
#pragma once

#include <vector>

#include "kv/delete_job.h"
#include "kv/page_counts.h"
#include "kv/store.h"
#include "kv/store_state.h"
#include "kv/txn_job.h"

namespace ringfort::kv {

struct Store::Impl {
    enum class Stage : std::uint8_t {
        idle, refused, put, measure, delete_range, txn, compact, lease, revoke, keep_alive, alarm,
    };

    explicit Impl(const StoreOptions& store_options)
        : range(store_options.range), state(store_options) {}

    RangeId range;
    StoreState state;
    PageCounts page_counts;          // of what is read here: no part of the state

    Stage stage{Stage::idle};
    Arena txn_arena;                 // the tree of the transaction being applied, or the ids of a keep-alive
    std::vector<std::byte> kept;     // the command being applied, if it may take more than one step
    CommandBody body;                // of the command being applied; views into its bytes and txn_arena
    Arena* answer{nullptr};
    TxnJob txn;
    DeleteJob removal;
    std::size_t renewed{0};          // of a keep-alive's ids
    api::RequestOp measured;         // the range deletion whose answer is being measured
    AnswerMeter meter;
    Alarms cleared;                  // what the answer of a clear points to
    std::variant<api::Result, api::Errc> outcome;

    Bytes keep(Bytes command);
    Stage begin_body();
    Step step_body(WorkBudget& budget);
    Step step_measure(WorkBudget& budget);
    Step step_delete(WorkBudget& budget);
    void step_put(WorkBudget& budget);
    void step_compact();

    // In store_alarms.cc
    void step_alarm();

    // Leases, in store_leases.cc
    Stage begin_lease_body();
    void step_lease();
    Step step_revoke(WorkBudget& budget);
    Step step_keep_alive(WorkBudget& budget);
};

}  // namespace ringfort::kv
