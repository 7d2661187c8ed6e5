// What must hold on every path of the explorer. The history keeps what no replica can be asked for afterwards: what was
// committed, who led, who voted for whom, and the read under way.
//
//   election safety       one leader a term, elected by a quorum of votes that are durable, of replicas that may vote
//   a vote a term         none is given twice, not even by a later incarnation
//   log matching          logs that hold an entry of one id are equal up to it
//   durable commit        whoever commits, a quorum had it durable while it counted; afterwards every voter of some quorum
//                         has it durable or is in doubt, that is, counts for nothing
//   leader completeness   a leader has all that was committed in earlier terms
//   state machine safety  what was committed or applied anywhere is the same everywhere, and nobody knows of a commit
//                         before a leader
//   doubt                 it ends when the fence is committed, and durable with all before it
//   reads                 no read is answered below what was committed when it was asked
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "replica_states.h"

namespace ringfort::raft {

inline constexpr std::size_t replica_count = 3;
inline constexpr std::size_t terms_max = 16;

struct Committed {
    EntryId id;
    std::uint64_t identity{0};
    std::uint64_t chain{0};       // as TestNode::state_hash()
    Term by;                      // the committing leader's
};

struct ReadUnderWay {
    std::uint8_t node{0};         // 0: none; 1, 2, 3
    bool by_follower{false};      // it asked; whoever leads may answer
    Term term;
    LogIndex index;               // leaders: what it was given
    LogIndex required;
    std::uint8_t confirmed{0};    // bit i: node i + 1
};

struct History {
    std::vector<Committed> committed;   // from index 2 on: 1 is in every first checkpoint
    std::array<std::uint8_t, terms_max> leader_of{};
    std::array<std::array<std::uint8_t, terms_max>, replica_count> votes{};
    ReadUnderWay read;

    LogIndex committed_last() const { return LogIndex(1 + committed.size()); }
    const Committed* at(LogIndex index) const;
};

// A state of the whole cluster; all else is behind the numbers.
struct ClusterState {
    std::array<Number, replica_count> replica{};
    std::array<Number, replica_count> inbox{};
    Number history{};
    std::uint64_t left{0};        // four bits a kind: how many may still happen

    bool operator==(const ClusterState&) const = default;
};

class Judge {
  public:
    Judge(const Scope& scope, ReplicaStates& replicas);

    Number first(const ClusterState& start);
    // `to` follows from `from` by a step of replica `node`, which sent these. Sets to.history. Empty: all holds.
    std::string after_step(const ClusterState& from, ClusterState& to, std::size_t node, const Outcome& outcome);
    // False: the action is not possible.
    bool begin_read(ClusterState& state, std::size_t node, bool by_follower);
    bool confirm_read(ClusterState& state, std::size_t node);
    std::string check(const ClusterState& state) const;
    // Answers the read if it can be; says what is wrong with the answer.
    std::string end_read(ClusterState& state);

  private:
    Number intern(const History& history);
    std::string note_votes(History& history, const Facts& after, const Outcome& outcome) const;
    std::string note_leader(History& history, const ClusterState& to, const Facts& after) const;
    std::string note_commit(History& history, const ClusterState& to, const Facts& before, const Facts& after) const;
    std::string check_doubt(const History& history, const Facts& before, const Facts& after) const;
    bool acknowledged(const ClusterState& state, const Facts& leader, NodeId voter, EntryId id) const;
    bool voted(const ClusterState& state, const Facts& candidate, NodeId voter) const;

    const Scope scope_;
    ReplicaStates& replicas_;
    std::vector<std::unique_ptr<History>> histories_;
    std::unordered_map<std::string, Number> by_key_;
};

}  // namespace ringfort::raft
