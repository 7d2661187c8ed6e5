// The calls of RingDisk that block: each is a job for the helper thread.
#include "base/assertion.h"
#include "uring/disk_errors.h"
#include "uring/file_calls.h"
#include "uring/ring_disk.h"

namespace ringfort::uring {

using env::DiskErrc;
using env::DiskOperation;
using env::FileId;

class SlowCall final : public HelperJob {
  public:
    enum class Kind : std::uint8_t {
        open, create, create_growing, sync_new, remove, rename, list, read_whole, replace_whole
    };

    SlowCall(RingDisk& disk, DiskOperation& op, Kind kind, std::string_view name)
        : name_(name), disk_(disk), op_(op), kind_(kind), directory_(disk.directory_) {
        disk.begin_operation(op);
    }

    void run() override {
        error_ = call();
    }

    void finish() override {
        op_.files = std::move(files_);
        op_.content = std::move(content_);
        op_.bytes = kind_ == Kind::read_whole ? op_.content.size() : opened_.bytes;
        if (kind_ == Kind::sync_new) {
            disk_.file_of(op_.file).in_flight--;
        } else {
            op_.file = opened_.fd >= 0 ? disk_.add_file(opened_.fd) : 0;
        }
        disk_.finish_operation(op_, outcome());
    }

    std::string name_;
    std::string other_name_;
    std::uint64_t bytes_{0};
    int fd_{-1};
    std::vector<std::byte> content_;

  private:
    DiskErrc outcome() const {
        if (kind_ == Kind::sync_new) {
            return sync_error(error_);
        }
        const bool reads = kind_ == Kind::open || kind_ == Kind::read_whole || kind_ == Kind::list;
        return reads ? open_error(error_) : name_error(error_);
    }
    int call() {
        switch (kind_) {
            case Kind::open: return open_direct(directory_, name_, opened_);
            case Kind::create: return create_zeroed(directory_, name_, bytes_, opened_);
            case Kind::create_growing: return create_empty(directory_, name_, bytes_, opened_);
            case Kind::sync_new: return sync_file_and_name(directory_, fd_, name_);
            case Kind::remove: return remove_file(directory_, name_);
            case Kind::rename: return rename_file(directory_, name_, other_name_);
            case Kind::list: return list_files(directory_, name_, files_);
            case Kind::read_whole: return read_small(directory_, name_, content_);
            case Kind::replace_whole: {
                const std::vector<std::byte> content = std::move(content_);
                content_.clear();
                return replace_small(directory_, name_, content);
            }
        }
        UNREACHABLE();
    }

    RingDisk& disk_;
    DiskOperation& op_;
    Kind kind_;
    int directory_;
    int error_{0};
    OpenedFile opened_;
    std::vector<env::FileInfo> files_;
};

void RingDisk::open(DiskOperation& op, std::string_view name) {
    helper_.give(std::make_unique<SlowCall>(*this, op, SlowCall::Kind::open, name));
}

void RingDisk::create(DiskOperation& op, std::string_view name, std::uint64_t bytes) {
    auto call = std::make_unique<SlowCall>(*this, op, SlowCall::Kind::create, name);
    call->bytes_ = bytes;
    helper_.give(std::move(call));
}

void RingDisk::create_growing(DiskOperation& op, std::string_view name, std::uint64_t bytes_expected) {
    auto call = std::make_unique<SlowCall>(*this, op, SlowCall::Kind::create_growing, name);
    call->bytes_ = bytes_expected;
    helper_.give(std::move(call));
}

void RingDisk::sync_new(DiskOperation& op, FileId file, std::string_view name) {
    auto call = std::make_unique<SlowCall>(*this, op, SlowCall::Kind::sync_new, name);
    OpenFile& opened = file_of(file);
    opened.in_flight++;
    call->fd_ = opened.fd;
    op.file = file;
    helper_.give(std::move(call));
}

void RingDisk::remove(DiskOperation& op, std::string_view name) {
    helper_.give(std::make_unique<SlowCall>(*this, op, SlowCall::Kind::remove, name));
}

void RingDisk::rename(DiskOperation& op, std::string_view from, std::string_view to) {
    auto call = std::make_unique<SlowCall>(*this, op, SlowCall::Kind::rename, from);
    call->other_name_ = to;
    helper_.give(std::move(call));
}

void RingDisk::list(DiskOperation& op, std::string_view directory) {
    helper_.give(std::make_unique<SlowCall>(*this, op, SlowCall::Kind::list, directory));
}

void RingDisk::read_whole(DiskOperation& op, std::string_view name) {
    helper_.give(std::make_unique<SlowCall>(*this, op, SlowCall::Kind::read_whole, name));
}

void RingDisk::replace_whole(DiskOperation& op, std::string_view name, Bytes content) {
    auto call = std::make_unique<SlowCall>(*this, op, SlowCall::Kind::replace_whole, name);
    call->content_.assign(content.begin(), content.end());
    helper_.give(std::move(call));
}

}  // namespace ringfort::uring
