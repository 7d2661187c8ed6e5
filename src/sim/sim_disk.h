// A shard's hold on its node's simulated disk: env::Disk over DiskMedia. Dies with the process.
#pragma once

#include <vector>

#include "env/disk.h"
#include "sim/disk_media.h"

namespace ringfort::sim {

class SimDisk final : public env::Disk {
  public:
    SimDisk(DiskMedia& media, Waker waker) : media_(media), waker_(waker) {}
    ~SimDisk() override { detach(); }
    SimDisk(const SimDisk&) = delete;
    SimDisk& operator=(const SimDisk&) = delete;

    // The process is killed: no callback runs any more, operations no longer count as in flight. What was in flight
    // lands whole, in part or not at all.
    void detach();

    void open(env::DiskOperation& op, std::string_view name) override;
    void create(env::DiskOperation& op, std::string_view name, std::uint64_t bytes) override;
    void create_growing(env::DiskOperation& op, std::string_view name, std::uint64_t bytes_expected) override;
    void sync_new(env::DiskOperation& op, env::FileId file, std::string_view name) override;
    void close(env::FileId file) override;
    void remove(env::DiskOperation& op, std::string_view name) override;
    void rename(env::DiskOperation& op, std::string_view from, std::string_view to) override;
    void list(env::DiskOperation& op, std::string_view directory) override;
    void read_whole(env::DiskOperation& op, std::string_view name) override;
    void replace_whole(env::DiskOperation& op, std::string_view name, Bytes content) override;
    void write(env::DiskOperation& op, env::FileId file, std::uint64_t offset, Bytes bytes,
               env::Durability durability) override;
    void read(env::DiskOperation& op, env::FileId file, std::uint64_t offset, MutableBytes bytes) override;
    void sync(env::DiskOperation& op, env::FileId file) override;
    env::Durability preferred() const override { return media_.profile_.preferred; }
    void dispatch() override;

    std::size_t open_files() const;
    bool has_completions() const { return !reaped_.empty(); }

  private:
    friend class DiskMedia;
    struct OpenFile {
        std::shared_ptr<DiskFile> file;   // null: closed
        std::uint32_t in_flight{0};
    };
    DiskMedia::Task& begin(DiskMedia::Kind kind, env::DiskOperation& op, std::string_view name);
    DiskMedia::Task& begin(DiskMedia::Kind kind, env::DiskOperation& op, env::FileId file);
    env::FileId add_open(std::shared_ptr<DiskFile> file);
    void complete(env::DiskOperation& op);

    DiskMedia& media_;
    Waker waker_;
    bool detached_{false};
    std::vector<OpenFile> files_;              // [FileId - 1]; ids are never reused
    std::vector<env::DiskOperation*> reaped_;  // completed, not yet dispatched
    std::vector<env::DiskOperation*> running_; // being dispatched
};

}  // namespace ringfort::sim
