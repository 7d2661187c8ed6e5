// Strong types for everything that is "just a number". No implicit conversion, no arithmetic but what makes sense.
#pragma once

#include <compare>
#include <cstdint>

namespace ringfort {

template <class Tag>
struct Id {
    std::uint64_t value{0};

    constexpr Id() = default;
    constexpr explicit Id(std::uint64_t v) : value(v) {}
    constexpr auto operator<=>(const Id&) const = default;
    constexpr explicit operator bool() const { return value != 0; }
};

// A Raft term. 0: before the first election.
struct Term : Id<Term> {
    using Id::Id;
    constexpr Term next() const { return Term(value + 1); }
};

// A place in one range's Raft log. Entries start at 1; 0 is "before the first".
struct LogIndex : Id<LogIndex> {
    using Id::Id;
    constexpr LogIndex next() const { return LogIndex(value + 1); }
    constexpr LogIndex prev() const { return LogIndex(value - 1); }
    constexpr LogIndex plus(std::uint64_t count) const { return LogIndex(value + count); }
};

// How far `to` lies behind `from`. Requires: from <= to.
constexpr std::uint64_t distance(LogIndex from, LogIndex to) { return to.value - from.value; }

// A member of the cluster; never 0, never reused. Derived from name, peer URLs and cluster token at bootstrap.
struct NodeId : Id<NodeId> {
    using Id::Id;
};
// Which cluster; derived from the initial members and the token. Peers and clients of another are refused.
struct ClusterId : Id<ClusterId> {
    using Id::Id;
};
// A random number given to a data directory when it is made: tells a wiped node from the one before it.
struct InstanceId : Id<InstanceId> {
    using Id::Id;
};
// How many times promises were lost and begun anew: a member's, when its data directory was; a replica's, see of_replica.
// Messages of older incarnations are dropped, and none is ever used twice.
struct Incarnation : Id<Incarnation> {
    using Id::Id;
    constexpr Incarnation next() const { return Incarnation(value + 1); }
    // The first one of a member's replicas. The lower half counts what a replica alone has lost since (a damaged
    // checkpoint, a damaged hard state), which nobody but its own log remembers: the next member's is beyond all of them.
    constexpr Incarnation of_replica() const { return Incarnation(value << 32); }
};
// A range. 0 is the directory.
struct RangeId : Id<RangeId> {
    using Id::Id;
};
inline constexpr RangeId directory_range{};
// A range's shape version, bumped by every split or merge. Requests carry the one they were routed by.
struct Generation : Id<Generation> {
    using Id::Id;
};
// A domain: a key interval with its own revision counter.
struct DomainId : Id<DomainId> {
    using Id::Id;
};
// One core of one node, 0-based.
struct ShardId : Id<ShardId> {
    using Id::Id;
};

}  // namespace ringfort
