// How a log starts: read, judge, replay; make durable what was read; open an epoch; only then say what was found.
#include <algorithm>
#include <utility>

#include "base/assertion.h"
#include "base/checksum.h"
#include "shard/log_store_impl.h"
#include "shard/node_config.h"

namespace ringfort::shard {

void LogStore::start(LogStart how) {
    Impl& s = *impl_;
    ASSERT(s.phase == Impl::Phase::idle);
    s.how_to_start = how;
    s.phase = Impl::Phase::recovering;
    s.recovery = std::make_unique<LogRecovery>(s.world.disk, s.options);
    s.recovery->start();
}

std::uint64_t LogStore::percent_read() const {
    const Impl& s = *impl_;
    return s.phase == Impl::Phase::recovering ? s.recovery->percent_read() : 100;
}

void LogStore::Impl::step_recovery(Instant now) {
    switch (phase) {
        case Phase::recovering:
            recovery->step(now);
            if (!recovery->refusal().empty()) {
                failed_as = env::Halt::refused;
                fail(recovery->refusal());
            } else if (const auto ranges = recovery->done() ? lost_to_read_errors() : std::nullopt) {
                failed_as = env::Halt::refused;
                fail(*ranges + "the disk cannot read " + recovery->unreadable() +
                     ", and no quorum of other replicas can give back what they hold; nothing was changed: start the node "
                     "again when the disk reads them. If it never will, put back a backup; or, if this node has two peers "
                     "or more, remove the whole data directory, and it joins again as one whose data was lost");
            } else if (recovery->done() && recovery->judgement().empty() && how_to_start == LogStart::existing) {
                failed_as = env::Halt::refused;
                fail("the log of shard " + std::to_string(options.shard.value) +
                     " is missing from a data directory that was in use: remove the whole directory, and the node joins "
                     "again as one whose data was lost");
            } else if (recovery->done()) {
                take_files();
                take_replicas();
                phase = Phase::syncing;
                sync_next();
            }
            return;
        case Phase::opening:
            if (writer.idle() && segments.has_ready()) {
                open_epoch();
            } else if (!segments.has_ready() && !segments.working() && !segments.has_space()) {
                fail_without_segment();
            }
            return;
        case Phase::idle:
        case Phase::syncing:
        case Phase::running:
        case Phase::failed:
            return;
    }
}

// What is lost to read errors is mended by the peers: of replicas that are known, and have two or more, as one alone is no
// quorum to end a doubt (raft/doubt.cc). Else the start must not write that it is lost, as the disk may read it again: the
// ranges of which that is known, as a message begins with them. Nothing: it may go on.
std::optional<std::string> LogStore::Impl::lost_to_read_errors() {
    if (recovery->all_readable()) {
        return std::nullopt;
    }
    log::Replay& replay = recovery->replay();
    const bool few_members = options.members > 0 && options.members < 3;
    const auto is_lost = [&](const log::ReplayedReplica& replica) {
        if (!replica.checkpoint) {   // nor does the log say who its voters are
            return replica.in_doubt && few_members;
        }
        const raft::Configuration& configuration = from_body(*replica.checkpoint).configuration;
        const bool alone = configuration.voters.size() == 1 && configuration.outgoing.empty();
        return (replica.in_doubt && too_few_to_rebuild(configuration)) || (alone && !replica.damaged.empty());
    };
    std::string first;
    std::size_t count = 0;
    for (const log::ReplayedReplica& replica : replay.replicas()) {
        if (is_lost(replica)) {
            first = count++ == 0 ? "range " + std::to_string(replica.range) : first;
        }
    }
    if (count == 0) {
        const bool some_unknown = replay.replicas_unknown() && (replay.replicas().empty() || few_members);
        return some_unknown ? std::optional(std::string{}) : std::nullopt;
    }
    return first + (count > 1 ? " and " + std::to_string(count - 1) + " more: " : ": ");
}

void LogStore::Impl::fail_without_segment() {
    const env::DiskErrc error = segments.space_error();
    if (error == env::DiskErrc::no_space) {
        failed_as = env::Halt::no_disk_space;
        fail("there is no disk space for a segment of the log");
    } else {
        fail("a new segment of the log cannot be made: " + std::string(env::to_string(error)));
    }
}

// Files behind the last batch that counts get new numbers: what they hold must never be read as part of the log again.
void LogStore::Impl::take_files() {
    auto& files = recovery->files();
    std::uint64_t last_counting = 0;
    for (const LogRecovery::File& file : files) {
        last_counting = file.counts ? file.number : last_counting;
    }
    for (const LogRecovery::File& file : files) {
        if (file.number <= last_counting) {
            segments.add_recovered({file.number, file.file, file.bytes, file.bytes, 0, 0, 0, 0, file.has_bad_blocks});
        } else {
            world.disk.close(file.file);
            segments.add_unused(file.number, file.bytes, file.has_bad_blocks);
        }
    }
    segments.set_next_number(files.empty() ? 1 : files.back().number + 1);

    const log::Judgement& judgement = recovery->judgement();
    // Above what files may hide that could not be read (log/format.h).
    epoch = std::max(judgement.newest_epoch, recovery->all_readable() ? 0 : files.back().number) + 1;
    epoch_begin = recovery->last_sequence() + 1;
    open_sequence = epoch_begin;
    writer.set_durable(epoch_begin - 1);
    counters_seen_through = epoch_begin - 1;
    cut.previous_epoch = judgement.newest_epoch;
    if (!judgement.empty()) {
        const log::JudgedBatch& last = judgement.batches.back();
        cut.cut_sequence = last.place.sequence;
        cut.cut_segment = last.place.segment;
        cut.cut_offset = last.place.offset + last.place.bytes;
        if (last.verdict != log::Verdict::lost) {
            previous_directory.assign(last.directory);
            previous_directory_checksum = checksum(last.directory);
            previous_checksum = last.checksum;
            previous_place = last.place;
        }
    }
    for (const log::JudgedBatch& batch : judgement.batches) {
        if (batch.finding.directory == log::DirectoryState::copy) {
            healed.emplace(batch.place.sequence,
                           std::vector<std::byte>(batch.directory.begin(), batch.directory.end()));
        }
    }
}

bool LogStore::Impl::belongs_here(RangeId range) const {
    return options.shard_count == 0 || shard_of(range, options.shard_count) == options.shard;
}

// What does not belong here is not stated in the epoch's opening: that makes it durable that it is gone.
void LogStore::Impl::take_replicas() {
    replicas_unknown = recovery->replay().replicas_unknown();
    for (log::ReplayedReplica& replayed : recovery->replay().replicas()) {
        if (!belongs_here(RangeId(replayed.range))) {
            continue;
        }
        LogReplica& replica = replicas.add(RangeId(replayed.range));
        replica.hard_state = from_body(replayed.hard_state, replayed.incarnation);
        replica.promises_in_doubt = replayed.in_doubt;
        if (replayed.checkpoint) {
            replica.checkpoint = from_body(*replayed.checkpoint);
        }
        replica.runs = replayed.runs;
        replica.last_sequence = replayed.last_sequence;
        for (const log::EntryRun& run : replica.runs) {
            replica.payload_bytes += run.payload_bytes;
            segments.add_live(run);
        }
        replica.memory_first = replica.last().index.next();
    }
}

// Blocks may have been read that are not yet durable (a killed process leaves them in flight).
void LogStore::Impl::sync_next() {
    if (files_synced == segments.live_count()) {
        phase = Phase::opening;
        return;
    }
    sync_operation.context = this;
    sync_operation.callback = [](env::DiskOperation& op) {
        Impl& self = *static_cast<Impl*>(op.context);
        if (self.phase == Phase::failed) {
            return;
        }
        if (op.error != env::DiskErrc::ok) {
            self.fail("a flush of the log failed: " + std::string(env::to_string(op.error)));
            return;
        }
        self.files_synced++;
        self.sync_next();
    };
    world.disk.sync(sync_operation, segments[files_synced].file);
}

void LogStore::Impl::open_epoch() {
    ASSERT(open_is_empty() && open_sequence == epoch_begin);
    const bool submitted = submit_open(log::flag_epoch);
    ASSERT(submitted);
    open_runs.clear();
}

void LogStore::Impl::report_recovered() {
    RecoveredLog out;
    out.fresh = recovery->judgement().empty();
    out.replicas_unknown = replicas_unknown;
    out.notes = recovery->notes();
    log::Replay& replay = recovery->replay();
    for (const log::ReplayedReplica& replayed : replay.replicas()) {
        if (!belongs_here(RangeId(replayed.range))) {
            continue;
        }
        const LogReplica& replica = replica_of(RangeId(replayed.range));
        RecoveredReplica& found = out.replicas.emplace_back();
        found.range = replica.range;
        found.hard_state = replica.hard_state;
        found.promises_in_doubt = replica.promises_in_doubt;
        found.checkpoint = replica.checkpoint;
        for (const log::EntryRun& run : replayed.runs) {
            const log::JudgedBatch& batch = replay.batch_of(run);
            std::uint64_t index = run.first;
            for (const log::EntryItem& item : replay.items_of(run)) {
                found.entries.push_back({{Term(run.term), LogIndex(index)},
                                         static_cast<raft::EntryKind>(item.kind()),
                                         item.checksum,
                                         batch.kept_payload(item)});
                index++;
            }
        }
        for (const std::uint64_t index : replayed.damaged) {
            found.damaged.push_back(LogIndex(index));
        }
    }
    phase = Phase::running;
    counters_seen_through = writer.durable();
    listener.on_recovered(out);
    recovery.reset();
}

}  // namespace ringfort::shard
