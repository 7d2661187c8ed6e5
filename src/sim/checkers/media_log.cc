#include "sim/checkers/media_log.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

constexpr std::size_t spare_max = 8;

raft::EntryId id_of(const log::CheckpointBody& checkpoint) {
    return {Term(checkpoint.applied_term), LogIndex(checkpoint.applied_index)};
}

std::string text(raft::EntryId id) { return std::to_string(id.term.value) + "/" + std::to_string(id.index.value); }

}  // namespace

raft::EntryId MediaLog::Replica::last() const {
    return entries.empty() ? base : raft::EntryId{entries.back().term, base.index.plus(entries.size())};
}

std::optional<Term> MediaLog::Replica::term_at(LogIndex index) const {
    if (index == base.index) {
        return base.term;
    }
    if (index < base.index || index > last().index) {
        return std::nullopt;
    }
    const Term term = entries[distance(base.index, index) - 1].term;
    return term ? std::optional(term) : std::nullopt;
}

const MediaLog::Replica* MediaLog::find(RangeId range) const {
    const auto found = replicas_.find(range);
    return found == replicas_.end() ? nullptr : &found->second;
}

std::string MediaLog::wrong(RangeId range, const std::string& what) const {
    return "the log of shard " + std::to_string(shard_) + " on the disk of node " + std::to_string(node_ + 1) +
           (range == RangeId{} ? "" : ", range " + std::to_string(range.value)) + ": " + what;
}

const std::string& MediaLog::segment_name(std::uint64_t segment) {
    if (segment != named_segment_ || segment_name_.empty()) {
        char digits[17];
        std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(segment));
        segment_name_ = "shard-" + std::to_string(shard_) + "/log-" + digits;
        named_segment_ = segment;
    }
    return segment_name_;
}

// ------------------------------------------------------------------------------------------- batches

std::string MediaLog::on_write(const log::BatchHeader& header, Bytes batch) {
    ASSERT(header.bytes == batch.size() && header.shard == shard_);
    std::string found;
    if (header.instance != instance_) {   // another data directory
        instance_ = header.instance;
        epoch_ = durable_ = 0;
        pending_.clear();
        replicas_.clear();
    }
    Batch taken{header, {}};
    if (!spare_.empty()) {
        taken.content = std::move(spare_.back());
        spare_.pop_back();
    }
    const Bytes counted = batch.first(header.copy_offset());   // without the rest it counts as well
    taken.content.assign(counted.begin(), counted.end());
    // An epoch whose opening was lost is opened again, under the same number.
    if (header.epoch != epoch_ || header.sequence == header.epoch_begin) {
        found = open_epoch(taken);
        epoch_ = header.epoch;
        durable_ = header.epoch_begin - 1;
    }
    pending_.push_back(std::move(taken));
    return found;
}

// A start has read the log and says what counts of it. All that does must be durable by now; the rest is forgotten.
std::string MediaLog::open_epoch(const Batch& first) {
    if ((first.header.flags & log::flag_epoch) == 0) {
        return wrong({}, "epoch " + std::to_string(first.header.epoch) + " begins without an opening");
    }
    std::string found = poll();
    const std::uint64_t cut = first.header.epoch_begin - 1;
    if (found.empty() && cut < durable_ && !excused()) {
        found = wrong({}, "batch " + std::to_string(durable_) + " was durable, and is cut behind " + std::to_string(cut));
    }
    if (found.empty() && !pending_.empty() && pending_.front().header.sequence <= cut && !excused()) {
        found = wrong({}, "batch " + std::to_string(pending_.front().header.sequence) +
                              " counts at a start, and was not durable");
    }
    pending_.clear();
    return found;
}

bool MediaLog::is_durable(const Batch& batch) {
    const std::string& name = segment_name(batch.header.segment);
    if (!media_.durable(name, batch.header.offset, batch.content.size())) {
        return false;
    }
    // Before it arrived, what stood there was durable too. (What cannot be read was there, and is damaged.)
    scratch_.resize(batch.content.size());
    return !media_.file(name)->read(batch.header.offset, scratch_) ||
           std::memcmp(scratch_.data(), batch.content.data(), scratch_.size()) == 0;
}

std::string MediaLog::poll() {
    while (!pending_.empty() && is_durable(pending_.front())) {
        Batch batch = std::move(pending_.front());
        pending_.pop_front();
        durable_ = batch.header.sequence;
        std::string found = take_in(batch);
        if (spare_.size() < spare_max) {
            spare_.push_back(std::move(batch.content));
        }
        if (!found.empty()) {
            return found;
        }
    }
    return {};
}

std::string MediaLog::take_in(const Batch& batch) {
    log::DirectoryReader reader(
        Bytes(batch.content).subspan(batch.header.directory_offset(), batch.header.directory_bytes));
    const bool opens_epoch = (batch.header.flags & log::flag_epoch) != 0;
    named_.clear();
    taking_ = batch.content;
    log::Record record;
    while (reader.next(record)) {
        if (record.header.type != log::RecordType::opening) {
            std::string found = apply(record, opens_epoch);
            if (!found.empty()) {
                return found;
            }
        }
    }
    if (!reader.ok()) {
        return wrong({}, "the directory of batch " + std::to_string(batch.header.sequence) + " cannot be read");
    }
    return opens_epoch ? drop_unnamed() : std::string{};
}

// What an epoch's opening does not name is not there any more.
std::string MediaLog::drop_unnamed() {
    for (auto at = replicas_.begin(); at != replicas_.end();) {
        if (std::ranges::find(named_, at->first) != named_.end()) {
            ++at;
        } else if (excused()) {
            at = replicas_.erase(at);
        } else {
            return wrong(at->first, "a start found no replica where one was durable");
        }
    }
    return {};
}

// ------------------------------------------------------------------------------------------- records

std::string MediaLog::apply(const log::Record& record, bool opens_epoch) {
    const RangeId range(record.header.range);
    if (record.header.type == log::RecordType::removed) {
        replicas_.erase(range);
        return {};
    }
    Replica& replica = replicas_[range];
    switch (record.header.type) {
        case log::RecordType::entries: return apply_entries(replica, record);
        case log::RecordType::copies:
        case log::RecordType::repaired: return apply_copies(replica, record);
        case log::RecordType::hard_state:
            replica.doubt_found &= Incarnation(record.header.incarnation) == replica.promises.incarnation;
            return set_promises(range, replica, record.header.incarnation, record.hard_state);
        case log::RecordType::truncate: return drop_from(range, replica, LogIndex(record.truncate_from));
        case log::RecordType::checkpoint: return cover(range, replica, *record.checkpoint);
        case log::RecordType::snapshot_installed: return install(replica, record);
        case log::RecordType::state: return apply_state(replica, record, opens_epoch);
        case log::RecordType::created: {
            replica = Replica{};
            std::string found = set_promises(range, replica, record.header.incarnation, record.hard_state);
            if (found.empty() && record.checkpoint) {
                found = record.checkpoint->file.empty() ? entries_.on_founded(range, id_of(*record.checkpoint))
                                                        : std::string{};
                replica.base = id_of(*record.checkpoint);
                replica.checkpoint_file = std::string(record.checkpoint->file);
                found = found.empty() ? entries_.on_covered(range, replica.base) : found;
            }
            return found;
        }
        case log::RecordType::removed:
        case log::RecordType::opening: break;
    }
    UNREACHABLE();
}

std::string MediaLog::apply_entries(Replica& replica, const log::Record& record) {
    const RangeId range(record.header.range);
    const LogIndex first(record.entries.first);
    if (first <= replica.last().index) {
        std::string found = drop_from(range, replica, first);
        if (!found.empty()) {
            return found;
        }
    }
    if (first != replica.last().index.next()) {
        return wrong(range, "entry " + std::to_string(first.value) + " follows " + text(replica.last()));
    }
    StoredEntry entry{{Term(record.entries.term), first}, 0, replica.last().term};
    for (const log::EntryItem& item : record.items) {
        entry.checksum = item.checksum;
        replica.entries.push_back({entry.id.term, entry.checksum});
        std::string found = entries_.on_durable(node_, range, entry, !replica.promises.in_doubt && !replica.doubt_found);
        if (!found.empty()) {
            return found;
        }
        if (item.kind() == static_cast<std::uint8_t>(raft::EntryKind::fence)) {
            note_fence(range, replica, entry.id, taking_.subspan(item.offset, item.length()));
        }
        entry.before = entry.id.term;
        entry.id.index = entry.id.index.next();
    }
    return {};
}

void MediaLog::set_fence(RangeId range, Replica& replica, raft::EntryId id) {
    replica.fence = id;
    entries_.on_fence(node_, range, id);
}

// From the first one on the replica counts.
void MediaLog::note_fence(RangeId range, Replica& replica, raft::EntryId id, Bytes payload) {
    raft::Fence fence;
    if (replica.fence.index == LogIndex{} && raft::decode(payload, fence) && fence.member == self_ &&
        fence.incarnation == replica.promises.incarnation) {
        set_fence(range, replica, id);
    }
}

void MediaLog::forget_fence_of_another(RangeId range, Replica& replica, Incarnation incarnation) {
    if (incarnation != replica.promises.incarnation) {
        set_fence(range, replica, {});
    }
}

// Copies say where entries lie that the log has; so they must be those.
std::string MediaLog::apply_copies(Replica& replica, const log::Record& record) {
    LogIndex index(record.entries.first);
    for (const log::EntryItem& item : record.items) {
        if (index > replica.base.index && index <= replica.last().index) {
            const Replica::Entry& entry = replica.entries[distance(replica.base.index, index) - 1];
            if (entry.checksum && entry.term == Term(record.entries.term) && entry.checksum != item.checksum) {
                return wrong(RangeId(record.header.range),
                             "the copy of entry " + std::to_string(index.value) + " is another");
            }
        }
        index = index.next();
    }
    return {};
}

std::string MediaLog::drop_from(RangeId range, Replica& replica, LogIndex from) {
    if (from <= replica.base.index && replica.base.index > LogIndex{}) {
        return wrong(range, "entries from " + std::to_string(from.value) + " on are void, and a checkpoint stands for " +
                                text(replica.base));
    }
    if (replica.fence.index >= from) {
        set_fence(range, replica, {});
    }
    while (!replica.entries.empty() && replica.last().index >= from) {
        std::string found = entries_.on_lost(node_, range, replica.last());
        replica.entries.pop_back();
        if (!found.empty()) {
            return found;
        }
    }
    return {};
}

std::string MediaLog::cover(RangeId range, Replica& replica, const log::CheckpointBody& checkpoint) {
    const raft::EntryId id = id_of(checkpoint);
    const auto known = replica.term_at(id.index);
    if (known && *known != id.term) {
        return wrong(range, "a checkpoint stands for " + text(id) + ", the log has term " + std::to_string(known->value));
    }
    while (!replica.entries.empty() && replica.base.index < id.index) {
        replica.entries.pop_front();
        replica.base.index = replica.base.index.next();
    }
    replica.base = id;
    replica.checkpoint_file = std::string(checkpoint.file);
    return entries_.on_covered(range, id);
}

// Every entry in the log is void: those behind the snapshot must have been of no worth.
std::string MediaLog::install(Replica& replica, const log::Record& record) {
    const RangeId range(record.header.range);
    const raft::EntryId snapshot = id_of(*record.checkpoint);
    if (replica.fence.index > snapshot.index) {
        set_fence(range, replica, {});
    }
    while (!replica.entries.empty()) {
        std::string found =
            replica.last().index > snapshot.index ? entries_.on_lost(node_, range, replica.last()) : std::string{};
        replica.entries.pop_back();
        if (!found.empty()) {
            return found;
        }
    }
    replica.base = snapshot;
    return cover(range, replica, *record.checkpoint);
}

std::string MediaLog::set_promises(RangeId range, Replica& replica, std::uint64_t incarnation,
                                   const log::HardStateBody& body) {
    const bool counted = !replica.promises.in_doubt && !replica.doubt_found;
    forget_fence_of_another(range, replica, Incarnation(incarnation));
    replica.promises = {Term(body.term), NodeId(body.vote), LogIndex{}, Incarnation(incarnation),
                        (body.in_doubt & log::doubt_until_fence) != 0};
    replica.doubt_found |= (body.in_doubt & log::doubt_found) != 0;
    const bool counts = !replica.promises.in_doubt && !replica.doubt_found;
    raft::HardState told = replica.promises;
    told.in_doubt = !counts;
    std::string found = promises_.on_durable(node_, range, told);
    return found.empty() && counts && !counted ? count_entries(range, replica) : found;
}

// The doubt is over: from now on the node counts with what it has.
std::string MediaLog::count_entries(RangeId range, const Replica& replica) {
    StoredEntry entry{replica.base, 0, {}};
    for (const Replica::Entry& stored : replica.entries) {
        entry = {{stored.term, entry.id.index.next()}, stored.checksum.value_or(0), entry.id.term};
        std::string found = stored.checksum ? entries_.on_durable(node_, range, entry, true) : std::string{};
        if (!found.empty()) {
            return found;
        }
    }
    return {};
}

// ------------------------------------------------------------------------------------------- states

std::string MediaLog::apply_state(Replica& replica, const log::Record& record, bool opens_epoch) {
    const RangeId range(record.header.range);
    const raft::EntryId last{Term(record.last_term), LogIndex(record.last_index)};
    named_.push_back(range);
    if (opens_epoch && !media_.sound()) {
        return adopt_state(replica, record);
    }
    if (last.index != replica.last().index || (replica.last().term && last != replica.last())) {
        return wrong(range, "the log ends with " + text(replica.last()) + ", and is said to end with " + text(last));
    }
    const auto& body = record.hard_state;
    if (Term(body.term) != replica.promises.term || NodeId(body.vote) != replica.promises.vote ||
        Incarnation(record.header.incarnation) != replica.promises.incarnation) {
        return wrong(range, "other promises are stated than were made");
    }
    const bool doubt_found = (body.in_doubt & log::doubt_found) != 0;
    if (doubt_found && !replica.doubt_found) {
        return wrong(range, "promises are in doubt, and nothing was damaged");
    }
    return {};
}

// The disk was damaged: what the start concluded counts.
std::string MediaLog::adopt_state(Replica& replica, const log::Record& record) {
    const RangeId range(record.header.range);
    const raft::EntryId last{Term(record.last_term), LogIndex(record.last_index)};
    const raft::EntryId base = record.checkpoint ? id_of(*record.checkpoint) : raft::EntryId{};
    if (base.index != replica.base.index) {
        replica.entries.clear();
        replica.base = base;
        replica.checkpoint_file = record.checkpoint ? std::string(record.checkpoint->file) : std::string{};
    }
    while (!replica.entries.empty() && replica.last() != last) {
        replica.entries.pop_back();
    }
    while (replica.last().index < last.index) {
        replica.entries.push_back({Term{}, std::nullopt});   // what a copy of the disk has is not known here
    }
    if (!replica.entries.empty()) {
        replica.entries.back().term = last.term;
    }
    if (replica.fence.index > last.index) {
        set_fence(range, replica, {});
    }
    const log::HardStateBody& body = record.hard_state;
    forget_fence_of_another(range, replica, Incarnation(record.header.incarnation));
    replica.promises = {Term(body.term), NodeId(body.vote), LogIndex{}, Incarnation(record.header.incarnation),
                        (body.in_doubt & log::doubt_until_fence) != 0};
    replica.doubt_found = (body.in_doubt & log::doubt_found) != 0;
    return replica.doubt_found ? std::string{}
                               : set_promises(range, replica, record.header.incarnation, record.hard_state);
}

}  // namespace ringfort::sim
