#include "shard/log_segments.h"

#include <algorithm>
#include <utility>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"

namespace ringfort::shard {
namespace {

constexpr std::string_view name_prefix = "log-";
constexpr std::size_t name_digits = 16;
// Never written, so that all its pages are the kernel's one page of zeros. A buffer made for each file was cleared in one
// turn: 4 ms on a virtual machine whose host had yet to find the pages.
alignas(limits::block_bytes) std::byte zeros[SegmentSet::zeros_bytes_max];

}  // namespace

SegmentSet::SegmentSet(env::Disk& disk, BackgroundPace& pace, std::string directory, std::uint64_t segment_bytes,
                       std::uint64_t bytes_goal, std::size_t ready_wanted)
    : disk_(disk), pace_(pace), directory_(std::move(directory)), segment_bytes_(segment_bytes), bytes_goal_(bytes_goal),
      ready_wanted_(ready_wanted), op_(&on_done, this) {
    ASSERT(ready_wanted > 0);
}

std::string SegmentSet::name(std::string_view directory, std::uint64_t number) {
    std::string out = std::string(directory) + '/' + std::string(name_prefix) + std::string(name_digits, '0');
    for (std::size_t i = 0; i < name_digits; i++, number >>= 4) {
        out[out.size() - 1 - i] = "0123456789abcdef"[number & 15];
    }
    return out;
}

std::uint64_t SegmentSet::parse_name(std::string_view name, std::string_view directory) {
    if (name.starts_with(directory) && name.size() > directory.size() && name[directory.size()] == '/') {
        name.remove_prefix(directory.size() + 1);
    }
    if (!name.starts_with(name_prefix) || name.size() != name_prefix.size() + name_digits) {
        return 0;
    }
    std::uint64_t number = 0;
    for (const char c : name.substr(name_prefix.size())) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return 0;
        }
        number = (number << 4) + static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return number;
}

void SegmentSet::add_recovered(const Segment& segment) {
    ASSERT(live_.empty() || live_.back().number < segment.number);
    live_.push_back(segment);
}

void SegmentSet::add_unused(std::uint64_t number, std::uint64_t bytes, bool has_bad_blocks) {
    unused_.push_back({number, bytes, false, has_bad_blocks});
}

Segment& SegmentSet::open_next(std::uint64_t batch) {
    ASSERT(has_ready());
    for (Segment& older : live_) {
        older.free_after = std::max(older.free_after, batch);
    }
    const Ready ready = ready_.front();
    ready_.erase(ready_.begin());
    ASSERT(live_.empty() || live_.back().number < ready.number);
    live_.push_back({ready.number, ready.file, ready.bytes, 0, 0, 0, 0, 0});
    has_active_ = true;
    quiet_at_ = now_ + quiet_after;
    return live_.back();
}

Segment* SegmentSet::find(std::uint64_t number) {
    if (!live_.empty() && live_.back().number == number) {
        return &live_.back();
    }
    const auto at = std::lower_bound(live_.begin(), live_.end(), number,
                                     [](const Segment& s, std::uint64_t n) { return s.number < n; });
    return at != live_.end() && at->number == number ? &*at : nullptr;
}

void SegmentSet::add_live(const log::EntryRun& run) {
    Segment* segment = find(run.place.segment);
    if (segment == nullptr) {
        return;  // the file is lost; its entries are known by the copy of a directory only
    }
    segment->live_entries += run.count;
    segment->live_bytes += run.payload_bytes;
    live_bytes_ += run.payload_bytes;
}

void SegmentSet::drop_live(const log::EntryRun& run, std::uint64_t batch) {
    if (run.place.segment == 0) {
        return;  // not yet placed, so not yet counted
    }
    Segment* segment = find(run.place.segment);
    if (segment == nullptr) {
        return;
    }
    ASSERT(segment->live_entries >= run.count && segment->live_bytes >= run.payload_bytes);
    segment->live_entries -= run.count;
    segment->live_bytes -= run.payload_bytes;
    segment->free_after = std::max(segment->free_after, batch);
    live_bytes_ -= run.payload_bytes;
}

std::uint64_t SegmentSet::live_segments_bytes() const {
    std::uint64_t sum = 0;
    for (const Segment& segment : live_) {
        sum += segment.bytes;
    }
    return sum;
}

std::uint64_t SegmentSet::bytes() const {
    std::uint64_t sum = live_segments_bytes();
    for (const Ready& ready : ready_) {
        sum += ready.bytes;
    }
    for (const Unused& unused : unused_) {
        sum += unused.bytes;
    }
    return sum + (filling() ? segment_bytes_ : 0);
}

std::uint64_t SegmentSet::room() const {
    std::uint64_t sum = active() == nullptr ? 0 : active()->bytes - active()->used;
    for (const Ready& ready : ready_) {
        sum += ready.bytes;
    }
    return sum;
}

void SegmentSet::step(Instant now, std::uint64_t durable, std::uint64_t log_written) {
    now_ = now;
    log_written_ = log_written;
    free_oldest_if_dead(durable);
    if (stage_ == Stage::filling && !op_.in_flight) {
        fill(log_written);
    }
    if (stage_ != Stage::idle) {
        return;
    }
    if (names_may_be_tried() && spares_unused()) {
        remove_unused();
    } else if (names_may_be_tried() && !unused_.empty() && ready_.size() < ready_wanted_) {
        rename_unused();
    } else if (ready_.size() < ready_wanted_ && (!no_space_ || now >= retry_at_)) {
        if (room() == 0) {
            create();
        } else {
            make(log_written);
        }
    }
}

// The last live segment stays: while nothing is written, it alone holds the state of all replicas.
void SegmentSet::free_oldest_if_dead(std::uint64_t durable) {
    if (live_.size() < 2) {
        return;
    }
    // What the next one's first batch states replaces this one: `free_after` is at least that batch.
    const Segment& oldest = live_.front();
    const bool replaced = oldest.free_after <= durable || MUTANT(segment_reused_too_early);
    if ((oldest.live_entries > 0 && !MUTANT(live_segment_reused)) || oldest.readers > 0 || !replaced) {
        return;
    }
    if (oldest.file != 0) {
        disk_.close(oldest.file);
    }
    unused_.push_back({oldest.number, oldest.bytes, false, oldest.has_bad_blocks});
    live_.erase(live_.begin());
}

// The first of what is unused goes: nothing would be made of it.
bool SegmentSet::spares_unused() const {
    return !unused_.empty() && (unused_.front().to_be_removed || unused_.front().bytes != segment_bytes_ ||
                                bytes() > bytes_goal_ ||
                                (ready_.size() >= ready_wanted_ && quiet()));
}

void SegmentSet::rename_unused() {
    stage_ = Stage::renaming;
    working_number_ = next_number_++;
    disk_.rename(op_, name(unused_.front().number), name(working_number_));
}

void SegmentSet::remove_unused() {
    stage_ = Stage::removing;
    disk_.remove(op_, name(unused_.front().number));
}

void SegmentSet::create() {
    stage_ = Stage::creating;
    working_number_ = next_number_++;
    disk_.create(op_, name(working_number_), segment_bytes_);
}

void SegmentSet::make(std::uint64_t log_written) {
    stage_ = Stage::making;
    working_number_ = next_number_++;
    race_ = {segment_bytes_, room() / 2, log_written};
    disk_.create_growing(op_, name(working_number_), segment_bytes_);
}

void SegmentSet::judge_zeros(Duration took) {
    const bool fast = took <= zeros_take;
    const std::size_t wanted = fast ? zeros_count_ * 2 : round_up(zeros_count_ / 2, limits::block_bytes);
    zeros_count_ = std::clamp(wanted, zeros_bytes_min, zeros_bytes_max);
}

// After a disk was full puts are refused until the file is whole: the log that does not grow for it is no reason to wait.
// And old segments can be removed only when it is whole.
Instant SegmentSet::next_fill() const {
    const Instant by_pace = pace_.next_at(now_);
    const bool leisurely = !no_space_ && unused_.empty() && race_.well_ahead(filled_, log_written_);
    return leisurely ? std::max(by_pace, next_leisurely_) : by_pace;
}

void SegmentSet::fill(std::uint64_t log_written) {
    if (zeros_begin_ != never) {
        judge_zeros(now_ - zeros_begin_);
        zeros_begin_ = never;
    }
    if (filled_ == segment_bytes_) {
        stage_ = Stage::flushing;
        disk_.sync_new(op_, file_, name(working_number_));
        return;
    }
    if (!race_.behind(filled_, log_written) && now_ < next_fill()) {
        return;
    }
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(zeros_count_, segment_bytes_ - filled_));
    zeros_begin_ = now_;
    pace_.went(now_, count);
    next_leisurely_ = now_ + time_at_rate(count, zeros_leisurely_rate);
    disk_.write(op_, file_, filled_, Bytes(zeros).first(count), env::Durability::none);
    filled_ += count;
}

// What the file holds is unknown. A disk with an error will say so again where it counts: at a write of the log.
void SegmentSet::give_up_filling() {
    disk_.close(file_);
    unused_.push_back({working_number_, filled_, true, true});
    on_not_made();
}

void SegmentSet::on_not_made() {
    no_space_ = true;
    space_error_ = op_.error;
    retry_at_ = now_ + retry_after;
    if (op_.error == env::DiskErrc::no_space) {
        MARK("no disk space for a segment");
    } else {
        MARK("segment cannot be made");
        note_trouble("made");
    }
}

// Under which of the two names it will be found after a crash nobody knows: it goes by both, before any that is newer.
// Without room nothing was done.
void SegmentSet::on_not_renamed() {
    MARK("segment cannot be renamed");
    if (op_.error == env::DiskErrc::not_found) {
        unused_.erase(unused_.begin());
    } else if (op_.error != env::DiskErrc::no_space) {
        unused_.front().to_be_removed = true;
        unused_.insert(unused_.begin() + 1, {working_number_, 0, true, true});
    }
}

void SegmentSet::note_trouble(std::string_view what) {
    if (!trouble_told_) {
        trouble_told_ = true;
        trouble_ = "a segment for later use cannot be " + std::string(what) + " (" +
                   std::string(env::to_string(op_.error)) + "); it is tried again, and the log goes on with what it has";
    }
}

// What there is of the log is as it was. false: it is no failure.
bool SegmentSet::on_failed(Stage stage) {
    switch (stage) {
        case Stage::creating:
        case Stage::making:
            if (op_.error == env::DiskErrc::exists) {
                MARK("segment file exists already");   // the next number is tried
            } else {
                if (op_.error != env::DiskErrc::no_space) {   // else nothing is there
                    unused_.push_back({working_number_, 0, true, true});
                }
                on_not_made();
            }
            return true;
        case Stage::filling:
        case Stage::flushing:
            give_up_filling();
            return true;
        case Stage::renaming:
            on_not_renamed();
            note_trouble("renamed");
            break;
        case Stage::opening:
            MARK("segment cannot be opened");
            unused_.push_back({working_number_, segment_bytes_, false, op_.error == env::DiskErrc::read_failed});
            note_trouble("opened");
            break;
        case Stage::removing:
            if (op_.error == env::DiskErrc::not_found) {
                return false;
            }
            MARK("segment cannot be removed");
            note_trouble("removed");
            break;
        case Stage::idle:
            UNREACHABLE();
    }
    names_retry_at_ = now_ + retry_after;
    return true;
}

void SegmentSet::on_done(env::DiskOperation& op) { static_cast<SegmentSet*>(op.context)->finish_stage(); }

void SegmentSet::finish_stage() {
    const Stage stage = std::exchange(stage_, Stage::idle);
    if (op_.error != env::DiskErrc::ok && on_failed(stage)) {
        return;
    }
    const bool stands_ready = stage == Stage::creating || stage == Stage::flushing || stage == Stage::opening;
    trouble_told_ = trouble_told_ && !stands_ready;
    switch (stage) {
        case Stage::creating:
            files_created_++;
            [[fallthrough]];
        case Stage::opening:
            ready_.push_back({working_number_, op_.file, segment_bytes_});
            no_space_ = false;
            break;
        case Stage::making:
            file_ = op_.file;
            filled_ = 0;
            stage_ = Stage::filling;
            break;
        case Stage::filling:
            stage_ = Stage::filling;
            break;
        case Stage::flushing:
            files_created_++;
            ready_.push_back({working_number_, file_, segment_bytes_});
            no_space_ = false;
            break;
        case Stage::renaming:
            unused_.erase(unused_.begin());
            stage_ = Stage::opening;
            disk_.open(op_, name(working_number_));
            break;
        case Stage::removing:
            retry_at_ = unused_.front().could_not_be_made ? retry_at_ : now_;  // there is room again
            unused_.erase(unused_.begin());
            break;
        case Stage::idle:
            UNREACHABLE();
    }
}

Instant SegmentSet::next_deadline() const {
    if (stage_ == Stage::filling && !op_.in_flight) {
        return filled_ == segment_bytes_ ? now_ : next_fill();
    }
    if (stage_ != Stage::idle) {
        return never;
    }
    const bool wants_one = ready_.size() < ready_wanted_;
    if (spares_unused() || (!unused_.empty() && wants_one)) {
        const Instant made_at = wants_one && !names_may_be_tried() ? (no_space_ ? retry_at_ : now_) : never;
        return std::min(made_at, std::max(now_, names_retry_at_));
    }
    if (wants_one) {
        return no_space_ ? retry_at_ : now_;
    }
    return unused_.empty() || !has_active_ ? never : std::max(quiet_at_, names_retry_at_);
}

}  // namespace ringfort::shard
