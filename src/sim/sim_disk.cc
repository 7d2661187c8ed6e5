#include "sim/sim_disk.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::sim {

namespace {

void assert_aligned(std::uint64_t offset, const std::byte* memory, std::size_t bytes) {
    ASSERT(bytes > 0 && bytes % limits::block_bytes == 0);
    ASSERT(offset % limits::block_bytes == 0);
    ASSERT(reinterpret_cast<std::uintptr_t>(memory) % limits::block_bytes == 0);
}

// Relative, without "." and "..", as the real disk demands it.
void assert_name(std::string_view name) {
    ASSERT(!name.empty() && name.front() != '/' && name.back() != '/');
    ASSERT(name.find("..") == std::string_view::npos && name.find("//") == std::string_view::npos);
}

}  // namespace

void SimDisk::detach() {
    if (!detached_) {
        detached_ = true;
        media_.detach(*this);
        for (auto* op : reaped_) {
            op->in_flight = false;
        }
        reaped_.clear();
    }
}

DiskMedia::Task& SimDisk::begin(DiskMedia::Kind kind, env::DiskOperation& op, std::string_view name) {
    assert_name(name);
    auto& task = media_.begin(kind, *this, op);
    task.name = std::string(name);
    return task;
}

DiskMedia::Task& SimDisk::begin(DiskMedia::Kind kind, env::DiskOperation& op, env::FileId file) {
    ASSERT(file > 0 && file <= files_.size());
    auto& open = files_[file - 1];
    ASSERT(open.file != nullptr);
    auto& task = media_.begin(kind, *this, op);
    task.file = open.file;
    op.file = file;
    open.in_flight++;
    return task;
}

void SimDisk::open(env::DiskOperation& op, std::string_view name) {
    media_.submit(begin(DiskMedia::Kind::open, op, name));
}

void SimDisk::create(env::DiskOperation& op, std::string_view name, std::uint64_t bytes) {
    ASSERT(bytes > 0 && bytes % limits::block_bytes == 0);
    auto& task = begin(DiskMedia::Kind::create, op, name);
    task.bytes = bytes;
    media_.submit(task);
}

void SimDisk::create_growing(env::DiskOperation& op, std::string_view name, std::uint64_t bytes_expected) {
    DiskMedia::Task& task = begin(DiskMedia::Kind::create_growing, op, name);
    task.bytes = bytes_expected;
    media_.submit(task);
}

void SimDisk::sync_new(env::DiskOperation& op, env::FileId file, std::string_view name) {
    assert_name(name);
    auto& task = begin(DiskMedia::Kind::sync_new, op, file);
    ASSERT(task.file->growing());
    task.name = std::string(name);
    task.bytes = media_.write_sequence_;
    media_.submit(task);
}

void SimDisk::close(env::FileId file) {
    if (detached_) {
        return;
    }
    ASSERT(file > 0 && file <= files_.size());
    auto& open = files_[file - 1];
    ASSERT(open.file != nullptr);
    ASSERT(open.in_flight == 0);
    open.file.reset();
}

void SimDisk::remove(env::DiskOperation& op, std::string_view name) {
    media_.submit(begin(DiskMedia::Kind::remove, op, name));
}

void SimDisk::rename(env::DiskOperation& op, std::string_view from, std::string_view to) {
    assert_name(to);
    auto& task = begin(DiskMedia::Kind::rename, op, from);
    task.target = std::string(to);
    media_.submit(task);
}

void SimDisk::list(env::DiskOperation& op, std::string_view directory) {
    auto& task = media_.begin(DiskMedia::Kind::list, *this, op);
    task.name = std::string(directory);
    media_.submit(task);
}

void SimDisk::read_whole(env::DiskOperation& op, std::string_view name) {
    media_.submit(begin(DiskMedia::Kind::read_whole, op, name));
}

void SimDisk::replace_whole(env::DiskOperation& op, std::string_view name, Bytes content) {
    auto& task = begin(DiskMedia::Kind::replace_whole, op, name);
    task.content = DiskContent(content);
    media_.submit(task);
}

void SimDisk::write(env::DiskOperation& op, env::FileId file, std::uint64_t offset, Bytes bytes,
                    env::Durability durability) {
    assert_aligned(offset, bytes.data(), bytes.size());
    auto& task = begin(DiskMedia::Kind::write, op, file);
    // Segments are written inside their preallocated size, or their flush would have to carry metadata too.
    ASSERT(task.file->growing() || offset + bytes.size() <= task.file->bytes());
    task.offset = offset;
    task.source = bytes.data();
    task.content = DiskContent(bytes);
    task.durability = durability;
    if (media_.watcher_ != nullptr) {
        media_.watcher_->on_write(offset, bytes);
    }
    media_.submit(task);
}

void SimDisk::read(env::DiskOperation& op, env::FileId file, std::uint64_t offset, MutableBytes bytes) {
    assert_aligned(offset, bytes.data(), bytes.size());
    auto& task = begin(DiskMedia::Kind::read, op, file);
    task.offset = offset;
    task.into = bytes;
    media_.submit(task);
}

void SimDisk::sync(env::DiskOperation& op, env::FileId file) {
    auto& task = begin(DiskMedia::Kind::sync, op, file);
    task.bytes = media_.write_sequence_;
    media_.submit(task);
}

void SimDisk::dispatch() {
    ASSERT(running_.empty());
    running_.swap(reaped_);
    for (auto* op : running_) {
        op->in_flight = false;
        ASSERT(op->callback != nullptr);
        op->callback(*op);
    }
    running_.clear();
}

std::size_t SimDisk::open_files() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(files_, [](const OpenFile& open) { return open.file != nullptr; }));
}

env::FileId SimDisk::add_open(std::shared_ptr<DiskFile> file) {
    files_.push_back({std::move(file), 0});
    return static_cast<env::FileId>(files_.size());
}

void SimDisk::complete(env::DiskOperation& op) {
    reaped_.push_back(&op);
    waker_();
}

}  // namespace ringfort::sim
