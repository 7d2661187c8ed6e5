// Entries of this log whose payload is lost (the id is always known, the checksum mostly), and the search for them among
// the peers.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "raft/types.h"

namespace ringfort::raft {

struct DamagedEntry {
    EntryId id;
    std::optional<std::uint64_t> checksum;
    EntryKind kind{EntryKind::command};   // without a checksum: once found
    bool known{false};               // lost while running: what a configuration or fence said is known all the same
    bool found{false};               // the payload came; EntryRepaired follows when it is durable
    Configuration configuration;     // once found, if it is one
    Fence fence;                     // likewise
    std::vector<NodeId> never;       // voters that said in this term that they do not have it
};

class DamagedSet {
  public:
    bool empty() const { return items_.empty(); }
    void add(DamagedEntry entry);    // Requires: there is none of this index
    DamagedEntry* find(LogIndex index);
    // The first damaged entry at or after `index`.
    std::optional<LogIndex> first_from(LogIndex index) const;
    // A configuration among them is not known.
    bool hides_configuration() const;
    void erase(LogIndex index);
    void truncate(LogIndex from);
    void compact(LogIndex through);
    void forget_answers();

    auto after(LogIndex index) { return from(index.next()); }
    auto begin() { return items_.begin(); }
    auto end() { return items_.end(); }
    auto begin() const { return items_.begin(); }
    auto end() const { return items_.end(); }

  private:
    std::deque<DamagedEntry>::iterator from(LogIndex index);   // the first at or after it

    std::deque<DamagedEntry> items_;  // by index; found and repaired mostly from the front
};

// Whom this replica has asked since something last changed. One question at a time: an answer carries payloads.
struct Search {
    NodeId outstanding{};
    NodeId passing{};                // who is being asked for everything, question by question
    LogIndex asked_through{};        // how far it has answered
    std::vector<NodeId> asked;
    LogIndex question{};             // number of the last question; never falls, so a late answer is told apart
    LogIndex overdue{};              // the question outstanding when FetchOverdue last came
    std::vector<NodeId> compacted;   // who have an entry applied and forgotten

    bool has_asked(NodeId node) const;
    void ask_again(NodeId node);     // its answer was lost, or may be another now
    void clear();
};

}  // namespace ringfort::raft
