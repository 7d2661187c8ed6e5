// The directory: the state machine of range 0. Cluster id, members, domains, ranges and their placement, settings that
// change results, feature level. Small: its checkpoint is one piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "kv/command.h"

namespace ringfort::kv {

struct MemberRecord {
    NodeId id{};
    std::string name;
    std::vector<std::string> peer_urls;
    std::vector<std::string> client_urls;
    bool learner{false};
    bool operator==(const MemberRecord&) const = default;
};

struct DomainRecord {
    DomainId id{};
    std::string begin;
    std::string end;   // empty: no end
    bool operator==(const DomainRecord&) const = default;
};

struct RangeRecord {
    RangeId id{};
    DomainId domain{};
    Generation generation{};
    std::string begin;
    std::string end;   // empty: no end
    std::vector<NodeId> replicas;
    bool operator==(const RangeRecord&) const = default;
};

struct Settings {
    std::uint32_t txn_ops{128};
    std::uint32_t request_bytes{1536 * 1024};
    bool operator==(const Settings&) const = default;
};

struct DirectoryState {
    ClusterId cluster_id{};
    std::uint32_t feature_level{0};
    Settings settings;
    std::vector<MemberRecord> members;   // by id
    std::vector<DomainRecord> domains;   // by begin; they cover the key space once
    std::vector<RangeRecord> ranges;     // by begin; they cover the key space once
    bool operator==(const DirectoryState&) const = default;
};

inline constexpr std::uint32_t feature_level_current = 1;

// The state a static bootstrap proposes: one domain and one range per piece between the split points.
// `splits`: sorted, distinct, non-empty keys. Requires: members sorted by id.
DirectoryState bootstrap_state(ClusterId cluster, std::vector<MemberRecord> members,
                               const std::vector<std::string>& splits, const Settings& settings);

class Directory {
  public:
    // Applies an entry's command. A bootstrap after the first changes nothing. Unknown or malformed: changes nothing.
    void apply(Bytes command, std::uint64_t checksum, LogIndex index);
    void skip(LogIndex index);

    bool bootstrapped() const { return bool(state_.cluster_id); }
    const DirectoryState& state() const { return state_; }
    LogIndex applied() const { return applied_; }
    std::uint64_t hash() const { return hash_; }

    // The range that holds the key. Requires: bootstrapped().
    const RangeRecord& range_of(std::string_view key) const;
    const RangeRecord* find(RangeId id) const;
    const MemberRecord* find(NodeId id) const;

    std::vector<std::byte> checkpoint() const;
    bool load(Bytes checkpoint);   // false: malformed; then nothing changed

  private:
    DirectoryState state_;
    LogIndex applied_{};
    std::uint64_t hash_{0};
};

std::vector<std::byte> encode_bootstrap_command(const DirectoryState& state);

}  // namespace ringfort::kv
