#include "uring/file_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::uring {
namespace {

// Directories of shards begin so. What else lies in a data directory, as lost+found where one is mounted, is not ours.
constexpr std::string_view shard_prefix = "shard-";

class Fd {
  public:
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    explicit operator bool() const { return fd_ >= 0; }

  private:
    int fd_;
};

std::string parent_of(const std::string& name) {
    const std::size_t slash = name.rfind('/');
    return slash == std::string::npos ? "." : name.substr(0, slash);
}

int sync_directory(int directory, const std::string& name) {
    const Fd fd(openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) {
        return errno;
    }
    return 0;
}

// Every directory on the way to `name`, durable in its own parent before anything is put into it.
int make_parents(int directory, const std::string& name) {
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
        const std::string parent = name.substr(0, slash);
        if (mkdirat(directory, parent.c_str(), 0700) == 0) {
            if (const int error = sync_directory(directory, parent_of(parent)); error != 0) {
                return error;
            }
        } else if (errno != EEXIST) {
            return errno;
        }
    }
    return 0;
}

int write_all(int fd, Bytes bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return 0;
}

int write_zeros(int fd, std::uint64_t bytes) {
    // Asking for the space first keeps the file in one piece and meets a full disk before anything is written.
    if (bytes > 0 && fallocate(fd, 0, 0, static_cast<off_t>(bytes)) != 0 && errno != EOPNOTSUPP) {
        return errno;
    }
    const AlignedBuffer zeros(std::size_t{256} * kib);
    for (std::uint64_t at = 0; at < bytes;) {
        const std::size_t count = std::min<std::uint64_t>(zeros.size(), bytes - at);
        if (const int error = write_all(fd, zeros.span().first(count), at); error != 0) {
            return error;
        }
        at += count;
    }
    return fdatasync(fd) == 0 ? 0 : errno;
}

// What cannot be looked at is not left out: for the log a file left out is one that never was.
int add_if_file(int directory, const dirent& entry, std::vector<env::FileInfo>& files) {
    const std::string_view name = entry.d_name;
    if ((entry.d_type != DT_REG && entry.d_type != DT_UNKNOWN) || name.ends_with(unfinished_suffix)) {
        return 0;
    }
    struct stat status {};
    if (fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : errno;   // removed meanwhile
    }
    if (S_ISREG(status.st_mode)) {
        files.push_back({std::string(name), static_cast<std::uint64_t>(status.st_size)});
    }
    return 0;
}

DIR* open_to_read(int directory, const char* name) {
    const int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = fd < 0 ? nullptr : fdopendir(fd);
    if (fd >= 0 && stream == nullptr) {
        const int error = errno;
        close(fd);
        errno = error;
    }
    return stream;
}

// What is read here from now on must stay though the power be cut: a process that was killed may have renamed a file and
// not have come to make that durable.
int remove_unfinished_in(int directory, const char* name) {
    DIR* stream = open_to_read(directory, name);
    if (stream == nullptr) {
        return errno;
    }
    int error = 0;
    while (const dirent* entry = error == 0 ? readdir(stream) : nullptr) {
        const bool unfinished = entry->d_type != DT_DIR && std::string_view(entry->d_name).ends_with(unfinished_suffix);
        if (unfinished && unlinkat(dirfd(stream), entry->d_name, 0) != 0 && errno != EISDIR) {
            error = errno;
        }
    }
    if (error == 0 && fsync(dirfd(stream)) != 0) {
        error = errno;
    }
    closedir(stream);
    return error;
}

}  // namespace

int open_direct(int directory, const std::string& name, OpenedFile& file) {
    Fd fd(openat(directory, name.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0) {
        return errno;
    }
    file.bytes = static_cast<std::uint64_t>(status.st_size);
    file.fd = fd.release();
    return 0;
}

int create_zeroed(int directory, const std::string& name, std::uint64_t bytes, OpenedFile& file) {
    ASSERT(bytes % limits::block_bytes == 0);
    if (faccessat(directory, name.c_str(), F_OK, 0) == 0) {
        return EEXIST;
    }
    if (const int error = make_parents(directory, name); error != 0) {
        return error;
    }
    const std::string unfinished = name + unfinished_suffix;
    Fd fd(openat(directory, unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600));
    if (!fd) {
        return errno;
    }
    int error = write_zeros(fd.get(), bytes);
    if (error == 0 &&
        renameat2(directory, unfinished.c_str(), directory, name.c_str(), RENAME_NOREPLACE) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlinkat(directory, unfinished.c_str(), 0);
        return error;
    }
    error = sync_directory(directory, parent_of(name));
    if (error == 0) {
        file.bytes = bytes;
        file.fd = fd.release();
    }
    return error;
}

int create_empty(int directory, const std::string& name, std::uint64_t bytes, OpenedFile& file) {
    if (const int error = make_parents(directory, name); error != 0) {
        return error;
    }
    Fd fd(openat(directory, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600));
    if (!fd) {
        return errno;
    }
    const auto length = static_cast<off_t>(std::min<std::uint64_t>(bytes, INT64_MAX));
    if (length > 0 && fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, length) != 0 && errno != EOPNOTSUPP) {
        const int error = errno;
        unlinkat(directory, name.c_str(), 0);
        return error;
    }
    file = {.fd = fd.release(), .bytes = 0};
    return 0;
}

int sync_file_and_name(int directory, int fd, const std::string& name) {
    struct stat status {};
    // The size stays: blocks set aside beyond it go.
    if (fstat(fd, &status) != 0 || ftruncate(fd, status.st_size) != 0 || fsync(fd) != 0) {
        return errno;
    }
    return sync_directory(directory, parent_of(name));
}

int remove_file(int directory, const std::string& name) {
    if (unlinkat(directory, name.c_str(), 0) != 0) {
        return errno;
    }
    return sync_directory(directory, parent_of(name));
}

int rename_file(int directory, const std::string& from, const std::string& to) {
    if (const int error = make_parents(directory, to); error != 0) {
        return error;
    }
    if (renameat(directory, from.c_str(), directory, to.c_str()) != 0) {
        return errno;
    }
    if (const int error = sync_directory(directory, parent_of(to)); error != 0) {
        return error;
    }
    return parent_of(from) == parent_of(to) ? 0 : sync_directory(directory, parent_of(from));
}

int list_files(int directory, const std::string& name, std::vector<env::FileInfo>& files) {
    files.clear();
    DIR* stream = open_to_read(directory, name.empty() ? "." : name.c_str());
    if (stream == nullptr) {
        return errno == ENOENT ? 0 : errno;
    }
    int error = 0;
    while (error == 0) {
        errno = 0;
        const dirent* entry = readdir(stream);
        if (entry == nullptr) {
            error = errno;
            break;
        }
        error = add_if_file(dirfd(stream), *entry, files);
        if (error != 0) {
            files.assign(1, {entry->d_name, 0});   // alone
        }
    }
    closedir(stream);
    std::sort(files.begin(), files.end(),
              [](const env::FileInfo& a, const env::FileInfo& b) { return a.name < b.name; });
    return error;
}

int read_small(int directory, const std::string& name, std::vector<std::byte>& content) {
    content.clear();
    const Fd fd(openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0) {
        return errno;
    }
    content.resize(static_cast<std::size_t>(status.st_size));
    std::size_t at = 0;
    while (at < content.size()) {
        const ssize_t got = pread(fd.get(), content.data() + at, content.size() - at, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : EIO;   // it shrank under us: nobody else may write here
        }
        at += static_cast<std::size_t>(got);
    }
    return 0;
}

int replace_small(int directory, const std::string& name, Bytes content) {
    if (const int error = make_parents(directory, name); error != 0) {
        return error;
    }
    const std::string unfinished = name + unfinished_suffix;
    const Fd fd(openat(directory, unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) {
        return errno;
    }
    int error = write_all(fd.get(), content, 0);
    if (error == 0 && fsync(fd.get()) != 0) {
        error = errno;
    }
    if (error == 0 && renameat(directory, unfinished.c_str(), directory, name.c_str()) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlinkat(directory, unfinished.c_str(), 0);
        return error;
    }
    return sync_directory(directory, parent_of(name));
}

int remove_unfinished(int directory) {
    if (const int error = remove_unfinished_in(directory, "."); error != 0) {
        return error;
    }
    DIR* stream = open_to_read(directory, ".");
    if (stream == nullptr) {
        return errno;
    }
    int error = 0;
    while (const dirent* entry = error == 0 ? readdir(stream) : nullptr) {
        const bool may_be_directory = entry->d_type == DT_UNKNOWN || entry->d_type == DT_DIR;
        if (may_be_directory && std::string_view(entry->d_name).starts_with(shard_prefix)) {
            error = remove_unfinished_in(directory, entry->d_name);
            error = error == ENOTDIR ? 0 : error;
        }
    }
    closedir(stream);
    return error;
}

}  // namespace ringfort::uring
