#include "shard/log_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assertion.h"
#include "base/checksum.h"
#include "base/mark.h"
#include "shard/log_store_impl.h"

namespace ringfort::shard {

using log::RecordType;
using Phase = LogStore::Impl::Phase;

LogStore::Impl::Impl(env::World& env_world, const LogOptions& log_options, LogListener& log_listener)
    : world(env_world), options(log_options), listener(log_listener), window(log_options.window_bytes),
      segments(env_world.disk, pace, log_options.directory, log_options.segment_bytes, log_options.log_bytes_goal,
               log_options.segments_ready),
      writer(env_world.disk, env_world.clock, *this),
      reader(env_world.disk, *this, log_options.instance, log_options.shard),
      collector(*this, replicas, segments, log_options.log_bytes_goal) {
    ASSERT(options.segment_bytes % limits::block_bytes == 0 && options.window_bytes % limits::block_bytes == 0);
    ASSERT(options.segment_bytes >= 16 * limits::block_bytes && options.window_bytes >= 32 * limits::block_bytes);
    open_runs.reserve(4096);
}

// ---- bounds

std::size_t LogStore::Impl::own_bytes_max() const {
    const std::size_t bytes = std::min({log::own_bytes_max, options.segment_bytes / 4, options.window_bytes / 4});
    return bytes / limits::block_bytes * limits::block_bytes;
}

std::size_t LogStore::Impl::directory_bytes_max() const {
    return std::min(log::directory_bytes_max, own_bytes_max() / 8);
}

std::size_t LogStore::Impl::batch_bytes(std::size_t payloads, std::size_t directory_bytes) const {
    return round_up(log::header_bytes + payloads + directory_bytes + previous_directory.size(), limits::block_bytes);
}

// Admission. What may be refused (entries) leaves room for what may not (the records raft must persist at once): half of
// the directory, and the state of all replicas in case the batch opens a segment.
bool LogStore::Impl::can_append(std::size_t payload, std::size_t entries) const {
    if (phase != Phase::running) {
        return false;
    }
    const std::size_t reserved = payload < payload_reserved ? payload_reserved : 0;
    const std::size_t payloads = payload_bytes + payload + reserved + (entries + 1) * log::payload_alignment;
    const std::size_t items = directory.size() + log::items_offset + entries * sizeof(log::EntryItem);
    const std::size_t reserve = directory_bytes_max();
    const std::size_t bytes = batch_bytes(payloads, reserve + replicas.state_bytes_max());
    if (log::header_bytes + payloads + reserve > own_bytes_max() || items > reserve / 2 || bytes > window.capacity()) {
        payload_refused = std::max(payload_refused, payload);
        return false;
    }
    return disk_has_room(bytes);
}

// With a segment ready there is room for any batch. Without, the last part of the active one is left to records that
// free space: checkpoints, removals, promises.
bool LogStore::Impl::disk_has_room(std::size_t bytes) const {
    const Segment* active = segments.active();
    const std::uint64_t left = active == nullptr ? 0 : active->bytes - active->used;
    return segments.has_ready() || left >= bytes + options.segment_bytes / 8;
}

// ---- the open batch

LogReplica& LogStore::Impl::replica_of(RangeId range) {
    LogReplica* replica = replicas.find(range);
    ASSERT(replica != nullptr);
    return *replica;
}

// Puts an entry into the directory, as part of the record before it if that goes on; returns the payload's memory.
MutableBytes LogStore::Impl::append(RecordType type, LogReplica& replica, const log::RecordHeader& head,
                                    raft::EntryId id, std::uint8_t kind, std::size_t bytes) {
    ASSERT(unsealed_item == 0);
    ASSERT(bytes <= log::payload_bytes_max);
    const std::size_t end = log::header_bytes + payload_bytes + round_up(bytes, log::payload_alignment);
    ASSERT(batch_bytes(end - log::header_bytes, directory.size() + 128) <= window.capacity());
    const log::EntryRun* last = nullptr;
    if (type == RecordType::copies) {
        last = copy_run.count > 0 && last_entry_range == replica.range ? &copy_run : nullptr;
    } else if (type == RecordType::entries && directory_ends_in_entries && last_entry_range == replica.range) {
        last = &replica.runs.back();
    }
    const bool goes_on = last != nullptr && last->end() == id.index.value && last->term == id.term.value &&
                         last->sequence + last->count == head.sequence;
    const std::size_t offset = log::header_bytes + payload_bytes;
    const auto item = log::EntryItem::make(static_cast<std::uint32_t>(offset), bytes, kind);
    log::EntryRun run;
    if (!goes_on) {
        run.first = id.index.value;
        run.term = id.term.value;
        run.sequence = head.sequence;
        run.appended_batch = open_sequence;
        run.place.sequence = open_sequence;
        run.record = directory.begin_entries(head, id.index.value, id.term.value);
        run.count = 1;
        run.payload_bytes = static_cast<std::uint32_t>(bytes);
    }
    unsealed_item = directory.add_entry(item);
    payload_reserved = bytes >= payload_reserved ? 0 : payload_reserved;
    if (type == RecordType::entries) {
        if (goes_on) {
            replica.runs.extend_last(static_cast<std::uint32_t>(bytes));
        } else {
            add_run(replica, run);
        }
        replica.payload_bytes += bytes;
        counters.entry_bytes += bytes;
    } else if (goes_on) {
        copy_run.count++;
        copy_run.payload_bytes += static_cast<std::uint32_t>(bytes);
    } else {
        copy_run = run;
        open_runs.push_back({replica.range, run.first});
    }
    directory_ends_in_entries = type == RecordType::entries;
    if (type != RecordType::copies) {
        copy_run.count = type == RecordType::repaired ? copy_run.count : 0;
    }
    last_entry_range = replica.range;
    payload_bytes = end - log::header_bytes;
    std::byte* const memory = window.open_memory() + offset;
    std::memset(memory + bytes, 0, end - offset - bytes);
    unsealed_payload = {memory, bytes};
    return {memory, bytes};
}

void LogStore::Impl::add_run(LogReplica& replica, const log::EntryRun& run) {
    ASSERT(replica.last().index.value + 1 == run.first || replica.runs.empty());
    replica.runs.append(run);
    open_runs.push_back({replica.range, run.first});
}

void LogStore::Impl::drop(LogReplica& replica, const log::EntryRun& run) {
    ASSERT(replica.payload_bytes >= run.payload_bytes);
    replica.payload_bytes -= run.payload_bytes;
    segments.drop_live(run, open_sequence);
}

void LogStore::Impl::truncate(LogReplica& replica, std::uint64_t from) {
    replica.runs.truncate(from, [&](const log::EntryRun& run) { drop(replica, run); });
    replica.memory_first = std::min(replica.memory_first, LogIndex(from));
}

void LogStore::Impl::trim(LogReplica& replica, std::uint64_t through) {
    replica.runs.trim(through, [&](const log::EntryRun& run) { drop(replica, run); });
}

// ---- closing

void LogStore::Impl::fail(std::string reason) {
    if (phase != Phase::failed) {
        phase = Phase::failed;
        failure = std::move(reason);
    }
}

void LogStore::Impl::tell_failure() {
    if (phase == Phase::failed && !failure_told) {
        failure_told = true;
        listener.on_log_failed(failure);
    }
}

bool LogStore::Impl::make_room_for(std::size_t bytes) {
    window.make_room(bytes, writer.durable(), payload_bytes == 0);
    return window.capacity() >= bytes;
}

// The batch opens the next segment: it states every replica as of its own end.
void LogStore::Impl::switch_segment(std::uint64_t batch, std::uint32_t& flags) {
    segments.open_next(batch);
    log::Opening opening = cut;
    opening.replicas = replicas.size();
    opening.begins_epoch = (flags & log::flag_epoch) != 0 ? 1 : 0;
    opening.replicas_unknown = replicas_unknown ? 1 : 0;
    directory.opening(opening);
    replicas.write_states(directory);
    flags |= log::flag_opening;
}

// Submits the open batch; false if it must wait: for a segment, for memory.
bool LogStore::Impl::submit_open(std::uint32_t flags) {
    ASSERT(unsealed_item == 0 && !writer.full());
    const Segment* active = segments.active();
    const bool epoch_begins = (flags & log::flag_epoch) != 0;
    std::size_t bytes = batch_bytes(payload_bytes, directory.size());
    const bool next_segment = epoch_begins || active == nullptr || active->used + bytes > active->bytes;
    if (next_segment) {
        bytes += round_up(replicas.state_bytes_max(), limits::block_bytes);
    }
    if ((next_segment && !segments.has_ready()) || !window.can_close() || !make_room_for(bytes)) {
        MARK("batch waits for a segment or for memory");
        return false;
    }
    if (next_segment) {
        switch_segment(open_sequence, flags);
    }
    Segment& segment = *segments.active();
    log::BatchHeader header;
    header.flags = flags;
    header.instance = options.instance.value;
    header.shard = static_cast<std::uint32_t>(options.shard.value);
    header.segment = segment.number;
    header.offset = segment.used;
    ASSERT(epoch <= segment.number);
    header.epoch = epoch;
    header.epoch_begin = epoch_begin;
    header.sequence = open_sequence;
    header.durable_through = writer.durable();
    header.bytes = static_cast<std::uint32_t>(batch_bytes(payload_bytes, directory.size()));
    header.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
    header.directory_bytes = static_cast<std::uint32_t>(directory.size());
    header.copy_bytes = static_cast<std::uint32_t>(previous_directory.size());
    header.directory_checksum = checksum(directory.bytes());
    header.copy_checksum = previous_directory_checksum;
    header.previous_checksum = previous_checksum;
    header.previous_segment = previous_place.segment;
    header.previous_offset = previous_place.offset;
    header.previous_bytes = previous_place.bytes;
    log::seal_header(header);

    std::byte* const memory = window.open_memory();
    std::memcpy(memory, &header, sizeof(header));
    std::ranges::copy(directory.bytes(), memory + header.directory_offset());
    std::ranges::copy(previous_directory.bytes(), memory + header.copy_offset());
    std::memset(memory + header.used_bytes(), 0, header.bytes - header.used_bytes());

    const log::BatchPlace place{segment.number, segment.used, open_sequence, header.bytes};
    window.close(open_sequence, header.bytes, header.directory_offset());
    segment.used += header.bytes;
    place_open_runs(place);
    previous_place = place;
    previous_checksum = header.checksum;
    previous_directory_checksum = header.directory_checksum;
    previous_is_seal = (flags & log::flag_seal) != 0;
    std::swap(directory, previous_directory);
    directory.clear();
    payload_bytes = 0;
    payload_reserved = std::exchange(payload_refused, 0);
    if (payload_reserved > log::payload_bytes_max || payload_reserved + 2 * directory_bytes_max() > own_bytes_max()) {
        MARK("refused entry too large to keep room for");
        payload_reserved = 0;  // would keep everything out, and may never fit
    }
    directory_ends_in_entries = false;
    copy_run.count = 0;
    open_sequence++;
    writer.submit(place.sequence, segment.file, place.offset, {memory, header.bytes});
    make_room_for(batch_bytes(own_bytes_max(), directory_bytes_max() + replicas.state_bytes_max()));
    return true;
}

void LogStore::Impl::place_open_runs(const log::BatchPlace& place) {
    for (const OpenRun& open : open_runs) {
        if (LogReplica* replica = replicas.find(open.range)) {
            replica->runs.place(open.first, place, [&](const log::EntryRun& run) { segments.add_live(run); });
        }
    }
    open_runs.clear();
}

// An idle log says that its last batch is durable, so that rot in it can be told from a torn write.
void LogStore::Impl::maybe_seal(Instant now) {
    if (open_is_empty() && writer.idle() && !previous_is_seal && now >= writer.idle_since() + seal_after) {
        submit_open(log::flag_seal);
    }
}

void LogStore::Impl::close(Instant now) {
    pace.observe(now, writer.facts());
    if (phase == Phase::failed || phase == Phase::idle) {
        tell_failure();
        return;
    }
    if (phase == Phase::opening || phase == Phase::running) {
        segments.step(now, writer.durable(), writer.bytes_written());
    }
    if (const std::string trouble = segments.take_trouble(); !trouble.empty()) {
        world.log.write(env::LogLevel::warning, "log of shard " + std::to_string(options.shard.value) + ": " + trouble);
    }
    if (phase != Phase::running) {
        step_recovery(now);
        tell_failure();
        return;
    }
    reader.answer_ready();
    collector.step();
    make_room_for(batch_bytes(own_bytes_max(), directory_bytes_max() + replicas.state_bytes_max()));
    if (!open_is_empty() && !writer.full()) {
        submit_open(0);
    }
    maybe_seal(now);
}

Instant LogStore::Impl::next_deadline() const {
    switch (phase) {
        case Phase::idle:
            return never;
        case Phase::failed:
            return failure_told ? never : Instant{};
        case Phase::recovering:
            return recovery->next_deadline();
        case Phase::syncing:
        case Phase::opening:
            return segments.next_deadline();
        case Phase::running:
            break;
    }
    Instant out = segments.next_deadline();
    if (reader.has_ready() || (collector.wants_step() && !writer.full())) {
        out = Instant{};
    }
    if (!previous_is_seal && writer.idle() && open_is_empty()) {
        out = std::min(out, writer.idle_since() + seal_after);
    }
    return out;
}

// ---- from below

void LogStore::Impl::on_written_through(std::uint64_t sequence) {
    pace.observe(world.clock.now(), writer.facts());
    if (phase == Phase::opening) {
        report_recovered();
        return;
    }
    counters.batches += sequence - counters_seen_through;
    counters_seen_through = sequence;
    listener.on_durable(sequence);
    for (const RangeId range : std::exchange(checkpoint_wanted, {})) {
        listener.on_checkpoint_wanted(range);
    }
}

void LogStore::Impl::on_write_failed(std::string_view what, env::DiskErrc error) {
    MARK("log write or flush failed");
    fail(std::string(what) + ": " + std::string(env::to_string(error)));
    tell_failure();
}

const log::EntryRun* LogStore::Impl::run_of(RangeId range, std::uint64_t index) {
    const LogReplica* replica = replicas.find(range);
    return replica == nullptr ? nullptr : replica->runs.find(index);
}

std::optional<raft::Entry> LogStore::Impl::entry_in_memory(RangeId range, std::uint64_t index) {
    const LogReplica* replica = replicas.find(range);
    return replica == nullptr ? std::nullopt : find(*replica, index);
}

Segment* LogStore::Impl::segment_of(std::uint64_t number) { return segments.find(number); }

Bytes LogStore::Impl::healed_directory(std::uint64_t batch) {
    const auto at = healed.find(batch);
    return at == healed.end() ? Bytes{} : Bytes(at->second);
}

void LogStore::Impl::read_live(RangeId range, std::uint64_t first, std::uint64_t last, std::size_t bytes_max,
                               EntryRead& read) {
    reader.start(range, first, last, bytes_max, read);
}

bool LogStore::Impl::write_again(RangeId range, const raft::Entry& entry, std::uint64_t segment) {
    LogReplica* replica = replicas.find(range);
    const log::EntryRun* run = replica == nullptr ? nullptr : replica->runs.find(entry.id.index.value);
    if (run == nullptr || run->term != entry.id.term.value || run->place.segment != segment) {
        MARK("collected entry is no longer live");
        return true;  // no longer live there
    }
    if (!can_append(entry.payload.size(), 1)) {
        return false;
    }
    const std::uint64_t sequence = run->sequence + (entry.id.index.value - run->first);
    const std::uint64_t appended = run->appended_batch;
    const MutableBytes memory = append(RecordType::copies, *replica, replica->head(RecordType::copies, sequence),
                                       entry.id, static_cast<std::uint8_t>(entry.kind), entry.payload.size());
    std::copy(entry.payload.begin(), entry.payload.end(), memory.begin());
    directory.set_checksum(std::exchange(unsealed_item, 0), entry.checksum);
    copy_run.appended_batch = std::min(copy_run.appended_batch, appended);
    replace_run(*replica);
    return true;
}

// The entries of copy_run are found there from now on.
void LogStore::Impl::replace_run(LogReplica& replica) {
    replica.runs.replace(copy_run, [&](const log::EntryRun& old) { drop(replica, old); });
    replica.payload_bytes += copy_run.payload_bytes;
}

void LogStore::Impl::want_checkpoint(RangeId range) { checkpoint_wanted.push_back(range); }

// ---- entries

std::optional<raft::Entry> LogStore::Impl::find(const LogReplica& replica, std::uint64_t index) const {
    raft::Entry entry;
    return find(replica, index, {&entry, 1}) == 1 ? std::optional(entry) : std::nullopt;
}

std::size_t LogStore::Impl::find(const LogReplica& replica, std::uint64_t first, std::span<raft::Entry> out) const {
    const log::EntryRun* run = replica.runs.find(first);
    if (run == nullptr) {
        return 0;
    }
    const std::byte* memory = nullptr;
    const std::byte* records = nullptr;
    if (run->place.sequence == open_sequence) {
        memory = window.open_memory();
        records = directory.bytes().data();
    } else {
        const BatchWindow::View view = window.find(run->place.sequence);
        memory = view.memory;
        records = view.directory;
    }
    if (memory == nullptr) {
        return 0;
    }
    const std::size_t count = std::min<std::size_t>(out.size(), run->end() - first);
    const std::byte* at = records + run->record + log::items_offset +
                          (run->skipped + (first - run->first)) * sizeof(log::EntryItem);
    for (std::size_t i = 0; i < count; i++, at += sizeof(log::EntryItem)) {
        const auto item = load<log::EntryItem>(at);
        out[i] = {{Term(run->term), LogIndex(first + i)},
                  static_cast<raft::EntryKind>(item.kind()),
                  item.checksum,
                  {memory + item.offset, item.length()}};
    }
    return count;
}

LogIndex LogStore::Impl::first_in_memory(LogReplica& replica) {
    const std::uint64_t oldest = window.oldest(open_sequence);
    if (replica.runs.empty()) {
        return replica.last().index.next();
    }
    std::uint64_t first = std::max(replica.memory_first.value, replica.runs.front().first);
    for (const log::EntryRun* run = replica.runs.at_or_after(first);
         run != replica.runs.end() && run->appended_batch < oldest; run++) {
        first = run->end();
    }
    replica.memory_first = LogIndex(first);
    return replica.memory_first;
}

// ---- LogStore

LogStore::LogStore(env::World& world, const LogOptions& options, LogListener& listener)
    : impl_(std::make_unique<Impl>(world, options, listener)) {}
LogStore::~LogStore() = default;

MutableBytes LogStore::append_entry(RangeId range, raft::EntryId id, raft::EntryKind kind,
                                    std::size_t payload_bytes) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        s.void_memory.resize(payload_bytes);
        return s.void_memory;
    }
    ASSERT(s.phase == Phase::running);
    LogReplica& replica = s.replica_of(range);
    log::RecordHeader head = replica.next_head(RecordType::entries);
    return s.append(RecordType::entries, replica, head, id, static_cast<std::uint8_t>(kind), payload_bytes);
}

void LogStore::seal_entry(std::uint64_t entry_checksum) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        s.unsealed_item = 0;
        return;
    }
    ASSERT(s.unsealed_item != 0);
    VERIFY(checksum(s.unsealed_payload) == entry_checksum);
    s.directory.set_checksum(std::exchange(s.unsealed_item, 0), entry_checksum);
}

void LogStore::Impl::create(RangeId range, const raft::HardState& hard_state, bool in_doubt,
                            const CheckpointRecord* checkpoint) {
    end_entries_record();
    LogReplica& replica = replicas.add(range);
    replica.hard_state = hard_state;
    replica.promises_in_doubt = in_doubt;
    replica.last_sequence = (open_sequence << 20) - 1;
    const log::RecordHeader head = replica.next_head(RecordType::created);
    log::HardStateBody body = to_body(hard_state);
    body.in_doubt |= in_doubt ? log::doubt_found : 0;
    if (checkpoint == nullptr) {
        directory.created(head, body, nullptr);
    } else {
        replica.checkpoint = *checkpoint;
        const log::CheckpointBody named = to_body(*checkpoint);
        directory.created(head, body, &named);
    }
}

void LogStore::append_created(RangeId range, const raft::HardState& hard_state, const CheckpointRecord* initial) {
    if (!failed()) {
        impl_->create(range, hard_state, false, initial);
    }
}

void LogStore::append_moved(RangeId range, const raft::HardState& hard_state, bool promises_in_doubt,
                            const CheckpointRecord* checkpoint) {
    if (!failed()) {
        impl_->create(range, hard_state, promises_in_doubt, checkpoint);
    }
}

// Known by id and checksum, and zeros where the payload was: as recovery finds an entry whose payload rotted.
void LogStore::append_lost_entry(RangeId range, const raft::Entry& entry, std::size_t payload_bytes) {
    const MutableBytes memory = append_entry(range, entry.id, entry.kind, payload_bytes);
    std::memset(memory.data(), 0, memory.size());
    if (!failed()) {
        impl_->directory.set_checksum(std::exchange(impl_->unsealed_item, 0), entry.checksum);
    }
}

void LogStore::append_hard_state(RangeId range, const raft::HardState& hard_state) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        return;
    }
    LogReplica& replica = s.replica_of(range);
    if (hard_state.incarnation > replica.hard_state.incarnation) {
        replica.promises_in_doubt = false;
    }
    replica.hard_state = hard_state;
    if (replica.hard_state_batch == s.open_sequence) {  // the batch is one whole: its last word counts
        s.directory.overwrite_hard_state(replica.hard_state_record, hard_state.incarnation.value, to_body(hard_state));
        return;
    }
    s.end_entries_record();
    replica.hard_state_record = s.directory.hard_state(replica.next_head(RecordType::hard_state), to_body(hard_state));
    replica.hard_state_batch = s.open_sequence;
}

void LogStore::append_truncate(RangeId range, LogIndex from) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        return;
    }
    s.end_entries_record();
    LogReplica& replica = s.replica_of(range);
    ASSERT(!replica.checkpoint || from > replica.checkpoint->applied.index);
    s.directory.truncate(replica.next_head(RecordType::truncate), from.value);
    s.truncate(replica, from.value);
}

void LogStore::append_checkpoint(RangeId range, const CheckpointRecord& checkpoint) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        return;
    }
    s.end_entries_record();
    LogReplica& replica = s.replica_of(range);
    ASSERT(!replica.checkpoint || replica.checkpoint->applied.index <= checkpoint.applied.index);
    s.directory.checkpoint(replica.next_head(RecordType::checkpoint), to_body(checkpoint));
    s.trim(replica, checkpoint.applied.index.value);
    replica.checkpoint = checkpoint;
}

void LogStore::append_snapshot_installed(RangeId range, const CheckpointRecord& checkpoint) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        return;
    }
    s.end_entries_record();
    LogReplica& replica = s.replica_of(range);
    s.directory.checkpoint(replica.next_head(RecordType::snapshot_installed), to_body(checkpoint));
    s.truncate(replica, 0);
    replica.checkpoint = checkpoint;
    replica.memory_first = checkpoint.applied.index.next();
}

void LogStore::append_repaired(RangeId range, const raft::Entry& entry) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        return;
    }
    s.end_entries_record();
    LogReplica& replica = s.replica_of(range);
    const log::EntryRun* run = replica.runs.find(entry.id.index.value);
    if (run == nullptr || run->term != entry.id.term.value) {
        return;  // overwritten or covered since it was asked for
    }
    const std::uint64_t appended = run->appended_batch;
    const std::uint64_t sequence = run->sequence + (entry.id.index.value - run->first);
    const MutableBytes memory = s.append(RecordType::repaired, replica, replica.head(RecordType::repaired, sequence),
                                         entry.id, static_cast<std::uint8_t>(entry.kind), entry.payload.size());
    std::copy(entry.payload.begin(), entry.payload.end(), memory.begin());
    s.directory.set_checksum(std::exchange(s.unsealed_item, 0), entry.checksum);
    s.copy_run.appended_batch = appended;
    s.replace_run(replica);
    s.copy_run.count = 0;
}

void LogStore::append_removed(RangeId range) {
    Impl& s = *impl_;
    if (s.phase == Phase::failed) {
        return;
    }
    s.end_entries_record();
    LogReplica& replica = s.replica_of(range);
    s.directory.removed(replica.next_head(RecordType::removed));
    s.truncate(replica, 0);
    s.replicas.remove(range);
}

bool LogStore::can_append(std::size_t payload_bytes, std::size_t entries) const {
    return impl_->can_append(payload_bytes, entries);
}
bool LogStore::has_space() const { return impl_->segments.has_space(); }
env::DiskErrc LogStore::space_error() const {
    ASSERT(!has_space());
    return impl_->segments.space_error();
}
BatchSequence LogStore::open_batch() const { return impl_->open_sequence; }
BatchSequence LogStore::last_batch() const { return impl_->open_sequence - (impl_->open_is_empty() ? 1 : 0); }
BatchSequence LogStore::durable() const { return impl_->writer.durable(); }
void LogStore::close_batch(Instant now) { impl_->close(now); }
bool LogStore::sealed() const {
    return impl_->phase == Phase::running && impl_->open_is_empty() && impl_->writer.idle() && impl_->previous_is_seal;
}
Instant LogStore::next_deadline() const { return impl_->next_deadline(); }

std::optional<raft::Entry> LogStore::find(RangeId range, LogIndex index) const {
    const LogReplica* replica = impl_->replicas.find(range);
    return replica == nullptr ? std::nullopt : impl_->find(*replica, index.value);
}

std::size_t LogStore::find(RangeId range, LogIndex first, std::span<raft::Entry> out) const {
    const LogReplica* replica = impl_->replicas.find(range);
    return replica == nullptr ? 0 : impl_->find(*replica, first.value, out);
}

void LogStore::read(RangeId range, LogIndex first, LogIndex last, std::size_t bytes_max, EntryRead& read) {
    impl_->reader.start(range, first.value, last.value, bytes_max, read);
}

bool LogStore::holds(RangeId range, LogIndex index) const {
    const LogReplica* replica = impl_->replicas.find(range);
    return replica != nullptr && replica->runs.find(index.value) != nullptr;
}

LogIndex LogStore::reach(RangeId range, LogIndex first, LogIndex last, std::size_t bytes, Measure measure) const {
    const LogReplica& replica = impl_->replica_of(range);
    const log::EntryRun* run = replica.runs.find(first.value);
    ASSERT(run != nullptr && first <= last);
    std::size_t reached = 0;
    std::uint64_t end = first.value;
    std::uint64_t batch = 0;   // of the run before
    for (; run != replica.runs.end() && end <= last.value && reached < bytes; run++) {
        const bool same_batch = std::exchange(batch, run->place.sequence) == run->place.sequence;
        reached += measure == Measure::payloads ? run->payload_bytes : same_batch ? 0 : run->place.bytes;
        end = run->end();
    }
    return std::min(last, LogIndex(end - 1));
}

void LogStore::release(RangeId range, [[maybe_unused]] LogIndex applied) {
    const LogReplica* replica = impl_->replicas.find(range);
    VERIFY(replica == nullptr || applied <= replica->last().index);
}

LogIndex LogStore::first_in_memory(RangeId range) const {
    LogReplica* replica = impl_->replicas.find(range);
    return replica == nullptr ? LogIndex(1) : impl_->first_in_memory(*replica);
}

std::uint64_t LogStore::bytes_since_checkpoint(RangeId range) const {
    const LogReplica* replica = impl_->replicas.find(range);
    return replica == nullptr ? 0 : replica->payload_bytes;
}

bool LogStore::quiet() const { return impl_->segments.quiet(); }

void LogStore::replicas_known() { impl_->replicas_unknown = false; }

void LogStore::set_log_goal(std::uint64_t bytes) {
    impl_->collector.set_bytes_goal(bytes);
    impl_->segments.set_bytes_goal(bytes);
}

std::uint64_t LogStore::bytes_written() const { return impl_->writer.bytes_written(); }

const LogCounters& LogStore::counters(Instant now) {
    Impl& s = *impl_;
    s.counters.flushes = s.writer.flushes();
    s.counters.bytes_written = s.writer.bytes_written();
    s.counters.segments = s.segments.count();
    s.counters.file_bytes = s.segments.bytes();
    s.counters.flush_p99 = s.writer.flush_p99();
    s.counters.oldest_flush = s.writer.oldest(now);
    s.counters.copied_entries = s.collector.copied_entries();
    return s.counters;
}

BackgroundPace& LogStore::pace() { return impl_->pace; }
FlushFacts LogStore::flush_facts() const { return impl_->writer.facts(); }
env::Halt LogStore::failed_as() const { return impl_->failed_as; }
bool LogStore::failed() const { return impl_->phase == Phase::failed; }

}  // namespace ringfort::shard
