#include "log/format.h"

#include "base/assertion.h"
#include "base/checksum.h"

namespace ringfort::log {
namespace {

std::uint64_t header_checksum(Bytes block, std::uint64_t instance) {
    return checksum(block.first(header_bytes - sizeof(std::uint64_t)), instance);
}

bool sizes_fit(const BatchHeader& header, std::uint64_t segment_bytes) {
    return header.bytes % limits::block_bytes == 0 && header.bytes <= whole_batch_bytes_max &&
           header.payload_bytes % payload_alignment == 0 && header.directory_bytes % 8 == 0 &&
           header.copy_bytes % 8 == 0 && header.used_bytes() <= header.bytes &&
           header.offset + header.bytes <= segment_bytes;
}

bool zeros_are_zero(const BatchHeader& header) {
    for (const std::uint64_t zero : header.zeros) {
        if (zero != 0) {
            return false;
        }
    }
    return header.zero == 0 && header.zero2 == 0 && (header.flags & ~known_flags) == 0;
}

}  // namespace

void seal_header(BatchHeader& header) {
    ASSERT(header.sequence > 0 && header.epoch > 0);
    ASSERT(header.epoch_begin <= header.sequence && header.durable_through < header.sequence);
    header.checksum = header_checksum({reinterpret_cast<const std::byte*>(&header), header_bytes}, header.instance);
}

HeaderState read_header(Bytes block, const SegmentIdentity& identity, std::uint64_t offset,
                        std::uint64_t segment_bytes, BatchHeader& out) {
    ASSERT(block.size() >= header_bytes);
    if (load<std::uint64_t>(block.data()) != batch_magic) {
        return HeaderState::none;
    }
    BatchHeader header = load<BatchHeader>(block.data());
    if (header.instance != identity.instance || header.shard != identity.shard ||
        header.segment != identity.segment || header.offset != offset) {
        return HeaderState::none;
    }
    if (header_checksum(block, header.instance) != header.checksum) {
        return HeaderState::none;
    }
    if (header.version != format_version) {
        return header.version > format_version ? HeaderState::newer : HeaderState::none;
    }
    if (!zeros_are_zero(header) || !sizes_fit(header, segment_bytes) || header.epoch == 0 || header.sequence == 0 ||
        header.epoch > epoch_max || header.sequence > sequence_max ||
        header.epoch_begin == 0 || header.epoch_begin > header.sequence ||
        header.durable_through >= header.sequence) {
        return HeaderState::none;
    }
    out = header;
    return HeaderState::valid;
}

}  // namespace ringfort::log
