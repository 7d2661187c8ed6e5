// The node's data directory: made, checked and locked before any shard runs.
//
// One process at a time: an exclusive flock on the file `lock`. Its descriptor is also registered in every ring, so that
// after a kill the kernel frees the lock only when the dead process's last write has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/instant.h"
#include "uring/identity.h"
#include "uring/start_fault.h"

namespace ringfort::uring {

struct DirectoryOptions {
    std::string path;
    ClusterId cluster{};
    NodeId node{};
    // Of a fresh directory; 0: `shard_count_fresh`. Another one keeps what it has until its replicas have been moved.
    std::uint32_t shard_count{0};
    std::uint32_t shard_count_fresh{1};
    // false: a directory that holds nothing is refused.
    bool fresh_allowed{true};
    Duration lock_patience{10s};
    // Told, once, that another process holds the lock and that this one waits.
    std::function<void(const std::string& sentence)> on_wait{};
};

class DataDirectory {
  public:
    static StartResult<DataDirectory> open(const DirectoryOptions& options);
    DataDirectory(DataDirectory&& other) noexcept;
    DataDirectory& operator=(DataDirectory&&) = delete;
    ~DataDirectory();

    int fd() const { return fd_; }
    int lock_fd() const { return lock_fd_; }
    const Identity& identity() const { return identity_; }
    // Made by this start: nothing was ever promised from it.
    bool fresh() const { return fresh_; }

    // The identity file, and its content for another shard count. Whoever has moved the replicas replaces the one by the
    // other, and then says so here.
    static constexpr char identity_file[] = "identity";
    std::string identity_with(std::uint32_t shard_count) const;
    void note_shard_count(std::uint32_t shard_count) { identity_.shard_count = shard_count; }
    // Removes what shards held that there are no more.
    StartResult<bool> remove_retired_shards() const;

  private:
    DataDirectory() = default;

    std::string path_;
    int fd_{-1};
    int lock_fd_{-1};
    Identity identity_;
    bool fresh_{false};
};

}  // namespace ringfort::uring
