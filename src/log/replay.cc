#include "log/replay.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"

namespace ringfort::log {
namespace {

constexpr auto ignore_dropped = [](const EntryRun&) {};

EntryRun run_of(const Record& record, const JudgedBatch& batch) {
    EntryRun run;
    run.first = record.entries.first;
    run.term = record.entries.term;
    run.sequence = record.header.sequence;
    run.appended_batch = batch.place.sequence;
    run.place = batch.place;
    run.count = record.entries.count;
    run.record = record.offset;
    for (const EntryItem& item : record.items) {
        run.payload_bytes += item.length();
    }
    return run;
}

}  // namespace

OwnedCheckpoint OwnedCheckpoint::copy_of(const CheckpointBody& body) {
    OwnedCheckpoint out;
    out.body = body;
    out.voters.assign(body.voters.begin(), body.voters.end());
    out.outgoing.assign(body.outgoing.begin(), body.outgoing.end());
    out.learners.assign(body.learners.begin(), body.learners.end());
    out.learners_next.assign(body.learners_next.begin(), body.learners_next.end());
    out.file = std::string(body.file);
    out.body.voters = out.body.outgoing = out.body.learners = out.body.learners_next = {};
    out.body.file = {};
    return out;
}

bool Replay::step(std::size_t budget) {
    std::size_t done = 0;
    for (; next_batch_ < judgement_.batches.size(); next_batch_++) {
        if (done > budget) {
            return false;
        }
        const JudgedBatch& batch = judgement_.batches[next_batch_];
        if (batch.verdict == Verdict::lost) {
            lose_records();
        }
        replicas_unknown_ |= next_batch_ == 0 && judgement_.start_lost;
        DirectoryReader reader(batch.directory);
        Record record;
        while (reader.next(record)) {
            apply(record, batch);
            done++;
        }
        ASSERT(reader.ok());
        if (epoch_opens_) {
            conclude();
        }
    }
    if (judgement_.hidden_end && next_finished_ == 0) {
        lose_records();
    }
    for (; next_finished_ < replicas_.size(); next_finished_++) {
        if (done > budget) {
            return false;
        }
        finish(replicas_[next_finished_]);
        done += replicas_[next_finished_].runs.size() + 1;
    }
    return true;
}

void Replay::lose_records() {
    for (ReplayedReplica& replica : replicas_) {
        replica.suspect = !MUTANT(lost_batch_unnoticed);
    }
    MARK("records lost in recovery");
    records_lost_ = true;
    replicas_unknown_ = true;
}

ReplayedReplica* Replay::find(std::uint64_t range) {
    const auto at = std::lower_bound(replicas_.begin(), replicas_.end(), range,
                                     [](const ReplayedReplica& r, std::uint64_t id) { return r.range < id; });
    return at != replicas_.end() && at->range == range ? &*at : nullptr;
}

ReplayedReplica& Replay::find_or_add(std::uint64_t range) {
    const auto at = std::lower_bound(replicas_.begin(), replicas_.end(), range,
                                     [](const ReplayedReplica& r, std::uint64_t id) { return r.range < id; });
    if (at != replicas_.end() && at->range == range) {
        return *at;
    }
    ReplayedReplica fresh;
    fresh.range = range;
    return *replicas_.insert(at, std::move(fresh));
}

void Replay::apply(const Record& record, const JudgedBatch& batch) {
    const RecordType type = record.header.type;
    if (type == RecordType::opening) {
        replicas_unknown_ = record.opening.replicas_unknown == 1;
        if (record.opening.begins_epoch == 1) {
            begin_epoch();
        }
        return;
    }
    if (type == RecordType::created) {  // a life of its own, whatever was there before
        ReplayedReplica& replica = find_or_add(record.header.range);
        replica = ReplayedReplica{};
        replica.range = record.header.range;
        replica.incarnation = record.header.incarnation;
        replica.in_doubt = (record.hard_state.in_doubt & doubt_found) != 0;
        replica.hard_state = record.hard_state;
        replica.hard_state.in_doubt &= doubt_until_fence;
        replica.last_sequence = record.header.sequence;
        replica.state_seen = true;
        replica.concluded = true;
        if (record.checkpoint) {
            set_checkpoint(replica, *record.checkpoint);
        }
        return;
    }
    if (type == RecordType::removed) {
        if (ReplayedReplica* replica = find(record.header.range)) {
            replicas_.erase(replicas_.begin() + (replica - replicas_.data()));
        }
        return;
    }
    ReplayedReplica& replica = find_or_add(record.header.range);
    check_number(replica, record);
    switch (type) {
        case RecordType::entries:
            apply_entries(replica, record, batch);
            break;
        case RecordType::copies:
        case RecordType::repaired:
            apply_copies(replica, record, batch);
            break;
        case RecordType::hard_state:
            if (record.header.incarnation > replica.incarnation) {
                MARK("hard state of a new incarnation replayed");
                replica.in_doubt = replica.frozen;   // begun for a loss met before, it says nothing of this one
                replica.suspect = false;
            }
            replica.hard_state = record.hard_state;
            replica.incarnation = record.header.incarnation;
            break;
        case RecordType::truncate:
            if (!replica.frozen) {
                replica.runs.truncate(record.truncate_from, ignore_dropped);
                replica.claimed_last = std::min(replica.claimed_last, record.truncate_from - 1);
            }
            break;
        case RecordType::snapshot_installed:
            replica.runs = RunList{};
            replica.claimed_last = 0;
            replica.frozen = false;
            [[fallthrough]];
        case RecordType::checkpoint:
            set_checkpoint(replica, *record.checkpoint);
            break;
        case RecordType::state:
            apply_state(replica, record);
            break;
        case RecordType::created:
        case RecordType::removed:
        case RecordType::opening:
            UNREACHABLE();
    }
    if (record.sequences() > 0) {
        replica.last_sequence = record.header.sequence + record.sequences() - 1;
    }
}

void Replay::begin_epoch() {
    epoch_opens_ = true;
    for (ReplayedReplica& replica : replicas_) {
        replica.concluded = false;
    }
}

// Replicas the epoch's opening did not name were not there when it was written.
void Replay::conclude() {
    epoch_opens_ = false;
    records_lost_ = false;
    std::erase_if(replicas_, [](const ReplayedReplica& replica) { return !replica.concluded; });
}

// A replica first met by a record that is neither its creation nor its state has lost those.
void Replay::check_number(ReplayedReplica& replica, const Record& record) {
    const bool is_state = record.header.type == RecordType::state;
    // The first batch of all ends with the state of every replica, which says where its numbering stands.
    const bool in_first_batch = next_batch_ == 0 && !judgement_.start_lost;
    if (in_first_batch || (is_state && epoch_opens_)) {
        return;
    }
    if (record.sequences() == 0 && !is_state) {
        return;
    }
    const std::uint64_t expected = is_state ? replica.last_sequence : replica.last_sequence + 1;
    const bool first_met = replica.last_sequence == 0;
    if (record.header.sequence == expected || (first_met && is_state && !records_lost_)) {
        replica.suspect = false;
        return;
    }
    if (first_met && is_state) {
        return;  // its state is all there; whether its log is, the bounds in the state say at the end
    }
    MARK("gap in a replica's records: in doubt");
    replica.suspect = false;
    replica.in_doubt = true;
    replica.frozen = true;
}

void Replay::apply_entries(ReplayedReplica& replica, const Record& record, const JudgedBatch& batch) {
    if (replica.frozen) {
        return;
    }
    replica.runs.truncate(record.entries.first, ignore_dropped);
    replica.runs.append(run_of(record, batch));
    replica.claimed_last = replica.runs.back().last();
}

// A copy's entries were live when it was written. Those whose numbers the log does not have lay in a segment that is
// gone; those it has as numbered are found here from now on.
void Replay::apply_copies(ReplayedReplica& replica, const Record& record, const JudgedBatch& batch) {
    if (replica.frozen) {
        return;
    }
    const EntryRun copy = run_of(record, batch);
    std::uint64_t at = copy.first;
    while (at < copy.end()) {
        const EntryRun* old = replica.runs.at_or_after(at);
        if (old == replica.runs.end() || old->first > at) {  // a hole: fill it
            const std::uint64_t hole_end =
                old == replica.runs.end() ? copy.end() : std::min(copy.end(), old->first);
            EntryRun part = copy.part(at, hole_end);
            MARK("a copy fills a hole in the log");
            part.appended_batch = 0;   // in a batch that is gone
            replica.runs.replace(part, ignore_dropped);
            at = hole_end;
            continue;
        }
        const std::uint64_t part_end = std::min(copy.end(), old->end());
        EntryRun part = copy.part(at, part_end);
        const bool same = old->term == part.term && old->sequence + (at - old->first) == part.sequence;
        if (same || MUTANT(copy_beats_newer_entry)) {
            part.appended_batch = old->appended_batch;
            replica.runs.replace(part, ignore_dropped);
        }
        at = part_end;
    }
}

void Replay::apply_state(ReplayedReplica& replica, const Record& record) {
    const bool first_met = !replica.state_seen;
    const bool doubt = (record.hard_state.in_doubt & doubt_found) != 0;
    const bool own_records_lost = replica.in_doubt || replica.frozen ||
                                  (replica.suspect && record.header.sequence != replica.last_sequence);
    replica.state_seen = true;
    replica.in_doubt = doubt || (replica.in_doubt && !epoch_opens_);
    replica.hard_state = record.hard_state;
    replica.hard_state.in_doubt &= doubt_until_fence;
    replica.incarnation = record.header.incarnation;
    replica.last_sequence = record.header.sequence;
    // The file of a later one than an epoch began with is gone: its record could not be read then, and nothing named it.
    if (record.checkpoint && (!replica.checkpoint || first_met || epoch_opens_ ||
                              replica.checkpoint->body.applied_index <= record.checkpoint->applied_index)) {
        set_checkpoint(replica, *record.checkpoint);
    }
    replica.claimed_last = record.last_index;
    if (epoch_opens_) {
        replica.concluded = true;
        replica.suspect = false;
        replica.frozen = own_records_lost ? !ends_as_stated(replica, record)
                                          : !first_met && ends_otherwise(replica, record);
        if (replica.frozen) {
            MARK("replica frozen by the state of a new epoch");
        }
        replica.in_doubt |= replica.frozen;
        replica.runs.truncate(record.last_index + 1, ignore_dropped);
    }
}

// Whether the log is the one that recovery had before it when it wrote the state: logs that agree in an entry's term and
// index agree in all before it. If not, records were lost since, and entries they had overwritten may still be here.
bool Replay::ends_as_stated(const ReplayedReplica& replica, const Record& state) const {
    if (replica.checkpoint && replica.checkpoint->body.applied_index >= state.last_index) {
        return true;
    }
    const EntryRun* last = replica.runs.find(state.last_index);
    return last != nullptr && last->term == state.last_term;
}

// Records that recovery had not are here. (An entry that is not here says nothing: its copy may lie further on.)
bool Replay::ends_otherwise(const ReplayedReplica& replica, const Record& state) const {
    const EntryRun* last = replica.runs.find(state.last_index);
    return last != nullptr && last->term != state.last_term;
}

void Replay::set_checkpoint(ReplayedReplica& replica, const CheckpointBody& body) {
    replica.checkpoint = OwnedCheckpoint::copy_of(body);
    replica.runs.trim(body.applied_index, ignore_dropped);
}

const JudgedBatch& Replay::batch_of(const EntryRun& run) const {
    const auto at = std::lower_bound(judgement_.batches.begin(), judgement_.batches.end(), run.place.sequence,
                                     [](const JudgedBatch& b, std::uint64_t s) { return b.place.sequence < s; });
    ASSERT(at != judgement_.batches.end() && at->place.sequence == run.place.sequence);
    return *at;
}

std::span<const EntryItem> Replay::items_of(const EntryRun& run) const {
    const Bytes directory = batch_of(run).directory;
    const auto* items = reinterpret_cast<const EntryItem*>(directory.data() + run.record + items_offset);
    return {items + run.skipped, run.count};
}

// Keeps the log up to the first hole, and names the damaged entries.
void Replay::finish(ReplayedReplica& replica) {
    if (!replica.state_seen || replica.suspect || replica.frozen) {
        replica.in_doubt = true;
    }
    std::uint64_t expected = replica.checkpoint ? replica.checkpoint->body.applied_index + 1 : 1;
    std::uint64_t term = 0;
    for (const EntryRun& run : replica.runs) {
        if (run.first != expected || run.term < term) {
            break;
        }
        expected = run.end();
        term = run.term;
    }
    if (!replica.runs.empty() && replica.runs.back().end() > expected) {
        MARK("hole in a recovered log");
        replica.in_doubt = true;
        replica.runs.truncate(expected, ignore_dropped);
    }
    if (replica.claimed_last >= expected && !MUTANT(lost_tail_unnoticed)) {
        MARK("recovered log ends before what it claimed");
        replica.in_doubt = true;
    }
    for (const EntryRun& run : replica.runs) {
        const JudgedBatch& batch = batch_of(run);
        std::uint64_t index = run.first;
        for (const EntryItem& item : items_of(run)) {
            if (batch.payload_damaged(item)) {
                MARK("recovered entry is damaged");
                replica.damaged.push_back(index);
            }
            index++;
        }
    }
}

}  // namespace ringfort::log
