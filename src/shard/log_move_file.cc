#include "shard/log_move_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::shard {

using env::DiskErrc;

FileCopy::FileCopy(env::Disk& disk, std::string source, std::string target, std::uint64_t bytes)
    : disk_(disk), source_name_(std::move(source)), target_name_(std::move(target)), bytes_(bytes),
      op_(&on_operation, this), piece_(piece_bytes) {
    ASSERT(bytes % limits::block_bytes == 0);
    disk_.remove(op_, target_name_);
}

void FileCopy::on_operation(env::DiskOperation& op) { static_cast<FileCopy*>(op.context)->go_on(); }

void FileCopy::end(DiskErrc error) {
    for (const env::FileId file : {source_, target_}) {
        if (file != 0) {
            disk_.close(file);
        }
    }
    error_ = error;
    stage_ = Stage::done;
}

void FileCopy::step(Instant now) {
    if (patience_.waiting() && patience_.over(now)) {
        stage_ == Stage::opening ? open() : read_block();
    }
}

void FileCopy::open() {
    disk_.open(op_, source_name_);
}

void FileCopy::go_on() {
    const DiskErrc error = op_.error;
    const bool may_fail = stage_ == Stage::clearing || stage_ == Stage::opening || stage_ == Stage::reading;
    if (error != DiskErrc::ok && !may_fail) {
        end(error);
        return;
    }
    switch (stage_) {
        case Stage::clearing:
            if (error != DiskErrc::ok && error != DiskErrc::not_found) {
                end(error);
                return;
            }
            stage_ = Stage::opening;
            open();
            return;
        case Stage::opening:
            if (error != DiskErrc::ok && error != DiskErrc::not_found && !patience_.spent()) {
                patience_.wait();
                return;
            }
            if (error != DiskErrc::ok) {
                source_missing_ = error == DiskErrc::not_found;
                end(source_missing_ ? DiskErrc::ok : error);
                return;
            }
            source_ = op_.file;
            patience_.renew();
            stage_ = Stage::creating;
            disk_.create_growing(op_, target_name_, bytes_);
            return;
        case Stage::creating:
            target_ = op_.file;
            read_next();
            return;
        case Stage::reading:
            on_read();
            return;
        case Stage::writing:
            copied_ += in_piece_;
            read_next();
            return;
        case Stage::syncing:
            end(DiskErrc::ok);
            return;
        case Stage::done:
            UNREACHABLE();
    }
}

void FileCopy::read_next() {
    in_piece_ = 0;
    by_blocks_ = false;
    if (copied_ == bytes_) {
        stage_ = Stage::syncing;
        disk_.sync_new(op_, target_, target_name_);
        return;
    }
    stage_ = Stage::reading;
    disk_.read(op_, source_, copied_, piece_.span().first(std::min<std::uint64_t>(piece_bytes, bytes_ - copied_)));
}

void FileCopy::on_read() {
    const std::uint64_t wanted = std::min<std::uint64_t>(piece_bytes, bytes_ - copied_);
    if (!by_blocks_ && op_.error == DiskErrc::ok) {
        in_piece_ = wanted;
    } else if (!by_blocks_) {
        by_blocks_ = true;
    } else {
        if (op_.error != DiskErrc::ok && !patience_.spent()) {
            patience_.wait();
            return;
        }
        patience_.tried(op_.error == DiskErrc::ok);
        if (op_.error != DiskErrc::ok) {
            std::memset(piece_.data() + in_piece_, 0, limits::block_bytes);
            unreadable_blocks_++;
        }
        in_piece_ += limits::block_bytes;
    }
    if (in_piece_ < wanted) {
        read_block();
        return;
    }
    stage_ = Stage::writing;
    disk_.write(op_, target_, copied_, piece_.span().first(wanted), env::Durability::none);
}

void FileCopy::read_block() {
    disk_.read(op_, source_, copied_ + in_piece_, piece_.span().subspan(in_piece_, limits::block_bytes));
}

}  // namespace ringfort::shard
