// The blocking file calls of the data directory, each durable in itself where its contract says so. Run on a helper
// thread. Return 0 or an errno.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "env/disk.h"

namespace ringfort::uring {

// Names of files not yet whole end so; they are removed at start and never listed.
inline constexpr char unfinished_suffix[] = ".tmp";

struct OpenedFile {
    int fd{-1};
    std::uint64_t bytes{0};
};

int open_direct(int directory, const std::string& name, OpenedFile& file);
// All blocks written, durable with its name; EEXIST: there is one.
int create_zeroed(int directory, const std::string& name, std::uint64_t bytes, OpenedFile& file);
// Sets room for `bytes` aside, where the file system can; sync_file_and_name() gives back what was not needed.
int create_empty(int directory, const std::string& name, std::uint64_t bytes, OpenedFile& file);
int sync_file_and_name(int directory, int fd, const std::string& name);
int remove_file(int directory, const std::string& name);
int rename_file(int directory, const std::string& from, const std::string& to);
// A file that cannot be looked at fails it, and is all that is listed then.
int list_files(int directory, const std::string& name, std::vector<env::FileInfo>& files);
int read_small(int directory, const std::string& name, std::vector<std::byte>& content);
int replace_small(int directory, const std::string& name, Bytes content);
// Removes what a crash left unfinished, in the data directory and in those of its shards; the names there are durable then.
int remove_unfinished(int directory);

}  // namespace ringfort::uring
