// Finds the batches of one segment. Judges each by itself; what counts is decided over all segments (recovery.h).
//
// Every block that does not lie within a batch already found is looked at, to the segment's end: behind a damaged or
// torn batch there may be one that says whether the damaged one was durable.
//
// A block the disk could not read holds zeros here, and its place is remembered: a torn write leaves old or new bytes
// behind, never an error, so what lies there was not given by a crash.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "log/format.h"
#include "log/records.h"

namespace ringfort::log {

// A stretch of SegmentScan's kept bytes.
struct Kept {
    std::uint32_t begin{0};
    std::uint32_t bytes{0};
};

struct KeptPayload {
    std::uint32_t offset{0};   // of the payload in its batch
    Kept payload;
};

// Of a segment, in whole blocks.
struct Stretch {
    std::uint64_t begin{0};
    std::uint64_t end{0};
};

// A batch whose header is intact.
struct FoundBatch {
    BatchHeader header;
    bool directory_intact{false};
    bool copy_intact{false};
    Kept directory;                               // if intact
    Kept copy;                                    // if intact and the directory before it was not seen intact here
    std::vector<std::uint32_t> damaged_payloads;  // by offset, rising; by the directory if intact
    std::vector<KeptPayload> kept_payloads;       // of the kinds asked for, by offset
    // The batch before this one lies in this segment and has no intact directory: judged by our copy of it.
    bool previous_judged{false};
    std::vector<std::uint32_t> previous_damaged_payloads;
    std::vector<KeptPayload> previous_kept_payloads;
};

class SegmentScan {
  public:
    // `kept_kinds`: bit k set: payloads of entry kind k are kept (the segment's memory is needed no longer than step()).
    SegmentScan(const SegmentIdentity& identity, std::uint32_t kept_kinds)
        : identity_(identity), kept_kinds_(kept_kinds) {}

    // A block could not be read. Requires: offsets rise; called before step() is given the block.
    void note_unreadable(std::uint64_t offset);
    // Goes on for about `budget` bytes within the segment's first `valid_bytes`, which have been read. Returns whether
    // it can do no more with them. Requires: `segment` is the whole file, the same memory and size on each call.
    bool step(Bytes segment, std::size_t valid_bytes, std::size_t budget);
    // Judges one batch's payloads by a directory known otherwise, as a further batch of this scan's.
    const FoundBatch& judge_by(Bytes batch, Bytes directory);
    bool done(std::size_t segment_bytes) const { return position_ >= segment_bytes; }

    const SegmentIdentity& identity() const { return identity_; }
    const std::vector<FoundBatch>& batches() const { return batches_; }
    bool saw_newer_format() const { return saw_newer_format_; }
    bool readable(std::uint64_t begin, std::uint64_t end) const;
    std::uint64_t unreadable_blocks() const;
    std::span<const Stretch> unreadable() const { return unreadable_; }
    Bytes kept(Kept stretch) const { return Bytes(kept_).subspan(stretch.begin, stretch.bytes); }

  private:
    void examine(Bytes segment, const BatchHeader& header);
    void judge_previous(Bytes segment, FoundBatch& batch);
    void check_payloads(Bytes batch, Bytes directory, std::vector<std::uint32_t>& damaged,
                        std::vector<KeptPayload>& kept);
    bool previous_is_known(const BatchHeader& header) const;
    Kept keep(Bytes bytes);

    SegmentIdentity identity_;
    std::uint32_t kept_kinds_;
    std::size_t position_{0};          // the next block to look at
    std::vector<FoundBatch> batches_;  // by offset
    std::vector<std::byte> kept_;
    std::vector<Stretch> unreadable_;  // by offset, apart from each other
    bool saw_newer_format_{false};
};

}  // namespace ringfort::log
