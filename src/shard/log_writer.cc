#include "shard/log_writer.h"

#include <algorithm>
#include <bit>

#include "base/assertion.h"
#include "base/mutant.h"

namespace ringfort::shard {

// ---- FlushHistogram

void FlushHistogram::add(Duration latency) {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 4));
    const auto power = static_cast<std::size_t>(std::bit_width(ns) - 1);
    const std::size_t quarter = (ns >> (power - 2)) & 3;
    counts_[power * 4 + quarter]++;
    total_++;
    if (total_ >= 4096) {
        total_ = 0;
        for (std::uint32_t& count : counts_) {
            count /= 2;
            total_ += count;
        }
    }
}

Duration FlushHistogram::p99() const {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); i++) {
        seen += counts_[i];
        if (total_ > 0 && seen * 100 >= std::uint64_t{total_} * 99) {
            const std::uint64_t upper = (std::uint64_t{1} << (i / 4)) / 4 * (4 + i % 4 + 1);
            return Duration(static_cast<std::int64_t>(upper));
        }
    }
    return Duration(0);
}

// ---- LogWriter

LogWriter::LogWriter(env::Disk& disk, env::Clock& clock, Owner& owner)
    : disk_(disk), clock_(clock), owner_(owner), sync_(&on_sync, this) {
    for (Flight& flight : flights_) {
        flight.op.callback = &on_write;
        flight.op.context = this;
    }
}

void LogWriter::submit(std::uint64_t sequence, env::FileId file, std::uint64_t offset, Bytes bytes) {
    ASSERT(!full() && !failed_);
    ASSERT(sequence == durable_ + count_ + 1);
    Flight& next = flight(count_);
    count_++;
    const env::Durability durability = disk_.preferred();
    next.state = State::writing;
    next.sequence = sequence;
    next.file = file;
    next.dsync = durability == env::Durability::dsync;
    next.submitted = clock_.now();
    if (next.dsync) {
        flushes_++;
    }
    bytes_written_ += bytes.size();
    disk_.write(next.op, file, offset, bytes, durability);
}

void LogWriter::on_write(env::DiskOperation& op) {
    auto& self = *static_cast<LogWriter*>(op.context);
    if (self.failed_) {
        return;
    }
    if (op.error != env::DiskErrc::ok) {
        self.fail("a write to the log failed", op.error);
        return;
    }
    for (std::size_t i = 0; i < self.count_; i++) {
        Flight& flight = self.flight(i);
        if (&flight.op == &op) {
            ASSERT(flight.state == State::writing);
            flight.state = flight.dsync || MUTANT(write_without_flush) ? State::done : State::written;
        }
    }
    self.start_sync();
    self.finish_done();
}

// One sync at a time, of the file of the oldest batch that needs it; it covers what was written to that file so far.
void LogWriter::start_sync() {
    if (sync_in_flight_) {
        return;
    }
    env::FileId file = 0;
    for (std::size_t i = 0; i < count_; i++) {
        Flight& candidate = flight(i);
        if (candidate.state == State::written && (file == 0 || candidate.file == file)) {
            file = candidate.file;
            candidate.state = State::syncing;
        }
    }
    if (file != 0) {
        sync_in_flight_ = true;
        flushes_++;
        disk_.sync(sync_, file);
    }
}

void LogWriter::on_sync(env::DiskOperation& op) {
    auto& self = *static_cast<LogWriter*>(op.context);
    self.sync_in_flight_ = false;
    if (self.failed_) {
        return;
    }
    if (op.error != env::DiskErrc::ok) {
        self.fail("a flush of the log failed", op.error);
        return;
    }
    for (std::size_t i = 0; i < self.count_; i++) {
        const bool written = self.flight(i).state == State::written;
        if (self.flight(i).state == State::syncing || (MUTANT(flush_covers_later_writes) && written)) {
            self.flight(i).state = State::done;
        }
    }
    self.start_sync();
    self.finish_done();
}

void LogWriter::finish_done() {
    const std::uint64_t before = durable_;
    while (count_ > 0 && flight(0).state == State::done) {
        const Instant now = clock_.now();
        const Duration latency = now - flight(0).submitted;
        latencies_.add(latency);
        ended_.count++;
        ended_.time += latency;
        idle_since_ = now;
        ASSERT(flight(0).sequence == durable_ + 1);
        durable_ = flight(0).sequence;
        first_ = (first_ + 1) % flights_.size();
        count_--;
    }
    if (durable_ > before) {
        owner_.on_written_through(durable_);
    }
}

void LogWriter::fail(std::string_view what, env::DiskErrc error) {
    failed_ = true;
    owner_.on_write_failed(what, error);
}

Duration LogWriter::oldest(Instant now) const {
    return count_ == 0 ? Duration(0) : now - flights_[first_].submitted;
}

FlushFacts LogWriter::facts() const {
    FlushFacts out = ended_;
    out.oldest = count_ == 0 ? never : flights_[first_].submitted;
    return out;
}

}  // namespace ringfort::shard
