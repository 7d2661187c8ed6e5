#include "log/recovery.h"

#include <gtest/gtest.h>

#include <set>

#include "batch_builder.h"
#include "log/replay.h"

namespace ringfort::test {
namespace {

using log::DirectoryState;
using log::Finding;
using log::Verdict;

// Every finding there can be, and what follows by section 5's words, said a second way.
TEST(RecoveryTable, every_finding_has_one_verdict_and_the_right_one) {
    for (const bool header : {false, true}) {
        for (const DirectoryState directory : {DirectoryState::own, DirectoryState::copy, DirectoryState::lost}) {
            for (const bool payloads : {false, true}) {
                for (const bool claimed : {false, true}) {
                    const Finding finding{header, directory, payloads, claimed};
                    Verdict expected = Verdict::impossible;
                    const bool possible = (directory != DirectoryState::own || header) &&
                                          (directory != DirectoryState::lost || !payloads);
                    const bool whole = header && directory == DirectoryState::own && payloads;
                    if (possible && whole) {
                        expected = Verdict::intact;
                    } else if (possible && !claimed) {
                        expected = Verdict::cut;
                    } else if (possible && directory == DirectoryState::lost) {
                        expected = Verdict::lost;
                    } else if (possible && !payloads) {
                        expected = Verdict::damaged_payloads;
                    } else if (possible) {
                        expected = Verdict::healed;
                    }
                    EXPECT_EQ(log::decide(finding), expected)
                        << header << int(directory) << payloads << claimed << " " << log::reason(finding);
                    EXPECT_FALSE(log::reason(finding).empty());
                }
            }
        }
    }
}

// ---- judging whole logs: three batches behind an opening, each part of each lost or not, claims as they were

struct Segment {
    std::vector<std::byte> bytes = std::vector<std::byte>(32 * 4096);
    std::vector<log::BatchHeader> headers;

    void put(BatchBuilder& b) {
        const auto batch = b.finish();
        std::memcpy(bytes.data() + b.header.offset, batch.data(), batch.size());
        headers.push_back(b.header);
    }
    std::vector<log::SegmentScan> scan() const {
        std::vector<log::SegmentScan> out;
        out.emplace_back(log::SegmentIdentity{77, 0, 1}, 0);
        out[0].step(bytes, bytes.size(), SIZE_MAX);
        return out;
    }
    // As a disk gives it that cannot read these blocks; and behind it a segment that was only prepared.
    std::vector<log::SegmentScan> scan_without(const std::set<std::size_t>& blocks, bool prepared_unreadable) const {
        std::vector<log::SegmentScan> out;
        out.emplace_back(log::SegmentIdentity{77, 0, 1}, 0);
        std::vector<std::byte> read = bytes;
        for (const std::size_t block : blocks) {
            std::memset(read.data() + block * limits::block_bytes, 0, limits::block_bytes);
            out[0].note_unreadable(block * limits::block_bytes);
        }
        out[0].step(read, read.size(), SIZE_MAX);
        const std::vector<std::byte> prepared(4 * limits::block_bytes);
        out.emplace_back(log::SegmentIdentity{77, 0, 2}, 0);
        if (prepared_unreadable) {
            out[1].note_unreadable(0);
        }
        out[1].step(prepared, prepared.size(), SIZE_MAX);
        return out;
    }
};

// Batch 1 opens; 2, 3, 4 hold an entry each. claims[i]: durable_through of batch i + 1.
Segment four_batches(const std::array<std::uint64_t, 4>& claims) {
    Segment out;
    BatchBuilder b;
    b.header.flags = log::flag_opening | log::flag_epoch;
    b.directory.opening({0, 0, 0, 0, 1, 1});
    b.directory.state(BatchBuilder::head(log::RecordType::state, 1, 10), {1, 0, 0, 0}, 0, 0, nullptr);
    for (std::uint64_t i = 0; i < 4; i++) {
        if (i > 0) {
            b = b.next();
            b.directory.begin_entries(BatchBuilder::head(log::RecordType::entries, 1, 10 + i), i, 1);
            b.entry("payload " + std::to_string(i));
        }
        b.header.durable_through = claims[i];
        out.put(b);
    }
    return out;
}

// All 4096 combinations of which of header, directory, payload and copy survive of batches 2 to 4, under all claims that
// can have been made. The rule, said plainly: what was claimed is never cut; what is cut was not whole; nothing counts
// behind a cut; and an entry counts as intact only if its payload is.
TEST(RecoveryJudge, every_loss_of_parts_is_judged_by_the_claims) {
    std::size_t cuts = 0;
    std::size_t losts = 0;
    for (const auto& claims : {std::array<std::uint64_t, 4>{0, 1, 1, 1}, {0, 1, 1, 2}, {0, 1, 2, 2}, {0, 1, 2, 3}}) {
        const Segment whole = four_batches(claims);
        for (unsigned loss = 0; loss < (1U << 12); loss++) {
            Segment s = whole;
            std::uint64_t claimed = 1;
            bool intact[5] = {false, true, true, true, true};
            for (unsigned i = 1; i < 4; i++) {
                const log::BatchHeader& header = s.headers[i];
                const unsigned parts = (loss >> (4 * (i - 1))) & 15;
                const std::size_t at = header.offset;
                if ((parts & 1) != 0) {
                    s.bytes[at] ^= std::byte{1};
                } else {
                    claimed = std::max(claimed, header.durable_through);
                }
                if ((parts & 2) != 0) {
                    s.bytes[at + header.directory_offset()] ^= std::byte{1};
                }
                if ((parts & 4) != 0) {
                    s.bytes[at + log::header_bytes] ^= std::byte{1};
                }
                if ((parts & 8) != 0) {
                    s.bytes[at + header.copy_offset()] ^= std::byte{1};
                }
                intact[i + 1] = (parts & 7) == 0;
            }
            const auto scans = s.scan();
            const log::Judgement judgement = log::judge(scans);
            ASSERT_FALSE(judgement.empty());
            ASSERT_FALSE(judgement.start_lost);
            const std::uint64_t through = judgement.batches.back().place.sequence;
            ASSERT_GE(through, claimed) << loss;
            if (through < 4) {
                ASSERT_FALSE(intact[through + 1]) << loss;
                cuts++;
            }
            for (const log::JudgedBatch& batch : judgement.batches) {
                const std::uint64_t n = batch.place.sequence;
                ASSERT_EQ(batch.verdict == Verdict::intact, intact[n]) << loss << " batch " << n;
                if (n > claimed) {
                    ASSERT_EQ(batch.verdict, Verdict::intact);
                }
                losts += batch.verdict == Verdict::lost ? 1U : 0U;
            }
            // And replay: the entries are 1, 2, 3 up to the first loss, never with a hole, never in silence.
            log::Replay replay(judgement);
            ASSERT_TRUE(replay.step(1000));
            ASSERT_EQ(replay.replicas().size(), 1U);
            const log::ReplayedReplica& replica = replay.replicas()[0];
            std::uint64_t entries = 0;
            for (const log::EntryRun& run : replica.runs) {
                ASSERT_EQ(run.first, entries + 1);
                entries = run.last();
            }
            ASSERT_TRUE(entries + 1 == through || replica.in_doubt) << loss;
            bool payload_lost = false;
            for (std::uint64_t n = 2; n <= entries + 1; n++) {
                payload_lost |= ((loss >> (4 * (n - 2))) & 4) != 0;
            }
            ASSERT_EQ(!replica.damaged.empty(), payload_lost) << loss;
        }
    }
    EXPECT_GT(cuts, 1000U);
    EXPECT_GT(losts, 1000U);
}

// What replay makes of a judgement, in a few words.
struct Outcome {
    std::uint64_t batches{0};
    bool hidden_end{false};
    bool in_doubt{false};
    bool unknown{false};
    std::size_t damaged{0};
    bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const std::vector<log::SegmentScan>& scans) {
    const log::Judgement judgement = log::judge(scans);
    log::Replay replay(judgement);
    EXPECT_TRUE(replay.step(1000));
    const bool known = !replay.replicas().empty();
    return {judgement.batches.size(), judgement.hidden_end, known && replay.replicas()[0].in_doubt,
            replay.replicas_unknown(), known ? replay.replicas()[0].damaged.size() : 0};
}

// Four batches, one block each; nobody says that the last one was durable.
TEST(RecoveryReadErrors, the_end_is_believed_only_if_what_would_lie_there_can_be_read) {
    const Segment whole = four_batches({0, 1, 2, 3});
    using Blocks = std::set<std::size_t>;
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{}, false)), (Outcome{4, false, false, false, 0}));
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{5, 6, 31}, false)), (Outcome{4, false, false, false, 0}));
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{3}, false)), (Outcome{3, true, true, true, 0}));   // the last
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{4}, false)), (Outcome{4, true, true, true, 0}));   // where it ends
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{}, true)), (Outcome{4, true, true, true, 0}));
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{2, 3}, false)), (Outcome{2, true, true, true, 0}));
    EXPECT_EQ(outcome_of(whole.scan_without(Blocks{0, 1, 2, 3}, false)), (Outcome{0, true, false, true, 0}));
}

// Both were in flight: the fourth does not say that the third was durable, and has its directory.
TEST(RecoveryReadErrors, a_batch_that_nobody_called_durable_is_damage_if_a_block_of_it_cannot_be_read) {
    const Segment whole = four_batches({0, 1, 1, 1});
    EXPECT_EQ(outcome_of(whole.scan_without({2}, false)), (Outcome{4, false, false, false, 1}));
    Segment torn = whole;
    std::memset(torn.bytes.data() + torn.headers[2].offset, 0, limits::block_bytes);
    EXPECT_EQ(outcome_of(torn.scan_without({}, false)), (Outcome{2, false, false, false, 0}));
    EXPECT_EQ(outcome_of(torn.scan_without({3, 5}, false)), (Outcome{2, false, false, false, 0}));
}

// Its header stands in a block of its own.
TEST(RecoveryReadErrors, the_last_batch_with_an_intact_header_is_never_cut_for_a_read_error) {
    Segment s = four_batches({0, 1, 2, 3});
    BatchBuilder b;
    b.header = s.headers.back();
    b = b.next();
    b.directory.begin_entries(BatchBuilder::head(log::RecordType::entries, 1, 14), 4, 1);
    b.entry(std::string(3 * limits::block_bytes, 'p'));
    s.put(b);
    const std::size_t first = b.header.offset / limits::block_bytes;
    const std::size_t directory = (b.header.offset + b.header.directory_offset()) / limits::block_bytes;
    ASSERT_GT(directory, first + 1);
    EXPECT_EQ(outcome_of(s.scan_without({first + 1}, false)), (Outcome{5, false, false, false, 1}));
    EXPECT_EQ(outcome_of(s.scan_without({directory}, false)), (Outcome{4, true, true, true, 0}));
    std::memset(s.bytes.data() + (first + 1) * limits::block_bytes, 0, limits::block_bytes);   // torn there
    EXPECT_EQ(outcome_of(s.scan_without({}, false)), (Outcome{4, false, false, false, 0}));
    EXPECT_EQ(outcome_of(s.scan_without({}, true)), (Outcome{4, false, false, false, 0}));
}

TEST(RecoveryJudge, batches_of_an_older_epoch_behind_its_cut_count_for_nothing) {
    Segment old = four_batches({0, 1, 1, 2});
    BatchBuilder opening;                       // the second epoch found batch 3 torn, and cut there
    opening.header.flags = log::flag_opening | log::flag_epoch;
    opening.header.segment = 2;
    opening.header.epoch = 2;
    opening.header.epoch_begin = 3;
    opening.header.sequence = 3;
    opening.header.durable_through = 2;
    opening.header.previous_checksum = old.headers[1].checksum;
    opening.header.previous_segment = 1;
    opening.header.previous_offset = old.headers[1].offset;
    opening.header.previous_bytes = old.headers[1].bytes;
    opening.directory.opening({1, 2, 1, 0, 1, 1});
    opening.directory.state(BatchBuilder::head(log::RecordType::state, 1, 11), {1, 0, 0, 0}, 1, 1, nullptr);
    auto bytes = opening.finish();
    bytes.resize(32 * 4096);
    std::vector<log::SegmentScan> scans = old.scan();
    scans.emplace_back(log::SegmentIdentity{77, 0, 2}, 0);
    scans[1].step(bytes, bytes.size(), SIZE_MAX);
    const log::Judgement judgement = log::judge(scans);
    ASSERT_EQ(judgement.batches.size(), 3U);
    EXPECT_EQ(judgement.batches[2].place.segment, 2U);
    EXPECT_EQ(judgement.dropped, 2U);
    EXPECT_EQ(judgement.newest_epoch, 2U);
    log::Replay replay(judgement);
    ASSERT_TRUE(replay.step(100));
    EXPECT_EQ(replay.replicas()[0].runs.back().last(), 1U);
    EXPECT_FALSE(replay.replicas()[0].in_doubt);
}

TEST(RecoveryJudge, a_far_away_sequence_does_not_make_it_count_to_there) {
    BatchBuilder b;
    b.header.flags = log::flag_opening;
    Segment s;
    s.put(b);
    BatchBuilder far = b.next();
    far.header.sequence = log::sequence_max;
    far.header.durable_through = log::sequence_max - 1;
    s.put(far);
    const auto scans = s.scan();
    const log::Judgement judgement = log::judge(scans);
    EXPECT_LE(judgement.batches.size(), 4U);
}

}  // namespace
}  // namespace ringfort::test
