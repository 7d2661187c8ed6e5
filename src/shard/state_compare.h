// Replicas of a range compare the hashes of their states at equal index, now and then, over the links they have.
//
// Who leads asks: at this index the hash is this (StateHashes, `ask`). A follower answers with its own when it has applied
// exactly so far, which is soon, as it hears of commits in the same order; one that is further says nothing, and is asked
// again the next time. If answers differ, the hash that a majority of voters has is the right one, and who has another is
// told so (`verdict`), the asker itself included. Without a majority nobody knows who is wrong: that is logged.
//
// A replica in the wrong goes out of service: it answers nothing from its state, tells watches nothing, leads no longer
// and writes no checkpoint; its log is right, so it votes and takes entries as before. It asks the leader for a snapshot at
// its index or later (`rebuild`), which replaces its state; then it goes on. Who restarts before that is found again.
//
// This finds commands that were applied wrongly. Values that went bad in memory since do not show in this hash; hashkv
// reads those. The directory is not compared.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "shard/context.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

class Link;
class Replica;

class StateCompare {
  public:
    explicit StateCompare(Context& context) : context_(context) {}

    void on_message(Link& link, const wire::StateHashes& message);
    // After apply: answers questions whose index has been reached.
    void run();
    void on_timers(Instant now);
    Instant next_deadline() const { return next_look_; }

  private:
    // Of a range this shard leads.
    struct Round {
        RangeId range{};
        Term term{};
        LogIndex index{};
        std::uint64_t hash{0};                                  // here
        std::vector<std::pair<NodeId, std::uint64_t>> answers;  // one a node
        std::vector<NodeId> told;                               // that they are in the wrong
        bool undecided_told{false};
    };
    // Of the range's leader, to be answered when this replica has come so far.
    struct Question {
        RangeId range{};
        Term term{};
        LogIndex index{};
        std::uint64_t link{0};
    };

    void begin_rounds();
    void on_ask(Link& link, const wire::StateHash& item);
    void on_answer(Link& link, const wire::StateHash& item);
    void on_verdict(Link& link, const wire::StateHash& item);
    void on_rebuild(Link& link, const wire::StateHash& item);
    void decide(Replica& replica, Round& round);
    void tell(Replica& replica, Round& round, NodeId node, std::uint64_t right_hash);
    void take_out(Replica& replica, LogIndex index);
    void seek_rebuild(Replica& replica);

    Context& context_;
    std::vector<Round> rounds_;         // one a range
    std::vector<Question> questions_;   // one a range
    Instant next_look_{};
    Instant next_rounds_{};
};

}  // namespace ringfort::shard
