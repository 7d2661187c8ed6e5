// A log on a simulated disk, written batch by batch, and the judge of what is written to it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../log/batch_builder.h"
#include "base/aligned_buffer.h"
#include "sim/checkers/media_log.h"
#include "sim/sim_disk.h"

namespace ringfort::sim {

using log::RecordType;
using test::BatchBuilder;

inline constexpr RangeId judged_range(1);
inline constexpr std::string_view segment = "shard-0/log-0000000000000001";
inline constexpr std::uint64_t first_number = std::uint64_t{1} << 20;

inline bool says(const std::string& found, std::string_view what) { return found.find(what) != std::string::npos; }

// One node's disk with a segment of shard 0, and the judge of what is written to it.
class LogOnDisk : public testing::Test {
  protected:
    LogOnDisk() {
        env::DiskOperation op([](env::DiskOperation&) {}, nullptr);
        disk_->create(op, segment, 64 * limits::block_bytes);
        settle();
        file_ = op.file;
        begin_anew();
    }
    // The next process; what was in flight has landed.
    void restart() {
        disk_.emplace(media_, Waker{});
        env::DiskOperation op([](env::DiskOperation&) {}, nullptr);
        disk_->open(op, segment);
        settle();
        file_ = op.file;
    }
    // Nothing was ever written.
    void begin_anew() {
        entries_.emplace(1);
        promises_.emplace(1);
        judge_.emplace(media_, 0, NodeId(1), 0, *entries_, *promises_);
    }
    void settle() {
        queue_.run_until(queue_.now() + 100s);
        disk_->dispatch();
    }
    static log::CheckpointBody checkpoint(std::uint64_t term, std::uint64_t index, std::string_view file = {}) {
        log::CheckpointBody out;
        out.applied_term = term;
        out.applied_index = index;
        out.file = file;
        return out;
    }
    // The log begins: the replica is created at the founding state 1/1.
    static BatchBuilder founded() {
        BatchBuilder out;
        out.header.flags = log::flag_opening | log::flag_epoch;
        const auto initial = checkpoint(1, 1);
        out.directory.created(BatchBuilder::head(RecordType::created, judged_range.value, first_number), {.term = 1},
                              &initial);
        number_ = first_number;
        state(out, {.term = 1}, 1, 1);
        return out;
    }
    static void entries(BatchBuilder& batch, std::uint64_t term, std::uint64_t first, std::string_view payload) {
        batch.directory.begin_entries(BatchBuilder::head(RecordType::entries, judged_range.value, ++number_), first, term);
        batch.entry(payload);
    }
    static void promises(BatchBuilder& batch, std::uint64_t term, std::uint64_t vote) {
        batch.directory.hard_state(BatchBuilder::head(RecordType::hard_state, judged_range.value, ++number_),
                                   {.term = term, .vote = vote});
    }
    // Of the judged node, in the incarnation of its records.
    static void fence(BatchBuilder& batch, std::uint64_t term, std::uint64_t index) {
        const std::vector<std::byte> payload = raft::encode(raft::Fence{NodeId(1), Incarnation(1)});
        batch.directory.begin_entries(BatchBuilder::head(RecordType::entries, judged_range.value, ++number_), index, term);
        batch.entry(as_text(payload), static_cast<std::uint8_t>(raft::EntryKind::fence));
    }
    static void state(BatchBuilder& batch, const log::HardStateBody& body, std::uint64_t term, std::uint64_t index) {
        const auto initial = checkpoint(1, 1);
        batch.directory.state(BatchBuilder::head(RecordType::state, judged_range.value, number_), body, term, index,
                              &initial);
    }
    static void truncate(BatchBuilder& batch, std::uint64_t from) {
        batch.directory.truncate(BatchBuilder::head(RecordType::truncate, judged_range.value, ++number_), from);
    }
    // The batch that a start writes which counts everything before it.
    static BatchBuilder opening(const BatchBuilder& last) {
        BatchBuilder out = last.next();
        out.header.flags = log::flag_opening | log::flag_epoch;
        out.header.epoch++;
        out.header.epoch_begin = out.header.sequence;
        return out;
    }
    // Writes it as the log does; durable once settle() was called if `durability` says so.
    std::string write(BatchBuilder& batch, env::Durability durability = env::Durability::dsync) {
        const auto bytes = batch.finish();
        AlignedBuffer& memory = buffers_.emplace_back(bytes.size());
        std::copy(bytes.begin(), bytes.end(), memory.data());
        operations_.emplace_back([](env::DiskOperation&) {}, nullptr);
        disk_->write(operations_.back(), file_, batch.header.offset, {memory.data(), bytes.size()}, durability);
        return judge_->on_write(batch.header, bytes);
    }
    std::string write_durably(BatchBuilder& batch) {
        std::string found = write(batch);
        settle();
        return found.empty() ? judge_->poll() : found;
    }

    // Its log has begun.
    BatchBuilder begun() {
        BatchBuilder out = founded();
        EXPECT_EQ(write_durably(out), "");
        return out;
    }
    // The next batch, with entry 1/2, has landed.
    BatchBuilder with_entry(const BatchBuilder& last, env::Durability durability = env::Durability::dsync) {
        BatchBuilder out = last.next();
        entries(out, 1, 2, "a");
        EXPECT_EQ(write(out, durability), "");
        settle();
        EXPECT_EQ(judge_->poll(), "");
        return out;
    }

    // Of writes that may be under way when the disk goes.
    std::deque<AlignedBuffer> buffers_;
    std::deque<env::DiskOperation> operations_;
    EventQueue queue_;
    DiskMedia media_{queue_, 1, {}};
    std::optional<SimDisk> disk_{std::in_place, media_, Waker{}};
    env::FileId file_{0};
    std::optional<EntryBook> entries_;
    std::optional<PromiseBook> promises_;
    std::optional<MediaLog> judge_;
    static inline std::uint64_t number_{0};
};

}  // namespace ringfort::sim
