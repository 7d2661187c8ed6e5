// A checkpoint on its way to a follower: the sender reads the file in chunks and keeps a bounded window unanswered; the
// receiver writes its own file, loads it, names it in its log, and only then makes it the replica's new beginning.
#include "base/mark.h"
#include "shard/checkpoint_jobs.h"
#include "shard/hash_walks.h"
#include "shard/streams.h"
#include "shard/watches.h"

#include <algorithm>
#include <cstring>

namespace ringfort::shard {

namespace {

constexpr std::uint64_t send_window_bytes = 2 * mib;
// Without an answer, or a slice, for this long the transfer is given up; raft asks again. (Whoever sends no slice gets no
// answer either.)
constexpr Duration transfer_idle_max = 10s;
// The receiver says at least this often that it is at work: writing, flushing, loading, naming.
constexpr Duration receive_progress_interval = 1s;

}  // namespace

// ------------------------------------------------------------------------------------------------ send

Checkpoints::SendJob::SendJob(Checkpoints& owner, Replica& replica, NodeId to, Instant not_before)
    : owner_(owner),
      replica_(replica),
      range_(replica.range()),
      to_(to),
      term_(replica.raft().term()),
      not_before_(not_before),
      chunk_(checkpoint_chunk_bytes),
      last_progress_(owner.context_.now) {}

void Checkpoints::SendJob::begin() {
    record_ = replica_.checkpoint();
    last_progress_ = owner_.context_.now;
    stage_ = Stage::open;
    if (record_.file.empty()) {
        stage_ = Stage::send;   // the initial state has no bytes
    } else {
        owner_.context_.world.disk.open(operation_.op, record_.file);
    }
}

void Checkpoints::SendJob::end(bool ok) {
    if (stage_ == Stage::open && operation_.op.error == env::DiskErrc::ok) {
        file_ = operation_.op.file;
    }
    if (file_ != 0) {
        owner_.context_.world.disk.close(file_);
        file_ = 0;
    }
    stage_ = Stage::done;
    owner_.on_sent(range_, to_, ok);
    replica_.step(raft::SnapshotSent{to_, record_.applied, ok});
}

// Sent again it would be refused again, for ever: another one is needed.
void Checkpoints::SendJob::end_damaged(std::string_view why) {
    if (replica_.checkpoint().file == record_.file) {
        owner_.on_damage(range_, record_.applied.index,
                         "checkpoint " + record_.file + " cannot be sent: " + std::string(why));
    }
    end(false);
}

void Checkpoints::SendJob::abort() {
    aborted_ = true;
}

void Checkpoints::SendJob::on_answer(const wire::SnapshotAnswer& answer) {
    if (answer.snapshot != record_.applied || stage_ == Stage::done) {
        return;
    }
    last_progress_ = owner_.context_.now;
    answered_ = std::max(answered_, answer.offset);
    if (answer.verdict == wire::SnapshotVerdict::refused) {
        aborted_ = true;
    } else if (answer.verdict == wire::SnapshotVerdict::installed) {
        installed_ = true;
    }
}

bool Checkpoints::SendJob::step() {
    paced_ = false;
    if (stage_ == Stage::done || operation_.op.in_flight) {
        return false;
    }
    Context& context = owner_.context_;
    if (installed_) {
        end(true);
        return true;
    }
    if (aborted_ || !replica_.raft().is_leader() || replica_.raft().term() != term_ || replica_.out_of_service() ||
        context.now - last_progress_ >= transfer_idle_max) {
        end(false);
        return true;
    }
    if ((stage_ == Stage::read || stage_ == Stage::send) && record_.bytes > 0 && answered_ >= record_.bytes) {
        MARK("snapshot was received before");
        stage_ = Stage::wait;   // the receiver has it all from an earlier transfer
    }
    switch (stage_) {
        case Stage::pause:
            if (owner_.renews(range_)) {
                last_progress_ = context.now;
                return false;
            }
            if (context.now < not_before_) {
                return false;
            }
            begin();
            return true;
        case Stage::open:
            if (!operation_.take()) {
                return false;
            }
            if (is_lost(operation_.op.error)) {
                MARK("checkpoint to send cannot be opened");
                end_damaged(env::to_string(operation_.op.error));
                return true;
            }
            if (operation_.op.error != env::DiskErrc::ok) {
                MARK("checkpoint is not sent for want of something else");
                context.log_line(env::LogLevel::warning, "checkpoint " + record_.file + " cannot be opened to be sent: " +
                                                             std::string(env::to_string(operation_.op.error)));
                end(false);
                return true;
            }
            file_ = operation_.op.file;
            stage_ = Stage::read;
            [[fallthrough]];
        case Stage::read: {
            const bool window_full = offset_ >= answered_ + send_window_bytes;
            paced_ = !window_full && !owner_.send_pace_.may_go(context.now);
            if (window_full || paced_) {
                return false;
            }
            const std::uint64_t count = std::min<std::uint64_t>(checkpoint_chunk_bytes, record_.bytes - offset_);
            owner_.send_pace_.went(context.now, count);
            context.world.disk.read(operation_.op, file_, offset_, {chunk_.data(), round_up(count, limits::block_bytes)});
            stage_ = Stage::send;
            return true;
        }
        case Stage::send: {
            const std::uint64_t count = std::min<std::uint64_t>(checkpoint_chunk_bytes, record_.bytes - offset_);
            if (operation_.take()) {
                if (operation_.op.error != env::DiskErrc::ok) {
                    MARK("checkpoint to send cannot be read");
                    end_damaged(env::to_string(operation_.op.error));
                    return true;
                }
                checksum_ = chain_checksum(checksum_, {chunk_.data(), count});
                if (offset_ + count == record_.bytes && checksum_ != record_.file_checksum) {
                    MARK("checkpoint to send is damaged");
                    end_damaged("it reads back other than it was written");
                    return true;
                }
            }
            Link* link = context.links->link_of(replica_, to_);
            wire::SnapshotSlice slice;
            slice.range = range_;
            slice.term = term_;
            slice.snapshot = record_.applied;
            slice.total_bytes = record_.bytes;
            slice.offset = offset_;
            slice.state_hash = record_.state_hash;
            slice.file_checksum = record_.file_checksum;
            const auto configuration = raft::encode(record_.configuration);
            if (offset_ == 0) {
                slice.configuration = configuration;
            }
            slice.data = {chunk_.data(), count};
            if (link == nullptr || !link->send(slice, wire::LinkClass::snapshot)) {
                MARK("snapshot slice waits for credit");
                return false;   // tried again: credit comes with the receiver's progress
            }
            offset_ += count;
            stage_ = offset_ == record_.bytes ? Stage::wait : Stage::read;
            return true;
        }
        case Stage::wait:
        case Stage::done: return false;
    }
    UNREACHABLE();
}

// ------------------------------------------------------------------------------------------------ receive

Checkpoints::ReceiveJob::ReceiveJob(Checkpoints& owner, Replica& replica, const wire::SnapshotSlice& first, NodeId from)
    : owner_(owner),
      replica_(replica),
      range_(replica.range()),
      from_(from),
      term_(first.term),
      chunk_(checkpoint_chunk_bytes),
      told_at_(owner.context_.now),
      taken_at_(owner.context_.now) {
    record_.applied = first.snapshot;
    record_.state_hash = first.state_hash;
    record_.bytes = first.total_bytes;
    record_.file_checksum = first.file_checksum;
    if (!raft::decode(first.configuration, record_.configuration) || record_.configuration.voters.empty()) {
        aborted_ = true;
    }
    if (record_.bytes == 0) {
        // The initial state: nothing to write or load.
        if (range_ == directory_range) {
            loaded_.directory = std::make_unique<kv::Directory>();
            loaded_.directory->skip(record_.applied.index);
        } else {
            loaded_.store = new_store(owner_.context_, range_);
            loaded_.store->skip(record_.applied.index);
        }
        loaded_.ok = true;
        stage_ = Stage::name;
        return;
    }
    record_.file = checkpoint_file_name(owner.directory_, range_, record_.applied, owner.next_file_number());
    owner_.context_.world.disk.create_growing(operation_.op, record_.file, record_.bytes);
}

bool Checkpoints::ReceiveJob::continues(const wire::SnapshotSlice& slice, NodeId from) const {
    return from == from_ && slice.term == term_ && slice.snapshot == record_.applied && slice.offset == received_bytes_ &&
           !aborted_ && stage_ != Stage::done;
}

bool Checkpoints::ReceiveJob::takes_up(const wire::SnapshotSlice& first, NodeId from) {
    if (aborted_ || from != from_ || first.snapshot != record_.applied || received_bytes_ < record_.bytes) {
        return false;
    }
    term_ = std::max(term_, first.term);
    answer(wire::SnapshotVerdict::progress);
    return true;
}

void Checkpoints::ReceiveJob::maybe_tell_progress() {
    const bool works = waiting() || paced_ || stage_ == Stage::durable;
    if (works && !aborted_ && owner_.context_.now - told_at_ >= receive_progress_interval) {
        answer(wire::SnapshotVerdict::progress);
    }
}

void Checkpoints::ReceiveJob::take(Link& link, const wire::SnapshotSlice& slice) {
    if (owed_to_ != link.place()) {
        owed_to_ = link.place();
        owed_credit_ = 0;
    }
    owed_credit_ += link.withhold();
    if (slice.offset + slice.data.size() > record_.bytes || received_.size() + slice.data.size() > 2 * send_window_bytes) {
        aborted_ = true;
        return;
    }
    taken_at_ = owner_.context_.now;
    received_.insert(received_.end(), slice.data.begin(), slice.data.end());
    received_bytes_ += slice.data.size();
}

void Checkpoints::ReceiveJob::answer(wire::SnapshotVerdict verdict) {
    told_at_ = owner_.context_.now;
    if (Link* link = owner_.context_.links->link_of(replica_, from_)) {
        link->send(wire::SnapshotAnswer{range_, term_, record_.applied, written_, verdict}, wire::LinkClass::control);
    }
}

void Checkpoints::ReceiveJob::give_credit(std::uint64_t bytes) {
    bytes = std::min(bytes, owed_credit_);
    owed_credit_ -= bytes;
    Link* link = owner_.context_.links->find_origin(owed_to_);
    if (link != nullptr && bytes > 0) {
        link->grant(wire::LinkClass::snapshot, bytes);
    }
}

void Checkpoints::ReceiveJob::abort() {
    aborted_ = true;
}

void Checkpoints::ReceiveJob::finish(bool ok) {
    if (stage_ == Stage::create && operation_.op.error == env::DiskErrc::ok) {
        file_ = operation_.op.file;
    }
    if (file_ != 0) {
        owner_.context_.world.disk.close(file_);
        file_ = 0;
    }
    if (!ok && !record_.file.empty()) {
        owner_.forget_file(record_.file);
    }
    owner_.discard(std::move(loaded_.store));
    give_credit(owed_credit_);
    if (!ok) {
        answer(wire::SnapshotVerdict::refused);
    }
    stage_ = Stage::done;
}

bool Checkpoints::ReceiveJob::step() {
    paced_ = false;
    if (stage_ == Stage::done || waiting() || stage_ == Stage::durable) {
        return false;
    }
    env::Disk& disk = owner_.context_.world.disk;
    const bool completed = operation_.take();
    if (aborted_ || (completed && operation_.op.error != env::DiskErrc::ok)) {
        MARK("snapshot reception aborted");
        finish(false);
        return true;
    }
    switch (stage_) {
        case Stage::create:
            file_ = operation_.op.file;
            stage_ = Stage::receive;
            [[fallthrough]];
        case Stage::receive: {
            const bool all = written_ + received_.size() == record_.bytes;
            if (received_.size() < checkpoint_chunk_bytes && !all) {
                if (owner_.context_.now - taken_at_ < transfer_idle_max) {
                    return false;
                }
                MARK("nobody goes on with a snapshot that was begun");
                finish(false);
                return true;
            }
            BackgroundPace& pace = owner_.context_.log->pace();
            paced_ = !pace.may_go(owner_.context_.now);
            if (paced_) {
                return false;
            }
            chunk_bytes_ = std::min(received_.size(), checkpoint_chunk_bytes);
            pace.went(owner_.context_.now, chunk_bytes_);
            std::memcpy(chunk_.data(), received_.data(), chunk_bytes_);
            received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(chunk_bytes_));
            checksum_ = chain_checksum(checksum_, {chunk_.data(), chunk_bytes_});
            const std::size_t padded = round_up(chunk_bytes_, limits::block_bytes);
            std::memset(chunk_.data() + chunk_bytes_, 0, padded - chunk_bytes_);
            disk.write(operation_.op, file_, written_, {chunk_.data(), padded}, env::Durability::none);
            owner_.bytes_written_ += padded;
            stage_ = Stage::write;
            return true;
        }
        case Stage::write:
            written_ += chunk_bytes_;
            give_credit(chunk_bytes_ + kib);
            answer(wire::SnapshotVerdict::progress);
            if (written_ < record_.bytes) {
                stage_ = Stage::receive;
                return true;
            }
            if (checksum_ != record_.file_checksum) {
                MARK("received snapshot is damaged");
                finish(false);
                return true;
            }
            disk.sync_new(operation_.op, file_, record_.file);
            stage_ = Stage::sync;
            return true;
        case Stage::sync:
            disk.close(file_);
            file_ = 0;
            loading_ = true;
            stage_ = Stage::load;
            owner_.load(range_, record_, LoadSpeed::paced, [this](LoadedState state) {
                loading_ = false;
                loaded_ = std::move(state);
            });
            return true;
        case Stage::load:
            if (!loaded_.ok) {
                MARK("received snapshot does not load");
                finish(false);
                return true;
            }
            stage_ = Stage::name;
            [[fallthrough]];
        case Stage::name: {
            const std::string former = replica_.checkpoint().file;
            if (record_.applied.index > replica_.raft().appliable() || replica_.out_of_service()) {
                owner_.context_.streams->on_store_replaced(replica_);
                owner_.context_.watches->on_store_replaced(replica_);
                owner_.context_.hash_walks->on_store_replaced(replica_);
                owner_.on_store_replaced(replica_);
            }
            if (!replica_.install(record_, std::move(loaded_.store), std::move(loaded_.directory), from_, term_)) {
                finish(false);
                return true;
            }
            former_file_ = former;
            named_in_ = owner_.context_.log->open_batch();
            stage_ = Stage::durable;
            return true;
        }
        case Stage::durable:
        case Stage::done: return false;
    }
    UNREACHABLE();
}

void Checkpoints::ReceiveJob::on_durable(BatchSequence through) {
    if (stage_ != Stage::durable || through < named_in_) {
        return;
    }
    if (!former_file_.empty()) {
        owner_.forget_file(former_file_);
    }
    stage_ = Stage::done;
    give_credit(owed_credit_);
    answer(wire::SnapshotVerdict::installed);
}

}  // namespace ringfort::shard
