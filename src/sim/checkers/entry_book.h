// What is known of every entry of every range, from the logs on all disks: log matching, what is committed, and that
// nothing is before a quorum has it durable.
//
// Log matching (Raft 5.3) by induction: an entry's index and term decide its checksum and the term of the entry before it,
// wherever and whenever it is found. So two logs that agree in one entry agree in all before it.
//
// Committed is what some replica said is committed, and the book then knows by whose disks: each entry must have been
// durable, at some time and while the replica counted, on a quorum of nodes. From then on no other entry may be called
// committed at its index, by any replica in any life.
//
// A replica in doubt counts again from a fence on: with what its log has behind one of its present incarnation, once that
// is committed without it. Others may know that before it does, and before its disk says that the doubt is over.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace ringfort::sim {

// An entry as it lies in a log.
struct StoredEntry {
    raft::EntryId id{};
    std::uint64_t checksum{0};   // of its payload
    Term before{};               // of the entry before it; 0: unknown
};

class EntryBook {
  public:
    static constexpr std::size_t nodes_max = 32;

    explicit EntryBook(std::size_t nodes) : quorum_(nodes / 2 + 1) {}

    // All return what is wrong, empty if nothing is.

    // The range begins with a state, the same everywhere, that stands for the entries through this one.
    std::string on_founded(RangeId range, raft::EntryId state);
    // The node, counted from 0, has the entry durable. `counts`: the replica is not in doubt. May be told again.
    std::string on_durable(std::size_t node, RangeId range, const StoredEntry& entry, bool counts);
    // The node's log has this fence of its present incarnation durable; id 0: it has begun another one.
    void on_fence(std::size_t node, RangeId range, raft::EntryId fence);
    // From now on the node may have anything durable.
    void on_move(std::size_t node);
    // A replica says that everything through this entry is committed.
    std::string on_commit(RangeId range, raft::EntryId id);
    // The node's log holds this entry no more, and neither a checkpoint nor a snapshot stands for it.
    std::string on_lost(std::size_t node, RangeId range, raft::EntryId id) const;
    // A checkpoint or snapshot stands for everything through this entry.
    std::string on_covered(RangeId range, raft::EntryId id) const;
    // A replica leads; `term_at` is the term of the entry that its log has at committed(), nothing if it has none.
    std::string on_leader(RangeId range, Term term, std::optional<Term> term_at) const;

    LogIndex committed(RangeId range) const;
    // Nothing: not committed.
    std::optional<Term> committed_term(RangeId range, LogIndex index) const;

  private:
    struct Version {
        Term term{};
        Term before{};               // 0: no log said it yet
        std::uint64_t checksum{0};
        std::uint32_t nodes{0};      // bit: durable there
        std::uint32_t doubtful{0};   // bit: durable there while the replica was in doubt
    };
    struct Committed {
        Term term{};
        std::uint64_t checksum{0};
    };
    struct Range {
        LogIndex first{};                          // committed[0]; 0: nothing is known
        std::vector<Committed> committed;
        std::deque<std::vector<Version>> open;     // [i]: what was found at committed end + 1 + i
        std::map<raft::EntryId, Version> stale;    // at committed indices, and not what was committed there
        std::array<raft::EntryId, nodes_max> fences{};   // by node: of its present incarnation; 0: none

        LogIndex through() const { return first.plus(committed.size()).prev(); }
    };
    // On how many nodes that count the entry was, if the fences through `index` are committed with it.
    std::size_t durable_on(const Range& range, const Version& version, LogIndex index) const;
    static Term before(const Range& range, const Version& version, LogIndex index);
    static std::string check_same(RangeId range, const StoredEntry& entry, const Version& known);
    std::string on_old(Range& range, RangeId id, const StoredEntry& entry);
    void settle(Range& range, const std::vector<Term>& terms);

    std::size_t quorum_;
    std::uint32_t moved_{0};   // bit: the node has
    std::map<RangeId, Range> ranges_;
};

}  // namespace ringfort::sim
