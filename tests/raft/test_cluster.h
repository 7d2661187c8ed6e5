// A handful of test nodes and the messages between them. Nothing happens by itself: the test says what is delivered.
#pragma once

#include <map>
#include <set>

#include "test_node.h"

namespace ringfort::raft {

class TestCluster {
  public:
    explicit TestCluster(std::uint64_t voter_count, NodeListener* listener = nullptr);
    TestCluster(const Configuration& configuration, NodeListener* listener = nullptr);

    TestNode& node(std::uint64_t id) { return *nodes_.at(NodeId(id)); }
    TestNode& node(NodeId id) { return *nodes_.at(id); }
    // A node that is in no configuration yet, with an empty store.
    TestNode& add(std::uint64_t id);
    std::vector<NodeId> ids() const;

    // Ends turns, writes, carries messages, until nothing is left to do. Messages over cut links are lost.
    void settle();
    // One node's turn and writes; its messages go to the network.
    void run(NodeId id);
    // Carries what is on the network now; true if there was something.
    bool deliver_all();
    void elect(NodeId id);
    void elect(std::uint64_t id) { elect(NodeId(id)); }
    TestNode* leader();

    // Both directions. Silent: nobody is told.
    void cut(std::uint64_t a, std::uint64_t b);
    void isolate(std::uint64_t id);                // cut from all and everybody told
    void heal();                                   // all links, everybody told
    void tell_lost(std::uint64_t to, std::uint64_t peer);
    void tell_back(std::uint64_t to, std::uint64_t peer);
    void crash(std::uint64_t id);                  // the others are told
    void restart(std::uint64_t id);
    // The store is lost; the node comes back in doubt with the next incarnation.
    void wipe(std::uint64_t id);

    Options options;                               // range and self are set per node
    std::vector<OwnedMessage> network;
    std::function<void(const OwnedMessage&)> on_deliver;   // before the receiver takes it
    std::function<bool(const OwnedMessage&)> loses;        // true: this message is lost

  private:
    bool is_cut(NodeId a, NodeId b) const { return cuts_.contains({std::min(a, b), std::max(a, b)}); }
    void carry_streams(TestNode& from);

    NodeListener* listener_;
    std::map<NodeId, std::unique_ptr<TestNode>> nodes_;
    std::set<std::pair<NodeId, NodeId>> cuts_;
};

Configuration voters(std::uint64_t voter_count);

}  // namespace ringfort::raft
