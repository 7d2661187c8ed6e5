#include "uring/data_directory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/aligned_buffer.h"
#include "base/assertion.h"
#include "base/bounds.h"
#include "uring/clock_source.h"
#include "uring/entropy.h"
#include "uring/file_calls.h"

namespace ringfort::uring {
namespace {

using Kind = StartFaultKind;

constexpr const char* identity_name = DataDirectory::identity_file;
constexpr char lock_name[] = "lock";

std::unexpected<StartFault> fault(Kind kind, std::string sentence) {
    return failure(StartFault{kind, std::move(sentence)});
}

std::unexpected<StartFault> unusable(const std::string& path, std::string_view what, int error) {
    return failure(directory_fault(path, what, error));
}

// mkdir -p; what is made is ours alone.
int make_directories(const std::string& path) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
            return errno;
        }
        if (slash == std::string::npos) {
            return 0;
        }
    }
}

// File systems known not to keep what was written, or to take O_DIRECT without doing it.
const char* unfit_filesystem(std::uint64_t magic) {
    constexpr std::uint64_t zfs_magic = 0x2fc12fc1;
    constexpr std::uint64_t ecryptfs_magic = 0xf15f;
    switch (magic) {
        case TMPFS_MAGIC: return "tmpfs";
        case RAMFS_MAGIC: return "ramfs";
        case zfs_magic: return "zfs";
        case ecryptfs_magic: return "ecryptfs";
        case V9FS_MAGIC: return "9p";
        default: return nullptr;
    }
}

StartResult<bool> check_filesystem(int fd, const std::string& path) {
    struct statfs status {};
    if (fstatfs(fd, &status) != 0) {
        return unusable(path, "cannot be examined", errno);
    }
    if (const char* name = unfit_filesystem(static_cast<std::uint64_t>(status.f_type))) {
        return fault(Kind::unsupported_filesystem,
                     fmt::format("data directory {} is on {}, which cannot write durably with direct I/O: use ext4, "
                                 "xfs or another file system on a disk", path, name));
    }
    const std::string name = std::string("direct-io-check") + unfinished_suffix;
    const int file = openat(fd, name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
    int error = file < 0 ? errno : 0;
    if (file >= 0) {
        const AlignedBuffer block(limits::block_bytes);
        const ssize_t written = pwrite(file, block.data(), block.size(), 0);
        error = written < 0 ? errno : (written == static_cast<ssize_t>(block.size()) ? 0 : EIO);
        close(file);
        unlinkat(fd, name.c_str(), 0);
    }
    if (error == EINVAL || error == EOPNOTSUPP) {
        return fault(Kind::unsupported_filesystem,
                     fmt::format("data directory {} is on a file system (type {:#x}) without direct I/O in blocks of "
                                 "4 KiB: use ext4, xfs or another file system on a disk", path,
                                 static_cast<std::uint64_t>(status.f_type)));
    }
    if (error != 0) {
        return unusable(path, "cannot be written to", error);
    }
    return true;
}

StartResult<int> take_lock(int directory, const DirectoryOptions& options) {
    const int fd = openat(directory, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return unusable(options.path, "cannot be written to", errno);
    }
    const Instant deadline = monotonic_now() + options.lock_patience;
    bool told = false;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        if (error != EWOULDBLOCK && error != EINTR) {
            close(fd);
            return unusable(options.path, "cannot be locked", error);
        }
        if (monotonic_now() >= deadline) {
            close(fd);
            return fault(Kind::directory_in_use,
                         fmt::format("data directory {} is in use by another process", options.path));
        }
        if (!told && options.on_wait) {
            told = true;
            options.on_wait(fmt::format("data directory {} is still held by another process or by the last writes "
                                        "of a dead one; waiting", options.path));
        }
        std::this_thread::sleep_for(20ms);
    }
    return fd;
}

StartResult<Identity> make_identity(int directory, const DirectoryOptions& options) {
    if (!options.fresh_allowed) {
        return fault(Kind::no_former_start,
                     fmt::format("data directory {} holds nothing, and --initial-cluster-state is 'existing': a member "
                                 "that lost its data comes back with 'new'", options.path));
    }
    // A directory with shards and no identity lost it: its promises must not be taken for fresh.
    for (const char* name : {"shard-0", "peers"}) {
        if (faccessat(directory, name, F_OK, 0) != 0) {
            if (errno != ENOENT) {
                return unusable(options.path, fmt::format("{} in it cannot be looked at", name), errno);
            }
            continue;
        }
        return fault(Kind::identity_damaged,
                     fmt::format("data directory {} holds shards but no identity file: restore the file, or remove "
                                 "the directory and let the node rejoin", options.path));
    }
    Identity identity;
    identity.instance = InstanceId(random_number());
    identity.cluster = options.cluster;
    identity.node = options.node;
    identity.shard_count = options.shard_count != 0 ? options.shard_count : options.shard_count_fresh;
    if (const int error = replace_small(directory, identity_name, as_bytes(encode_identity(identity))); error != 0) {
        return unusable(options.path, "cannot be written to", error);
    }
    return identity;
}

StartResult<Identity> check_identity(const std::vector<std::byte>& content, const DirectoryOptions& options) {
    const auto identity = decode_identity(as_text(content));
    if (!identity && identity.error() == IdentityErrc::newer_format) {
        return fault(Kind::newer_format, fmt::format("data directory {} was written by a newer ringfort: start that "
                                                     "version or a later one", options.path));
    }
    if (!identity) {
        return fault(Kind::identity_damaged,
                     fmt::format("data directory {}: the identity file is damaged: restore it, or remove the "
                                 "directory and let the node rejoin", options.path));
    }
    if (identity->cluster != options.cluster) {
        return fault(Kind::other_cluster,
                     fmt::format("data directory {} belongs to cluster {:016x}, but --initial-cluster and "
                                 "--initial-cluster-token say {:016x}", options.path, identity->cluster.value,
                                 options.cluster.value));
    }
    if (identity->node != options.node) {
        return fault(Kind::other_node,
                     fmt::format("data directory {} belongs to member {:016x}, but --name and --initial-cluster say "
                                 "{:016x}", options.path, identity->node.value, options.node.value));
    }
    return *identity;
}

}  // namespace

StartResult<DataDirectory> DataDirectory::open(const DirectoryOptions& options) {
    DataDirectory directory;
    directory.path_ = options.path;
    if (const int error = make_directories(options.path); error != 0) {
        return unusable(options.path, "cannot be made", error);
    }
    directory.fd_ = ::open(options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory.fd_ < 0) {
        return unusable(options.path, "cannot be opened", errno);
    }
    if (faccessat(directory.fd_, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return unusable(options.path, "cannot be written to", errno);
    }
    TRY_ASSIGN(directory.lock_fd_, take_lock(directory.fd_, options));
    TRY(check_filesystem(directory.fd_, options.path));
    if (const int error = remove_unfinished(directory.fd_); error != 0) {
        return unusable(options.path, "cannot be cleaned of unfinished files", error);
    }
    std::vector<std::byte> content;
    const int error = read_small(directory.fd_, identity_name, content);
    if (error == ENOENT) {
        TRY_ASSIGN(directory.identity_, make_identity(directory.fd_, options));
        directory.fresh_ = true;
    } else if (error != 0) {
        return unusable(options.path, "the identity file cannot be read", error);
    } else {
        TRY_ASSIGN(directory.identity_, check_identity(content, options));
    }
    return directory;
}

std::string DataDirectory::identity_with(std::uint32_t shard_count) const {
    Identity identity = identity_;
    identity.shard_count = shard_count;
    return encode_identity(identity);
}

StartResult<bool> DataDirectory::remove_retired_shards() const {
    for (std::size_t shard = identity_.shard_count; shard < limits::shards_max; shard++) {
        const std::string name = fmt::format("shard-{}", shard);
        if (faccessat(fd_, name.c_str(), F_OK, 0) != 0) {
            continue;
        }
        std::vector<env::FileInfo> files;
        int error = list_files(fd_, name, files);
        for (std::size_t i = 0; i < files.size() && error == 0; i++) {
            error = remove_file(fd_, name + "/" + files[i].name);
        }
        if (error == 0 && unlinkat(fd_, name.c_str(), AT_REMOVEDIR) != 0) {
            error = errno;
        }
        if (error != 0) {
            return unusable(path_, fmt::format("{}, which is no longer in use, cannot be removed", name), error);
        }
    }
    return true;
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)),
      lock_fd_(std::exchange(other.lock_fd_, -1)), identity_(other.identity_),
      fresh_(other.fresh_) {}

DataDirectory::~DataDirectory() {
    if (fd_ >= 0) {
        close(fd_);
    }
    if (lock_fd_ >= 0) {
        close(lock_fd_);
    }
}

}  // namespace ringfort::uring
