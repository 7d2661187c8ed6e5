#include "shard/log_recovery.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assertion.h"
#include "base/mark.h"

namespace ringfort::shard {
namespace {

// Payloads the shard needs at start: those that shape the group itself.
constexpr std::uint32_t kept_kinds = (1U << static_cast<unsigned>(raft::EntryKind::config)) |
                                     (1U << static_cast<unsigned>(raft::EntryKind::fence));
constexpr std::size_t scan_bytes_per_step = 512 * kib;
constexpr std::size_t records_per_step = 5000;

}  // namespace

LogRecovery::LogRecovery(env::Disk& disk, const LogOptions& options)
    : disk_(disk), options_(options), op_(&on_operation, this) {}

void LogRecovery::Buffer::resize(std::size_t bytes) {
    if (bytes == bytes_) {
        return;
    }
    memory_.reset();
    bytes_ = bytes;
    if (bytes > 0) {
        memory_.reset(static_cast<std::byte*>(std::aligned_alloc(limits::block_bytes, bytes)));
        ASSERT(memory_ != nullptr);
    }
}

void LogRecovery::start() {
    ASSERT(stage_ == Stage::idle);
    stage_ = Stage::listing;
    disk_.list(op_, options_.directory);
}

void LogRecovery::refuse(std::string why) {
    refusal_ = std::move(why);
    stage_ = Stage::done;
}

void LogRecovery::on_operation(env::DiskOperation& op) {
    auto& self = *static_cast<LogRecovery*>(op.context);
    switch (self.stage_) {
        case Stage::listing:
            self.on_listed();
            return;
        case Stage::opening:
            self.on_opened();
            return;
        case Stage::reading:
        case Stage::rereading:
            self.on_read();
            return;
        case Stage::idle:
        case Stage::scanning:
        case Stage::judging:
        case Stage::replaying:
        case Stage::done:
            UNREACHABLE();
    }
}

// Is tried again, in the end it is refused.
void LogRecovery::on_failed(std::string what) {
    if (!patience_.spent()) {
        patience_.wait();
    } else {
        refuse(std::move(what) + ": " + std::string(env::to_string(op_.error)));
    }
}

void LogRecovery::try_again() {
    switch (stage_) {
        case Stage::listing:
            disk_.list(op_, options_.directory);
            return;
        case Stage::opening:
            open_file();
            return;
        case Stage::reading:
        case Stage::rereading:
            read_again();
            return;
        case Stage::idle:
        case Stage::scanning:
        case Stage::judging:
        case Stage::replaying:
        case Stage::done:
            UNREACHABLE();
    }
}

void LogRecovery::on_listed() {
    if (op_.error != env::DiskErrc::ok && op_.error != env::DiskErrc::not_found) {
        on_failed(op_.files.empty() ? "the log's directory " + options_.directory + " cannot be listed"
                                    : "the file " + options_.directory + "/" + op_.files.front().name +
                                          " is there and cannot be looked at");
        return;
    }
    for (const env::FileInfo& info : op_.files) {
        if (const std::uint64_t number = SegmentSet::parse_name(info.name, options_.directory); number != 0) {
            files_.push_back({number, info.bytes / limits::block_bytes * limits::block_bytes, 0, false});
        }
    }
    std::sort(files_.begin(), files_.end(), [](const File& a, const File& b) { return a.number < b.number; });
    for (const File& file : files_) {
        scans_.emplace_back(log::SegmentIdentity{options_.instance.value,
                                                 static_cast<std::uint32_t>(options_.shard.value), file.number},
                            kept_kinds);
    }
    open_next_file();
}

void LogRecovery::open_next_file() {
    if (current_ == files_.size()) {
        buffer_.resize(0);
        stage_ = Stage::judging;
        return;
    }
    stage_ = Stage::opening;
    patience_.renew();
    open_file();
}

void LogRecovery::open_file() {
    disk_.open(op_, SegmentSet::name(options_.directory, files_[current_].number));
}

void LogRecovery::on_opened() {
    File& file = files_[current_];
    if (op_.error != env::DiskErrc::ok) {
        on_failed("the segment " + SegmentSet::name(options_.directory, file.number) + " of the log cannot be opened");
        return;
    }
    file.file = op_.file;
    stage_ = Stage::reading;
    begin_reading(current_, 0, file.bytes);
}

void LogRecovery::begin_reading(std::size_t file, std::uint64_t offset, std::uint64_t bytes) {
    current_ = file;
    region_offset_ = offset;
    buffer_.resize(bytes);
    read_ = 0;
    by_blocks_until_ = 0;
    ASSERT(unreadable_.empty() && !in_round_);
    patience_.renew();
    read_next();
}

void LogRecovery::read_next() {
    if (read_ == buffer_.size()) {
        end_reading();
        return;
    }
    by_blocks_ = read_ < by_blocks_until_;
    reading_ = std::min<std::uint64_t>(by_blocks_ ? limits::block_bytes : slice_bytes, buffer_.size() - read_);
    disk_.read(op_, files_[current_].file, region_offset_ + read_, buffer_.span().subspan(read_, reading_));
}

// The slice is read again block by block, around what cannot be read.
void LogRecovery::on_read() {
    if (in_round_) {
        on_read_again();
        return;
    }
    const bool segment_read = stage_ == Stage::reading;
    if (op_.error != env::DiskErrc::ok && !by_blocks_) {
        by_blocks_until_ = read_ + reading_;
        read_next();
        return;
    }
    if (op_.error != env::DiskErrc::ok) {
        unreadable_.push_back(read_);
    }
    read_ += reading_;
    read_next();
    if (!segment_read || !unreadable_.empty()) {
        return;   // what lies behind may still change
    }
    const Bytes segment = buffer_.span();
    scans_[current_].step(segment, read_, scan_bytes_per_step);  // what is left over is done in scan()
}

void LogRecovery::end_reading() {
    if (!unreadable_.empty() && !patience_.spent() && !in_vain_) {
        patience_.wait();
        return;
    }
    in_vain_ |= !unreadable_.empty();
    files_[current_].has_bad_blocks |= !unreadable_.empty();
    for (const std::uint64_t offset : std::exchange(unreadable_, {})) {
        std::memset(buffer_.data() + offset, 0, limits::block_bytes);
        if (stage_ == Stage::reading) {
            scans_[current_].note_unreadable(offset);
        }
    }
    if (stage_ == Stage::reading) {
        stage_ = Stage::scanning;
    } else {
        log::judge_payloads(judgement_, reread_, buffer_.span(), kept_kinds);
        reread_next();
    }
}

// A round: every block that could not be read.
void LogRecovery::read_again() {
    if (!in_round_) {
        in_round_ = true;
        trying_ = 0;
        tried_again_.clear();
    }
    if (trying_ < unreadable_.size()) {
        const std::uint64_t offset = unreadable_[trying_];
        disk_.read(op_, files_[current_].file, region_offset_ + offset,
                   buffer_.span().subspan(offset, limits::block_bytes));
        return;
    }
    in_round_ = false;
    if (tried_again_.size() < unreadable_.size()) {
        MARK("a block of the log can be read at a later try");
        read_later_ += unreadable_.size() - tried_again_.size();
        patience_.renew();
    }
    unreadable_.swap(tried_again_);
    end_reading();
}

void LogRecovery::on_read_again() {
    if (op_.error != env::DiskErrc::ok) {
        tried_again_.push_back(unreadable_[trying_]);
    }
    trying_++;
    read_again();
}

void LogRecovery::scan() {
    log::SegmentScan& scan = scans_[current_];
    if (!scan.step(buffer_.span(), read_, scan_bytes_per_step)) {
        return;
    }
    ASSERT(scan.done(files_[current_].bytes));
    current_++;
    open_next_file();
}

void LogRecovery::judge_all() {
    judgement_ = log::judge(scans_);
    if (judgement_.newer_format) {
        refuse("the log was written by a later version of ringfort; it is left untouched");
        return;
    }
    for (const log::JudgedBatch& batch : judgement_.batches) {
        const auto at = std::lower_bound(files_.begin(), files_.end(), batch.place.segment,
                                         [](const File& f, std::uint64_t n) { return f.number < n; });
        if (at != files_.end() && at->number == batch.place.segment) {
            at->counts = true;
        }
    }
    stage_ = Stage::rereading;
    reread_next();
}

// Batches that could not be judged whole: each the last of a segment whose successor alone tells what it held.
void LogRecovery::reread_next() {
    for (; reread_ < judgement_.batches.size(); reread_++) {
        const log::JudgedBatch& batch = judgement_.batches[reread_];
        if (batch.payloads_judged) {
            continue;
        }
        const auto at = std::lower_bound(files_.begin(), files_.end(), batch.place.segment,
                                         [](const File& f, std::uint64_t n) { return f.number < n; });
        if (at != files_.end() && at->number == batch.place.segment &&
            batch.place.offset + batch.place.bytes <= at->bytes) {
            begin_reading(static_cast<std::size_t>(at - files_.begin()), batch.place.offset, batch.place.bytes);
            return;
        }
    }
    buffer_.resize(0);
    replay_ = std::make_unique<log::Replay>(judgement_);
    stage_ = Stage::replaying;
}

void LogRecovery::step(Instant now) {
    if (patience_.waiting()) {
        if (patience_.over(now)) {
            try_again();
        }
    } else if (stage_ == Stage::scanning) {
        scan();
    } else if (stage_ == Stage::judging) {
        judge_all();
    } else if (stage_ == Stage::replaying && replay_->step(records_per_step)) {
        stage_ = Stage::done;
    }
}

Instant LogRecovery::next_deadline() const {
    if (patience_.waiting()) {
        return patience_.deadline();
    }
    const bool computes = stage_ == Stage::scanning || stage_ == Stage::judging || stage_ == Stage::replaying;
    return computes || done() ? Instant{} : never;
}

std::uint64_t LogRecovery::percent_read() const {
    std::uint64_t all = 0;
    std::uint64_t read = 0;
    for (std::size_t i = 0; i < files_.size(); i++) {
        all += files_[i].bytes;
        read += i < current_ ? files_[i].bytes : 0;
    }
    if (stage_ == Stage::reading) {
        read += read_;
    }
    return all == 0 ? 100 : std::min(read, all) * 100 / all;
}

bool LogRecovery::all_readable() const {
    return std::ranges::all_of(scans_, [](const log::SegmentScan& scan) { return scan.unreadable().empty(); });
}

std::string LogRecovery::unreadable() const {
    std::string out;
    for (const log::SegmentScan& scan : scans_) {
        if (const std::uint64_t blocks = scan.unreadable_blocks(); blocks > 0) {
            out += (out.empty() ? "" : ", ") + std::to_string(blocks) + " blocks of " +
                   SegmentSet::name(options_.directory, scan.identity().segment);
        }
    }
    return out;
}

std::uint64_t LogRecovery::last_sequence() const {
    return judgement_.empty() ? 0 : judgement_.batches.back().place.sequence;
}

std::vector<std::string> LogRecovery::notes() const {
    std::vector<std::string> out;
    if (read_later_ > 0) {
        out.push_back("the disk could read " + std::to_string(read_later_) + " blocks at a later try only");
    }
    if (!all_readable()) {
        out.push_back("the disk cannot read " + unreadable());
    }
    for (const log::JudgedBatch& batch : judgement_.batches) {
        if (batch.verdict != log::Verdict::intact) {
            out.push_back("batch " + std::to_string(batch.place.sequence) + ": " +
                          std::string(log::to_string(batch.verdict)) + ": " + std::string(log::reason(batch.finding)) +
                          (batch.unreadable ? " (or is taken for durable: not all of it can be read)" : ""));
        }
    }
    if (judgement_.hidden_end) {
        out.push_back("what the log holds behind batch " + std::to_string(last_sequence()) +
                      " cannot be read, and is lost: all replicas are in doubt");
    }
    if (judgement_.dropped > 0) {
        out.push_back("cut after batch " + std::to_string(last_sequence()) + "; " + std::to_string(judgement_.dropped) +
                      " later batches nobody was answered for are dropped");
    }
    if (judgement_.start_lost) {
        out.push_back("the oldest state of the log is lost: replicas that wrote nothing since may be unknown");
    }
    return out;
}

}  // namespace ringfort::shard
