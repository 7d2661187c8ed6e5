// A checkpoint file becomes a state machine: its chunks are read ahead of what is decoded, each checked as it is used.
#include "shard/checkpoint_jobs.h"

#include "base/mark.h"
#include <algorithm>

namespace ringfort::shard {

Checkpoints::LoadJob::LoadJob(Checkpoints& owner, RangeId range, const CheckpointRecord& record, LoadSpeed speed,
                              std::function<void(LoadedState)> done)
    : owner_(owner),
      record_(record),
      speed_(speed),
      range_(range),
      done_(std::move(done)),
      slots_(speed == LoadSpeed::full ? chunks_ahead : 1) {}

void Checkpoints::LoadJob::begin() {
    if (is_directory()) {
        state_.directory = std::make_unique<kv::Directory>();
    } else {
        state_.store = new_store(owner_.context_, range_);
        reader_ = state_.store->load_checkpoint();
    }
    open();
    stage_ = Stage::open;
}

void Checkpoints::LoadJob::open() {
    owner_.context_.world.disk.open(open_.op, record_.file);
}

bool Checkpoints::LoadJob::waiting() const {
    return open_.op.in_flight || std::ranges::any_of(slots_, [](const Slot& slot) { return slot.operation.op.in_flight; });
}

bool Checkpoints::LoadJob::wants_turn() const {
    return stage_ == Stage::feed && !paced_ && !patience_.waiting() && !head().operation.op.in_flight;
}

// From the chunk that could not be read.
bool Checkpoints::LoadJob::try_again() {
    if (waiting() || !patience_.over(owner_.context_.now)) {
        return false;
    }
    if (stage_ == Stage::open) {
        open();
        return true;
    }
    ASSERT(stage_ == Stage::feed && fed_ == 0);
    for (Slot& slot : slots_) {
        static_cast<void>(slot.operation.take());
        slot.bytes = 0;
    }
    chunks_read_ = chunks_fed_;
    return true;
}

// What is being read ends first: its memory is ours.
void Checkpoints::LoadJob::fail() {
    stage_ = Stage::drain;
}

void Checkpoints::LoadJob::finish(bool ok) {
    if (file_ != 0) {
        owner_.context_.world.disk.close(file_);
        file_ = 0;
    }
    reader_.reset();
    state_.ok = ok;
    stage_ = Stage::done;
    done_(std::move(state_));
}

void Checkpoints::LoadJob::read_ahead() {
    BackgroundPace& pace = owner_.context_.log->pace();
    const std::uint64_t chunks = div_ceil<std::uint64_t>(record_.bytes, checkpoint_chunk_bytes);
    while (chunks_read_ < chunks && chunks_read_ < chunks_fed_ + slots_.size()) {
        paced_ = speed_ == LoadSpeed::paced && !pace.may_go(owner_.context_.now);
        if (paced_) {
            return;
        }
        const std::uint64_t offset = chunks_read_ * checkpoint_chunk_bytes;
        Slot& slot = slots_[chunks_read_ % slots_.size()];
        slot.bytes = std::min<std::uint64_t>(checkpoint_chunk_bytes, record_.bytes - offset);
        if (!slot.chunk) {
            slot.chunk = AlignedBuffer(checkpoint_chunk_bytes);
        }
        if (speed_ == LoadSpeed::paced) {
            pace.went(owner_.context_.now, slot.bytes);
        }
        owner_.context_.world.disk.read(slot.operation.op, file_, offset,
                                        {slot.chunk.data(), round_up(slot.bytes, limits::block_bytes)});
        chunks_read_++;
    }
}

bool Checkpoints::LoadJob::feed(WorkBudget& budget) {
    Slot& slot = head();
    if (slot.operation.op.in_flight) {
        return false;
    }
    if (slot.operation.take()) {
        if (slot.operation.op.error != env::DiskErrc::ok && !patience_.spent()) {
            patience_.wait();
            return true;
        }
        if (slot.operation.op.error != env::DiskErrc::ok) {
            MARK("checkpoint cannot be read");
            state_.unreadable = true;
            fail();
            return true;
        }
        patience_.renew();
        checksum_ = chain_checksum(checksum_, {slot.chunk.data(), slot.bytes});
    }
    const Bytes rest(slot.chunk.data() + fed_, slot.bytes - fed_);
    std::size_t consumed = 0;
    if (is_directory()) {
        directory_bytes_.insert(directory_bytes_.end(), rest.begin(), rest.end());
        consumed = rest.size();
    } else if (!reader_->feed(rest, budget, consumed)) {
        MARK("checkpoint is malformed");
        fail();
        return true;
    }
    fed_ += consumed;
    if (fed_ == slot.bytes) {
        slot.bytes = 0;
        fed_ = 0;
        chunks_fed_++;
    }
    return !budget.spent();
}

// The checksum says that the file is as its writer made it; a peer may have named it wrongly.
bool Checkpoints::LoadJob::is_as_named() {
    if (is_directory()) {
        return state_.directory->load(directory_bytes_) && state_.directory->hash() == record_.state_hash &&
               state_.directory->applied() == record_.applied.index;
    }
    return reader_->finish() && state_.store->hash() == record_.state_hash &&
           state_.store->applied() == record_.applied.index;
}

// A name that is not there does not come back.
bool Checkpoints::LoadJob::on_opened() {
    const env::DiskErrc error = open_.op.error;
    if (error != env::DiskErrc::ok && error != env::DiskErrc::not_found && !patience_.spent()) {
        patience_.wait();
        return true;
    }
    if (error != env::DiskErrc::ok) {
        state_.open_error = error;
        state_.unreadable = error == env::DiskErrc::read_failed;
        finish(false);
        return true;
    }
    file_ = open_.op.file;
    patience_.renew();
    if (open_.op.bytes < record_.bytes) {
        MARK("checkpoint file is too short");
        finish(false);
        return true;
    }
    stage_ = Stage::feed;
    return true;
}

bool Checkpoints::LoadJob::step(WorkBudget& budget) {
    paced_ = false;
    if (patience_.waiting() && !try_again()) {
        return false;
    }
    switch (stage_) {
        case Stage::begin:
            begin();
            return false;
        case Stage::open:
            return open_.take() && on_opened();
        case Stage::feed:
            read_ahead();
            if (chunks_fed_ < chunks_read_) {
                return feed(budget);
            }
            if (paced_ || (reader_ && !reader_->settle(budget))) {
                return false;
            }
            finish(checksum_ == record_.file_checksum && is_as_named());
            return true;
        case Stage::drain:
            if (waiting()) {
                return false;
            }
            finish(false);
            return true;
        case Stage::done: return false;
    }
    UNREACHABLE();
}

}  // namespace ringfort::shard
