// Loading a checkpoint: total, in bounded steps. A block is parsed only after its checksum held; items may be cut by
// block borders anywhere. Values go straight into their blocks of the store.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/bounds.h"
#include "kv/byte_reader.h"
#include "kv/checkpoint_format.h"
#include "kv/store_impl.h"

namespace ringfort::kv {

namespace {

using namespace checkpoint;

// In keys walked: an item makes a block, and with a key's first version entries in both indexes.
constexpr std::int64_t item_cost = 3;

// Of revisions and version numbers: no store gets there, and there is room to count on.
constexpr std::int64_t number_max = INT64_MAX / 2;

class StateReader final : public CheckpointReader {
  public:
    StateReader(StoreState& state, RangeId range) : state_(state), range_(range) {
        ASSERT(state_.revision == 1 && !state_.applied && state_.tree.totals().records == 0);
    }

    bool feed(Bytes bytes, WorkBudget& budget, std::size_t& consumed) override;
    bool settle(WorkBudget& budget) override;
    bool finish() override;

  private:
    // What the next bytes of the payload belong to.
    enum class Expect : std::uint8_t { item, key, value, nothing };

    bool take_block(Bytes bytes, std::size_t& consumed);
    bool open_block();
    bool parse(WorkBudget& budget);
    bool parse_fixed(Bytes payload);
    bool on_fixed();
    bool on_head(ByteReader& reader);
    bool on_alarm(ByteReader& reader);
    bool on_leases(ByteReader& reader);
    bool on_lease(ByteReader& reader);
    bool on_key_head(ByteReader& reader);
    bool on_key();
    bool on_version(ByteReader& reader);
    bool on_end(ByteReader& reader);
    void add_version(Version* version, bool removal, bool last);
    void add_key(Version* latest, bool live);
    void index_oldest();

    StoreState& state_;
    RangeId range_;
    bool failed_{false};

    // ---- blocks
    std::vector<std::byte> block_;        // head and payload, as far as they came
    bool block_open_{false};              // whole and verified
    std::size_t parsed_{0};               // bytes of its payload
    std::uint32_t number_{0};
    std::uint64_t content_before_{0};     // of the blocks before this one
    std::uint64_t content_{0};

    // ---- items
    Expect expect_{Expect::item};
    std::array<std::byte, fixed_bytes_max> fixed_{};
    std::size_t fixed_count_{0};
    bool head_seen_{false};
    bool end_seen_{false};
    std::string key_;
    std::string previous_key_;
    std::size_t text_left_{0};            // of the key or the value in progress
    char* value_to_{nullptr};
    KeyRecord* record_{nullptr};          // of key_, once its first version came
    Version* newer_{nullptr};             // the version before, of the same key
    bool leases_seen_{false};
    std::uint64_t leases_expected_{0};    // to come before anything else
    std::optional<api::LeaseId> previous_lease_;
    bool versions_expected_{false};       // the key's last version has not come yet

    // The youngest records, which the index gets once their slots had the time to come near: a ring.
    struct Unindexed {
        KeyRecord* record;
        std::uint64_t hash;
    };
    std::array<Unindexed, 16> unindexed_{};
    std::size_t unindexed_first_{0};
    std::size_t unindexed_count_{0};

    // ---- the state the head names
    LogIndex applied_{};
    api::Revision revision_{0};
    api::Revision floor_{0};
    std::uint64_t hash_{0};
    std::uint64_t keys_{0};
    std::uint64_t versions_{0};
};

bool StateReader::feed(Bytes bytes, WorkBudget& budget, std::size_t& consumed) {
    consumed = 0;
    while (!failed_ && !budget.spent()) {
        if (block_open_) {
            failed_ = !parse(budget);
        } else if (consumed == bytes.size()) {
            break;
        } else {
            failed_ = !take_block(bytes, consumed);
        }
    }
    return !failed_;
}

bool StateReader::settle(WorkBudget& budget) {
    if (!failed_ && block_open_) {
        failed_ = !parse(budget);
    }
    return failed_ || (!block_open_ && state_.history.merge(budget));
}

bool StateReader::finish() {
    WorkBudget rest{INT64_MAX, INT64_MAX};
    const bool settled = settle(rest);
    ASSERT(settled);
    if (failed_ || !end_seen_ || !block_.empty()) {
        failed_ = true;
        return false;
    }
    while (unindexed_count_ > 0) {
        index_oldest();
    }
    state_.revision = revision_;
    state_.compact_revision = floor_;
    // Removals at the compacted revision do not stand in a checkpoint: there may have been some.
    state_.history.set_lost_at(floor_);
    state_.applied = applied_;
    state_.hash = hash_;
    state_.key_count = state_.tree.totals().live;
    return true;
}

// ---------------------------------------------------------------------------------------------- blocks

bool StateReader::take_block(Bytes bytes, std::size_t& consumed) {
    if (end_seen_) {
        return false;   // nothing follows the end
    }
    std::size_t wanted = block_head_bytes;
    if (block_.size() >= block_head_bytes) {
        wanted += load<std::uint32_t>(block_.data());
    }
    const std::size_t taken = std::min(wanted - block_.size(), bytes.size() - consumed);
    const Bytes part = bytes.subspan(consumed, taken);
    block_.insert(block_.end(), part.begin(), part.end());
    consumed += taken;
    if (block_.size() < wanted) {
        return true;
    }
    if (wanted == block_head_bytes) {
        const auto payload_bytes = load<std::uint32_t>(block_.data());
        return payload_bytes > 0 && payload_bytes <= block_payload_bytes_max;
    }
    return open_block();
}

bool StateReader::open_block() {
    const Bytes payload = Bytes(block_).subspan(block_head_bytes);
    const auto number = load<std::uint32_t>(block_.data() + 4);
    const auto sum = load<std::uint64_t>(block_.data() + 8);
    if (number != number_ || sum != checksum(payload, number)) {
        return false;
    }
    content_before_ = content_;
    content_ = chain_content(content_, sum);
    number_++;
    parsed_ = 0;
    block_open_ = true;
    return true;
}

bool StateReader::parse(WorkBudget& budget) {
    const Bytes payload = Bytes(block_).subspan(block_head_bytes);
    while (parsed_ < payload.size()) {
        if (budget.spent()) {
            return true;
        }
        const Bytes rest = payload.subspan(parsed_);
        const std::size_t text_bytes = std::min(text_left_, rest.size());
        switch (expect_) {
            case Expect::item:
                if (!parse_fixed(rest)) {
                    return false;
                }
                state_.charge(budget, item_cost, 0);
                break;
            case Expect::key:
                key_.append(as_text(rest.first(text_bytes)));
                parsed_ += text_bytes;
                text_left_ -= text_bytes;
                if (text_left_ == 0 && !on_key()) {
                    return false;
                }
                break;
            case Expect::value:
                std::memcpy(value_to_, rest.data(), text_bytes);
                value_to_ += text_bytes;
                parsed_ += text_bytes;
                text_left_ -= text_bytes;
                budget.take(0, static_cast<std::int64_t>(text_bytes));
                if (text_left_ == 0) {
                    expect_ = Expect::item;
                }
                break;
            case Expect::nothing:
                return false;
        }
    }
    block_.clear();
    block_open_ = false;
    return true;
}

// ---------------------------------------------------------------------------------------------- items

bool StateReader::parse_fixed(Bytes payload) {
    const auto kind = static_cast<ItemKind>(fixed_count_ == 0 ? payload[0] : fixed_[0]);
    std::size_t wanted = 0;
    switch (kind) {
        case ItemKind::head:
            wanted = head_bytes;
            break;
        case ItemKind::alarm:
            wanted = alarm_item_bytes;
            break;
        case ItemKind::leases:
            wanted = leases_bytes;
            break;
        case ItemKind::lease:
            wanted = lease_bytes;
            break;
        case ItemKind::key:
            wanted = key_fixed_bytes;
            break;
        case ItemKind::version:
            wanted = version_fixed_bytes;
            break;
        case ItemKind::end:
            wanted = end_bytes;
            break;
    }
    if (wanted == 0) {
        return false;
    }
    const std::size_t taken = std::min(wanted - fixed_count_, payload.size());
    std::copy_n(payload.begin(), taken, fixed_.begin() + static_cast<std::ptrdiff_t>(fixed_count_));
    fixed_count_ += taken;
    parsed_ += taken;
    if (fixed_count_ < wanted) {
        return true;
    }
    return on_fixed();
}

bool StateReader::on_fixed() {
    ByteReader reader(Bytes(fixed_).first(fixed_count_));
    fixed_count_ = 0;
    const auto kind = static_cast<ItemKind>(reader.number<std::uint8_t>());
    if ((kind == ItemKind::head) == head_seen_ || (kind == ItemKind::version) != versions_expected_ ||
        (kind == ItemKind::lease) != (leases_expected_ > 0)) {
        return false;
    }
    switch (kind) {
        case ItemKind::head:
            return on_head(reader);
        case ItemKind::alarm:
            return on_alarm(reader);
        case ItemKind::leases:
            return on_leases(reader);
        case ItemKind::lease:
            return on_lease(reader);
        case ItemKind::key:
            return on_key_head(reader);
        case ItemKind::version:
            return on_version(reader);
        case ItemKind::end:
            return on_end(reader);
    }
    return false;
}

bool StateReader::on_head(ByteReader& reader) {
    const auto found_magic = reader.number<std::uint64_t>();
    const auto version = reader.number<std::uint32_t>();
    const RangeId range(reader.number<std::uint64_t>());
    applied_ = LogIndex(reader.number<std::uint64_t>());
    revision_ = reader.number<std::int64_t>();
    floor_ = reader.number<std::int64_t>();
    hash_ = reader.number<std::uint64_t>();
    head_seen_ = true;
    return found_magic == magic && version == format_version && range == range_ && revision_ >= 1 &&
           revision_ <= number_max && floor_ >= 0 && floor_ <= revision_;
}

bool StateReader::on_alarm(ByteReader& reader) {
    const NodeId member(reader.number<std::uint64_t>());
    const api::Alarm alarm{member, static_cast<api::AlarmType>(reader.number<std::uint8_t>())};
    Alarms& alarms = state_.alarms;
    if (leases_seen_ || keys_ > 0 || alarms.size() == alarms_max || !alarm.member || alarm.type == api::AlarmType::none ||
        alarm.type > api::AlarmType::corrupt || (!alarms.empty() && alarm <= alarms.back())) {
        return false;
    }
    alarms.push_back(alarm);
    return true;
}

bool StateReader::on_leases(ByteReader& reader) {
    const auto version = reader.number<std::uint32_t>();
    LeaseStamp stamp;
    stamp.at.ns = reader.number<std::int64_t>();
    stamp.term = Term(reader.number<std::uint64_t>());
    leases_expected_ = reader.number<std::uint64_t>();
    const bool first = !leases_seen_ && keys_ == 0;
    leases_seen_ = true;
    if (!first || version != leases_version || stamp.at.ns < 0 || stamp.at.ns > lease_clock_max_ns ||
        (stamp.at == LeaseTime{} && !stamp.term)) {
        return false;
    }
    state_.leases.advance(stamp);
    return true;
}

bool StateReader::on_lease(ByteReader& reader) {
    const auto id = reader.number<std::int64_t>();
    LeaseFacts facts;
    facts.ttl = reader.number<std::int64_t>();
    facts.deadline.ns = reader.number<std::int64_t>();
    facts.version = LogIndex(reader.number<std::uint64_t>());
    if (id == 0 || (previous_lease_ && id <= *previous_lease_) || facts.ttl <= 0 || facts.ttl > limits::lease_ttl_max_s ||
        facts.deadline.ns < 0 || !facts.version || facts.version > applied_) {
        return false;
    }
    previous_lease_ = id;
    leases_expected_--;
    state_.leases.add(id, facts);
    return true;
}

bool StateReader::on_key_head(ByteReader& reader) {
    text_left_ = reader.number<std::uint32_t>();
    previous_key_.swap(key_);
    key_.clear();
    record_ = nullptr;
    newer_ = nullptr;
    versions_expected_ = true;
    expect_ = Expect::key;
    return text_left_ > 0 && text_left_ <= limits::command_bytes_max;
}

bool StateReader::on_key() {
    expect_ = Expect::item;
    keys_++;
    return previous_key_ < key_;   // the first one follows the empty key
}

bool StateReader::on_version(ByteReader& reader) {
    const auto flags = reader.number<std::uint8_t>();
    const bool removal = (flags & removal_flag) != 0;
    const bool last = (flags & last_flag) != 0;
    StoreState::VersionSpec spec{};
    spec.mod = reader.number<std::int64_t>();
    spec.sub = reader.number<std::uint32_t>();
    spec.create = reader.number<std::int64_t>();
    spec.version = reader.number<std::int64_t>();
    spec.lease = reader.number<std::int64_t>();
    spec.value_bytes = reader.number<std::uint32_t>();
    spec.linked = !last;
    const bool below_newer =
        newer_ == nullptr || (newer_->mod > floor_ && (spec.mod < newer_->mod ||
                                                       (spec.mod == newer_->mod && spec.sub < newer_->sub)));
    if (flags > (removal_flag | last_flag) || spec.mod < 2 || spec.mod > revision_ || !below_newer) {
        return false;
    }
    if (removal) {
        // A removal is written only where something below it can still be read.
        if (last || spec.mod <= floor_ || spec.create != 0 || spec.version != 0 || spec.lease != 0 ||
            spec.value_bytes != 0) {
            return false;
        }
        add_version(state_.new_tombstone(spec.mod, spec.sub, nullptr), removal, last);
        return true;
    }
    if (spec.create < 2 || spec.create > spec.mod || spec.version < 1 || spec.version > number_max ||
        spec.value_bytes > limits::command_bytes_max || (!last && spec.mod <= floor_)) {
        return false;
    }
    const bool attached = newer_ == nullptr && spec.lease != 0;
    if (attached && state_.leases.find(spec.lease) == nullptr) {
        return false;
    }
    Version* version = state_.new_version(spec);
    add_version(version, removal, last);
    if (attached) {
        state_.leases.move_key(record_, 0, spec.lease);
    }
    if (spec.value_bytes > 0) {
        value_to_ = value_room(version);
        text_left_ = spec.value_bytes;
        expect_ = Expect::value;
    }
    return true;
}

void StateReader::add_version(Version* version, bool removal, bool last) {
    if (newer_ == nullptr) {
        add_key(version, !removal);
    } else {
        newer_->extension()->older = version;
    }
    if (version->mod > floor_) {
        state_.history.load(record_, version);
    }
    newer_ = version;
    versions_expected_ = !last;
    versions_++;
}

void StateReader::add_key(Version* latest, bool live) {
    if (unindexed_count_ == unindexed_.size()) {
        index_oldest();
    }
    const std::uint64_t hash = state_.index.hash(key_);
    state_.index.prefetch(hash);
    record_ = state_.new_tree_record(key_, hash, latest, live);
    unindexed_[(unindexed_first_ + unindexed_count_) % unindexed_.size()] = {record_, hash};
    unindexed_count_++;
}

void StateReader::index_oldest() {
    const Unindexed& oldest = unindexed_[unindexed_first_];
    static_cast<void>(state_.index.insert(oldest.record, oldest.hash));   // a declined key is found through the tree
    unindexed_first_ = (unindexed_first_ + 1) % unindexed_.size();
    unindexed_count_--;
}

bool StateReader::on_end(ByteReader& reader) {
    const auto keys = reader.number<std::uint64_t>();
    const auto versions = reader.number<std::uint64_t>();
    const auto content = reader.number<std::uint64_t>();
    end_seen_ = true;
    expect_ = Expect::nothing;
    return keys == keys_ && versions == versions_ && content == content_before_;
}

}  // namespace

std::unique_ptr<CheckpointReader> Store::load_checkpoint() {
    return std::make_unique<StateReader>(impl_->state, impl_->range);
}

}  // namespace ringfort::kv
