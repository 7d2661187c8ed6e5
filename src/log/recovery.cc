#include "log/recovery.h"

#include <algorithm>
#include <optional>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"

namespace ringfort::log {
namespace {

struct Row {
    std::optional<bool> header;                // nothing: either
    std::optional<DirectoryState> directory;
    std::optional<bool> payloads;
    std::optional<bool> claimed;
    Verdict verdict;
    std::string_view reason;

    bool matches(const Finding& f) const {
        return (!header || *header == f.header) && (!directory || *directory == f.directory) &&
               (!payloads || *payloads == f.payloads) && (!claimed || *claimed == f.claimed);
    }
};

constexpr std::optional<bool> either_way = std::nullopt;
using enum DirectoryState;

// Rows do not overlap, and every finding has one; the tests enumerate all.
constexpr Row decision_table[] = {
    // header, directory, payloads, claimed
    {false, own, either_way, either_way, Verdict::impossible,
     "a directory of its own is found only through its header"},
    {either_way, lost, true, either_way, Verdict::impossible,
     "payloads cannot be judged without a directory"},

    {true, own, true, either_way, Verdict::intact,
     "all of it is there: it counts, also if it was not durable when the log ended; it is synced before it is used"},

    {true, copy, true, true, Verdict::healed,
     "it was durable; its directory rotted, and the next batch has the copy"},
    {false, copy, true, true, Verdict::healed,
     "it was durable; its header rotted, and the next batch has the copy of its directory and says where it lies"},
    {true, own, false, true, Verdict::damaged_payloads,
     "it was durable; payloads rotted, the directory says which"},
    {true, copy, false, true, Verdict::damaged_payloads,
     "it was durable; payloads and directory rotted, the copy of the directory says which entries they were"},
    {false, copy, false, true, Verdict::damaged_payloads,
     "it was durable; most of it rotted, the copy of the directory says what it held"},
    {either_way, lost, false, true, Verdict::lost,
     "it was durable; directory and copy rotted: nobody knows what it held"},

    {true, own, false, false, Verdict::cut,
     "a torn write: a payload is missing and nobody was answered for it"},
    {true, copy, either_way, false, Verdict::cut,
     "a torn write: the directory is missing and nobody was answered for it, whatever arrived behind it"},
    {false, copy, either_way, false, Verdict::cut,
     "a torn write: the header is missing and nobody was answered for it, whatever arrived behind it"},
    {either_way, lost, false, false, Verdict::cut,
     "the log's end, or a torn write: nobody was answered for it"},
};

const Row& row_of(const Finding& finding) {
    for (const Row& row : decision_table) {
        if (row.matches(finding)) {
            return row;
        }
    }
    UNREACHABLE();
}

// An intact header, and where it was found.
struct Candidate {
    const FoundBatch* batch{nullptr};
    const SegmentScan* scan{nullptr};
    std::uint64_t sequence() const { return batch->header.sequence; }
    std::uint64_t epoch() const { return batch->header.epoch; }
};

// Epochs by number with their first sequence. A later epoch never begins below an earlier one: its start counted it.
struct EpochBegin {
    std::uint64_t epoch{0};
    std::uint64_t begin{0};
};

class Judge {
  public:
    explicit Judge(std::span<const SegmentScan> scans) : scans_(scans) {}

    Judgement run() {
        collect();
        drop_what_lies_behind_cuts();
        if (counted_.empty()) {
            out_.hidden_end = hidden_behind_last();
        } else {
            walk();
            note_start();
        }
        return std::move(out_);
    }

  private:
    void collect();
    void drop_what_lies_behind_cuts();
    void walk();
    void note_start();
    bool counts(const Candidate& candidate) const;
    bool readable(std::uint64_t segment, std::uint64_t begin, std::uint64_t end) const;
    bool hidden_behind_last() const;
    bool is_unreadable(const Candidate* own, const Candidate* next) const;
    JudgedBatch examine(std::uint64_t sequence, const Candidate* own, const Candidate* next) const;
    void use_copy(JudgedBatch& out, const Candidate& next) const;

    std::span<const SegmentScan> scans_;
    bool all_readable_{true};
    std::vector<Candidate> found_;
    std::vector<EpochBegin> epochs_;
    std::vector<Candidate> counted_;   // by sequence
    std::uint64_t claimed_through_{0};
    Judgement out_;
};

void Judge::collect() {
    for (const SegmentScan& scan : scans_) {
        out_.newer_format |= scan.saw_newer_format();
        all_readable_ &= scan.unreadable().empty();
        for (const FoundBatch& batch : scan.batches()) {
            found_.push_back({&batch, &scan});
            out_.newest_epoch = std::max(out_.newest_epoch, batch.header.epoch);
            const auto same = std::find_if(epochs_.begin(), epochs_.end(), [&](const EpochBegin& e) {
                return e.epoch == batch.header.epoch;
            });
            if (same == epochs_.end()) {
                epochs_.push_back({batch.header.epoch, batch.header.epoch_begin});
            }
        }
    }
}

bool Judge::counts(const Candidate& candidate) const {
    return std::none_of(epochs_.begin(), epochs_.end(), [&](const EpochBegin& e) {
        return e.epoch > candidate.epoch() && e.begin <= candidate.sequence() && !MUTANT(batches_behind_cut_count);
    });
}

void Judge::drop_what_lies_behind_cuts() {
    for (const Candidate& candidate : found_) {
        if (counts(candidate)) {
            counted_.push_back(candidate);
            claimed_through_ = std::max(claimed_through_, candidate.batch->header.durable_through);
        } else {
            MARK("batch behind an older cut is dropped");
            out_.dropped++;
        }
    }
    for (const EpochBegin& e : epochs_) {
        claimed_through_ = std::max(claimed_through_, e.begin - 1);
    }
    std::stable_sort(counted_.begin(), counted_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.sequence() < b.sequence(); });
}

bool Judge::readable(std::uint64_t segment, std::uint64_t begin, std::uint64_t end) const {
    return std::all_of(scans_.begin(), scans_.end(), [&](const SegmentScan& scan) {
        return scan.identity().segment != segment || scan.readable(begin, end);
    });
}

// Whether a batch may lie, unreadable, where the one behind the last that counts would begin. Nothing counts: anywhere.
bool Judge::hidden_behind_last() const {
    if (all_readable_ || out_.batches.empty()) {
        return !all_readable_;
    }
    const JudgedBatch& last = out_.batches.back();
    if (last.place.bytes == 0) {
        return last.unreadable;   // of where it ends nothing is known
    }
    const std::uint64_t end = last.place.offset + last.place.bytes;
    return !readable(last.place.segment, end, end + limits::block_bytes) ||
           std::any_of(scans_.begin(), scans_.end(), [&](const SegmentScan& scan) {
               return scan.identity().segment > last.place.segment && !scan.readable(0, limits::block_bytes);
           });
}

bool Judge::is_unreadable(const Candidate* own, const Candidate* next) const {
    if (all_readable_) {
        return false;   // asked for every batch
    }
    if (own != nullptr) {
        const BatchHeader& header = own->batch->header;
        return !readable(header.segment, header.offset, header.offset + header.bytes);
    }
    if (next != nullptr && next->batch->header.previous_bytes > 0) {
        const BatchHeader& header = next->batch->header;
        return header.previous_offset <= UINT32_MAX &&
               !readable(header.previous_segment, header.previous_offset, header.previous_offset + header.previous_bytes);
    }
    return hidden_behind_last();
}

// Takes N's directory from the copy in N+1, and its payloads' fate if they could be looked at there.
void Judge::use_copy(JudgedBatch& out, const Candidate& next) const {
    const BatchHeader& header = next.batch->header;
    const FoundBatch& batch = *next.batch;
    if (!batch.copy_intact || header.previous_bytes == 0 || batch.copy.bytes != header.copy_bytes) {
        return;
    }
    const Bytes copy = next.scan->kept(batch.copy);
    if (header.previous_bytes < header_bytes || header.previous_bytes % limits::block_bytes != 0 ||
        header.previous_bytes > whole_batch_bytes_max || header.previous_offset % limits::block_bytes != 0 ||
        header.previous_offset > UINT32_MAX || !directory_is_sound(copy, header.previous_bytes - header_bytes)) {
        return;
    }
    MARK("directory taken from its copy");
    out.finding.directory = DirectoryState::copy;
    out.directory = copy;
    out.place = {header.previous_segment, header.previous_offset, header.sequence - 1, header.previous_bytes};
    out.checksum = header.previous_checksum;
    out.payloads_judged = batch.previous_judged || copy.empty();
    out.damaged_payloads = batch.previous_damaged_payloads;
    out.kept_payloads = batch.previous_kept_payloads;
    out.kept_by = next.scan;
    bool has_payloads = false;
    DirectoryReader reader(copy);
    for (Record record; reader.next(record);) {
        has_payloads |= !record.items.empty();
    }
    out.finding.payloads = batch.previous_judged ? batch.previous_damaged_payloads.empty() : !has_payloads;
}

JudgedBatch Judge::examine(std::uint64_t sequence, const Candidate* own, const Candidate* next) const {
    JudgedBatch out;
    out.place.sequence = sequence;
    // The chain: what the next batch did not follow is not the batch that was written.
    if (own != nullptr && next != nullptr && next->batch->header.previous_checksum != 0 &&
        next->batch->header.previous_checksum != own->batch->header.checksum) {
        MARK("batch does not follow the one before it");
        own = nullptr;
    }
    out.unreadable = is_unreadable(own, next);
    out.finding.claimed = (sequence <= claimed_through_ || out.unreadable) && !MUTANT(damage_taken_for_torn_write);
    if (own != nullptr) {
        const BatchHeader& header = own->batch->header;
        out.finding.header = true;
        out.place = {header.segment, header.offset, sequence, header.bytes};
        out.checksum = header.checksum;
        if (own->batch->directory_intact) {
            out.finding.directory = DirectoryState::own;
            out.directory = own->scan->kept(own->batch->directory);
            out.damaged_payloads = own->batch->damaged_payloads;
            out.kept_payloads = own->batch->kept_payloads;
            out.kept_by = own->scan;
            out.finding.payloads = out.damaged_payloads.empty();
        }
    }
    if (out.finding.directory == DirectoryState::lost && next != nullptr) {
        use_copy(out, *next);
    }
    out.verdict = decide(out.finding);
    ASSERT(out.verdict != Verdict::impossible);
    if (out.verdict == Verdict::healed) {
        MARK("batch healed by the copy of its directory");
    } else if (out.verdict == Verdict::damaged_payloads) {
        MARK("durable batch has damaged payloads");
    } else if (out.verdict == Verdict::lost) {
        MARK("durable batch is lost");
    }
    return out;
}

void Judge::walk() {
    // The oldest batch kept opens its segment. If that one lost its header, the next has the copy.
    std::uint64_t sequence = counted_.front().sequence();
    if ((counted_.front().batch->header.flags & flag_opening) == 0 && sequence > 1) {
        sequence--;
    }
    std::size_t at = 0;
    const auto holds = [&](std::uint64_t wanted) {
        return at < counted_.size() && counted_[at].sequence() == wanted ? &counted_[at] : nullptr;
    };
    // A gap longer than what can be missing between two segments is a lost one: each of its batches is `lost`, but they
    // are not listed one by one.
    for (;; sequence++) {
        if (at == counted_.size() && sequence > claimed_through_) {
            out_.hidden_end = hidden_behind_last();
            break;
        }
        const Candidate* own = holds(sequence);
        while (own != nullptr && holds(sequence) != nullptr) {
            at++;  // behind it, and behind what claims to be the same
        }
        JudgedBatch batch = examine(sequence, own, holds(sequence + 1));
        if (batch.verdict == Verdict::cut) {
            MARK("recovery cuts at a torn batch");
            out_.dropped += counted_.size() - at + (own != nullptr ? 1U : 0U);
            break;
        }
        if (batch.verdict == Verdict::lost && at == counted_.size() && sequence > claimed_through_) {
            out_.hidden_end = true;
            break;
        }
        out_.batches.push_back(std::move(batch));
        const bool next_far = at < counted_.size() && counted_[at].sequence() > sequence + 2;
        if (own == nullptr && out_.batches.back().verdict == Verdict::lost && next_far) {
            MARK("a whole segment is lost");
            sequence = std::max(sequence, std::min(counted_[at].sequence(), claimed_through_ + 1) - 2);
        } else if (at == counted_.size() && out_.batches.back().verdict == Verdict::lost) {
            MARK("the log's end is lost");
            break;  // nothing more is known
        }
    }
    if (out_.hidden_end) {
        MARK("the log's end cannot be read");
    }
}

void Judge::note_start() {
    if (!out_.batches.empty()) {
        DirectoryReader reader(out_.batches.front().directory);
        bool opens = false;
        for (Record record; reader.next(record);) {
            opens |= record.header.type == RecordType::opening;
        }
        out_.start_lost = !opens;
    }
}

}  // namespace

Verdict decide(const Finding& finding) { return row_of(finding).verdict; }
std::string_view reason(const Finding& finding) { return row_of(finding).reason; }

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::intact: return "intact";
        case Verdict::healed: return "healed by the copy";
        case Verdict::damaged_payloads: return "damaged payloads";
        case Verdict::lost: return "lost";
        case Verdict::cut: return "cut";
        case Verdict::impossible: return "impossible";
    }
    return "unknown";
}

bool JudgedBatch::payload_damaged(const EntryItem& item) const {
    return item.length() > 0 && (!payloads_judged || std::binary_search(damaged_payloads.begin(), damaged_payloads.end(),
                                                                        item.offset));
}

Bytes JudgedBatch::kept_payload(const EntryItem& item) const {
    const auto at = std::lower_bound(kept_payloads.begin(), kept_payloads.end(), item.offset,
                                     [](const KeptPayload& k, std::uint32_t o) { return k.offset < o; });
    const bool kept = item.length() > 0 && at != kept_payloads.end() && at->offset == item.offset;
    return kept ? kept_by->kept(at->payload) : Bytes{};
}

Judgement judge(std::span<const SegmentScan> scans) { return Judge(scans).run(); }

void judge_payloads(Judgement& judgement, std::size_t batch, Bytes bytes, std::uint32_t kept_kinds) {
    JudgedBatch& out = judgement.batches[batch];
    ASSERT(!out.payloads_judged && bytes.size() == out.place.bytes);
    const SegmentScan& scan = judgement.rereads.emplace_back(SegmentIdentity{}, kept_kinds);
    const FoundBatch& found = judgement.rereads.back().judge_by(bytes, out.directory);
    MARK("payloads judged by a copy are read again");
    out.payloads_judged = true;
    out.damaged_payloads = found.damaged_payloads;
    out.kept_payloads = found.kept_payloads;
    out.kept_by = &scan;
    out.finding.payloads = found.damaged_payloads.empty();
    out.verdict = decide(out.finding);
}

}  // namespace ringfort::log
