#include "uring/ring_disk.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assertion.h"
#include "base/bounds.h"
#include "uring/disk_errors.h"
#include "uring/file_calls.h"

namespace ringfort::uring {

using env::DiskErrc;
using env::DiskOperation;
using env::Durability;
using env::FileId;

namespace {

// The kernel moves at most INT_MAX rounded down to a page; a multiple of the block that stays clear of it.
constexpr std::size_t transfer_bytes_max = std::size_t{64} * mib;
// Larger writes are bound by the device's bandwidth: their latency says nothing about the flush.
constexpr std::size_t flush_bound_bytes = std::size_t{64} * kib;

}  // namespace

RingDisk::RingDisk(Ring& ring, Doorbell& doorbell, const TurnClock& clock, const DiskOptions& options)
    : ring_(ring), clock_(clock), directory_(options.directory), choice_(options.recipe), recipe_(options.measured),
      helper_(doorbell) {
    ASSERT(directory_ >= 0);
}

RingDisk::~RingDisk() {
    for (const OpenFile& file : files_) {
        if (file.fd >= 0) {
            ::close(file.fd);
        }
    }
}

// ---- reads, writes, syncs

void RingDisk::write(DiskOperation& op, FileId file, std::uint64_t offset, Bytes bytes, Durability durability) {
    ASSERT(!bytes.empty());
    ASSERT(offset % limits::block_bytes == 0);
    ASSERT(bytes.size() % limits::block_bytes == 0);
    ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % limits::block_bytes == 0);
    Transfer& transfer = take_transfer(op, Transfer::Kind::write, file);
    transfer.durability = durability;
    transfer.offset = offset;
    transfer.memory = const_cast<std::byte*>(bytes.data());   // only read from
    transfer.bytes_left = transfer.bytes_asked = bytes.size();
    counters_.writes++;
    counters_.dsync_writes += durability == Durability::dsync ? 1 : 0;
    counters_.bytes_written += bytes.size();
    queue(transfer);
}

void RingDisk::read(DiskOperation& op, FileId file, std::uint64_t offset, MutableBytes bytes) {
    ASSERT(!bytes.empty());
    ASSERT(offset % limits::block_bytes == 0);
    ASSERT(bytes.size() % limits::block_bytes == 0);
    ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % limits::block_bytes == 0);
    Transfer& transfer = take_transfer(op, Transfer::Kind::read, file);
    transfer.offset = offset;
    transfer.memory = bytes.data();
    transfer.bytes_left = transfer.bytes_asked = bytes.size();
    counters_.reads++;
    counters_.bytes_read += bytes.size();
    queue(transfer);
}

void RingDisk::sync(DiskOperation& op, FileId file) {
    Transfer& transfer = take_transfer(op, Transfer::Kind::sync, file);
    counters_.syncs++;
    queue(transfer);
}

RingDisk::Transfer& RingDisk::take_transfer(DiskOperation& op, Transfer::Kind kind, FileId file) {
    begin_operation(op);
    op.file = file;
    OpenFile& opened = file_of(file);
    opened.in_flight++;
    if (free_transfers_.empty()) {
        free_transfers_.push_back(&transfers_.emplace_back(this));
    }
    Transfer& transfer = *free_transfers_.back();
    free_transfers_.pop_back();
    transfer.kind = kind;
    transfer.durability = Durability::none;
    transfer.fd = opened.fd;
    transfer.bytes_left = transfer.bytes_asked = 0;
    transfer.op = &op;
    transfer.begin = monotonic_now();
    return transfer;
}

void RingDisk::queue(Transfer& transfer) {
    io_uring_sqe* sqe = ring_.next_request(&transfer.done);
    const auto bytes = static_cast<unsigned>(std::min(transfer.bytes_left, transfer_bytes_max));
    switch (transfer.kind) {
        case Transfer::Kind::read:
            io_uring_prep_read(sqe, transfer.fd, transfer.memory, bytes, transfer.offset);
            return;
        case Transfer::Kind::write:
            io_uring_prep_write(sqe, transfer.fd, transfer.memory, bytes, transfer.offset);
            sqe->rw_flags = transfer.durability == Durability::dsync ? RWF_DSYNC : 0;
            return;
        case Transfer::Kind::sync:
            io_uring_prep_fsync(sqe, transfer.fd, IORING_FSYNC_DATASYNC);
            return;
    }
    UNREACHABLE();
}

void RingDisk::on_transfer(Completion& completion, int result, std::uint32_t) {
    auto* self = static_cast<RingDisk*>(completion.context);
    // The completion is the transfer's first member.
    self->continue_transfer(reinterpret_cast<Transfer&>(completion), result);
}

void RingDisk::continue_transfer(Transfer& transfer, int result) {
    if (result == -EAGAIN || result == -EINTR) {
        queue(transfer);
        return;
    }
    if (result < 0) {
        const int error = -result;
        switch (transfer.kind) {
            case Transfer::Kind::read: finish_transfer(transfer, read_error(error)); return;
            case Transfer::Kind::write: finish_transfer(transfer, write_error(error)); return;
            case Transfer::Kind::sync: finish_transfer(transfer, sync_error(error)); return;
        }
        UNREACHABLE();
    }
    const auto moved = static_cast<std::size_t>(result);
    ASSERT(moved <= transfer.bytes_left);
    transfer.bytes_left -= moved;
    transfer.memory += moved;
    transfer.offset += moved;
    if (transfer.bytes_left == 0) {
        finish_transfer(transfer, DiskErrc::ok);
        return;
    }
    // Nothing moved, or up to an odd place: the end of the file, or a device that stopped in the middle of a block.
    if (moved == 0 || moved % limits::block_bytes != 0) {
        finish_transfer(transfer,
                        transfer.kind == Transfer::Kind::read ? DiskErrc::read_failed : DiskErrc::write_failed);
        return;
    }
    counters_.short_transfers++;
    queue(transfer);
}

void RingDisk::finish_transfer(Transfer& transfer, DiskErrc error) {
    DiskOperation& op = *transfer.op;
    if (error == DiskErrc::ok && transfer.durability == Durability::dsync &&
        transfer.bytes_asked <= flush_bound_bytes) {
        const Instant now = monotonic_now();
        recipe_.on_dsync_write(now, now - transfer.begin);
    }
    OpenFile& file = file_of(op.file);
    ASSERT(file.in_flight > 0);
    file.in_flight--;
    transfer.op = nullptr;
    free_transfers_.push_back(&transfer);
    finish_operation(op, error);
}

Durability RingDisk::preferred() const {
    switch (choice_) {
        case RecipeChoice::automatic: return recipe_.preferred(clock_.now());
        case RecipeChoice::dsync: return Durability::dsync;
        case RecipeChoice::write_then_sync: return Durability::none;
    }
    UNREACHABLE();
}

// ---- operations and files

void RingDisk::begin_operation(DiskOperation& op) {
    ASSERT(!op.in_flight);
    ASSERT(op.callback != nullptr);
    op.in_flight = true;
    op.error = DiskErrc::ok;
    op.bytes = 0;
    in_flight_++;
}

void RingDisk::finish_operation(DiskOperation& op, DiskErrc error) {
    ASSERT(op.in_flight);
    ASSERT(in_flight_ > 0);
    in_flight_--;
    op.error = error;
    ready_.push_back(&op);
}

void RingDisk::drop_ready() {
    for (DiskOperation* op : ready_) {
        op->in_flight = false;
    }
    ready_.clear();
}

void RingDisk::dispatch() {
    ASSERT(dispatching_.empty());
    dispatching_.swap(ready_);
    for (DiskOperation* op : dispatching_) {
        op->in_flight = false;
        op->callback(*op);
    }
    dispatching_.clear();
}

FileId RingDisk::add_file(int fd) {
    ASSERT(fd >= 0);
    for (std::size_t i = 0; i < files_.size(); i++) {
        if (files_[i].fd < 0) {
            files_[i] = {.fd = fd, .in_flight = 0};
            return static_cast<FileId>(i + 1);
        }
    }
    files_.push_back({.fd = fd, .in_flight = 0});
    return static_cast<FileId>(files_.size());
}

RingDisk::OpenFile& RingDisk::file_of(FileId id) {
    ASSERT(id >= 1);
    ASSERT(id <= files_.size());
    ASSERT(files_[id - 1].fd >= 0);
    return files_[id - 1];
}

void RingDisk::close(FileId file) {
    OpenFile& opened = file_of(file);
    ASSERT(opened.in_flight == 0);
    // The last close of an unlinked file frees its blocks, which takes long: through the ring, nobody waits for it.
    io_uring_prep_close(ring_.next_request(nullptr), opened.fd);
    opened.fd = -1;
}

}  // namespace ringfort::uring
