// Scan, judgement, replay and dump of any bytes as a log of up to three segments.
//
// Input: one byte of switches, then the segments. Checksums stop a mutation at the first gate, so on a switch the target
// makes them right again: then it is the sizes, counts, offsets and sequences that lie.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/assertion.h"
#include "base/checksum.h"
#include "log/dump.h"
#include "log/recovery.h"
#include "log/replay.h"

using namespace ringfort;

namespace {

constexpr std::uint64_t instance = 77;

// Whatever looks like a batch becomes one of this segment and place, with right checksums.
void make_checksums_right(std::vector<std::byte>& segment, std::uint64_t number) {
    for (std::size_t at = 0; at + limits::block_bytes <= segment.size(); at += limits::block_bytes) {
        auto header = load<log::BatchHeader>(segment.data() + at);
        if (header.magic != log::batch_magic) {
            continue;
        }
        header.instance = instance;
        header.shard = 0;
        header.segment = number;
        header.offset = at;
        const std::size_t left = segment.size() - at;
        if (header.used_bytes() <= left) {
            const Bytes bytes = Bytes(segment).subspan(at);
            header.directory_checksum = checksum(bytes.subspan(header.directory_offset(), header.directory_bytes));
            header.copy_checksum = checksum(bytes.subspan(header.copy_offset(), header.copy_bytes));
        }
        header.checksum = checksum({reinterpret_cast<const std::byte*>(&header), log::header_bytes - 8}, instance);
        store(segment.data() + at, header);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::uint8_t switches = data[0];
    const std::size_t count = 1 + (switches >> 1) % 3;
    const std::size_t share = round_up<std::size_t>((size - 1) / count + 1, limits::block_bytes);
    std::vector<log::SegmentScan> scans;
    std::vector<std::vector<std::byte>> segments(count);
    std::string text;
    for (std::size_t i = 0; i < count; i++) {
        segments[i].resize(share);
        const std::size_t begin = std::min(1 + i * share, size);
        std::memcpy(segments[i].data(), data + begin, std::min(share, size - begin));
        if ((switches & 1) != 0) {
            make_checksums_right(segments[i], i + 1);
        }
        log::SegmentIdentity identity{instance, 0, i + 1};
        scans.emplace_back(identity, 0xffff'ffff);
        while (!scans.back().step(segments[i], share, 8192)) {
        }
        log::dump_segment(segments[i], identity, {}, text);
        log::guess_identity(segments[i], identity);
    }
    log::Judgement judgement = log::judge(scans);
    ASSERT(judgement.batches.size() <= 4 * (size / limits::block_bytes + 4));
    for (std::size_t i = 0; i < judgement.batches.size(); i++) {
        const log::JudgedBatch& batch = judgement.batches[i];
        if (!batch.payloads_judged) {
            log::judge_payloads(judgement, i, std::vector<std::byte>(batch.place.bytes), 0xffff'ffff);
        }
    }
    log::Replay replay(judgement);
    while (!replay.step(100)) {
    }
    for (const log::ReplayedReplica& replica : replay.replicas()) {
        std::uint64_t end = 0;
        for (const log::EntryRun& run : replica.runs) {
            ASSERT(end == 0 || run.first == end);
            ASSERT(replay.items_of(run).size() == run.count);
            end = run.end();
        }
    }
    return 0;
}
