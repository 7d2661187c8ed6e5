// Watches a cluster of test nodes and notes every breach of Raft's properties (Figure 3 of the paper), and of our own:
// nothing is committed that a quorum does not have durable. It looks at stores and at what is applied, not at messages.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "test_node.h"

namespace ringfort::raft {

class Checker : public NodeListener {
  public:
    // The nodes it may look at; set before anything happens.
    std::map<NodeId, TestNode*> nodes;
    std::vector<std::string> breaches;
    // A message that leaves `node`: what it promises must be on its disk.
    void on_sent(const TestNode& node, const Message& message);
    LogIndex committed_last() const { return committed_.empty() ? LogIndex{} : committed_.rbegin()->first; }

    void on_stored(NodeId node, const StoredEntry& entry, EntryId prev) override;
    void on_durable(NodeId node, const Store& disk) override;
    void on_applied(NodeId node, const StoredEntry& entry) override;
    void on_role(NodeId node) override;
    void on_commit(NodeId node) override;

  private:
    struct Created {
        std::uint64_t checksum{0};
        EntryKind kind{EntryKind::command};
        EntryId prev;
    };
    void note_commit(NodeId node, LogIndex index, EntryId id);
    void breach(NodeId node, const std::string& what);

    std::map<EntryId, Created> created_;           // log matching: an id names one entry with one past
    std::map<EntryId, std::uint64_t> durable_on_;  // bit i: node i had it durable while it counted
    std::map<LogIndex, EntryId> committed_;
    std::map<Term, NodeId> leaders_;
};

std::string to_text(EntryId id);
// What `message`, which leaves `node`, promises without having it on its disk. Empty: nothing.
std::string broken_promise(const TestNode& node, const Message& message);

}  // namespace ringfort::raft
