// Builds batches by the format alone, without the shard's LogStore.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.h"
#include "log/format.h"
#include "log/records.h"

namespace ringfort::test {

class BatchBuilder {
  public:
    log::DirectoryWriter directory;
    log::DirectoryWriter previous;
    std::vector<std::byte> payloads;
    log::BatchHeader header;

    BatchBuilder() {
        header.instance = 77;
        header.segment = 1;
        header.epoch = 1;
        header.epoch_begin = 1;
        header.sequence = 1;
    }
    static log::RecordHeader head(log::RecordType type, std::uint64_t range, std::uint64_t sequence) {
        log::RecordHeader out;
        out.type = type;
        out.range = range;
        out.incarnation = 1;
        out.sequence = sequence;
        return out;
    }
    // Adds to the record begun last.
    void entry(std::string_view payload, std::uint8_t kind = 1) {
        auto item = log::EntryItem::make(static_cast<std::uint32_t>(log::header_bytes + payloads.size()),
                                         payload.size(), kind);
        item.checksum = checksum(as_bytes(payload));
        directory.add_entry(item);
        const Bytes bytes = as_bytes(payload);
        payloads.insert(payloads.end(), bytes.begin(), bytes.end());
        payloads.resize(round_up<std::size_t>(payloads.size(), log::payload_alignment));
    }
    // The finished batch, in whole blocks.
    std::vector<std::byte> finish() {
        header.payload_bytes = static_cast<std::uint32_t>(payloads.size());
        header.directory_bytes = static_cast<std::uint32_t>(directory.size());
        header.copy_bytes = static_cast<std::uint32_t>(previous.size());
        header.directory_checksum = checksum(directory.bytes());
        header.copy_checksum = checksum(previous.bytes());
        header.bytes = static_cast<std::uint32_t>(round_up(header.used_bytes(), limits::block_bytes));
        log::seal_header(header);
        std::vector<std::byte> out(header.bytes);
        std::memcpy(out.data(), &header, log::header_bytes);
        const auto put = [&](std::size_t at, Bytes bytes) {
            if (!bytes.empty()) {
                std::memcpy(out.data() + at, bytes.data(), bytes.size());
            }
        };
        put(log::header_bytes, payloads);
        put(header.directory_offset(), directory.bytes());
        put(header.copy_offset(), previous.bytes());
        return out;
    }
    // The batch behind this one, in the same segment.
    BatchBuilder next() const {
        BatchBuilder out;
        out.header = log::BatchHeader{};
        out.header.instance = header.instance;
        out.header.segment = header.segment;
        out.header.offset = header.offset + header.bytes;
        out.header.epoch = header.epoch;
        out.header.epoch_begin = header.epoch_begin;
        out.header.sequence = header.sequence + 1;
        out.header.durable_through = header.sequence;
        out.header.previous_checksum = header.checksum;
        out.header.previous_segment = header.segment;
        out.header.previous_offset = header.offset;
        out.header.previous_bytes = header.bytes;
        out.previous.assign(directory.bytes());
        return out;
    }
};

}  // namespace ringfort::test
