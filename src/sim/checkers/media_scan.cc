#include "sim/checkers/media_scan.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/assertion.h"
#include "log/recovery.h"
#include "log/replay.h"
#include "log/scan.h"
#include "shard/checkpoint_file.h"

namespace ringfort::sim {

namespace {

constexpr std::size_t step_bytes = 64 * mib;
constexpr std::size_t step_records = 1'000'000;

std::string directory_of(std::uint32_t shard) { return "shard-" + std::to_string(shard); }

std::vector<log::SegmentScan> scan(DiskMedia& media, std::uint32_t shard, std::uint64_t instance) {
    const std::string prefix = directory_of(shard) + "/log-";
    std::vector<log::SegmentScan> out;
    std::vector<std::byte> content;
    for (const std::string& name : media.names()) {   // sorted: by number
        if (!name.starts_with(prefix)) {
            continue;
        }
        std::uint64_t number = 0;
        std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number, 16);
        // The zeros that follow hold no batch. A crash may have left a part of a block.
        const DiskFile& file = *media.file(name);
        const auto used = round_up<std::uint64_t>(file.used_bytes(), limits::block_bytes);
        content.resize(std::min(used, file.bytes() / limits::block_bytes * limits::block_bytes));
        file.peek(0, content);
        out.emplace_back(log::SegmentIdentity{instance, shard, number}, 0);
        while (!out.back().step(content, content.size(), step_bytes)) {
        }
    }
    return out;
}

std::string check_verdicts(const log::Judgement& judgement, const std::string& where, std::uint64_t durable) {
    for (const log::JudgedBatch& batch : judgement.batches) {
        if (batch.verdict != log::Verdict::intact && batch.payloads_judged) {
            return where + "batch " + std::to_string(batch.place.sequence) + " is " +
                   std::string(log::to_string(batch.verdict)) + ", and the disk was never damaged";
        }
    }
    const std::uint64_t last = judgement.empty() ? 0 : judgement.batches.back().place.sequence;
    return last == durable ? std::string{}
                           : where + "a start would find batches through " + std::to_string(last) + ", and " +
                                 std::to_string(durable) + " are durable";
}

std::string check_entries(const log::Replay& replay, const log::ReplayedReplica& found, const MediaLog::Replica& known) {
    LogIndex index = known.base.index.next();
    for (const log::EntryRun& run : found.runs) {
        if (LogIndex(run.first) != index) {
            return "entry " + std::to_string(index.value) + " cannot be found";
        }
        for (const log::EntryItem& item : replay.items_of(run)) {
            if (index > known.last().index) {
                return "entry " + std::to_string(index.value) + " is one too many";
            }
            const MediaLog::Replica::Entry& entry = known.entries[distance(known.base.index, index) - 1];
            if ((entry.term && entry.term != Term(run.term)) || (entry.checksum && entry.checksum != item.checksum)) {
                return "entry " + std::to_string(index.value) + " is another";
            }
            index = index.next();
        }
    }
    return index == known.last().index.next() ? std::string{} : "entry " + std::to_string(index.value) + " cannot be found";
}

std::string check_replica(const log::Replay& replay, const log::ReplayedReplica& found, const MediaLog::Replica& known) {
    if (found.in_doubt != known.doubt_found) {
        return "its promises would be in doubt";
    }
    if (Term(found.hard_state.term) != known.promises.term || NodeId(found.hard_state.vote) != known.promises.vote ||
        Incarnation(found.incarnation) != known.promises.incarnation) {
        return "its promises are others";
    }
    const LogIndex covered(found.checkpoint ? found.checkpoint->body.applied_index : 0);
    if (covered != known.base.index || (found.checkpoint && found.checkpoint->file != known.checkpoint_file)) {
        return "its checkpoint is another";
    }
    if (!found.damaged.empty()) {
        return "entry " + std::to_string(found.damaged.front()) + " is damaged";
    }
    return check_entries(replay, found, known);
}

// The file is what its record says: length and chained checksum.
std::string check_checkpoint(DiskMedia& media, const log::OwnedCheckpoint& checkpoint) {
    if (checkpoint.file.empty()) {
        return {};
    }
    DiskFile* file = media.file(checkpoint.file);
    if (file == nullptr || file->bytes() < checkpoint.body.bytes) {
        return "its checkpoint " + checkpoint.file + " is missing or too short";
    }
    if (!media.durable(checkpoint.file, 0, file->bytes())) {
        return "its checkpoint " + checkpoint.file + " is not durable";
    }
    const std::vector<std::byte> content = file->content();
    const Bytes stream = Bytes(content).first(checkpoint.body.bytes);
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < stream.size(); at += shard::checkpoint_chunk_bytes) {
        sum = shard::chain_checksum(sum, stream.subspan(at, std::min(shard::checkpoint_chunk_bytes, stream.size() - at)));
    }
    return sum == checkpoint.body.file_checksum ? std::string{} : "its checkpoint " + checkpoint.file + " is damaged";
}

}  // namespace

std::string check_media(DiskMedia& media, std::uint32_t shard, const MediaLog& log) {
    ASSERT(media.sound() && !log.waits());
    const std::string where = "the log of shard " + std::to_string(shard) + ", read again: ";
    const std::vector<log::SegmentScan> scans = scan(media, shard, log.instance());
    const log::Judgement judgement = log::judge(scans);
    std::string wrong = check_verdicts(judgement, where, log.durable());
    if (!wrong.empty()) {
        return wrong;
    }
    log::Replay replay(judgement);
    while (!replay.step(step_records)) {
    }
    if (replay.replicas().size() != log.replicas().size()) {
        return where + std::to_string(replay.replicas().size()) + " replicas are found, and " +
               std::to_string(log.replicas().size()) + " are there";
    }
    for (const log::ReplayedReplica& found : replay.replicas()) {
        const MediaLog::Replica* known = log.find(RangeId(found.range));
        wrong = known == nullptr ? "nobody knows of it" : check_replica(replay, found, *known);
        wrong = wrong.empty() && found.checkpoint ? check_checkpoint(media, *found.checkpoint) : wrong;
        if (!wrong.empty()) {
            return where + "range " + std::to_string(found.range) + ": " + wrong;
        }
    }
    return {};
}

}  // namespace ringfort::sim
