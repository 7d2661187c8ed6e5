#include "log/dump.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <iterator>

#include "base/checksum.h"
#include "log/records.h"
#include "log/scan.h"

namespace ringfort::log {
namespace {

[[gnu::format(printf, 2, 3)]] void line(std::string& out, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    out.append(text, std::min(static_cast<std::size_t>(std::max(length, 0)), sizeof(text) - 1));
    out += '\n';
}

using Number = unsigned long long;

void append_nodes(std::string& out, const char* name, std::span<const NodeId> nodes) {
    if (nodes.empty()) {
        return;
    }
    out += std::string(" ") + name;
    for (const NodeId node : nodes) {
        char text[24];
        std::snprintf(text, sizeof(text), " %llx", Number{node.value});
        out += text;
    }
}

void dump_hard_state(const HardStateBody& body, std::string& out) {
    line(out, "      term %llu, vote %llx, commit %llu%s%s", Number{body.term}, Number{body.vote}, Number{body.commit},
         (body.in_doubt & doubt_until_fence) != 0 ? ", in doubt until its fence" : "",
         (body.in_doubt & doubt_found) != 0 ? ", promises found in doubt" : "");
}

void dump_checkpoint(const CheckpointBody& body, std::string& out) {
    std::string nodes;
    append_nodes(nodes, "voters", body.voters);
    append_nodes(nodes, "outgoing", body.outgoing);
    append_nodes(nodes, "learners", body.learners);
    append_nodes(nodes, "learners next", body.learners_next);
    // A file's name is bytes from the disk: only what is plain goes out.
    std::string file;
    for (const char c : body.file) {
        file += c >= ' ' && c <= '~' ? c : '?';
    }
    line(out, "      checkpoint at %llu/%llu, hash %016llx, %llu bytes, file \"%s\"%s", Number{body.applied_term},
         Number{body.applied_index}, Number{body.state_hash}, Number{body.bytes}, file.c_str(), nodes.c_str());
}

// Kinds are their writer's; these are raft's.
std::string kind_name(std::uint8_t kind) {
    constexpr const char* names[] = {"command", "noop", "configuration", "fence"};
    return kind >= 1 && kind <= std::size(names) ? names[kind - 1] : "of kind " + std::to_string(kind);
}

// Records of a batch, and which of its payloads (by offset) are damaged.
struct Records {
    Bytes directory;
    std::span<const std::uint32_t> damaged_payloads;
    bool payloads_judged{true};
};

void dump_entries(const Record& record, const Records& records, const DumpOptions& options, std::string& out) {
    if (!options.entries) {
        return;
    }
    std::uint64_t index = record.entries.first;
    for (const EntryItem& item : record.items) {
        const char* state = "";
        if (item.length() > 0 && !records.payloads_judged) {
            state = "  UNKNOWN";
        } else if (item.length() > 0 && std::binary_search(records.damaged_payloads.begin(),
                                                           records.damaged_payloads.end(), item.offset)) {
            state = "  DAMAGED";
        }
        line(out, "      entry %llu/%llu %s, %u bytes at %u, checksum %016llx%s", Number{record.entries.term},
             Number{index}, kind_name(item.kind()).c_str(), unsigned{item.length()}, unsigned{item.offset},
             Number{item.checksum}, state);
        index++;
    }
}

void dump_record(const Record& record, const Records& records, const DumpOptions& options, std::string& out) {
    const RecordHeader& head = record.header;
    if (head.type == RecordType::opening) {
        const Opening& opening = record.opening;
        line(out, "    opening: %llu replicas%s%s, cut after batch %llu of epoch %llu (segment %llu, %llu)",
             Number{opening.replicas}, opening.replicas_unknown == 1 ? " and perhaps others that were lost" : "",
             opening.begins_epoch == 1 ? ", begins an epoch" : "",
             Number{opening.cut_sequence}, Number{opening.previous_epoch}, Number{opening.cut_segment},
             Number{opening.cut_offset});
        return;
    }
    line(out, "    range %llu incarnation %llu #%llu: %s", Number{head.range}, Number{head.incarnation},
         Number{head.sequence}, std::string(to_string(head.type)).c_str());
    switch (head.type) {
        case RecordType::entries:
        case RecordType::copies:
        case RecordType::repaired:
            dump_entries(record, records, options, out);
            break;
        case RecordType::truncate:
            line(out, "      from %llu", Number{record.truncate_from});
            break;
        case RecordType::hard_state:
        case RecordType::created:
            dump_hard_state(record.hard_state, out);
            break;
        case RecordType::state:
            dump_hard_state(record.hard_state, out);
            line(out, "      last entry %llu/%llu", Number{record.last_term}, Number{record.last_index});
            break;
        case RecordType::checkpoint:
        case RecordType::snapshot_installed:
        case RecordType::removed:
        case RecordType::opening:
            break;
    }
    if (record.checkpoint) {
        dump_checkpoint(*record.checkpoint, out);
    }
}

void dump_records(const Records& records, const DumpOptions& options, std::string& out) {
    DirectoryReader reader(records.directory);
    for (Record record; reader.next(record);) {
        dump_record(record, records, options, out);
    }
}

// The batch before this one has no directory of its own any more, but this one has a copy.
void dump_previous(const SegmentScan& scan, const FoundBatch& batch, const DumpOptions& options, std::string& out) {
    const BatchHeader& header = batch.header;
    if (!batch.copy_intact || batch.copy.bytes == 0 || header.previous_bytes == 0) {
        return;
    }
    line(out, "  batch %llu lay in segment %llu at %llu, %u bytes: DAMAGED, its records as copied in the next batch:",
         Number{header.sequence - 1}, Number{header.previous_segment}, Number{header.previous_offset},
         unsigned{header.previous_bytes});
    dump_records({scan.kept(batch.copy), batch.previous_damaged_payloads, batch.previous_judged}, options, out);
}

void dump_batch(const SegmentScan& scan, const FoundBatch& batch, const DumpOptions& options, std::string& out) {
    const BatchHeader& header = batch.header;
    line(out, "  batch %llu at %llu, %u bytes: epoch %llu (from %llu), durable through %llu%s%s%s",
         Number{header.sequence}, Number{header.offset}, unsigned{header.bytes}, Number{header.epoch},
         Number{header.epoch_begin}, Number{header.durable_through},
         (header.flags & flag_epoch) != 0 ? ", begins the epoch" : "",
         (header.flags & flag_opening) != 0 ? ", opens the segment" : "",
         (header.flags & flag_seal) != 0 ? ", seal" : "");
    if (!batch.copy_intact) {
        line(out, "    DAMAGED copy of the directory before it");
    }
    if (!batch.directory_intact) {
        line(out, "    DAMAGED directory");
        return;
    }
    dump_records({scan.kept(batch.directory), batch.damaged_payloads}, options, out);
}

}  // namespace

bool guess_identity(Bytes segment, SegmentIdentity& out) {
    for (std::size_t at = 0; at + limits::block_bytes <= segment.size(); at += limits::block_bytes) {
        const auto seen = load<BatchHeader>(segment.data() + at);
        if (seen.magic != batch_magic) {
            continue;
        }
        const SegmentIdentity identity{seen.instance, seen.shard, seen.segment};
        BatchHeader header;
        if (read_header(segment.subspan(at, limits::block_bytes), identity, at, segment.size(), header) !=
            HeaderState::none) {
            out = identity;
            return true;
        }
    }
    return false;
}

void dump_segment(Bytes segment, const SegmentIdentity& identity, const DumpOptions& options, std::string& out) {
    segment = segment.first(segment.size() / limits::block_bytes * limits::block_bytes);
    line(out, "segment %llu: %llu bytes, instance %016llx, shard %u", Number{identity.segment},
         Number{segment.size()}, Number{identity.instance}, unsigned{identity.shard});
    SegmentScan scan(identity, 0);
    for (const std::uint64_t offset : options.unreadable) {
        scan.note_unreadable(offset);
    }
    for (const Stretch& stretch : scan.unreadable()) {
        line(out, "  UNREADABLE: %llu bytes at %llu; a batch that lies there is not listed, or listed as damaged",
             Number{stretch.end - stretch.begin}, Number{stretch.begin});
    }
    while (!scan.step(segment, segment.size(), SIZE_MAX)) {
    }
    if (scan.saw_newer_format()) {
        line(out, "  written by a later version");
    }
    std::uint64_t end = 0;
    for (const FoundBatch& batch : scan.batches()) {
        if (batch.header.offset > end) {
            line(out, "  %llu bytes at %llu hold no batch of this segment", Number{batch.header.offset - end},
                 Number{end});
        }
        // The copy a segment's first batch holds is of a batch elsewhere: nothing is wrong with that one.
        if (batch.header.previous_segment == identity.segment) {
            dump_previous(scan, batch, options, out);
        }
        dump_batch(scan, batch, options, out);
        end = batch.header.offset + batch.header.bytes;
    }
    line(out, "  end of batches at %llu", Number{end});
}

}  // namespace ringfort::log
