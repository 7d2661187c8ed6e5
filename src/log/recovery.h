// What counts of a log's batches, and what is damage: the decision table.
//
// Batches are judged in the order of their sequence, from the oldest kept. Four facts decide about batch N:
//   header     N's header is intact and N is of the newest epoch that began at or before N
//   directory  N's own is intact; or its copy in batch N+1 is; or neither
//   payloads   all have the checksum the directory says
//   claimed    N was durable: an intact header that counts says durable_through >= N, or a later epoch begins above N;
//              or it must be taken for durable: the disk cannot read a block of it
// The table is `decision_table` in recovery.cc. Everything from the first cut on counts for nothing.
//
// Blocks that cannot be read. A torn write leaves no read error behind, so a batch with one is damage and never cut. Where
// it lies is known by its own header, or by the next one's; else it began behind the batch before it, or a segment further
// on. So the log's end is not believed if the block behind the last batch, or the first block of any later segment, cannot
// be read: what may lie there is `hidden_end`, lost like a lost batch, but without a number: the next epoch begins at it,
// and so what is hidden counts for nothing should the disk read again. A segment that was only prepared hides nothing, but
// nobody can tell: its bad first block counts, too.
// Two other ways: to end the log at the first such block, as at a torn batch, forgets what was answered for without a
// word. To refuse every start until the disk reads costs no rebuilding after an error that passes, but one bad sector
// stops a node for ever that its peers could mend; so only a start that nobody could mend is refused (LogStore).
// What remains: a rotten last batch of which the headers that call it durable cannot be read is cut.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "log/run_list.h"
#include "log/scan.h"

namespace ringfort::log {

enum class DirectoryState : std::uint8_t { own, copy, lost };

struct Finding {
    bool header{false};
    DirectoryState directory{DirectoryState::lost};
    bool payloads{false};   // without a directory: false
    bool claimed{false};
    bool operator==(const Finding&) const = default;
};

enum class Verdict : std::uint8_t {
    intact,             // replay it
    healed,             // replay it by the copy of its directory
    damaged_payloads,   // replay it; some entries are known by id and checksum only
    lost,               // was durable, and what it held is unknown
    cut,                // nobody was ever answered for it
    impossible,
};
// Every finding has exactly one row.
Verdict decide(const Finding& finding);
std::string_view to_string(Verdict verdict);
// The prose of the row that decides.
std::string_view reason(const Finding& finding);

// A batch that counts, in order.
struct JudgedBatch {
    Verdict verdict{Verdict::lost};
    Finding finding;
    bool unreadable{false};      // blocks of it, or of what lies where it should: `claimed` by that alone perhaps
    BatchPlace place;            // sequence always; the rest is 0 if unknown
    std::uint64_t checksum{0};   // of its header; 0: unknown
    Bytes directory;             // views of the scans' kept bytes
    bool payloads_judged{true};  // false: its payloads could not be looked at any more, and are taken for damaged
    std::span<const std::uint32_t> damaged_payloads;
    std::span<const KeptPayload> kept_payloads;
    const SegmentScan* kept_by{nullptr};

    // An empty payload is never damaged: it has no bytes of its own, and its place is that of the next one.
    bool payload_damaged(const EntryItem& item) const;
    // The payload kept by the scan; nothing if its kind was not asked for.
    Bytes kept_payload(const EntryItem& item) const;
};

struct Judgement {
    std::vector<JudgedBatch> batches;   // by sequence, without gaps
    bool hidden_end{false};             // behind the last of them may lie more: the disk cannot read it
    bool start_lost{false};             // the first of them does not begin a segment: older state is unknown
    bool newer_format{false};           // written by a later version: must not be touched
    std::uint64_t newest_epoch{0};      // seen anywhere, whether it counts or not
    std::uint64_t dropped{0};           // batches with an intact header that count for nothing
    std::deque<SegmentScan> rereads;    // what judge_payloads() found
    bool empty() const { return batches.empty(); }
};

// Requires: scans by segment number, each done; they outlive the judgement.
Judgement judge(std::span<const SegmentScan> scans);

// A batch known only by the copy in the next segment: its payloads could not be judged while that was scanned. `bytes`
// is the batch's place, read again. Requires: batch.payloads_judged is false, bytes.size() is place.bytes.
void judge_payloads(Judgement& judgement, std::size_t batch, Bytes bytes, std::uint32_t kept_kinds);

}  // namespace ringfort::log
