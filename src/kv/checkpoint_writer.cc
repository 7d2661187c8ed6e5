// Writing a checkpoint while commands go on. The compacted revision of the cut is pinned, so that every version the
// checkpoint needs stays.
#include <algorithm>
#include <optional>
#include <vector>

#include "kv/byte_reader.h"
#include "kv/checkpoint_format.h"
#include "kv/checkpoint_scan.h"
#include "kv/lease_table.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

using namespace checkpoint;

// What an item costs besides its text, in bytes copied.
constexpr std::int64_t item_cost_bytes = 128;

class StateWriter final : public CheckpointWriter {
  public:
    StateWriter(StoreState& state, RangeId range)
        : state_(state),
          applied_(state.applied),
          hash_(state.hash),
          scan_(state, state.revision),
          leases_(std::in_place, state.leases, state.applied),
          block_(block_head_bytes + block_payload_bytes_max) {
        state_.pin(scan_.floor());
        append_head(range);
        append_alarms();
        append_leases();
    }
    ~StateWriter() override { state_.unpin(scan_.floor()); }

    Piece next(MutableBytes out, WorkBudget& budget) override;
    LogIndex applied() const override { return applied_; }
    std::uint64_t hash() const override { return hash_; }

  private:
    enum class Stage : std::uint8_t { leases, keys, end, done };

    std::size_t room() const { return block_.size() - filled_; }
    bool block_empty() const { return filled_ == block_head_bytes; }
    void seal_block();
    void append_head(RangeId range);
    void append_alarms();
    void append_leases();
    void append_end();
    // Requires: room for them. Ensures: they count as filled, and are the caller's to write.
    MutableBytes append(std::size_t bytes);
    void fill(WorkBudget& budget);
    bool fill_leases(WorkBudget& budget);
    bool fill_text(WorkBudget& budget);
    bool fill_item(WorkBudget& budget);
    bool fill_key();
    bool fill_version();

    StoreState& state_;
    LogIndex applied_;
    std::uint64_t hash_;
    CheckpointScan scan_;
    std::optional<LeaseSnapshot> leases_;        // until they are written
    std::uint64_t leases_left_{0};
    std::optional<LeaseSnapshot::Item> lease_;   // the one that comes next, if it is known

    Stage stage_{Stage::leases};
    std::vector<std::byte> block_;      // the block being filled
    std::size_t filled_{block_head_bytes};
    bool sealed_{false};                // it only waits to be handed out
    std::size_t handed_out_{0};         // bytes of it
    std::uint32_t number_{0};
    std::uint64_t content_{0};
    std::uint64_t keys_{0};
    std::uint64_t versions_{0};

    bool key_written_{false};           // of the version that comes next
    std::string_view text_;             // of the key or value in progress: what is still to be appended
};

MutableBytes StateWriter::append(std::size_t bytes) {
    ASSERT(bytes <= room());
    const MutableBytes out(block_.data() + filled_, bytes);
    filled_ += bytes;
    return out;
}

void StateWriter::append_head(RangeId range) {
    ByteWriter writer(append(head_bytes));
    writer.number(static_cast<std::uint8_t>(ItemKind::head));
    writer.number(magic);
    writer.number(format_version);
    writer.number(range.value);
    writer.number(applied_.value);
    writer.number(scan_.revision());
    writer.number(scan_.floor());
    writer.number(hash_);
    ASSERT(writer.full());
}

// The first block has room for all there may be.
void StateWriter::append_alarms() {
    static_assert(head_bytes + alarms_max * alarm_item_bytes + leases_bytes <= block_payload_bytes_max);
    for (const api::Alarm& alarm : state_.alarms) {
        ByteWriter writer(append(alarm_item_bytes));
        writer.number(static_cast<std::uint8_t>(ItemKind::alarm));
        writer.number(alarm.member.value);
        writer.number(static_cast<std::uint8_t>(alarm.type));
        ASSERT(writer.full());
    }
}

void StateWriter::append_leases() {
    leases_left_ = leases_->count();
    if (leases_->clock() == LeaseTime{} && leases_->term() == Term{}) {
        ASSERT(leases_left_ == 0);
        return;
    }
    ByteWriter writer(append(leases_bytes));
    writer.number(static_cast<std::uint8_t>(ItemKind::leases));
    writer.number(leases_version);
    writer.number(leases_->clock().ns);
    writer.number(leases_->term().value);
    writer.number(leases_left_);
    ASSERT(writer.full());
}

void StateWriter::append_end() {
    ByteWriter writer(append(end_bytes));
    writer.number(static_cast<std::uint8_t>(ItemKind::end));
    writer.number(keys_);
    writer.number(versions_);
    writer.number(content_);
    ASSERT(writer.full());
}

void StateWriter::seal_block() {
    ASSERT(!block_empty() && !sealed_);
    const Bytes payload = Bytes(block_).first(filled_).subspan(block_head_bytes);
    const std::uint64_t sum = checksum(payload, number_);
    store(block_.data(), static_cast<std::uint32_t>(payload.size()));
    store(block_.data() + 4, number_);
    store(block_.data() + 8, sum);
    content_ = chain_content(content_, sum);
    number_++;
    sealed_ = true;
    handed_out_ = 0;
}

CheckpointWriter::Piece StateWriter::next(MutableBytes out, WorkBudget& budget) {
    std::size_t written = 0;
    while (written < out.size()) {
        if (!sealed_) {
            fill(budget);
        }
        if (!sealed_) {
            const bool over = stage_ == Stage::done && written == 0;
            return {written, over ? Step::done : Step::more};
        }
        const std::size_t bytes = std::min(out.size() - written, filled_ - handed_out_);
        std::memcpy(out.data() + written, block_.data() + handed_out_, bytes);
        written += bytes;
        handed_out_ += bytes;
        if (handed_out_ == filled_) {
            filled_ = block_head_bytes;
            sealed_ = false;
        }
    }
    return {written, Step::more};
}

// Goes on until a block is full, the budget is spent, or everything is written.
void StateWriter::fill(WorkBudget& budget) {
    if (stage_ == Stage::leases && !fill_leases(budget)) {
        seal_block();
        return;
    }
    while (stage_ == Stage::keys && !budget.spent()) {
        if (!(text_.empty() ? fill_item(budget) : fill_text(budget))) {
            seal_block();
            return;
        }
    }
    if (stage_ != Stage::end) {
        return;
    }
    if (block_empty()) {
        append_end();
        stage_ = Stage::done;
    }
    seal_block();   // the end stands alone in its block
}

// False: no room for the next one.
bool StateWriter::fill_leases(WorkBudget& budget) {
    for (; leases_left_ > 0 && !budget.spent(); leases_left_--) {
        lease_ = lease_ ? lease_ : leases_->next(budget);
        if (!lease_) {
            return true;   // the budget ended
        }
        if (room() < lease_bytes) {
            return false;
        }
        ByteWriter writer(append(lease_bytes));
        writer.number(static_cast<std::uint8_t>(ItemKind::lease));
        writer.number(lease_->id);
        writer.number(lease_->facts.ttl);
        writer.number(lease_->facts.deadline.ns);
        writer.number(lease_->facts.version.value);
        ASSERT(writer.full());
        lease_.reset();
    }
    if (leases_left_ == 0) {
        leases_.reset();   // nobody notes for it any longer what changes
        stage_ = Stage::keys;
    }
    return true;
}

// Appends what fits of the text in progress. False: no room at all.
bool StateWriter::fill_text(WorkBudget& budget) {
    const std::size_t bytes = std::min(text_.size(), room());
    std::memcpy(append(bytes).data(), text_.data(), bytes);
    text_.remove_prefix(bytes);
    budget.take(0, static_cast<std::int64_t>(bytes));
    return bytes > 0;
}

// False: no room for the fixed fields of the next item.
bool StateWriter::fill_item(WorkBudget& budget) {
    switch (scan_.look(budget)) {
        case CheckpointScan::Front::found:
            budget.take(0, item_cost_bytes);
            return key_written_ ? fill_version() : fill_key();
        case CheckpointScan::Front::spent:
            return true;
        case CheckpointScan::Front::end:
            stage_ = Stage::end;
            return true;
    }
    UNREACHABLE();
}

bool StateWriter::fill_key() {
    if (room() < key_fixed_bytes) {
        return false;
    }
    ByteWriter writer(append(key_fixed_bytes));
    writer.number(static_cast<std::uint8_t>(ItemKind::key));
    writer.number(scan_.record().key_bytes);
    text_ = scan_.record().key();
    key_written_ = true;
    keys_++;
    return true;
}

bool StateWriter::fill_version() {
    if (room() < version_fixed_bytes) {
        return false;
    }
    const Version& version = scan_.version();
    const bool removal = version.tombstone();
    const bool last = scan_.last();
    ByteWriter writer(append(version_fixed_bytes));
    writer.number(static_cast<std::uint8_t>(ItemKind::version));
    writer.number(static_cast<std::uint8_t>((removal ? removal_flag : 0) | (last ? last_flag : 0)));
    writer.number(version.mod);
    writer.number(version.sub);
    writer.number(removal ? api::Revision{0} : version.create());
    writer.number(removal ? std::int64_t{0} : version.version());
    writer.number(version.lease());
    writer.number(version.value_bytes());
    ASSERT(writer.full());
    text_ = version.value();
    scan_.pop();
    key_written_ = !last;
    versions_++;
    return true;
}

}  // namespace

std::unique_ptr<CheckpointWriter> Store::open_checkpoint() {
    ASSERT(!applying());
    return std::make_unique<StateWriter>(impl_->state, impl_->range);
}

}  // namespace ringfort::kv
