// How committed entries reach the state machine, and how their proposers learn the outcome.
#include <algorithm>

#include "base/checksum.h"
#include "base/mark.h"
#include "shard/checkpoints.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"

namespace ringfort::shard {

bool Replica::apply(WorkBudget& budget) {
    if (!commit_moved_ || out_of_service_) {
        return false;
    }
    ahead_.count = 0;   // views of a former turn
    // Checkpoints and compaction go on between two commands: one long one after the other would keep them away, so that
    // the end of one that was begun in a former turn is the end of this one.
    const bool begun_before = applying_.active;
    while (!budget.spent()) {
        switch (apply_one(budget)) {
            case ApplyStep::done_entry:
                if (begun_before) {
                    return true;
                }
                break;
            case ApplyStep::waiting: commit_moved_ = false; return false;
            case ApplyStep::out_of_budget: return true;
        }
    }
    return true;
}

std::optional<raft::Entry> Replica::entry_to_apply(LogIndex index) {
    if (ahead_.count == 0 || ahead_.entries[ahead_.first].id.index != index) {
        look_ahead(index);
    }
    if (ahead_.count == 0) {
        return std::nullopt;
    }
    ahead_.count--;
    return ahead_.entries[ahead_.first++];
}

void Replica::look_ahead(LogIndex first) {
    const std::uint64_t committed = raft_->appliable().value - first.value + 1;
    const std::size_t wanted = std::min<std::uint64_t>(committed, ahead_.entries.size());
    // What is left of former reads: a snapshot may have covered it, or a read ended early.
    while (!apply_reads_.empty() && !apply_reads_.front()->read.in_flight && !apply_reads_.front()->holds(first) &&
           !apply_reads_.front()->ends_at(first)) {
        apply_reads_.pop_front();
    }
    if (!apply_reads_.empty()) {
        read_on(first);
    }
    ahead_.first = 0;
    const std::span<raft::Entry> room{ahead_.entries.data(), wanted};
    ahead_.count = apply_reads_.empty() ? 0 : apply_reads_.front()->find(first, room);
    if (ahead_.count == 0) {
        ahead_.count = context_.log->find(range_, first, room);
    }
    if (store_) {
        std::array<Bytes, kv::Store::look_ahead_max> commands;
        for (std::size_t i = 0; i < ahead_.count; i++) {
            commands[i] = ahead_.entries[i].payload;
        }
        store_->look_ahead({commands.data(), ahead_.count});
    }
}

Replica::ApplyStep Replica::apply_one(WorkBudget& budget) {
    if (!applying_.active) {
        const LogIndex next = applied().next();
        if (next > raft_->appliable()) {
            return ApplyStep::waiting;
        }
        const auto entry = entry_to_apply(next);
        if (!entry) {
            return wait_for_entry(next);
        }
        begin_entry(*entry);
    }
    if (store_ && applying_.stepping && store_->step(budget) == kv::Step::more) {
        MARK("apply goes on in the next turn");
        return ApplyStep::out_of_budget;
    }
    budget.take(1, 0);
    finish_entry();
    return ApplyStep::done_entry;
}

// Not in memory, and not in what was read so far.
Replica::ApplyStep Replica::wait_for_entry(LogIndex index) {
    if (std::ranges::any_of(apply_reads_, [](const auto& read) { return read->read.in_flight; })) {
        return ApplyStep::waiting;
    }
    if (!apply_reads_.empty() && apply_reads_.front()->ends_at(index)) {
        lose_entries();
        return ApplyStep::waiting;
    }
    apply_reads_.clear();
    read_on(index);
    return ApplyStep::waiting;
}

// Rot while running: peers have what cannot be read back, if there are any, and apply goes on once it is here again. The
// promises of this replica hold, as they were made of ids, and those are known.
void Replica::lose_entries() {
    const std::unique_ptr<OldRead> ended = std::move(apply_reads_.front());
    apply_reads_.clear();
    const EntryRead& read = ended->read;
    const LogIndex first = read.damaged_id.index;
    const LogIndex last = read.damaged_through;
    ASSERT(first == applied().next() && first <= last);
    const raft::Configuration& configuration = raft_->configuration();
    const bool alone = configuration.voters == std::vector<NodeId>{context_.config.self} &&
                       configuration.outgoing.empty() && configuration.learners.empty();
    if (alone) {
        MARK("unreadable entry and no peer");
        context_.replicas->on_unreadable(*this, first);
        return;
    }
    context_.log_line(env::LogLevel::warning, "range " + std::to_string(range_.value) + ": log entries " +
                                                  std::to_string(first.value) + " to " + std::to_string(last.value) +
                                                  " cannot be read back; they are fetched from a peer");
    if (read.damaged_entry) {
        MARK("entry to apply cannot be read back");
        step(raft::EntryLost{read.damaged_id, read.damaged_entry->checksum, read.damaged_entry->kind});
    } else {
        MARK("entries to apply are lost with their directory");
        for (LogIndex index = first; index <= last; index = index.next()) {
            step(raft::EntryLost{{read.damaged_id.term, index}, std::nullopt, {}});
        }
    }
    context_.replicas->mark_active(*this);
}

void Replica::begin_entry(const raft::Entry& entry) {
    drop_overwritten(entry.id);
    PendingWrite* pending = pending_for(entry.id);
    applying_ = {true, false, entry.id, pending != nullptr};
    switch (entry.kind) {
        case raft::EntryKind::command:
            if (store_) {
                applying_.stepping = true;
                store_->begin(entry.payload, entry.checksum, entry.id.index, pending ? &answer_arena_ : nullptr);
            } else {
                directory_->apply(entry.payload, entry.checksum, entry.id.index);
            }
            break;
        case raft::EntryKind::config: {
            const bool known = raft::decode(entry.payload, applied_configuration_);
            ASSERT(known);
            [[fallthrough]];
        }
        case raft::EntryKind::noop:
        case raft::EntryKind::fence:
            store_ ? store_->skip(entry.id.index) : directory_->skip(entry.id.index);
            break;
    }
}

void Replica::finish_entry() {
    ASSERT(applied() == applying_.id.index);
    if (applying_.answered) {
        // The client may have timed out meanwhile; then the slot says so.
        ASSERT(!pending_.empty() && pending_.front().id == applying_.id);
        const PendingWrite write = pop_pending();
        if (write.origin.kind != OriginKind::none) {
            answer_outcome(write);
            pending_live_--;
        }
        answer_arena_.reset();
        // What stood behind it may be of a later term, and of this index or below (Replica::drop_overwritten).
        drop_overwritten(applying_.id);
    }
    const LogIndex index = applying_.id.index;
    applying_ = {};
    if (noted_at_ == index) {
        noted_hash_ = state_hash();
    }
    context_.log->release(range_, index);
    if (!apply_reads_.empty() && !apply_reads_.front()->read.in_flight && !apply_reads_.front()->read.damaged &&
        !apply_reads_.front()->holds(index.next())) {
        apply_reads_.pop_front();
    }
    if (directory_) {
        context_.replicas->on_directory_applied(*this);
    }
}

void Replica::answer_outcome(const PendingWrite& write) {
    if (write.origin.kind == OriginKind::internal) {
        return;
    }
    ASSERT(store_ != nullptr);
    const auto& outcome = store_->outcome();
    if (const auto* code = std::get_if<api::Errc>(&outcome)) {
        context_.router->answer_error(write.origin, *code, "", header());
        return;
    }
    if (write.reclaim > 0 && !store_->reclaimed(write.reclaim)) {
        MARK("physical compaction waits for its space");
        reclaiming_.push_back(write);
        return;
    }
    context_.router->answer(write.origin, header(), std::get<api::Result>(outcome));
}

// On a replica that no longer leads the space becomes free all the same.
void Replica::answer_reclaimed() {
    std::erase_if(reclaiming_, [&](const PendingWrite& write) {
        const bool done = store_->reclaimed(write.reclaim);
        if (done) {
            context_.router->answer(write.origin, header(), api::CompactResponse{});
        }
        return done;
    });
}

void Replica::drop_overwritten(raft::EntryId applied) {
    // Terms never fall along a log: what was proposed in an earlier term and is not applied by now never will be. Nor will
    // what was proposed at this index or below, in a later term, too (Raft paper, Figure 8).
    while (!pending_.empty() && pending_.front().id != applied &&
           (pending_.front().id < applied || pending_.front().id.index <= applied.index)) {
        const PendingWrite write = pop_pending();
        if (write.origin.kind != OriginKind::none) {
            MARK("pending write was overwritten");
            context_.router->answer_error(write.origin, api::Errc::no_leader, "", header());
            pending_live_--;
        }
    }
}

PendingWrite* Replica::pending_for(raft::EntryId id) {
    return !pending_.empty() && pending_.front().id == id ? &pending_.front() : nullptr;
}

}  // namespace ringfort::shard
