// Applying commands. A put is one step without any allocation but the store's own blocks; the others hand over to
// their jobs.
#include "kv/store.h"

#include <array>

#include "base/mutant.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

// Memory for a copied command that stays for the next.
constexpr std::size_t kept_bytes_max = 256 * kib;

api::Errc refusal(CommandErrc code) {
    switch (code) {
        case CommandErrc::malformed:
            return api::Errc::malformed_request;
        case CommandErrc::unknown_version:
        case CommandErrc::unknown_kind:
            return api::Errc::unsupported_request;
    }
    UNREACHABLE();
}

}  // namespace

Store::Store(const StoreOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Store::~Store() {
    ASSERT(impl_->state.pins.empty());   // readers and checkpoint writers die before the store
}

bool Store::dismantle(WorkBudget& budget) {
    StoreState& state = impl_->state;
    ASSERT(state.pins.empty());
    return state.history.dismantle(budget) && state.index.dismantle(budget) && state.slab.dismantle(budget);
}

// ---------------------------------------------------------------------------------------------- apply

void Store::begin(Bytes command, std::uint64_t checksum, LogIndex index, Arena* answer) {
    ASSERT(impl_->stage == Impl::Stage::idle);
    impl_->state.begin_command(index, checksum);
    impl_->answer = answer;
    if (command_kind(command) != CommandKind::put) {
        command = impl_->keep(command);
    }
    auto decoded = decode_command(command, impl_->txn_arena);
    if (!decoded) {
        impl_->outcome = refusal(decoded.error());
        impl_->stage = Impl::Stage::refused;
        return;
    }
    impl_->body = decoded->body;
    impl_->stage = impl_->begin_body();
}

Bytes Store::Impl::keep(Bytes command) {
    if (kept.capacity() > kept_bytes_max) {
        std::vector<std::byte>().swap(kept);
    }
    kept.assign(command.begin(), command.end());
    return kept;
}

// Three dependent misses a put (slot, record, version), a group's side by side.
void Store::look_ahead(std::span<const Bytes> commands) const {
    ASSERT(commands.size() <= look_ahead_max);
    const HashIndex& index = impl_->state.index;
    std::array<std::uint64_t, look_ahead_max> hashes;
    std::array<const KeyRecord*, look_ahead_max> records;
    std::size_t count = 0;
    for (const Bytes command : commands) {
        if (const auto key = likely_put_key(command)) {
            hashes[count] = index.hash(*key);
            index.prefetch(hashes[count++]);
        }
    }
    for (std::size_t i = 0; i < count; i++) {
        records[i] = index.likely(hashes[i]);
        __builtin_prefetch(records[i]);
    }
    for (std::size_t i = 0; i < count; i++) {
        if (records[i] != nullptr) {
            __builtin_prefetch(records[i]->latest);
        }
    }
}

Store::Impl::Stage Store::Impl::begin_body() {
    if (std::holds_alternative<api::PutRequest>(body)) {
        return Stage::put;
    }
    if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&body)) {
        measured.op = *remove;
        if (AnswerMeter::pairs_at_sight(measured) > 1) {
            meter.begin();
            return Stage::measure;
        }
        removal.begin(*remove, answer, 1);
        return Stage::delete_range;
    }
    if (const auto* request = std::get_if<api::TxnRequest>(&body)) {
        txn.begin(*request, answer);
        return Stage::txn;
    }
    if (std::holds_alternative<AlarmRaise>(body) || std::holds_alternative<AlarmClear>(body)) {
        return Stage::alarm;
    }
    return std::holds_alternative<api::CompactRequest>(body) ? Stage::compact : begin_lease_body();
}

void Store::skip(LogIndex index) {
    ASSERT(impl_->stage == Impl::Stage::idle && index > impl_->state.applied);
    impl_->state.applied = index;
}

Step Store::step(WorkBudget& budget) {
    ASSERT(applying());
    if (impl_->step_body(budget) == Step::more) {
        return Step::more;
    }
    if (impl_->stage == Impl::Stage::txn) {
        impl_->txn.reset();
    }
    if (impl_->stage == Impl::Stage::txn || impl_->stage == Impl::Stage::keep_alive) {
        impl_->txn_arena.reset();
    }
    impl_->state.commit();
    impl_->stage = Impl::Stage::idle;
    return Step::done;
}

Step Store::Impl::step_body(WorkBudget& budget) {
    switch (stage) {
        case Stage::idle:
            UNREACHABLE();
        case Stage::refused:
            return Step::done;
        case Stage::put:
            step_put(budget);
            return Step::done;
        case Stage::measure:
            return step_measure(budget);
        case Stage::delete_range:
            return step_delete(budget);
        case Stage::txn:
            if (txn.step(state, budget) == Step::more) {
                return Step::more;
            }
            if (txn.error() != api::Errc::ok) {
                outcome = txn.error();
            } else {
                outcome = api::Result{txn.response()};
            }
            return Step::done;
        case Stage::compact:
            step_compact();
            return Step::done;
        case Stage::lease:
            step_lease();
            budget.take(1, 0);
            return Step::done;
        case Stage::revoke:
            return step_revoke(budget);
        case Stage::keep_alive:
            return step_keep_alive(budget);
        case Stage::alarm:
            step_alarm();
            return Step::done;
    }
    UNREACHABLE();
}

Step Store::Impl::step_measure(WorkBudget& budget) {
    if (meter.add(state, measured, budget) == Step::more) {
        return Step::more;
    }
    if (meter.too_large()) {
        outcome = api::Errc::request_too_large;
        return Step::done;
    }
    removal.begin(std::get<api::DeleteRangeRequest>(body), answer, meter.pairs_max());
    stage = Stage::delete_range;
    return step_delete(budget);
}

Step Store::Impl::step_delete(WorkBudget& budget) {
    if (removal.step(state, budget) == Step::more) {
        return Step::more;
    }
    outcome = api::Result{removal.response()};
    return Step::done;
}

void Store::Impl::step_put(WorkBudget& budget) {
    const auto& put = std::get<api::PutRequest>(body);
    KeyRecord* record = state.find(put.key);
    if (const api::Errc code = check_put(state, put, record); code != api::Errc::ok) {
        outcome = code;
        budget.take(1, 0);
    } else {
        outcome = api::Result{execute_put(state, put, record, budget)};
    }
}

void Store::Impl::step_compact() {
    const auto& compact = std::get<api::CompactRequest>(body);
    if (compact.revision <= state.compact_revision) {
        outcome = api::Errc::compacted;
        return;
    }
    if (compact.revision > state.revision) {
        outcome = api::Errc::future_revision;
        return;
    }
    // Logical at once; `physical` only tells whoever answers to wait for reclaimed().
    state.compact_revision = compact.revision;
    page_counts.forget_below(compact.revision);
    outcome = api::Result{api::CompactResponse{}};
}

bool Store::applying() const {
    return impl_->stage != Impl::Stage::idle;
}

const std::variant<api::Result, api::Errc>& Store::outcome() const {
    ASSERT(!applying());
    return impl_->outcome;
}

// ---------------------------------------------------------------------------------------------- state

api::Revision Store::revision() const {
    return impl_->state.revision;
}
api::Revision Store::compact_revision() const {
    return impl_->state.compact_revision;
}
LogIndex Store::applied() const {
    return impl_->state.applied;
}
std::uint64_t Store::hash() const {
    return impl_->state.hash;
}
std::uint64_t Store::key_count() const {
    return impl_->state.key_count;
}
std::uint64_t Store::live_bytes() const {
    const StoreState& state = impl_->state;
    return state.slab.block_bytes() + state.index.memory_bytes() + state.history.heap_bytes();
}
std::uint64_t Store::reserved_bytes() const {
    const StoreState& state = impl_->state;
    return state.slab.reserved_bytes() + state.index.memory_bytes() + state.history.heap_bytes();
}

std::uint64_t Store::page_count_bytes() const {
    return impl_->page_counts.bytes();
}

std::optional<api::KeyValue> Store::get(std::string_view key, api::Revision revision) const {
    const StoreState& state = impl_->state;
    ASSERT(revision <= state.revision && (revision <= 0 || revision >= state.compact_revision));
    const KeyRecord* record = state.find(key);
    if (record == nullptr) {
        return std::nullopt;
    }
    const api::Revision newest = MUTANT(half_applied_is_seen) ? state.newest_revision() : state.revision;
    const Version* version = StoreState::visible(*record, revision <= 0 ? newest : revision);
    if (version == nullptr || version->tombstone()) {
        return std::nullopt;
    }
    return key_value(*record, *version);
}

// ---------------------------------------------------------------------------------------------- changes

std::uint64_t Store::changes_begin() const {
    return impl_->state.history.begin();
}
std::uint64_t Store::changes_end() const {
    // Those of the command in progress are not visible yet.
    return impl_->state.history.end() - impl_->state.changes;
}
std::uint64_t Store::first_change(api::Revision revision) const {
    return std::min(impl_->state.history.first_at(revision), changes_end());
}

api::Revision Store::changes_whole_from() const {
    const StoreState& state = impl_->state;
    const bool hole = state.history.lost_at() == state.compact_revision && state.compact_revision > 0;
    return state.compact_revision + (hole ? 1 : 0);
}

std::optional<Store::Change> Store::change(std::uint64_t number) const {
    ASSERT(number >= changes_begin() && number < changes_end());
    const History& history = impl_->state.history;
    const auto [record, version] = history[number];
    if (record == nullptr) {
        return std::nullopt;
    }
    Change out;
    out.sub = version->sub;
    out.whole = number + 1 == changes_end() || history[number + 1].mod() != version->mod;
    if (version->tombstone()) {
        out.event.type = api::EventType::remove;
        out.event.kv.key = record->key();
        out.event.kv.mod_revision = version->mod;
    } else {
        out.event.kv = key_value(*record, *version);
    }
    return out;
}

std::optional<api::KeyValue> Store::former_pair(std::uint64_t number) const {
    const auto [record, version] = impl_->state.history[number];
    ASSERT(record != nullptr);
    const Version* former = version->older();
    while (former != nullptr && former->mod == version->mod) {
        former = former->older();
    }
    if (former == nullptr || former->tombstone()) {
        return std::nullopt;
    }
    return key_value(*record, MUTANT(former_pair_is_new) && !version->tombstone() ? *version : *former);
}

void Store::pin(api::Revision revision) {
    impl_->state.pin(revision);
}
void Store::unpin(api::Revision revision) {
    impl_->state.unpin(revision);
}

void Store::check_invariants() const {
    const StoreState& state = impl_->state;
    state.tree.check_invariants();
    state.leases.check_invariants();
    ASSERT(state.compact_revision <= state.revision);
    ASSERT(state.index.size() <= state.tree.totals().records);
    if (!applying()) {
        ASSERT(state.changes == 0 && state.key_count == state.tree.totals().live);
    }
    for (auto cursor = state.tree.lower_bound({}); !cursor.at_end(); cursor.next()) {
        const KeyRecord* record = cursor.record();
        ASSERT(state.find(record->key()) == record);
        ASSERT(cursor.live() == !record->latest->tombstone());
        if (const api::LeaseId lease = record->latest->lease(); lease != 0) {
            ASSERT(state.leases.find(lease) != nullptr && state.leases.find(lease)->keys.contains(record->key()));
        }
        const Version* newer = nullptr;
        for (const Version* version = record->latest; version != nullptr; version = version->older()) {
            ASSERT(version->mod <= state.newest_revision());
            if (!version->tombstone()) {
                ASSERT(version->create() <= version->mod && version->version() >= 1);
            }
            if (newer != nullptr) {
                ASSERT(version->mod < newer->mod || (version->mod == newer->mod && version->sub < newer->sub));
            }
            newer = version;
        }
    }
}

}  // namespace ringfort::kv
