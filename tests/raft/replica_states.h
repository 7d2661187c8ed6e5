// The states of single replicas and of their inboxes, each kept once and named by a number: what a replica does depends
// on its own state and on the event alone, so every step is taken once, however many states of the cluster contain it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "scope.h"
#include "test_node.h"

namespace ringfort::raft {

using Number = std::uint32_t;
inline constexpr Number no_number = ~Number{0};

enum class Act : std::uint8_t {
    deliver,      // argument: the parcel
    write_ends,
    elect,
    propose,
    crash,        // how many batches were written
    wipe,
    forget,       // how many entries of the log are left
    damage,       // index
    rot,          // index
    transfer,     // node
    change,       // the node to leave out; 0: three again
    checkpoint,
    resign,
    news,         // of which node
    read,         // by a leader
    follower_read,
    confirm,      // the node knows no higher term than the read's
};

struct Action {
    Act act{};
    std::uint8_t node{};    // 0, 1, 2
    Number argument{};
};

// A message or a whole snapshot on its way.
struct Parcel {
    std::uint8_t to{};      // 0, 1, 2
    OwnedMessage owned;
    std::optional<SnapshotStream> stream;
};

struct LogItem {
    EntryId id;
    std::uint64_t identity{0};   // of kind and payload
    bool damaged{false};
};

struct LogView {
    EntryId base;                // the checkpoint's
    std::vector<LogItem> items;
    EntryId last() const { return items.empty() ? base : items.back().id; }
    const LogItem* at(LogIndex index) const;
};

// What the judges and the choice of actions want to know of a replica's state.
struct Facts {
    NodeId id;
    Role role{};
    Term term;
    HardState disk_state;
    bool in_doubt{false};
    Incarnation incarnation;
    LogIndex commit;             // as far as the log goes
    LogIndex applied;
    std::uint64_t state_hash{0};
    LogView log;
    LogView disk;
    Configuration configuration;
    bool proposes{false};
    bool changes{false};
    std::optional<LogIndex> read_index;
    std::size_t batches_in_flight{0};
    bool can_checkpoint{false};
};

struct Outcome {
    Number next{no_number};      // no_number: not in this scope
    std::vector<Number> sent;    // parcels
    std::string broken;          // a promise that is not on the disk
};

struct Delivery {
    Number parcel{};
    const Outcome* outcome{};
};

class ReplicaStates {
  public:
    explicit ReplicaStates(const Scope& scope);

    Number intern(const TestNode& node);
    const Facts& facts(Number state) const { return states_[state].facts; }
    const TestNode& node(Number state) const { return *states_[state].node; }
    const Parcel& parcel(Number number) const { return *parcels_[number]; }
    const std::vector<Number>& inbox(Number number) const { return *inboxes_[number]; }
    Number empty_inbox();
    Number with(Number inbox, Number parcel);

    // The inbox without what says nothing any more, to this state or any that follows, as long as nothing is lost.
    Number still_telling(Number state, Number inbox);

    // Every step of one of the acts up to `news`.
    const Outcome& perform(Number state, Act act, Number argument);
    // Those that change the replica or make it say something.
    const std::vector<Delivery>& deliveries(Number state, Number inbox);

    std::size_t count() const { return states_.size(); }
    std::size_t parcel_count() const { return parcels_.size(); }

  private:
    struct State {
        std::unique_ptr<TestNode> node;
        Facts facts;
    };

    void act_on(TestNode& node, Act act, Number argument) const;
    void deliver(TestNode& node, const Parcel& parcel) const;
    void lose_and_restart(TestNode& node, Act act, Number argument) const;
    void finish(TestNode& node) const;
    Number intern(Parcel parcel);
    Number intern(std::vector<Number> inbox);
    Facts look(const TestNode& node) const;
    bool tells(const TestNode& node, const Parcel& parcel) const;

    const Scope scope_;
    const bool doubt_possible_;
    std::deque<State> states_;               // references stay good
    std::unordered_map<std::string, Number> by_key_;
    std::vector<std::unique_ptr<Parcel>> parcels_;
    std::unordered_map<std::string, Number> parcels_by_key_;
    std::vector<std::unique_ptr<std::vector<Number>>> inboxes_;
    std::unordered_map<std::string, Number> inboxes_by_key_;
    std::unordered_map<std::uint64_t, Number> with_;
    std::unordered_map<std::uint64_t, Number> telling_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Outcome>> outcomes_;
    std::unordered_map<std::uint64_t, std::unique_ptr<std::vector<Delivery>>> deliveries_;
};

// The mistake as a hook for TestNode::spoil; empty if it lies elsewhere.
std::function<void(Core&, Effects&)> planted(Wrong wrong);

}  // namespace ringfort::raft
