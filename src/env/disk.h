// The disk as the core sees it: completion-style, one data directory, direct I/O. Two implementations: uring/ and sim/.
//
// Names are relative to the shard's data directory ("shard-0/log-000001"). Nothing here blocks: slow calls (open,
// remove, directory sync, preallocation) run elsewhere and complete like the others. Completions are delivered by
// dispatch(), in the order they were reaped, never from inside a call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace ringfort::env {

enum class DiskErrc : std::uint8_t {
    ok = 0,
    not_found,
    exists,
    no_space,        // ENOSPC, EDQUOT: an ordinary answer of create()
    read_failed,     // EIO on a read: the sector is lost
    write_failed,    // any failed or short write; the file's content is unknown now
    sync_failed,
    not_supported,   // the file system cannot do direct I/O
    access_denied,
    other,
};
std::string_view to_string(DiskErrc code);

// An open file; 0 is none.
using FileId = std::uint32_t;

struct FileInfo {
    std::string name;       // relative to the directory listed
    std::uint64_t bytes{0};
};

// One operation in flight: a member of whoever issued it, immovable until its callback ran. No allocation per I/O.
class DiskOperation {
  public:
    using Callback = void (*)(DiskOperation& operation);

    DiskOperation() = default;
    DiskOperation(Callback cb, void* ctx) : callback(cb), context(ctx) {}
    DiskOperation(const DiskOperation&) = delete;
    DiskOperation& operator=(const DiskOperation&) = delete;

    Callback callback{nullptr};
    void* context{nullptr};
    bool in_flight{false};          // set by the disk

    // Results, valid in the callback and until the next use.
    DiskErrc error{DiskErrc::ok};
    FileId file{0};                 // open, create
    std::uint64_t bytes{0};         // open, create: file size. read_whole: its size
    std::vector<FileInfo> files;    // list
    std::vector<std::byte> content; // read_whole

    void* env_link{nullptr};        // the disk's own
    std::uint64_t env_word{0};
};

enum class Durability : std::uint8_t {
    none,    // durable only after a later sync()
    dsync,   // durable, with all metadata needed to read it, when the write completes
};

class Disk {
  public:
    virtual ~Disk() = default;

    // Opens an existing file for direct reads and writes.
    virtual void open(DiskOperation& op, std::string_view name) = 0;
    // Makes a file of `bytes` zero bytes, all blocks really written, durable with its directory entry. exists: there is
    // one. Parent directories are made. Under a temporary name until complete: after a crash it is whole or absent.
    virtual void create(DiskOperation& op, std::string_view name, std::uint64_t bytes) = 0;
    // Makes an empty file for appending writes (checkpoints); durable with its name only after sync_new(). Room for about
    // `bytes_expected` is set aside until then (no_space: there is none); it may grow beyond all the same.
    virtual void create_growing(DiskOperation& op, std::string_view name, std::uint64_t bytes_expected) = 0;
    // Data, size and directory entry of a growing file are durable when it completes.
    virtual void sync_new(DiskOperation& op, FileId file, std::string_view name) = 0;
    virtual void close(FileId file) = 0;
    virtual void remove(DiskOperation& op, std::string_view name) = 0;
    // Durable when complete. Replaces `to`.
    virtual void rename(DiskOperation& op, std::string_view from, std::string_view to) = 0;
    // Files (not directories) directly in `directory`, sorted by name; an absent directory has none. Every file or an
    // error: if that is of one file, it alone is listed.
    virtual void list(DiskOperation& op, std::string_view directory) = 0;
    // Small files: read whole, replaced whole and durably (temporary file, sync, rename, directory sync).
    virtual void read_whole(DiskOperation& op, std::string_view name) = 0;
    virtual void replace_whole(DiskOperation& op, std::string_view name, Bytes content) = 0;

    // Requires: offset, size and address are multiples of limits::block_bytes; memory stays valid until the callback.
    // Short transfers are looped inside; a read beyond the end is read_failed.
    virtual void write(DiskOperation& op, FileId file, std::uint64_t offset, Bytes bytes, Durability durability) = 0;
    virtual void read(DiskOperation& op, FileId file, std::uint64_t offset, MutableBytes bytes) = 0;
    // Data sync of every write to the file that completed before this call.
    virtual void sync(DiskOperation& op, FileId file) = 0;

    // Which recipe of the design's section 5 the disk does best now: dsync per write, or plain writes and one sync
    // behind them. May change over time.
    virtual Durability preferred() const = 0;

    // Runs the callbacks of what was reaped since the last call.
    virtual void dispatch() = 0;
};

}  // namespace ringfort::env
