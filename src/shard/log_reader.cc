#include "shard/log_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assertion.h"
#include "base/checksum.h"
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
    read.in_flight = true;
    state.reader_ = this;
    state.range_ = range;
    state.next_ = first;
    state.last_ = last;
    state.bytes_left_ = bytes_max;
    state.kept_.clear();
    state.copied_.clear();
    state.directory_batch_ = 0;
    state.buffer_ = AlignedBuffer();
    ready_.push_back(&state);
}

void LogReader::answer_ready() {
    std::vector<EntryReadState*> ready;
    ready.swap(ready_);
    for (EntryReadState* state : ready) {
        go_on(*state);
    }
}

// Takes what is in memory, then reads the next run from disk; ends with the callback.
void LogReader::go_on(EntryReadState& state) {
    while (state.next_ <= state.last_) {
        if (take_from_memory(state)) {
            continue;
        }
        const log::EntryRun* run = owner_.run_of(state.range_, state.next_);
        if (run == nullptr || run->place.segment == 0 || (state.bytes_left_ == 0 && !state.read_.entries.empty())) {
            break;  // not in the log any more, or enough
        }
        state.run_ = run->part(state.next_, std::min(run->end(), state.last_ + 1));
        read_run(state);
        return;
    }
    finish(state, false);
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

void LogReader::read_run(EntryReadState& state) {
    Segment* segment = owner_.segment_of(state.run_.place.segment);
    if (segment == nullptr) {
        finish(state, true);  // its file is lost
        return;
    }
    segment->readers++;
    state.segment_ = segment->number;
    state.narrow_ = false;
    state.copy_places_tried_ = 0;
    begin_run(state);
}

void LogReader::begin_run(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    if (const Bytes healed = owner_.healed_directory(place.sequence); !healed.empty()) {
        state.directory_.assign(healed.begin(), healed.end());
        state.directory_batch_ = place.sequence;
    }
    if (state.directory_batch_ == place.sequence) {
        take_payloads(state);
    } else {
        const bool whole = place.bytes <= whole_bytes_max && !state.narrow_;
        const std::uint64_t end = whole ? place.bytes : limits::block_bytes;
        issue(state, EntryReadState::Stage::header, 0, end);
    }
}

// Reads bytes [begin, end) of the batch.
void LogReader::issue(EntryReadState& state, EntryReadState::Stage stage, std::uint64_t begin, std::uint64_t end) {
    begin = begin / limits::block_bytes * limits::block_bytes;
    end = round_up<std::uint64_t>(end, limits::block_bytes);
    ASSERT(begin < end && end <= state.run_.place.bytes);
    state.stage_ = stage;
    state.buffer_offset_ = begin;
    state.buffer_ = AlignedBuffer(end - begin);
    const Segment* segment = owner_.segment_of(state.segment_);
    disk_.read(state.op_, segment->file, state.run_.place.offset + begin, state.buffer_.span());
}

// The next batch follows in the segment, or begins the next one.
void LogReader::read_copy(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    state.narrow_ = true;
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
    state.buffer_offset_ = begin;
    state.buffer_ = AlignedBuffer(end - begin);
    const Segment* segment = owner_.segment_of(state.copy_segment_);
    ASSERT(segment != nullptr && state.copy_offset_ + end <= segment->bytes);
    disk_.read(state.op_, segment->file, state.copy_offset_ + begin, state.buffer_.span());
}

bool LogReader::take_copy_header(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    const log::SegmentIdentity identity{instance_.value, static_cast<std::uint32_t>(shard_.value), state.copy_segment_};
    const auto segment_bytes = owner_.segment_of(state.copy_segment_)->bytes;
    const log::BatchHeader& header = state.header_;
    return log::read_header(state.buffer_.span(), identity, state.copy_offset_, segment_bytes, state.header_) ==
               log::HeaderState::valid &&
           header.sequence == place.sequence + 1 && header.previous_segment == place.segment &&
           header.previous_offset == place.offset && header.copy_bytes > 0;
}

bool LogReader::take_copy(EntryReadState& state) {
    const log::BatchHeader& header = state.header_;
    const std::size_t begin = header.copy_offset() - state.buffer_offset_;
    const Bytes copy = std::as_const(state.buffer_).span().subspan(begin, header.copy_bytes);
    if (checksum(copy) != header.copy_checksum) {
        return false;
    }
    state.directory_.assign(copy.begin(), copy.end());
    state.directory_batch_ = state.run_.place.sequence;
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
    if (stage == Stage::copy_header || stage == Stage::copy) {
        on_copy_read(state, stage);
        return;
    }
    if (state.op_.error != env::DiskErrc::ok && state.narrow_ && stage != Stage::payloads) {
        read_copy(state);
        return;
    }
    if (state.op_.error != env::DiskErrc::ok && state.narrow_) {
        finish(state, true);
        return;
    }
    if (state.op_.error != env::DiskErrc::ok) {
        state.narrow_ = true;
        state.buffer_ = AlignedBuffer();
        begin_run(state);
        return;
    }
    switch (stage) {
        case Stage::header: {
            if (!take_header(state)) {
                read_copy(state);
                return;
            }
            const log::BatchHeader& header = state.header_;
            if (header.directory_offset() + header.directory_bytes > state.buffer_.size()) {
                issue(state, Stage::directory, header.directory_offset(),
                      header.directory_offset() + header.directory_bytes);
                return;
            }
            [[fallthrough]];
        }
        case Stage::directory:
            if (!take_directory(state)) {
                read_copy(state);
                return;
            }
            [[fallthrough]];
        case Stage::payloads:
            take_payloads(state);
            return;
        case Stage::copy_header:
        case Stage::copy:
        case Stage::idle:
            UNREACHABLE();
    }
}

void LogReader::on_copy_read(EntryReadState& state, EntryReadState::Stage stage) {
    using Stage = EntryReadState::Stage;
    const bool readable = state.op_.error == env::DiskErrc::ok;
    if (stage == Stage::copy_header && readable && take_copy_header(state)) {
        const log::BatchHeader& header = state.header_;
        issue_copy(state, Stage::copy, header.copy_offset(), header.copy_offset() + header.copy_bytes);
    } else if (stage == Stage::copy && readable && take_copy(state)) {
        take_payloads(state);
    } else {
        read_copy(state);
    }
}

bool LogReader::take_header(EntryReadState& state) {
    const log::BatchPlace& place = state.run_.place;
    const log::SegmentIdentity identity{instance_.value, static_cast<std::uint32_t>(shard_.value), place.segment};
    const auto segment_bytes = owner_.segment_of(state.segment_)->bytes;
    return log::read_header(state.buffer_.span(), identity, place.offset, segment_bytes, state.header_) ==
               log::HeaderState::valid &&
           state.header_.sequence == place.sequence && state.header_.bytes == place.bytes;
}

bool LogReader::take_directory(EntryReadState& state) {
    const log::BatchHeader& header = state.header_;
    const std::size_t begin = header.directory_offset() - state.buffer_offset_;
    const Bytes directory = std::as_const(state.buffer_).span().subspan(begin, header.directory_bytes);
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
void LogReader::take_payloads(EntryReadState& state) {
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
        return;
    }
    items = items.first(count);
    const std::uint64_t begin = items.front().offset;
    const std::uint64_t end = std::max<std::uint64_t>(items.back().offset + items.back().length(), begin + 1);
    // Entries without bytes are known from the directory alone: their block may be lost.
    const bool bytes_needed = bytes > 0;
    const bool there = state.buffer_ && state.buffer_offset_ <= begin && state.buffer_offset_ + state.buffer_.size() >= end;
    if (bytes_needed && !there) {
        issue(state, EntryReadState::Stage::payloads, begin, end);
        return;
    }
    bool damaged = false;
    for (const log::EntryItem& item : items) {
        const Bytes payload =
            !bytes_needed ? Bytes{}
                          : std::as_const(state.buffer_).span().subspan(item.offset - state.buffer_offset_, item.length());
        if (checksum(payload) != item.checksum) {
            damaged = true;
            break;
        }
        read.entries.push_back({{Term(state.run_.term), LogIndex(state.next_)},
                                static_cast<raft::EntryKind>(item.kind()), item.checksum, payload});
        state.next_++;
    }
    state.bytes_left_ -= std::min(state.bytes_left_, bytes);
    state.kept_.push_back(std::move(state.buffer_));
    state.buffer_ = AlignedBuffer();
    if (damaged) {
        finish(state, true);
        return;
    }
    release(state);
    go_on(state);
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
    EntryRead& read = state.read_;
    read.damaged = damaged;
    read.in_flight = false;
    read.callback(read);
}

}  // namespace ringfort::shard
