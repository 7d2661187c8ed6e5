#include "shard/scrub.h"

#include <algorithm>
#include <string>

#include "base/mark.h"
#include "raft/raft.h"
#include "shard/checkpoints.h"
#include "shard/replica.h"
#include "shard/replicas.h"

namespace ringfort::shard {

namespace {

// How often it is seen whether the disk has answered.
constexpr Duration answer_interval = 50ms;

}  // namespace

Scrub::Scrub(Context& context) : context_(context), chunk_(checkpoint_chunk_bytes) {}

void Scrub::on_timers(Instant now) {
    if (context_.halted || context_.stopping) {
        next_ = never;
    }
    if (now < next_) {
        return;
    }
    next_ = now + answer_interval;
    if (operation_.op.in_flight || (read_ && read_->in_flight)) {
        return;
    }
    while (step(now)) {
    }
}

bool Scrub::step(Instant now) {
    const Replica* of = replica();
    const bool gone = of == nullptr || of->out_of_service() || of->checkpoint().file != record_.file;
    if (stage_ != Stage::range && gone) {
        MARK("what was being scrubbed is superseded");
        const bool opened = stage_ == Stage::open && operation_.take() && operation_.op.error == env::DiskErrc::ok;
        file_ = opened ? operation_.op.file : file_;
        close_file();
        operation_.finished = false;
        read_.reset();
        stage_ = Stage::range;
        return true;
    }
    switch (stage_) {
        case Stage::range: return begin_range(now);
        case Stage::open: return take_opened();
        case Stage::checkpoint: return operation_.take() ? take_chunk() : read_checkpoint(now);
        case Stage::entries:
            if (read_) {
                take_entries();
                return true;
            }
            return read_entries(now);
    }
    UNREACHABLE();
}

// The next range, or the rest until the next pass.
bool Scrub::begin_range(Instant now) {
    const auto& all = context_.replicas->all();
    const auto next = std::ranges::find_if(all, [&](const auto& one) { return !any_ || one->range() > range_; });
    if (next == all.end()) {
        any_ = false;
        next_ = now + context_.config.scrub_interval;
        return false;
    }
    any_ = true;
    range_ = (*next)->range();
    record_ = (*next)->checkpoint();
    entry_ = record_.applied.index.next();
    offset_ = checksum_ = 0;
    if ((*next)->out_of_service()) {
        return true;
    }
    if (record_.file.empty()) {
        stage_ = Stage::entries;   // the initial state has no file
        return true;
    }
    stage_ = Stage::open;
    context_.world.disk.open(operation_.op, record_.file);
    return false;
}

// ---------------------------------------------------------------------------------------------- the checkpoint

bool Scrub::take_opened() {
    if (!operation_.take()) {
        return false;
    }
    const env::DiskErrc error = operation_.op.error;
    if (error != env::DiskErrc::ok) {
        const std::string what = "checkpoint " + record_.file + " cannot be opened: " + std::string(env::to_string(error));
        if (is_lost(error)) {
            on_damage(record_.applied.index, what);
        } else {
            MARK("checkpoint is not scrubbed for want of something else");
            context_.log_line(env::LogLevel::warning, what + "; it is not read this time");
        }
        stage_ = Stage::range;
        return true;
    }
    file_ = operation_.op.file;
    stage_ = Stage::checkpoint;
    return true;
}

bool Scrub::read_checkpoint(Instant now) {
    if (!may_read(now)) {
        return false;
    }
    chunk_bytes_ = std::min<std::uint64_t>(checkpoint_chunk_bytes, record_.bytes - offset_);
    const std::uint64_t padded = round_up(chunk_bytes_, limits::block_bytes);
    context_.world.disk.read(operation_.op, file_, offset_, {chunk_.data(), padded});
    went(now, padded);
    return false;
}

bool Scrub::take_chunk() {
    if (operation_.op.error != env::DiskErrc::ok) {
        on_damage(record_.applied.index, "checkpoint " + record_.file + " cannot be read back at byte " +
                                             std::to_string(offset_) + ": " +
                                             std::string(env::to_string(operation_.op.error)));
        close_file();
        stage_ = Stage::range;
        return true;
    }
    checksum_ = chain_checksum(checksum_, {chunk_.data(), chunk_bytes_});
    offset_ += chunk_bytes_;
    if (offset_ < record_.bytes) {
        return true;
    }
    close_file();
    if (checksum_ != record_.file_checksum) {
        on_damage(record_.applied.index, "checkpoint " + record_.file + " reads back other than it was written");
        stage_ = Stage::range;
        return true;
    }
    stage_ = Stage::entries;
    return true;
}

void Scrub::close_file() {
    if (file_ != 0) {
        context_.world.disk.close(std::exchange(file_, 0));
    }
}

// ---------------------------------------------------------------------------------------------- entries

bool Scrub::read_entries(Instant now) {
    const Replica& of = *replica();
    entry_ = std::max(entry_, of.raft().snapshot().index.next());
    const LogIndex in_memory = context_.log->first_in_memory(range_);
    if (entry_ > of.applied() || entry_ >= in_memory || !context_.log->holds(range_, entry_)) {
        stage_ = Stage::range;
        return true;
    }
    if (!may_read(now)) {
        return false;
    }
    const LogIndex last = std::min(of.applied(), LogIndex(in_memory.value - 1));
    asked_through_ = context_.log->reach(range_, entry_, last, checkpoint_chunk_bytes, LogStore::Measure::batches);
    read_ = std::make_unique<EntryRead>();
    read_->callback = [](EntryRead&) {};   // looked at by time
    context_.log->read(range_, entry_, asked_through_, checkpoint_chunk_bytes, *read_);
    return false;
}

void Scrub::take_entries() {
    const std::unique_ptr<EntryRead> read = std::move(read_);
    went(context_.now, read->disk_bytes);
    if (read->damaged) {
        on_damage(read->damaged_through, "log entries " + std::to_string(read->damaged_id.index.value) + " to " +
                  std::to_string(read->damaged_through.value) + " cannot be read back");
        stage_ = Stage::range;
        return;
    }
    // None: they went with a checkpoint while they were read.
    entry_ = read->entries.empty() ? asked_through_.next() : read->entries.back().id.index.next();
}

// ---------------------------------------------------------------------------------------------- both

bool Scrub::may_read(Instant now) {
    const Instant at = std::max(next_read_, context_.log->pace().next_at(now));
    if (at > now) {
        next_ = std::max(next_, std::min(at, now + 1s));
        return false;
    }
    return true;
}

// By the log's pace as well. The floor is for what must end: while flushes are slow this is the last thing the disk needs.
void Scrub::went(Instant now, std::uint64_t bytes) {
    BackgroundPace& pace = context_.log->pace();
    const Duration rest = pace.at_floor(now) ? slow_interval : Duration(0);
    pace.went(now, bytes);
    next_read_ = now + std::max(rest, time_at_rate(bytes, rate_max));
}

Replica* Scrub::replica() { return any_ ? context_.replicas->find(range_) : nullptr; }

void Scrub::on_damage(LogIndex through, const std::string& what) {
    MARK("damage is found by scrubbing");
    context_.checkpoints->on_damage(range_, through, what);
}

}  // namespace ringfort::shard
