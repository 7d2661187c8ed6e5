// One replica with a disk of its own, for tests: carries out the core's effects the way a shard does. Batches become
// durable one by one when told; a crash loses those that have not, and the messages that wait for them.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/raft.h"

namespace ringfort::raft {

struct StoredEntry {
    EntryId id;
    EntryKind kind{EntryKind::command};
    std::uint64_t checksum{0};
    std::vector<std::byte> payload;
    bool damaged{false};

    static StoredEntry of(const Entry& entry);
    Entry view() const;
};

// A message with the memory its views point to.
struct OwnedMessage {
    Message message;
    std::vector<StoredEntry> entries;
    std::vector<FetchItem> fetch;
};

struct Checkpoint {
    EntryId applied;
    Configuration configuration;
    std::uint64_t state_hash{0};
};

// What a power cut leaves, or what memory holds.
struct Store {
    HardState hard_state;
    Checkpoint checkpoint;
    std::vector<StoredEntry> log;  // after the checkpoint
    LogIndex lost_from{};          // from here on nothing says any more what the log held; 0: all is known

    EntryId last() const { return log.empty() ? checkpoint.applied : log.back().id; }
    const StoredEntry* find(LogIndex index) const;
    StoredEntry* find(LogIndex index);
    void append(const StoredEntry& entry);
    void truncate(LogIndex from);
    void cut_front(const Checkpoint& to);
};

struct SnapshotStream {
    NodeId from{};
    NodeId to{};
    Term term{};
    Checkpoint checkpoint;
};

// What tells one from another.
void append_key(const OwnedMessage& owned, std::string& out);
void append_key(const SnapshotStream& stream, std::string& out);

// What the tests' checkers want to hear of.
class NodeListener {
  public:
    virtual ~NodeListener() = default;
    virtual void on_stored(NodeId, const StoredEntry&, EntryId /*prev*/) {}
    virtual void on_durable(NodeId, const Store&) {}
    virtual void on_applied(NodeId, const StoredEntry&) {}
    virtual void on_role(NodeId) {}
    virtual void on_commit(NodeId) {}
};

class TestNode {
  public:
    TestNode(const Options& options, const Store& disk, NodeListener* listener = nullptr);
    // Goes its own way from here. Requires: the outbox and what else it wants has been taken.
    TestNode(const TestNode& other);

    void start();
    // The first `written_batches` reached the disk, but nobody was told.
    void crash(std::size_t written_batches = 0);
    std::size_t batches_in_flight() const { return batches_.size(); }
    bool running() const { return core_ != nullptr; }
    Raft& core() { return *core_; }
    const Raft& core() const { return *core_; }
    NodeId id() const { return options_.self; }
    Store& disk() { return disk_; }
    const Store& disk() const { return disk_; }
    const Store& memory() const { return memory_; }

    void step(const Event& event);
    void receive(const OwnedMessage& message);
    std::optional<EntryId> propose(std::string_view payload);
    void end_turn();                              // flush, then close the batch
    bool disk_busy() const { return !batches_.empty(); }
    void complete_write();                        // the oldest batch becomes durable
    void settle_disk();                           // all of them
    void checkpoint(LogIndex through);            // of what is applied; the core forgets the entries
    void answer_read();                           // the oldest of `reads`
    void install(const SnapshotStream& stream);   // the whole stream has arrived
    // Rot met while running. Without a checksum nothing but the id is known, and the next start finds records lost.
    void lose(LogIndex index, bool checksum_known);
    void evict(LogIndex through) { core_->evicted(through); }

    // What it wants from the world; emptied by whoever carries it out.
    std::vector<OwnedMessage> outbox;
    std::vector<SnapshotStream> streams;
    std::vector<NeedEntries> reads;
    bool timer{false};
    // Plants a mistake into what the core says, before it is carried out.
    std::function<void(Core&, Effects&)> spoil;

    // What happened since somebody last cleared it.
    struct Seen {
        bool committed{false};
        bool role_changed{false};
        bool configuration_changed{false};
        bool doubt_ended{false};
        std::vector<LogIndex> repaired;
        LogIndex truncated_from;
        SnapshotFit snapshot_fit{SnapshotFit::none};
    };
    Seen seen;

    // All that decides what it will do (node_key.cc): nodes of one key go the same way for ever.
    void append_key(std::string& out) const;

    LogIndex applied() const { return state_.applied.index; }
    std::uint64_t state_hash() const { return state_.state_hash; }

  private:
    struct Operation {
        LogIndex truncate_from;
        std::optional<StoredEntry> append;
        std::optional<StoredEntry> repair;
        std::optional<HardState> hard_state;
        std::optional<Checkpoint> snapshot;
        bool log_void{false};
    };
    struct Batch {
        std::vector<Operation> operations;
        std::vector<OwnedMessage> messages;
        Durable notice{};
    };

    void drain();
    void take_persist();
    void write(const Operation& operation);
    void keep(const Message& message, std::vector<OwnedMessage>& to);
    void apply_committed();
    static void perform(const Operation& operation, Store& on);

    Options options_;
    NodeListener* listener_;
    Store disk_;
    Store memory_;                                // what the disk will be when every batch is written
    std::unique_ptr<Raft> core_;
    Effects effects_;
    Batch open_;
    std::deque<Batch> batches_;
    Checkpoint state_;                            // the state machine: a hash over what was applied
    std::optional<Checkpoint> arriving_;          // the snapshot being stepped
};

}  // namespace ringfort::raft
