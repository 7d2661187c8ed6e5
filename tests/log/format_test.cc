#include "log/format.h"

#include <gtest/gtest.h>

#include "batch_builder.h"
#include "log/dump.h"
#include "log/scan.h"

namespace ringfort::test {
namespace {

using log::RecordType;

std::string hex(Bytes bytes) {
    std::string out;
    for (const std::byte b : bytes) {
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
    }
    return out;
}

log::CheckpointBody sample_checkpoint(const std::vector<NodeId>& nodes) {
    log::CheckpointBody out{3, 17, 0x1234, 4096, 0xabcd, {}, {}, {}, {}, "checkpoint-1-17"};
    out.voters = nodes;
    out.learners = std::span(nodes).first(1);
    return out;
}

// One batch with one of each.
BatchBuilder sample_batch(const std::vector<NodeId>& nodes) {
    BatchBuilder b;
    b.header.flags = log::flag_opening | log::flag_epoch;
    const auto checkpoint = sample_checkpoint(nodes);
    b.directory.created(BatchBuilder::head(RecordType::created, 5, 1 << 20), {1, 2, 0, 0}, &checkpoint);
    b.directory.begin_entries(BatchBuilder::head(RecordType::entries, 5, (1 << 20) + 1), 18, 3);
    b.entry("put a");
    b.entry("a fence", 4);
    b.entry("", 2);
    b.directory.hard_state(BatchBuilder::head(RecordType::hard_state, 5, (1 << 20) + 4), {4, 2, 18, 1});
    b.directory.truncate(BatchBuilder::head(RecordType::truncate, 5, (1 << 20) + 5), 20);
    b.directory.checkpoint(BatchBuilder::head(RecordType::checkpoint, 5, (1 << 20) + 6), checkpoint);
    b.directory.checkpoint(BatchBuilder::head(RecordType::snapshot_installed, 5, (1 << 20) + 7), checkpoint);
    b.directory.removed(BatchBuilder::head(RecordType::removed, 5, (1 << 20) + 8));
    b.directory.begin_entries(BatchBuilder::head(RecordType::copies, 6, 99), 7, 2);
    b.entry("moved");
    b.directory.begin_entries(BatchBuilder::head(RecordType::repaired, 6, 100), 8, 2);
    b.entry("found");
    b.directory.opening({1, 2, 3, 4096, 1, 1});
    b.directory.state(BatchBuilder::head(RecordType::state, 6, 120), {5, 1, 9, 2}, 2, 9, &checkpoint);
    return b;
}

TEST(LogFormat, every_record_reads_back_as_written) {
    const std::vector<NodeId> nodes{NodeId(1), NodeId(2), NodeId(3)};
    const BatchBuilder b = sample_batch(nodes);
    log::DirectoryReader reader(b.directory.bytes());
    std::vector<log::Record> records;
    for (log::Record record; reader.next(record);) {
        records.push_back(record);
    }
    ASSERT_TRUE(reader.ok());
    ASSERT_EQ(records.size(), 11U);
    EXPECT_EQ(records[0].header.type, RecordType::created);
    EXPECT_EQ(records[0].hard_state, (log::HardStateBody{1, 2, 0, 0}));
    ASSERT_TRUE(records[0].checkpoint);
    EXPECT_EQ(records[0].checkpoint->file, "checkpoint-1-17");
    EXPECT_EQ(records[0].checkpoint->voters.size(), 3U);
    EXPECT_EQ(records[0].checkpoint->voters[2], NodeId(3));
    EXPECT_EQ(records[0].checkpoint->learners.size(), 1U);
    EXPECT_TRUE(records[0].checkpoint->outgoing.empty());
    EXPECT_EQ(records[0].checkpoint->file_checksum, 0xabcdU);
    ASSERT_EQ(records[1].items.size(), 3U);
    EXPECT_EQ(records[1].entries.first, 18U);
    EXPECT_EQ(records[1].items[1].kind(), 4U);
    EXPECT_EQ(records[1].items[1].length(), 7U);
    EXPECT_EQ(records[1].items[1].offset, log::header_bytes + 8);
    EXPECT_EQ(records[1].sequences(), 3U);
    EXPECT_EQ(records[2].hard_state, (log::HardStateBody{4, 2, 18, 1}));
    EXPECT_EQ(records[3].truncate_from, 20U);
    EXPECT_EQ(records[5].header.type, RecordType::snapshot_installed);
    EXPECT_EQ(records[7].header.type, RecordType::copies);
    EXPECT_EQ(records[7].sequences(), 0U);
    EXPECT_EQ(records[9].opening.cut_offset, 4096U);
    EXPECT_EQ(records[10].last_index, 9U);
    EXPECT_EQ(records[10].hard_state.in_doubt, log::doubt_found);
    EXPECT_TRUE(log::directory_is_sound(b.directory.bytes(), b.payloads.size()));
    EXPECT_FALSE(log::directory_is_sound(b.directory.bytes(), 0));
}

// Version 1 on disk, byte for byte: a change here is a new format version.
TEST(LogFormat, version_one_is_what_it_was) {
    const std::vector<NodeId> nodes{NodeId(1), NodeId(2), NodeId(3)};
    BatchBuilder b = sample_batch(nodes);
    const auto bytes = b.finish();
    ASSERT_EQ(bytes.size(), 4096U);
    EXPECT_EQ(hex(Bytes(bytes).first(96)),
              "524e464c4f474c3101000000050000004d000000000000000000000000000000"   // magic, version, flags, instance, shard
              "0100000000000000000000000000000001000000000000000100000000000000"   // segment, offset, epoch, its begin
              "01000000000000000000000000000000001000002000000030040000" "00000000"); // sequence, durable, sizes
    EXPECT_EQ(checksum(bytes), 14852504108328266580U);
}

TEST(LogFormat, any_prefix_and_any_flipped_byte_of_a_directory_is_read_totally) {
    const std::vector<NodeId> nodes{NodeId(1), NodeId(2), NodeId(3)};
    const BatchBuilder b = sample_batch(nodes);
    std::vector<std::byte> bytes(b.directory.bytes().begin(), b.directory.bytes().end());
    for (std::size_t size = 0; size < bytes.size(); size++) {
        log::directory_is_sound(Bytes(bytes).first(size), 64);
    }
    for (std::size_t at = 0; at < bytes.size(); at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= std::byte(1U << bit);
            log::directory_is_sound(bytes, 64);
            bytes[at] ^= std::byte(1U << bit);
        }
    }
}

TEST(LogFormat, a_header_is_valid_only_where_and_for_whom_it_was_written) {
    BatchBuilder b;
    b.header.offset = 8192;
    const auto bytes = b.finish();
    log::BatchHeader out;
    EXPECT_EQ(log::read_header(bytes, {77, 0, 1}, 8192, 1 << 20, out), log::HeaderState::valid);
    EXPECT_EQ(log::read_header(bytes, {78, 0, 1}, 8192, 1 << 20, out), log::HeaderState::none);
    EXPECT_EQ(log::read_header(bytes, {77, 1, 1}, 8192, 1 << 20, out), log::HeaderState::none);
    EXPECT_EQ(log::read_header(bytes, {77, 0, 2}, 8192, 1 << 20, out), log::HeaderState::none);
    EXPECT_EQ(log::read_header(bytes, {77, 0, 1}, 4096, 1 << 20, out), log::HeaderState::none);
    EXPECT_EQ(log::read_header(bytes, {77, 0, 1}, 8192, 8192, out), log::HeaderState::none);
}

TEST(LogFormat, a_later_version_is_told_from_garbage) {
    BatchBuilder b;
    b.header.version = 2;
    const auto bytes = b.finish();
    log::BatchHeader out;
    EXPECT_EQ(log::read_header(bytes, {77, 0, 1}, 0, 1 << 20, out), log::HeaderState::newer);
}

TEST(LogScan, bytes_of_a_former_life_of_the_file_never_parse) {
    std::vector<std::byte> segment(16 * 4096);
    BatchBuilder old;
    old.header.segment = 1;
    for (std::size_t at = 0; at < segment.size();) {   // full of batches of segment 1
        old.header.offset = at;
        const auto bytes = old.finish();
        std::memcpy(segment.data() + at, bytes.data(), bytes.size());
        at += bytes.size();
        old.header.sequence++;
    }
    log::SegmentScan before({77, 0, 1}, 0);
    EXPECT_TRUE(before.step(segment, segment.size(), SIZE_MAX));
    EXPECT_EQ(before.batches().size(), 16U);
    log::SegmentScan after({77, 0, 9}, 0);
    EXPECT_TRUE(after.step(segment, segment.size(), SIZE_MAX));
    EXPECT_TRUE(after.batches().empty());
}

TEST(LogScan, goes_on_in_slices_with_the_same_result) {
    std::vector<std::byte> segment(64 * 4096);
    BatchBuilder b;
    std::size_t at = 0;
    for (int i = 0; i < 8; i++) {
        b.directory.begin_entries(BatchBuilder::head(RecordType::entries, 1, 1), 1, 1);
        b.entry(std::string(static_cast<std::size_t>(3000 * (i + 1)), 'x'));
        const auto bytes = b.finish();
        std::memcpy(segment.data() + at, bytes.data(), bytes.size());
        at += bytes.size();
        b = b.next();
    }
    log::SegmentScan whole({77, 0, 1}, 0);
    whole.step(segment, segment.size(), SIZE_MAX);
    EXPECT_EQ(whole.batches().size(), 8U);
    for (const std::size_t slice : {4096U, 12288U, 65536U}) {
        log::SegmentScan scan({77, 0, 1}, 0);
        for (std::size_t valid = 0; valid < segment.size();) {
            valid = std::min(valid + slice, segment.size());
            while (!scan.step(segment, valid, 4096)) {
            }
        }
        EXPECT_TRUE(scan.done(segment.size()));
        ASSERT_EQ(scan.batches().size(), 8U);
        for (std::size_t i = 0; i < 8; i++) {
            EXPECT_EQ(scan.batches()[i].header.checksum, whole.batches()[i].header.checksum);
            EXPECT_TRUE(scan.batches()[i].directory_intact);
        }
    }
}

// A value that holds a whole batch, made by someone who knows the instance, does not become one when the batch around it
// loses its header.
TEST(LogScan, a_batch_forged_inside_of_a_value_is_voided_by_the_next_true_one) {
    BatchBuilder first;
    BatchBuilder forged;
    forged.header.sequence = 7;
    forged.header.offset = 4096;
    const auto inner = forged.finish();
    first.directory.begin_entries(BatchBuilder::head(RecordType::entries, 1, 1), 1, 1);
    std::string value(4096 - log::header_bytes, ' ');
    value += as_text(inner);
    first.entry(value);
    const auto outer = first.finish();
    const auto behind = first.next().finish();
    std::vector<std::byte> segment(16 * 4096);
    std::memcpy(segment.data(), outer.data(), outer.size());
    std::memcpy(segment.data() + outer.size(), behind.data(), behind.size());
    segment[0] ^= std::byte{1};
    log::SegmentScan scan({77, 0, 1}, 0);
    scan.step(segment, segment.size(), SIZE_MAX);
    ASSERT_EQ(scan.batches().size(), 1U);
    EXPECT_EQ(scan.batches()[0].header.sequence, 2U);
    EXPECT_TRUE(scan.batches()[0].previous_judged);
    EXPECT_TRUE(scan.batches()[0].previous_damaged_payloads.empty());
}

TEST(LogDump, says_what_stands_in_a_segment_and_what_is_damaged) {
    const std::vector<NodeId> nodes{NodeId(1), NodeId(2), NodeId(3)};
    BatchBuilder b = sample_batch(nodes);
    auto segment = b.finish();
    const auto second = b.next().finish();
    segment.insert(segment.end(), second.begin(), second.end());
    segment.resize(8 * 4096);
    log::SegmentIdentity identity;
    ASSERT_TRUE(log::guess_identity(segment, identity));
    EXPECT_EQ(identity.instance, 77U);
    std::string out;
    segment[log::header_bytes] ^= std::byte{1};
    log::dump_segment(segment, identity, {}, out);
    for (const char* line : {"segment 1: 32768 bytes", "batch 1 at 0, 4096 bytes: epoch 1 (from 1), durable through 0",
                             "begins the epoch", "range 5 incarnation 1 #1048576: created",
                             "entry 3/18 command, 5 bytes at 192", "DAMAGED", "truncate", "from 20",
                             "checkpoint at 3/17", "file \"checkpoint-1-17\" voters 1 2 3 learners 1",
                             "batch 2 at 4096", "durable through 1", "end of batches at 8192"}) {
        EXPECT_NE(out.find(line), std::string::npos) << line << "\n" << out;
    }
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n') > 20, true);
    segment[0] ^= std::byte{1};   // and now its header
    std::string without_header;
    log::dump_segment(segment, identity, {}, without_header);
    for (const char* line : {"4096 bytes at 0 hold no batch of this segment",
                             "batch 1 lay in segment 1 at 0, 4096 bytes: DAMAGED",
                             "entry 3/18 command, 5 bytes at 192", "  DAMAGED\n", "from 20"}) {
        EXPECT_NE(without_header.find(line), std::string::npos) << line << "\n" << without_header;
    }
    const std::vector<std::uint64_t> unreadable{4096, 8192};
    std::string with_errors;
    log::dump_segment(segment, identity, {.unreadable = unreadable}, with_errors);
    EXPECT_NE(with_errors.find("UNREADABLE: 8192 bytes at 4096"), std::string::npos) << with_errors;
    std::vector<std::byte> nothing(4096);
    EXPECT_FALSE(log::guess_identity(nothing, identity));
}

}  // namespace
}  // namespace ringfort::test
