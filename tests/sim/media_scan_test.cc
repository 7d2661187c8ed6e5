#include "sim/checkers/media_scan.h"

#include <gtest/gtest.h>

#include "log_on_disk.h"
#include "shard/checkpoint_file.h"

namespace ringfort::sim {

class MediaScanTest : public LogOnDisk {
  protected:
    // A log of two batches: the replica is founded, votes, and has one entry.
    void SetUp() override {
        first_ = begun();
        second_ = first_.next();
        promises(second_, 2, 9);
        entries(second_, 2, 2, "payload");
        ASSERT_EQ(write_durably(second_), "");
    }
    std::string check() { return check_media(media_, 0, *judge_); }
    // Past the judge.
    void overwrite(std::uint64_t offset, Bytes bytes) {
        AlignedBuffer& memory = buffers_.emplace_back(bytes.size());
        std::copy(bytes.begin(), bytes.end(), memory.data());
        operations_.emplace_back([](env::DiskOperation&) {}, nullptr);
        disk_->write(operations_.back(), file_, offset, {memory.data(), bytes.size()}, env::Durability::dsync);
        settle();
    }
    // A checkpoint file of one block, and the record that names it.
    log::CheckpointBody checkpoint_file(std::string_view name) {
        env::DiskOperation create([](env::DiskOperation&) {}, nullptr);
        disk_->create(create, name, limits::block_bytes);
        settle();
        log::CheckpointBody out = checkpoint(2, 2, name);
        out.bytes = 100;
        const std::vector<std::byte> zeros(out.bytes);
        out.file_checksum = shard::chain_checksum(0, zeros);
        return out;
    }
    std::string name_checkpoint(const log::CheckpointBody& body) {
        EXPECT_EQ(entries_->on_commit(judged_range, {Term(2), LogIndex(2)}), "");
        BatchBuilder third = second_.next();
        third.directory.checkpoint(BatchBuilder::head(RecordType::checkpoint, judged_range.value, ++number_), body);
        return write_durably(third);
    }

    BatchBuilder first_;
    BatchBuilder second_;
};

TEST_F(MediaScanTest, takes_a_disk_that_holds_what_was_written) {
    EXPECT_EQ(check(), "");
}

TEST_F(MediaScanTest, takes_a_segment_that_a_crash_left_in_the_making) {
    env::DiskOperation create([](env::DiskOperation&) {}, nullptr);
    disk_->create_growing(create, "shard-0/log-0000000000000002", limits::block_bytes);
    settle();
    media_.file("shard-0/log-0000000000000002")->write_durable(0, DiskContent(std::vector<std::byte>(sector_bytes)));
    EXPECT_EQ(check(), "");
}

TEST_F(MediaScanTest, flags_an_entry_that_rotted_and_a_batch_that_did) {
    auto bytes = second_.finish();
    bytes[log::header_bytes] ^= std::byte{1};
    overwrite(second_.header.offset, bytes);
    EXPECT_NE(check(), "");
    bytes.assign(bytes.size(), std::byte{0});
    overwrite(second_.header.offset, bytes);
    EXPECT_NE(check(), "");
}

TEST_F(MediaScanTest, flags_a_log_that_says_other_than_the_judge_saw) {
    BatchBuilder other = first_.next();
    number_ = first_number;
    promises(other, 2, 8);
    entries(other, 2, 2, "payload");
    overwrite(second_.header.offset, other.finish());
    EXPECT_NE(check(), "") << "another vote";
    other = first_.next();
    number_ = first_number;
    promises(other, 2, 9);
    entries(other, 2, 2, "another");
    overwrite(second_.header.offset, other.finish());
    EXPECT_NE(check(), "") << "another entry";
    overwrite(second_.header.offset, second_.finish());
    EXPECT_EQ(check(), "");
    BatchBuilder more = second_.next();
    entries(more, 2, 3, "unseen");
    overwrite(more.header.offset, more.finish());
    EXPECT_NE(check(), "") << "a batch more";
}

TEST_F(MediaScanTest, takes_a_checkpoint_that_is_what_the_log_says) {
    EXPECT_EQ(name_checkpoint(checkpoint_file("shard-0/checkpoint-1-2-1")), "");
    EXPECT_EQ(check(), "");
}

TEST_F(MediaScanTest, flags_a_checkpoint_that_is_missing) {
    EXPECT_EQ(name_checkpoint(checkpoint(2, 2, "shard-0/checkpoint-1-2-1")), "");
    EXPECT_NE(check(), "");
}

TEST_F(MediaScanTest, flags_a_checkpoint_that_is_not_durable) {
    const std::string name = "shard-0/checkpoint-1-2-1";
    EXPECT_EQ(name_checkpoint(checkpoint_file(name)), "");
    media_.file(name)->write_volatile(1, 0, DiskContent(std::vector<std::byte>(limits::block_bytes)));
    EXPECT_NE(check(), "");
    media_.file(name)->sync(1);
    EXPECT_EQ(check(), "");
}

TEST_F(MediaScanTest, flags_a_checkpoint_that_is_another) {
    log::CheckpointBody body = checkpoint_file("shard-0/checkpoint-1-2-1");
    body.file_checksum++;
    EXPECT_EQ(name_checkpoint(body), "");
    EXPECT_NE(check(), "");
}

}  // namespace ringfort::sim
