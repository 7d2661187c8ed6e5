// Writing a checkpoint.
#include "base/mark.h"
#include "base/mutant.h"
#include "shard/checkpoint_jobs.h"

#include <algorithm>
#include <cstring>

namespace ringfort::shard {

Checkpoints::WriteJob::WriteJob(Checkpoints& owner, Replica& replica, const Want& want)
    : owner_(owner),
      replica_(replica),
      record_range_(replica.range()),
      chunk_(checkpoint_chunk_bytes),
      hurries_(want.hurries),
      renews_(want.renews),
      former_(replica.checkpoint().file) {
    const LogIndex applied = replica.applied();
    const auto term = replica.raft().term_at(applied);
    ASSERT(term.has_value());
    record_.applied = {*term, applied};
    record_.configuration = replica.applied_configuration();
    record_.state_hash = replica.state_hash();
    record_.file = checkpoint_file_name(owner.directory_, record_range_, record_.applied, owner.next_file_number());
    std::uint64_t expected_bytes = 0;
    if (replica.store() != nullptr) {
        writer_ = replica.store()->open_checkpoint();
        // What it takes is one of these at most: everything in memory, or the last one and all that was written since.
        const std::uint64_t since = owner.context_.log->bytes_since_checkpoint(record_range_);
        expected_bytes = std::min(replica.store()->live_bytes(), replica.checkpoint().bytes + since);
    } else {
        directory_bytes_ = replica.directory()->checkpoint();
        expected_bytes = directory_bytes_.size();
    }
    race_ = owner_.race_of(expected_bytes);
    owner_.context_.world.disk.create_growing(operation_.op, record_.file, expected_bytes);
}

void Checkpoints::WriteJob::fail(const std::string& why) {
    owner_.context_.log_line(env::LogLevel::warning, "checkpoint " + record_.file + " is given up: " + why);
    if (file_ != 0) {
        owner_.context_.world.disk.close(file_);
    }
    owner_.forget_file(record_.file);
    writer_.reset();
    stage_ = Stage::done;
}

bool Checkpoints::WriteJob::disk_failed(std::string_view what) {
    if (operation_.op.error == env::DiskErrc::ok) {
        return false;
    }
    fail("it cannot be " + std::string(what) + ": " + std::string(env::to_string(operation_.op.error)));
    owner_.on_write_failed(record_range_, renews_);
    return true;
}

bool Checkpoints::WriteJob::renew(LogIndex through) {
    if (done() || abandoned_ || record_.applied.index < through) {
        return false;
    }
    MARK("what is damaged is being replaced already");
    hurries_ = renews_ = true;
    return true;
}

void Checkpoints::WriteJob::abandon() {
    writer_.reset();
    abandoned_ = stage_ < Stage::name;
    if (stage_ == Stage::durable) {
        // Where the snapshot is named: until that is durable this file counts.
        named_in_ = owner_.context_.log->open_batch();
    }
}

bool Checkpoints::WriteJob::behind() const {
    return race_.behind(offset_, owner_.log_written());
}

Instant Checkpoints::WriteJob::next_at() const {
    if (stage_ != Stage::pace) {
        return never;
    }
    if (behind()) {
        return Instant{};
    }
    const Instant by_pace = owner_.context_.log->pace().next_at(owner_.context_.now);
    const bool waited_for = hurries_ || !owner_.wanted_.empty();
    const bool leisurely = !waited_for && race_.well_ahead(offset_, owner_.log_written());
    return leisurely ? std::max(by_pace, next_leisurely_) : by_pace;
}

// Until the chunk is full or the stream has ended. Of a stream of whole chunks the end is seen with an empty one.
bool Checkpoints::WriteJob::fill(WorkBudget& budget) {
    const MutableBytes room(chunk_.data() + chunk_filled_, chunk_.size() - chunk_filled_);
    if (writer_) {
        const auto piece = writer_->next(room, budget);
        chunk_filled_ += piece.bytes;
        stream_ended_ = piece.step == kv::Step::done;
    } else {
        const std::size_t count = std::min(room.size(), directory_bytes_.size() - directory_given_);
        std::memcpy(room.data(), directory_bytes_.data() + directory_given_, count);
        directory_given_ += count;
        chunk_filled_ += count;
        stream_ended_ = directory_given_ == directory_bytes_.size();
    }
    return stream_ended_ || chunk_filled_ == chunk_.size();
}

void Checkpoints::WriteJob::flush() {
    writer_.reset();
    if (MUTANT(checkpoint_unflushed)) {
        stage_ = Stage::name;
        return;
    }
    owner_.context_.world.disk.sync_new(operation_.op, file_, record_.file);
    stage_ = Stage::sync;
}

bool Checkpoints::WriteJob::step(WorkBudget& budget) {
    env::Disk& disk = owner_.context_.world.disk;
    if (abandoned_ && !waiting() && stage_ != Stage::done) {
        if (stage_ == Stage::create && operation_.op.error == env::DiskErrc::ok) {
            file_ = operation_.op.file;
        }
        fail("a snapshot replaced the state it was to hold");
        return true;
    }
    switch (stage_) {
        case Stage::create:
            if (!operation_.take()) {
                return false;
            }
            if (disk_failed("made")) {
                return true;
            }
            file_ = operation_.op.file;
            stage_ = Stage::fill;
            return true;
        case Stage::fill: {
            if (budget.spent() || !fill(budget)) {
                return false;
            }
            if (chunk_filled_ == 0) {
                flush();
                return true;
            }
            record_.file_checksum = chain_checksum(record_.file_checksum, {chunk_.data(), chunk_filled_});
            record_.bytes += chunk_filled_;
            std::memset(chunk_.data() + chunk_filled_, 0, chunk_.size() - chunk_filled_);
            stage_ = Stage::pace;
            return true;
        }
        case Stage::pace: {
            const Instant now = owner_.context_.now;
            if (now < next_at()) {
                return false;
            }
            const std::size_t padded = round_up(chunk_filled_, limits::block_bytes);
            owner_.context_.log->pace().went(now, padded);
            next_leisurely_ = now + time_at_rate(padded, leisurely_rate);
            disk.write(operation_.op, file_, offset_, {chunk_.data(), padded}, env::Durability::none);
            owner_.bytes_written_ += padded;
            offset_ += padded;
            stage_ = Stage::write;
            return true;
        }
        case Stage::write:
            if (!operation_.take()) {
                return false;
            }
            if (disk_failed("written")) {
                return true;
            }
            chunk_filled_ = 0;
            if (stream_ended_) {
                flush();
            } else {
                stage_ = Stage::fill;
            }
            return true;
        case Stage::sync:
            if (!operation_.take()) {
                return false;
            }
            if (disk_failed("flushed")) {
                return true;
            }
            disk.close(file_);
            file_ = 0;
            stage_ = Stage::name;
            return true;
        case Stage::name:
            owner_.context_.log->append_checkpoint(record_range_, record_);
            named_in_ = owner_.context_.log->open_batch();
            stage_ = Stage::durable;
            return true;
        case Stage::durable:
        case Stage::done: return false;
    }
    UNREACHABLE();
}

void Checkpoints::WriteJob::on_durable(BatchSequence through) {
    if (stage_ != Stage::durable || (through < named_in_ && !MUTANT(former_checkpoint_removed_early))) {
        return;
    }
    stage_ = Stage::done;
    owner_.write_pause_ = Pause{};
    const CheckpointRecord& there = replica_.checkpoint();
    if (there.applied.index > record_.applied.index || there.file != former_) {
        owner_.forget_file(record_.file);   // a snapshot was installed since, or this state replaced
        return;
    }
    if (!replica_.checkpoint().file.empty()) {
        owner_.forget_file(replica_.checkpoint().file);
    }
    replica_.on_checkpoint_durable(record_);
}

}  // namespace ringfort::shard
