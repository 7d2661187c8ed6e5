#include "log/scan.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "base/mark.h"
#include "base/mutant.h"

namespace ringfort::log {

bool SegmentScan::step(Bytes segment, std::size_t valid_bytes, std::size_t budget) {
    ASSERT(segment.size() % limits::block_bytes == 0 && valid_bytes <= segment.size());
    const std::size_t start = position_;
    while (position_ + limits::block_bytes <= valid_bytes) {
        if (position_ - start > budget) {
            return false;
        }
        BatchHeader header;
        const HeaderState state = read_header(segment.subspan(position_, limits::block_bytes), identity_, position_,
                                              segment.size(), header);
        if (state == HeaderState::newer) {
            saw_newer_format_ = true;
        }
        if (state != HeaderState::valid) {
            position_ += limits::block_bytes;
            continue;
        }
        if (position_ + header.bytes > valid_bytes) {
            MARK("scan waits for the rest of a batch");
            return true;  // until the rest is read
        }
        examine(segment, header);
        position_ += header.bytes;
    }
    return true;
}

void SegmentScan::note_unreadable(std::uint64_t offset) {
    ASSERT(offset % limits::block_bytes == 0 && offset >= position_);
    ASSERT(unreadable_.empty() || offset >= unreadable_.back().end);
    if (unreadable_.empty() || unreadable_.back().end < offset) {
        unreadable_.push_back({offset, offset});
    }
    unreadable_.back().end = offset + limits::block_bytes;
}

bool SegmentScan::readable(std::uint64_t begin, std::uint64_t end) const {
    const auto first = std::ranges::upper_bound(unreadable_, begin, {}, &Stretch::end);
    return first == unreadable_.end() || first->begin >= end;
}

std::uint64_t SegmentScan::unreadable_blocks() const {
    std::uint64_t bytes = 0;
    for (const Stretch& stretch : unreadable_) {
        bytes += stretch.end - stretch.begin;
    }
    return bytes / limits::block_bytes;
}

// A value may contain what looks like a batch: a client who knows the instance id can forge one. It is found only if
// the batch around it lost its header, and the next true batch, which names the place of the one before, voids it.
void SegmentScan::examine(Bytes segment, const BatchHeader& header) {
    if (header.previous_segment == identity_.segment && header.previous_bytes > 0) {
        while (!batches_.empty() && batches_.back().header.offset > header.previous_offset) {
            MARK("what looked like a batch is void");
            batches_.pop_back();
        }
    }
    FoundBatch batch;
    batch.header = header;
    const Bytes bytes = segment.subspan(header.offset, header.bytes);
    const Bytes directory = bytes.subspan(header.directory_offset(), header.directory_bytes);
    const Bytes copy = bytes.subspan(header.copy_offset(), header.copy_bytes);
    batch.directory_intact = checksum(directory) == header.directory_checksum &&
                             directory_is_sound(directory, header.payload_bytes);
    batch.copy_intact = checksum(copy) == header.copy_checksum;
    if (batch.directory_intact) {
        batch.directory = keep(directory);
        check_payloads(bytes, directory, batch.damaged_payloads, batch.kept_payloads);
    }
    if (batch.copy_intact && !previous_is_known(header)) {
        batch.copy = keep(copy);
        judge_previous(segment, batch);
    }
    batches_.push_back(std::move(batch));
}

bool SegmentScan::previous_is_known(const BatchHeader& header) const {
    return !batches_.empty() && batches_.back().header.sequence + 1 == header.sequence &&
           batches_.back().directory_intact;
}

void SegmentScan::judge_previous(Bytes segment, FoundBatch& batch) {
    const BatchHeader& header = batch.header;
    const std::uint64_t offset = header.previous_offset;
    const std::uint64_t size = header.previous_bytes;
    if (header.previous_segment != identity_.segment || size < header_bytes || size > segment.size() ||
        offset > segment.size() - size) {
        return;
    }
    const Bytes copy = kept(batch.copy);
    if (!directory_is_sound(copy, size - header_bytes)) {
        batch.copy_intact = false;
        return;
    }
    // keep() may move the bytes the copy lies in: judge by the batch's own memory.
    const Bytes own = segment.subspan(header.offset + header.copy_offset(), header.copy_bytes);
    check_payloads(segment.subspan(offset, size), own, batch.previous_damaged_payloads, batch.previous_kept_payloads);
    batch.previous_judged = true;
}

const FoundBatch& SegmentScan::judge_by(Bytes batch, Bytes directory) {
    FoundBatch& out = batches_.emplace_back();
    check_payloads(batch, directory, out.damaged_payloads, out.kept_payloads);
    return out;
}

void SegmentScan::check_payloads(Bytes batch, Bytes directory, std::vector<std::uint32_t>& damaged,
                                 std::vector<KeptPayload>& kept) {
    DirectoryReader reader(directory);
    Record record;
    while (reader.next(record)) {
        for (const EntryItem& item : record.items) {
            const Bytes payload = batch.subspan(item.offset, item.length());
            if (checksum(payload) != item.checksum && !MUTANT(payload_unchecked)) {
                damaged.push_back(item.offset);
            } else if (item.kind() < 32 && ((kept_kinds_ >> item.kind()) & 1U) != 0) {
                kept.push_back({item.offset, keep(payload)});
            }
        }
    }
    std::sort(damaged.begin(), damaged.end());
    std::sort(kept.begin(), kept.end(),
              [](const KeptPayload& a, const KeptPayload& b) { return a.offset < b.offset; });
}

Kept SegmentScan::keep(Bytes bytes) {
    const std::size_t begin = round_up<std::size_t>(kept_.size(), 8);
    kept_.resize(begin);
    kept_.insert(kept_.end(), bytes.begin(), bytes.end());
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(bytes.size())};
}

}  // namespace ringfort::log
