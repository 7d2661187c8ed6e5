// What this replica knows of its peers: liveness and standing (every role), votes (candidates), replication (leaders).
//
//   probe:      one append at a time, until an answer shows where the logs agree
//   replicate:  appends follow each other without waiting, as far as the window allows
//   snapshot:   the entries needed are gone; a checkpoint is on its way, no appends but such as say who leads until it
//               arrived or failed
//
//   probe -> replicate: accepted.  replicate -> probe: rejected, or the peer was lost.
//   any -> snapshot: next <= snapshot.  snapshot -> probe: installed, refused, failed or lost.
#pragma once

#include <cstdint>
#include <vector>

#include "base/mutant.h"
#include "base/ring_queue.h"
#include "raft/types.h"

namespace ringfort::raft {

inline constexpr std::size_t messages_in_flight_max = 128;

// Appends sent and not answered yet.
class InFlight {
  public:
    bool full(std::size_t window_bytes) const { return messages_.full() || bytes_ >= window_bytes; }
    std::uint64_t bytes() const { return bytes_; }
    void add(LogIndex last, std::uint64_t bytes);
    void acknowledge(LogIndex match);
    void clear();

  private:
    struct Sent {
        LogIndex last{};
        std::uint64_t bytes{0};
    };
    RingQueue<Sent> messages_{messages_in_flight_max};
    std::uint64_t bytes_{0};  // Invariant: the sum over messages_
};

enum class Replication : std::uint8_t { probe, replicate, snapshot };
enum class Vote : std::uint8_t { none, granted, rejected };
// Whether a peer counts in quorums. `counts` is final for an incarnation: doubt ends once.
enum class Standing : std::uint8_t { unknown, doubtful, counts };

struct Progress {
    NodeId node{};
    bool member{false};              // of the configuration in force
    bool alive{true};
    Incarnation incarnation{};       // the highest heard of; messages of lower ones are dropped
    Standing standing{Standing::unknown};
    Vote vote{Vote::none};

    // Leaders only.
    Replication state{Replication::probe};
    LogIndex match{};                // durable there. Invariant: match < next
    LogIndex next{1};                // first entry to send
    LogIndex commit_sent{};
    bool probe_sent{false};          // probe: the one append is on its way
    bool reading{false};             // need_entries is on its way for `next`
    InFlight in_flight;

    bool counted() const { return standing != Standing::doubtful || MUTANT(doubtful_counts); }
    void become_probe(LogIndex first);
    // What is on its way may be lost. A probe that was never answered goes on where it stood: nothing known of the
    // follower (match 0) is no reason to begin at the first entry, which may be compacted.
    void probe_again();
    void become_replicate();
    void become_snapshot();
    // A new leader, or a new incarnation: nothing is known.
    void reset(LogIndex first);
};

// All nodes ever named by a configuration or heard from, without this one; sorted by id.
class Peers {
  public:
    Progress* find(NodeId node);
    const Progress* find(NodeId node) const;
    Progress& get(NodeId node);      // makes it if need be
    // Marks who is a member; new ones start from `first`.
    void sync(const Configuration& configuration, NodeId self, LogIndex first);

    auto begin() { return items_.begin(); }
    auto end() { return items_.end(); }
    auto begin() const { return items_.begin(); }
    auto end() const { return items_.end(); }

  private:
    std::vector<Progress> items_;
};

}  // namespace ringfort::raft
