#include "shard/log_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assertion.h"
#include "base/checksum.h"
#include "base/mutant.h"
#include "log/records.h"

namespace ringfort::shard {

EntryRead::EntryRead() = default;
EntryRead::~EntryRead() = default;

void LogReader::start(RangeId range, std::uint64_t first, std::uint64_t last, std::size_t bytes_max,
                      EntryRead& read) {
    ASSERT(!read.in_flight && read.callback != nullptr);
    ASSERT(first > 0 && first <= last);
    if (!read.state) {
        read.state = std::make_unique<EntryReadState>(read);
    }
    EntryReadState& state = *read.state;
    read.entries.clear();
    read.damaged = false;
    read.damaged_id = {};
    read.damaged_through = {};
    read.damaged_entry.reset();
    read.damaged_bytes = 0;
    read.disk_bytes = 0;
    read.in_flight = true;
    state.reader_ = this;
    state.range_ = range;
    state.next_ = first;
    state.last_ = last;
    state.bytes_left_ = bytes_max;
    state.kept_.clear();
    state.copied_.clear();
    state.directory_batch_ = 0;
    state.extents_ = true;
    ready_.push_back(&state);
}

void LogReader::answer_ready() {
    std::vector<EntryReadState*> ready;
    ready.swap(ready_);
    for (EntryReadState* state : ready) {
        go_on(*state);
    }
}

// Takes what is in memory and what has been read, then reads on from disk; ends with the callback.
void LogReader::go_on(EntryReadState& state) {
    while (state.next_ <= state.last_ && goes_on(state)) {
        if (take_from_memory(state)) {
            continue;
        }
        const log::EntryRun* run = owner_.run_of(state.range_, state.next_);
        if (run == nullptr || run->place.segment == 0 || (state.bytes_left_ == 0 && !state.read_.entries.empty())) {
            break;  // not in the log any more, or enough
        }
        state.run_ = run->part(state.next_, std::min(run->end(), state.last_ + 1));
        if (read_run(state) == Next::wait) {
            return;
        }
    }
    finish(state, false);
}

// Whether the log still holds what was read so far. If it was cut meanwhile, what is there now does not follow.
bool LogReader::goes_on(const EntryReadState& state) const {
    if (state.read_.entries.empty()) {
        return true;
    }
    const raft::EntryId last = state.read_.entries.back().id;
    const log::EntryRun* run = owner_.run_of(state.range_, last.index.value);
    return run != nullptr && run->term == last.term.value;
}

bool LogReader::take_from_memory(EntryReadState& state) {
    const std::optional<raft::Entry> entry = owner_.entry_in_memory(state.range_, state.next_);
    EntryRead& read = state.read_;
    if (!entry || (entry->payload.size() > state.bytes_left_ && !read.entries.empty())) {
        return false;
    }
    state.copied_.emplace_back(entry->payload.begin(), entry->payload.end());
    read.entries.push_back(*entry);
    read.entries.back().payload = state.copied_.back();
    state.bytes_left_ -= std::min(state.bytes_left_, entry->payload.size());
    state.next_++;
    return true;
}

LogReader::Next LogReader::read_run(EntryReadState& state) {
    Segment* segment = owner_.segment_of(state.run_.place.segment);
    if (segment == nullptr) {
        finish(state, true);  // its file is lost
        return Next::wait;
    }
    segment->readers++;
    state.segment_ = segment->number;
    state.narrow_ = false;
    state.copy_places_tried_ = 0;
    state.buffer_ = AlignedBuffer();
    return begin_run(state);
}

LogReader::Next LogReader::begin_run(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    state.seen_ = {};
    if (extent_holds_run(state)) {
        state.seen_ = std::as_const(state.extent_).span().subspan(place.offset - state.extent_offset_, place.bytes);
        state.seen_offset_ = 0;
    }
    if (const Bytes healed = owner_.healed_directory(place.sequence); !healed.empty()) {
        state.directory_.assign(healed.begin(), healed.end());
        state.directory_batch_ = place.sequence;
    }
    if (state.directory_batch_ == place.sequence) {
        return take_payloads(state);
    }
    if (!state.seen_.empty()) {
        return take_seen(state, EntryReadState::Stage::header);
    }
    if (state.narrow_ || place.bytes > whole_bytes_max) {
        issue(state, EntryReadState::Stage::header, 0, limits::block_bytes);
    } else {
        issue_extent(state);
    }
    return Next::wait;
}

bool LogReader::extent_holds_run(const EntryReadState& state) const {
    const log::BatchPlace& place = state.run_.place;
    return state.extent_ && state.extent_segment_ == place.segment && state.extent_offset_ <= place.offset &&
           place.offset + place.bytes <= state.extent_offset_ + state.extent_.size();
}

// Reads the run's batch, and through to the last that is wanted as well, follows in the segment and lies near.
void LogReader::issue_extent(EntryReadState& state) {
    const log::BatchPlace& first = state.run_.place;
    std::uint64_t bytes = first.bytes;
    std::uint64_t payload_bytes = state.run_.payload_bytes;
    std::uint64_t next = state.run_.end();
    while (state.extents_ && next <= state.last_ && payload_bytes < state.bytes_left_) {
        const log::EntryRun* run = owner_.run_of(state.range_, next);
        if (run == nullptr || run->place.segment != first.segment || run->place.offset < first.offset ||
            run->place.offset + run->place.bytes > first.offset + extent_bytes_max ||
            owner_.entry_in_memory(state.range_, next)) {
            break;
        }
        bytes = std::max(bytes, run->place.offset + run->place.bytes - first.offset);
        payload_bytes += run->payload_bytes;
        next = run->end();
    }
    state.stage_ = EntryReadState::Stage::extent;
    state.extent_segment_ = first.segment;
    state.extent_offset_ = first.offset;
    state.extent_ = AlignedBuffer(bytes);
    read(state, first.segment, first.offset, state.extent_);
}

// Reads bytes [begin, end) of the batch.
void LogReader::issue(EntryReadState& state, EntryReadState::Stage stage, std::uint64_t begin, std::uint64_t end) {
    begin = begin / limits::block_bytes * limits::block_bytes;
    end = round_up<std::uint64_t>(end, limits::block_bytes);
    ASSERT(begin < end && end <= state.run_.place.bytes);
    state.stage_ = stage;
    state.buffer_ = AlignedBuffer(end - begin);
    state.seen_ = {};
    state.seen_offset_ = begin;
    read(state, state.segment_, state.run_.place.offset + begin, state.buffer_);
}

// The next batch follows in the segment, or begins the next one.
void LogReader::read_copy(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    state.narrow_ = true;
    state.extent_ = AlignedBuffer();
    while (state.copy_places_tried_ < 2) {
        const bool follows = state.copy_places_tried_++ == 0;
        Segment* segment = owner_.segment_of(follows ? place.segment : place.segment + 1);
        state.copy_offset_ = follows ? place.offset + place.bytes : 0;
        if (segment != nullptr && state.copy_offset_ + limits::block_bytes <= segment->bytes) {
            release_copy(state);
            segment->readers++;
            state.copy_segment_ = segment->number;
            issue_copy(state, EntryReadState::Stage::copy_header, 0, limits::block_bytes);
            return;
        }
    }
    finish(state, true);
}

// Reads bytes [begin, end) of the next batch.
void LogReader::issue_copy(EntryReadState& state, EntryReadState::Stage stage, std::uint64_t begin, std::uint64_t end) {
    begin = begin / limits::block_bytes * limits::block_bytes;
    end = round_up<std::uint64_t>(end, limits::block_bytes);
    state.stage_ = stage;
    state.buffer_ = AlignedBuffer(end - begin);
    state.seen_ = {};
    state.seen_offset_ = begin;
    read(state, state.copy_segment_, state.copy_offset_ + begin, state.buffer_);
}

void LogReader::read(EntryReadState& state, std::uint64_t number, std::uint64_t offset, AlignedBuffer& into) {
    const Segment* segment = owner_.segment_of(number);
    // Not: that it lies in the file. One that lost its end is told of by its successor, and the disk says that it ends.
    ASSERT(segment != nullptr);
    state.read_.disk_bytes += into.size();
    disk_.read(state.op_, segment->file, offset, into.span());
}

bool LogReader::take_copy_header(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    const log::SegmentIdentity identity{instance_.value, static_cast<std::uint32_t>(shard_.value), state.copy_segment_};
    const auto segment_bytes = owner_.segment_of(state.copy_segment_)->bytes;
    const log::BatchHeader& header = state.header_;
    return log::read_header(state.seen_, identity, state.copy_offset_, segment_bytes, state.header_) ==
               log::HeaderState::valid &&
           header.sequence == place.sequence + 1 && header.previous_segment == place.segment &&
           header.previous_offset == place.offset && header.copy_bytes > 0;
}

bool LogReader::take_copy(EntryReadState& state) {
    const log::BatchHeader& header = state.header_;
    const Bytes copy = state.seen_.subspan(header.copy_offset() - state.seen_offset_, header.copy_bytes);
    if (checksum(copy) != header.copy_checksum) {
        return false;
    }
    state.directory_.assign(copy.begin(), copy.end());
    state.directory_batch_ = state.run_.place.sequence;
    state.seen_ = {};
    state.buffer_ = AlignedBuffer();
    release_copy(state);
    return true;
}

void EntryReadState::on_read(env::DiskOperation& op) {
    auto& state = *static_cast<EntryReadState*>(op.context);
    state.reader_->on_read(state);
}

void LogReader::on_read(EntryReadState& state) {
    using Stage = EntryReadState::Stage;
    const Stage stage = std::exchange(state.stage_, Stage::idle);
    const bool readable = state.op_.error == env::DiskErrc::ok;
    Next next = Next::wait;
    if (!readable) {
        const bool of_copy = stage == Stage::copy_header || stage == Stage::copy;
        owner_.segment_of(of_copy ? state.copy_segment_ : state.segment_)->has_bad_blocks = true;
    }
    if (readable && stage != Stage::extent) {
        state.seen_ = std::as_const(state.buffer_).span();
    }
    if (stage == Stage::copy_header || stage == Stage::copy) {
        next = on_copy_read(state, stage);
    } else if (!readable) {
        next = on_failed_read(state, stage);
    } else if (stage == Stage::extent) {
        next = begin_run(state);
    } else {
        next = take_seen(state, stage);
    }
    if (next == Next::go_on) {
        go_on(state);
    }
}

// Some block of what was asked for: less is asked for.
LogReader::Next LogReader::on_failed_read(EntryReadState& state, EntryReadState::Stage stage) {
    using Stage = EntryReadState::Stage;
    const bool of_one_batch = stage != Stage::extent || state.extent_.size() == state.run_.place.bytes;
    state.extent_ = AlignedBuffer();
    state.buffer_ = AlignedBuffer();
    if (!of_one_batch) {
        state.extents_ = false;
        return begin_run(state);
    }
    if (!state.narrow_) {
        state.narrow_ = true;
        return begin_run(state);
    }
    if (stage == Stage::payloads) {
        finish(state, true);
    } else {
        read_copy(state);
    }
    return Next::wait;
}

LogReader::Next LogReader::take_seen(EntryReadState& state, EntryReadState::Stage stage) {
    using Stage = EntryReadState::Stage;
    switch (stage) {
        case Stage::header: {
            if (!take_header(state)) {
                read_copy(state);
                return Next::wait;
            }
            const log::BatchHeader& header = state.header_;
            if (header.directory_offset() + header.directory_bytes > state.seen_.size()) {
                issue(state, Stage::directory, header.directory_offset(),
                      header.directory_offset() + header.directory_bytes);
                return Next::wait;
            }
            [[fallthrough]];
        }
        case Stage::directory:
            if (!take_directory(state)) {
                read_copy(state);
                return Next::wait;
            }
            [[fallthrough]];
        case Stage::payloads:
            return take_payloads(state);
        case Stage::extent:
        case Stage::copy_header:
        case Stage::copy:
        case Stage::idle:
            break;
    }
    UNREACHABLE();
}

LogReader::Next LogReader::on_copy_read(EntryReadState& state, EntryReadState::Stage stage) {
    using Stage = EntryReadState::Stage;
    const bool readable = state.op_.error == env::DiskErrc::ok;
    if (stage == Stage::copy_header && readable && take_copy_header(state)) {
        const log::BatchHeader& header = state.header_;
        issue_copy(state, Stage::copy, header.copy_offset(), header.copy_offset() + header.copy_bytes);
        return Next::wait;
    }
    if (stage == Stage::copy && readable && take_copy(state)) {
        return take_payloads(state);
    }
    read_copy(state);
    return Next::wait;
}

bool LogReader::take_header(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    const log::SegmentIdentity identity{instance_.value, static_cast<std::uint32_t>(shard_.value), place.segment};
    const auto segment_bytes = owner_.segment_of(state.segment_)->bytes;
    return log::read_header(state.seen_, identity, place.offset, segment_bytes, state.header_) ==
               log::HeaderState::valid &&
           state.header_.sequence == place.sequence && state.header_.bytes == place.bytes;
}

bool LogReader::take_directory(EntryReadState& state) {
    const log::BatchHeader& header = state.header_;
    const Bytes directory = state.seen_.subspan(header.directory_offset() - state.seen_offset_, header.directory_bytes);
    if (checksum(directory) != header.directory_checksum) {
        return false;
    }
    state.directory_.assign(directory.begin(), directory.end());
    state.directory_batch_ = header.sequence;
    return true;
}

std::span<const log::EntryItem> LogReader::items_of(const EntryReadState& state) const {
    const log::EntryRun& run = state.run_;
    const std::size_t begin = run.record + log::items_offset + run.skipped * sizeof(log::EntryItem);
    ASSERT(begin + run.count * sizeof(log::EntryItem) <= state.directory_.size());
    return {reinterpret_cast<const log::EntryItem*>(state.directory_.data() + begin), run.count};
}

// With the directory known: takes the payloads if they have been read, else reads them.
LogReader::Next LogReader::take_payloads(EntryReadState& state) {
    EntryRead& read = state.read_;
    auto items = items_of(state);
    std::size_t bytes = 0;
    std::size_t count = 0;
    const std::size_t count_max = state.narrow_ ? 1 : items.size();
    while (count < count_max &&
           ((count == 0 && read.entries.empty()) || bytes + items[count].length() <= state.bytes_left_)) {
        bytes += items[count].length();
        count++;
    }
    if (count == 0) {
        finish(state, false);
        return Next::wait;
    }
    items = items.first(count);
    const std::uint64_t begin = items.front().offset;
    const std::uint64_t end = std::max<std::uint64_t>(items.back().offset + items.back().length(), begin + 1);
    // Entries without bytes are known from the directory alone: their block may be lost.
    const bool bytes_needed = bytes > 0;
    if (bytes_needed && (begin < state.seen_offset_ || end > state.seen_offset_ + state.seen_.size())) {
        issue(state, EntryReadState::Stage::payloads, begin, end);
        return Next::wait;
    }
    const Bytes payloads = bytes_needed ? keep_payloads(state, begin, end) : Bytes{};
    state.bytes_left_ -= std::min(state.bytes_left_, bytes);
    for (const log::EntryItem& item : items) {
        const Bytes payload = bytes_needed ? payloads.subspan(item.offset - begin, item.length()) : Bytes{};
        if (checksum(payload) != item.checksum && !MUTANT(rotten_entry_read_back)) {
            finish(state, true);
            return Next::wait;
        }
        read.entries.push_back({{Term(state.run_.term), LogIndex(state.next_)},
                                static_cast<raft::EntryKind>(item.kind()), item.checksum, payload});
        state.next_++;
    }
    release(state);
    return Next::go_on;
}

// Bytes [begin, end) of the batch, which have been seen, for the results. An extent holds much else, and goes.
Bytes LogReader::keep_payloads(EntryReadState& state, std::uint64_t begin, std::uint64_t end) {
    const Bytes payloads = state.seen_.subspan(begin - state.seen_offset_, end - begin);
    if (state.buffer_) {
        state.kept_.push_back(std::move(state.buffer_));
        state.buffer_ = AlignedBuffer();
        return payloads;
    }
    state.copied_.emplace_back(payloads.begin(), payloads.end());
    return state.copied_.back();
}

void LogReader::release(EntryReadState& state) {
    if (state.segment_ != 0) {
        Segment* segment = owner_.segment_of(state.segment_);
        ASSERT(segment != nullptr && segment->readers > 0);
        segment->readers--;
        state.segment_ = 0;
    }
    release_copy(state);
}

void LogReader::release_copy(EntryReadState& state) {
    if (state.copy_segment_ != 0) {
        Segment* segment = owner_.segment_of(state.copy_segment_);
        ASSERT(segment != nullptr && segment->readers > 0);
        segment->readers--;
        state.copy_segment_ = 0;
    }
}

// The directory says what entry it is that cannot be read. Without one, its place in the log says at least which.
void LogReader::name_damaged(EntryReadState& state) {
    const log::EntryRun& run = state.run_;
    ASSERT(run.first <= state.next_ && state.next_ <= run.last());
    state.read_.damaged_id = {Term(run.term), LogIndex(state.next_)};
    state.read_.damaged_through = state.read_.damaged_id.index;
    if (const Bytes healed = owner_.healed_directory(run.place.sequence); !healed.empty()) {
        state.directory_.assign(healed.begin(), healed.end());
        state.directory_batch_ = run.place.sequence;
    }
    if (state.directory_batch_ != run.place.sequence) {
        state.read_.damaged_through = LogIndex(run.last());
        return;
    }
    const log::EntryItem& item = items_of(state)[state.next_ - run.first];
    state.read_.damaged_entry = {state.read_.damaged_id,
                                 static_cast<raft::EntryKind>(item.kind()),
                                 item.checksum,
                                 {}};
    state.read_.damaged_bytes = item.length();
}

void LogReader::finish(EntryReadState& state, bool damaged) {
    if (damaged) {
        name_damaged(state);
    }
    release(state);
    state.seen_ = {};
    state.extent_ = AlignedBuffer();
    state.buffer_ = AlignedBuffer();
    EntryRead& read = state.read_;
    read.damaged = damaged;
    read.in_flight = false;
    read.callback(read);
}

}  // namespace ringfort::shard
