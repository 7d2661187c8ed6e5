// Checkpoint form, version 1: u32 magic, u32 version, u64 applied, u64 hash, u8 bootstrapped, the state if so
// (directory_codec.h), u64 checksum of all before it.
#include "kv/directory.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "kv/command_header.h"
#include "kv/directory_codec.h"

namespace ringfort::kv {

namespace {

constexpr std::uint32_t checkpoint_magic = 0x52444652;   // "RFDR"
constexpr std::uint32_t checkpoint_version = 1;
constexpr std::size_t checkpoint_head_bytes = 4 + 4 + 8 + 8 + 1;
constexpr std::size_t checkpoint_tail_bytes = 8;

std::uint64_t chain(std::uint64_t hash, LogIndex index, std::uint64_t command_checksum, bool changed) {
    std::byte record[24];
    store(record, index.value);
    store(record + 8, command_checksum);
    store(record + 16, std::uint64_t{changed ? 1u : 0u});
    return checksum(record, hash);
}

}  // namespace

DirectoryState bootstrap_state(ClusterId cluster, std::vector<MemberRecord> members,
                               const std::vector<std::string>& splits, const Settings& settings) {
    ASSERT(std::adjacent_find(splits.begin(), splits.end(), std::greater_equal<>()) == splits.end());
    ASSERT(splits.empty() || !splits.front().empty());
    DirectoryState state;
    state.cluster_id = cluster;
    state.feature_level = feature_level_current;
    state.settings = settings;
    state.members = std::move(members);
    std::vector<NodeId> replicas;
    for (const MemberRecord& member : state.members) {
        replicas.push_back(member.id);
    }
    for (std::size_t i = 0; i <= splits.size(); i++) {
        const std::string begin = i == 0 ? std::string() : splits[i - 1];
        const std::string end = i == splits.size() ? std::string() : splits[i];
        state.domains.push_back({DomainId(i + 1), begin, end});
        // Range 0 is the directory itself.
        state.ranges.push_back({RangeId(i + 1), DomainId(i + 1), Generation(1), begin, end, replicas});
    }
    ASSERT(state_is_valid(state));
    return state;
}

std::vector<std::byte> encode_bootstrap_command(const DirectoryState& state) {
    ASSERT(state_is_valid(state));
    std::vector<std::byte> out(command_header_bytes);
    append_state(out, state);
    ByteWriter writer(MutableBytes(out).first(command_header_bytes));
    encode_command_header(writer, CommandKind::directory_bootstrap, out.size(), CommandHeader{});
    return out;
}

void Directory::apply(Bytes command, std::uint64_t command_checksum, LogIndex index) {
    ASSERT(index > applied_);
    ByteReader reader(command);
    const auto head = decode_command_header(reader, command);
    bool changed = false;
    if (head && head->kind == CommandKind::directory_bootstrap && !bootstrapped()) {
        if (std::optional<DirectoryState> state = decode_state(reader)) {
            state_ = std::move(*state);
            changed = true;
        }
    }
    applied_ = index;
    hash_ = chain(hash_, index, command_checksum, changed);
}

void Directory::skip(LogIndex index) {
    ASSERT(index > applied_);
    applied_ = index;
}

const RangeRecord& Directory::range_of(std::string_view key) const {
    ASSERT(bootstrapped());
    const auto after = std::upper_bound(state_.ranges.begin(), state_.ranges.end(), key,
                                        [](std::string_view k, const RangeRecord& range) { return k < range.begin; });
    ASSERT(after != state_.ranges.begin());
    return *(after - 1);
}

const RangeRecord* Directory::find(RangeId id) const {
    for (const RangeRecord& range : state_.ranges) {
        if (range.id == id) {
            return &range;
        }
    }
    return nullptr;
}

const MemberRecord* Directory::find(NodeId id) const {
    for (const MemberRecord& member : state_.members) {
        if (member.id == id) {
            return &member;
        }
    }
    return nullptr;
}

std::vector<std::byte> Directory::checkpoint() const {
    std::vector<std::byte> out(checkpoint_head_bytes);
    ByteWriter writer(out);
    writer.number(checkpoint_magic);
    writer.number(checkpoint_version);
    writer.number(applied_.value);
    writer.number(hash_);
    writer.number(static_cast<std::uint8_t>(bootstrapped() ? 1 : 0));
    if (bootstrapped()) {
        append_state(out, state_);
    }
    const std::uint64_t sum = checksum(out);
    out.resize(out.size() + checkpoint_tail_bytes);
    store(out.data() + out.size() - checkpoint_tail_bytes, sum);
    return out;
}

bool Directory::load(Bytes bytes) {
    if (bytes.size() < checkpoint_head_bytes + checkpoint_tail_bytes) {
        return false;
    }
    const Bytes body = bytes.first(bytes.size() - checkpoint_tail_bytes);
    if (checksum(body) != ringfort::load<std::uint64_t>(body.data() + body.size())) {
        return false;
    }
    ByteReader reader(body);
    const auto magic = reader.number<std::uint32_t>();
    const auto version = reader.number<std::uint32_t>();
    const LogIndex applied(reader.number<std::uint64_t>());
    const auto hash = reader.number<std::uint64_t>();
    const auto has_state = reader.number<std::uint8_t>();
    if (magic != checkpoint_magic || version != checkpoint_version || has_state > 1) {
        return false;
    }
    DirectoryState state;
    if (has_state == 1) {
        std::optional<DirectoryState> decoded = decode_state(reader);
        if (!decoded) {
            return false;
        }
        state = std::move(*decoded);
    } else if (!reader.at_end()) {
        return false;
    }
    state_ = std::move(state);
    applied_ = applied;
    hash_ = hash;
    return true;
}

}  // namespace ringfort::kv
