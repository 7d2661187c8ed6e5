#include "sim/disk_log.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/checksum.h"
#include "log/records.h"
#include "shard/log_segments.h"

namespace ringfort::sim {

namespace {

std::optional<log::SegmentIdentity> identity_of(const std::string& name, InstanceId instance) {
    constexpr std::string_view prefix = "shard-";
    const auto slash = name.find('/');
    if (!name.starts_with(prefix) || slash == std::string::npos) {
        return std::nullopt;
    }
    const std::string directory = name.substr(0, slash);
    const std::uint64_t number = shard::SegmentSet::parse_name(name, directory);
    std::uint32_t shard = 0;
    const char* end = directory.data() + directory.size();
    if (number == 0 || std::from_chars(directory.data() + prefix.size(), end, shard).ptr != end) {
        return std::nullopt;
    }
    return log::SegmentIdentity{instance.value, shard, number};
}

// Of one file.
void find_batches(const std::string& name, const DiskFile& file, const log::SegmentIdentity& identity,
                  std::vector<LoggedBatch>& out) {
    std::array<std::byte, limits::block_bytes> block;
    for (std::uint64_t at = 0; at + limits::block_bytes <= file.bytes();) {
        LoggedBatch batch;
        if (file.read_block(at / limits::block_bytes, block) &&
            log::read_header(block, identity, at, file.bytes(), batch.header) == log::HeaderState::valid) {
            batch.file = name;
            at += batch.header.bytes;
            out.push_back(std::move(batch));
        } else {
            at += limits::block_bytes;
        }
    }
}

// Of one log: drops what a later epoch cut off, and notes what is claimed.
void keep_what_counts(std::vector<LoggedBatch>& log) {
    std::map<std::uint64_t, std::uint64_t> epochs;   // epoch -> its first batch
    for (const LoggedBatch& batch : log) {
        epochs[batch.header.epoch] = batch.header.epoch_begin;
    }
    std::erase_if(log, [&](const LoggedBatch& batch) {
        return std::any_of(epochs.upper_bound(batch.header.epoch), epochs.end(),
                           [&](const auto& later) { return later.second <= batch.header.sequence; });
    });
    std::uint64_t claimed = 0;
    for (const LoggedBatch& batch : log) {
        claimed = std::max(claimed, batch.header.sequence % 2 == 1 ? batch.header.durable_through : 0);
    }
    std::sort(log.begin(), log.end(),
              [](const LoggedBatch& a, const LoggedBatch& b) { return a.header.sequence < b.header.sequence; });
    for (std::size_t i = 0; i < log.size(); i++) {
        const log::BatchHeader& header = log[i].header;
        log[i].claimed = header.sequence <= claimed;
        log[i].copied = i + 1 < log.size() && log[i + 1].header.sequence == header.sequence + 1 &&
                        log[i + 1].header.previous_checksum == header.checksum &&
                        log[i + 1].header.copy_checksum == header.directory_checksum;
    }
}

}  // namespace

std::vector<LoggedBatch> logged_batches(DiskMedia& media, InstanceId instance) {
    std::map<std::uint32_t, std::vector<LoggedBatch>> logs;   // by shard
    for (const std::string& name : media.names()) {
        if (const auto identity = identity_of(name, instance)) {
            find_batches(name, *media.file(name), *identity, logs[identity->shard]);
        }
    }
    std::vector<LoggedBatch> out;
    for (auto& [shard, log] : logs) {
        keep_what_counts(log);
        std::erase_if(log, [&](const LoggedBatch& batch) {
            return !media.durable(batch.file, batch.header.offset, batch.header.bytes);
        });
        out.insert(out.end(), std::make_move_iterator(log.begin()), std::make_move_iterator(log.end()));
    }
    return out;
}

std::optional<std::vector<LoggedEntry>> entries_of(DiskMedia& media, const LoggedBatch& batch) {
    const log::BatchHeader& header = batch.header;
    std::vector<std::byte> directory(header.directory_bytes);
    media.file(batch.file)->peek(header.offset + header.directory_offset(), directory);
    if (checksum(directory) != header.directory_checksum || !log::directory_is_sound(directory, header.payload_bytes)) {
        return std::nullopt;
    }
    std::vector<LoggedEntry> out;
    log::DirectoryReader reader(directory);
    for (log::Record record; reader.next(record);) {
        LogIndex index{record.entries.first};
        for (const log::EntryItem& item : record.items) {
            out.push_back({RangeId(record.header.range), index, header.offset + item.offset, item.length()});
            index = index.next();
        }
    }
    return out;
}

}  // namespace ringfort::sim
