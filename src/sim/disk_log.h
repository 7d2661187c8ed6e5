// A node's logs as they lie on its medium: which batches there are, where, and what a byte of one belongs to. Looks at
// headers and directories only, so that a look is cheap beside what the node itself does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "log/format.h"
#include "sim/disk_media.h"

namespace ringfort::sim {

struct LoggedEntry {
    RangeId range{};
    LogIndex index{};
    std::uint64_t offset{0};   // of the payload in the file
    std::uint32_t bytes{0};
};

struct LoggedBatch {
    std::string file;
    log::BatchHeader header;
    // A later batch says that it was durable: whatever becomes of it, it is not taken for one that never was. That batch
    // has an odd number (see `may_lose_header()`).
    bool claimed{false};
    bool copied{false};   // its directory stands in the next batch as well

    std::uint64_t end() const { return header.offset + header.bytes; }
    // A batch's directory stands in it and in the next one, whose header says where. As long as headers, directories and
    // copies are harmed in batches of even number only, each directory is whole in one of its places.
    bool may_lose_header() const { return claimed && copied && header.sequence % 2 == 0; }
};

// Of every log of the node: the batches with an intact header that count, by log and number. What is not durable is not
// seen.
std::vector<LoggedBatch> logged_batches(DiskMedia& media, InstanceId instance);
// What it holds by its own directory; nothing if that is not intact.
std::optional<std::vector<LoggedEntry>> entries_of(DiskMedia& media, const LoggedBatch& batch);

}  // namespace ringfort::sim
