// Checkpoints of this shard's replicas: written, read back at start, sent to followers that are too far behind, received.
//
// Everything goes in chunks, one disk operation at a time per job, so that no step is long and memory is a few chunks.
// A checkpoint exists once a record in the log names its file; before that, and after it is superseded, the file is
// garbage.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kv/directory.h"
#include "kv/store.h"
#include "shard/checkpoint_file.h"
#include "shard/context.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

class Link;
class Replica;

// A state machine loaded from a checkpoint file.
struct LoadedState {
    bool ok{false};
    std::unique_ptr<kv::Store> store;
    std::unique_ptr<kv::Directory> directory;
};

class Checkpoints {
  public:
    explicit Checkpoints(Context& context);
    ~Checkpoints();

    // Loads the state at a checkpoint; `done` runs from run() or the disk's dispatch.
    void load(RangeId range, const CheckpointRecord& record, std::function<void(LoadedState)> done);
    // Removes checkpoint files no record names. Requires: all replicas are made.
    void remove_garbage();

    void want(RangeId range);
    void send_snapshot(Replica& replica, NodeId to);
    void on_slice(Link& link, const wire::SnapshotSlice& slice);
    void on_snapshot_answer(Link& link, const wire::SnapshotAnswer& answer);
    // What was on its way over it is lost: its transfers begin anew.
    void on_link_lost(const Link& link);

    void on_durable(BatchSequence through);
    // The replica's store is about to be replaced: nothing may read it any more.
    void on_store_replaced(const Replica& replica);
    // Steps of all jobs. true: there is more to do at once.
    bool run();
    bool busy() const;
    std::uint64_t bytes_written() const { return bytes_written_; }

  private:
    class WriteJob;
    class LoadJob;
    class SendJob;
    class ReceiveJob;

    void maybe_start_write();
    void forget_file(const std::string& name);
    std::uint64_t next_file_number() { return ++file_number_; }

    Context& context_;
    std::string directory_;
    std::vector<RangeId> wanted_;
    std::unique_ptr<WriteJob> write_;
    std::vector<std::unique_ptr<LoadJob>> loads_;
    std::vector<std::unique_ptr<SendJob>> sends_;
    std::vector<std::unique_ptr<ReceiveJob>> receives_;
    struct Removal;
    std::vector<std::unique_ptr<Removal>> removals_;
    std::uint64_t bytes_written_{0};
    std::uint64_t file_number_;
};

}  // namespace ringfort::shard
