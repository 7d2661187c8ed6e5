// Writing a checkpoint while commands go on. The compacted revision of the cut is pinned, so every version the
// checkpoint needs stays, and a position among the versions of a key stays valid between two pieces.
#include <string>
#include <vector>

#include "kv/byte_reader.h"
#include "kv/checkpoint_format.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

using namespace checkpoint;

class StateWriter final : public CheckpointWriter {
  public:
    StateWriter(StoreState& state, RangeId range)
        : state_(state),
          applied_(state.applied),
          hash_(state.hash),
          revision_(state.revision),
          floor_(state.compact_revision) {
        state_.pin(floor_);
        block_.reserve(block_head_bytes + block_payload_bytes_max);
        block_.resize(block_head_bytes);
        append_head(range);
    }
    ~StateWriter() override { state_.unpin(floor_); }

    Piece next(MutableBytes out, WorkBudget& budget) override;
    LogIndex applied() const override { return applied_; }
    std::uint64_t hash() const override { return hash_; }

  private:
    enum class Stage : std::uint8_t { keys, end, done };

    std::size_t room() const { return block_head_bytes + block_payload_bytes_max - block_.size(); }
    bool block_empty() const { return block_.size() == block_head_bytes; }
    void seal_block();
    void append_head(RangeId range);
    void append_end();
    void append_bytes(Bytes bytes);
    void fill(WorkBudget& budget);
    bool fill_value(WorkBudget& budget);
    bool fill_versions(WorkBudget& budget);
    bool fill_fixed();
    void find_next_key();
    const Version* below(const Version& version) const;

    StoreState& state_;
    LogIndex applied_;
    std::uint64_t hash_;
    api::Revision revision_;
    api::Revision floor_;

    Stage stage_{Stage::keys};
    std::vector<std::byte> block_;      // the block being filled, room for its head included
    bool sealed_{false};                // it only waits to be handed out
    std::size_t handed_out_{0};         // bytes of it
    std::uint32_t number_{0};
    std::uint64_t content_{0};
    std::uint64_t keys_{0};
    std::uint64_t versions_{0};

    std::string position_;              // the next key to look at
    KeyTree::Cursor cursor_;            // at the same place, while the tree has the shape it was taken in
    std::uint64_t cursor_shape_{0};
    bool cursor_set_{false};
    const KeyRecord* record_{nullptr};  // the key being written, or being looked into
    const Version* version_{nullptr};   // where among its versions
    bool key_written_{false};
    std::string_view text_;             // of the key or value in progress: what is still to be appended
};

void StateWriter::append_bytes(Bytes bytes) {
    ASSERT(bytes.size() <= room());
    block_.insert(block_.end(), bytes.begin(), bytes.end());
}

void StateWriter::append_head(RangeId range) {
    std::byte fields[head_bytes];
    ByteWriter writer(fields);
    writer.number(static_cast<std::uint8_t>(ItemKind::head));
    writer.number(magic);
    writer.number(format_version);
    writer.number(range.value);
    writer.number(applied_.value);
    writer.number(revision_);
    writer.number(floor_);
    writer.number(hash_);
    ASSERT(writer.full());
    append_bytes(fields);
}

void StateWriter::append_end() {
    std::byte fields[end_bytes];
    ByteWriter writer(fields);
    writer.number(static_cast<std::uint8_t>(ItemKind::end));
    writer.number(keys_);
    writer.number(versions_);
    writer.number(content_);
    ASSERT(writer.full());
    append_bytes(fields);
}

void StateWriter::seal_block() {
    ASSERT(!block_empty() && !sealed_);
    const Bytes payload = Bytes(block_).subspan(block_head_bytes);
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
        const std::size_t bytes = std::min(out.size() - written, block_.size() - handed_out_);
        std::memcpy(out.data() + written, block_.data() + handed_out_, bytes);
        written += bytes;
        handed_out_ += bytes;
        if (handed_out_ == block_.size()) {
            block_.resize(block_head_bytes);
            sealed_ = false;
        }
    }
    return {written, Step::more};
}

// Goes on until a block is full, the budget is spent, or everything is written.
void StateWriter::fill(WorkBudget& budget) {
    while (stage_ == Stage::keys && !sealed_ && !budget.spent()) {
        if (!text_.empty() ? fill_value(budget) : fill_versions(budget)) {
            continue;
        }
        if (stage_ == Stage::keys) {
            seal_block();   // no room for the next item's fixed fields
        }
    }
    if (sealed_ || stage_ == Stage::keys || stage_ == Stage::done) {
        return;
    }
    if (!block_empty()) {
        seal_block();   // the end stands alone in its block
        return;
    }
    append_end();
    seal_block();
    stage_ = Stage::done;
}

// Appends what fits of the text in progress. False: no room at all.
bool StateWriter::fill_value(WorkBudget& budget) {
    const std::size_t bytes = std::min(text_.size(), room());
    append_bytes(as_bytes(text_.substr(0, bytes)));
    text_.remove_prefix(bytes);
    budget.take(0, static_cast<std::int64_t>(bytes));
    return bytes > 0;
}

// The version that follows in the checkpoint: older ones matter until one is readable at the floor.
const Version* StateWriter::below(const Version& version) const {
    if (version.mod <= floor_) {
        return nullptr;
    }
    const Version* older = version.older();
    // A removal at or below the floor leaves nothing to read.
    return older == nullptr || (older->mod <= floor_ && older->tombstone()) ? nullptr : older;
}

// Ensures: cursor_ is at the first key not yet written.
void StateWriter::find_next_key() {
    if (cursor_set_ && cursor_shape_ == state_.tree.shape()) {
        cursor_.next();
        return;
    }
    cursor_ = state_.tree.lower_bound(position_);
    cursor_shape_ = state_.tree.shape();
    cursor_set_ = true;
}

// Advances by one step through keys and versions. False: no room for an item, or no key left.
bool StateWriter::fill_versions(WorkBudget& budget) {
    if (record_ == nullptr) {
        find_next_key();
        if (cursor_.at_end()) {
            stage_ = Stage::end;
            return false;
        }
        cursor_.prefetch_next();
        record_ = cursor_.record();
        version_ = record_->latest;
        key_written_ = false;
        budget.take(1, 0);
    }
    if (!key_written_) {
        // Newer than the cut: not there yet. A removal readable everywhere: not there any more.
        while (version_ != nullptr && version_->mod > revision_ && !budget.spent()) {
            version_ = version_->older();
            budget.take(1, 0);
        }
        if (version_ != nullptr && version_->mod > revision_) {
            return true;
        }
        if (version_ != nullptr && version_->mod <= floor_ && version_->tombstone()) {
            version_ = nullptr;
        }
    }
    if (version_ == nullptr) {
        position_.assign(record_->key());
        position_.push_back('\0');
        record_ = nullptr;
        return true;
    }
    budget.take(1, 0);
    return fill_fixed();
}

bool StateWriter::fill_fixed() {
    if (!key_written_) {
        if (room() < key_fixed_bytes) {
            return false;
        }
        std::byte fields[key_fixed_bytes];
        ByteWriter writer(fields);
        writer.number(static_cast<std::uint8_t>(ItemKind::key));
        writer.number(record_->key_bytes);
        append_bytes(fields);
        text_ = record_->key();
        key_written_ = true;
        keys_++;
        return true;
    }
    if (room() < version_fixed_bytes) {
        return false;
    }
    const Version& version = *version_;
    const Version* next = below(version);
    const bool removal = version.tombstone();
    std::byte fields[version_fixed_bytes];
    ByteWriter writer(fields);
    writer.number(static_cast<std::uint8_t>(ItemKind::version));
    writer.number(static_cast<std::uint8_t>((removal ? removal_flag : 0) | (next == nullptr ? last_flag : 0)));
    writer.number(version.mod);
    writer.number(version.sub);
    writer.number(removal ? api::Revision{0} : version.create());
    writer.number(removal ? std::int64_t{0} : version.version());
    writer.number(version.lease());
    writer.number(version.value_bytes());
    ASSERT(writer.full());
    append_bytes(fields);
    text_ = version.value();
    version_ = next;
    versions_++;
    return true;
}

}  // namespace

std::unique_ptr<CheckpointWriter> Store::open_checkpoint() {
    return std::make_unique<StateWriter>(impl_->state, impl_->range);
}

}  // namespace ringfort::kv
