// Checkpoints of this shard's replicas: written, read back at start, sent to followers that are too far behind, received.
//
// Everything goes in chunks, one disk operation at a time per job, so that no step is long and memory is a few chunks;
// and by the pace of what the log's disk has to spare (background_pace.h), but for what a start waits for. Snapshots leave
// by a pace of their own, and are taken no faster than the receiver's own pace writes them.
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
    env::DiskErrc open_error{env::DiskErrc::ok};   // why the file could not be opened
    bool unreadable{false};   // an error of the disk, and not what it holds, is why it is not ok
    std::unique_ptr<kv::Store> store;
    std::unique_ptr<kv::Directory> directory;
};

class Checkpoints {
  public:
    explicit Checkpoints(Context& context);
    ~Checkpoints();

    // Loads the state at a checkpoint; `done` runs from run() or the disk's dispatch.
    void load(RangeId range, const CheckpointRecord& record, std::function<void(LoadedState)> done);
    // Of the checkpoints being loaded, of 100; 100 if none is.
    std::uint64_t percent_loaded() const;
    // Removes checkpoint files no record names, once no job is under way. Requires: all replicas are made.
    void remove_garbage() { garbage_wanted_ = true; }

    // The disk cannot read a file that the log names no more: it is kept under another name until the replica has a
    // checkpoint again.
    void set_aside(RangeId range, const std::string& name);

    // Somebody waits for one: it hurries as far as the disk's pace allows.
    void want(RangeId range);
    // What is on the disk of this range cannot be read back, as `what` says, the checkpoint or entries through that one:
    // that is told, and a checkpoint wanted of the state in memory, also where nothing was applied since the last one.
    void on_damage(RangeId range, LogIndex through, const std::string& what);
    // The log has grown: one is due, and goes as LogRace says. Nothing while one of this range is being written: it frees
    // what the log asks for.
    void on_log_wants(RangeId range);
    void send_snapshot(Replica& replica, NodeId to);
    void on_slice(Link& link, const wire::SnapshotSlice& slice);
    void on_snapshot_answer(Link& link, const wire::SnapshotAnswer& answer);
    // What was on its way over it is lost: its transfers begin anew.
    void on_link_lost(const Link& link);

    void on_durable(BatchSequence through);
    // The replica's store is about to be replaced: nothing may read it any more.
    void on_store_replaced(const Replica& replica);
    // A store that is not needed any more: it goes in steps.
    void discard(std::unique_ptr<kv::Store> store);
    // Steps of all jobs. true: there is more to do at once.
    bool run();
    // When a job that waits for its pace goes on.
    Instant next_deadline() const;
    bool busy() const;
    std::uint64_t bytes_written() const { return bytes_written_; }

    // Bytes per second that leave for followers at most, over all transfers of the shard: half of what a network of a
    // gigabit carries. Less, while the log's flushes are slow.
    static constexpr std::uint64_t snapshot_rate_max = 64 * mib;
    // And of a checkpoint that is well ahead of the log and that nobody waits for: a percent or two of a core.
    static constexpr std::uint64_t leisurely_rate = 16 * mib;

  private:
    // After a failure the next try waits, longer each time it fails again.
    struct Pause {
        Duration length{0};
        Instant until{};
        void lengthen(Instant now, Duration shortest, Duration longest);
    };
    struct SendPause {
        RangeId range{};
        NodeId to{};
        Pause pause;
    };

    enum class LoadSpeed : std::uint8_t {
        full,    // the shard does not serve before it has it
        paced,   // the log is in use meanwhile
    };
    struct Want {
        RangeId range{};
        bool hurries{false};
        bool renews{false};    // also where nothing was applied since the last one
    };
    class WriteJob;
    class LoadJob;
    class SendJob;
    class ReceiveJob;

    void load(RangeId range, const CheckpointRecord& record, LoadSpeed speed,
              std::function<void(LoadedState)> done);
    bool run_write(WorkBudget& budget);
    bool run_loads(WorkBudget& budget);
    bool run_discards(WorkBudget& budget);
    void run_transfers();
    // A checkpoint of so many bytes ends while the log still has room to grow.
    LogRace race_of(std::uint64_t expected_bytes) const;
    std::uint64_t log_written() const;
    void maybe_start_write();
    Want& add_want(RangeId range, bool hurries);
    // What there is of this range cannot be read back, and another one is not there yet.
    bool renews(RangeId range) const;
    void on_write_failed(RangeId range, bool renews);
    void on_sent(RangeId range, NodeId to, bool ok);
    void forget_file(const std::string& name);
    void release_set_aside();
    bool has_checkpoint_file(RangeId range) const;
    void look_for_garbage();
    void on_listed(const std::vector<env::FileInfo>& files);
    std::uint64_t next_file_number() { return ++file_number_; }

    Context& context_;
    std::string directory_;
    std::vector<Want> wanted_;
    std::unique_ptr<WriteJob> write_;
    Pause write_pause_;
    BackgroundPace send_pace_{snapshot_rate_max};
    std::vector<SendPause> send_pauses_;   // of transfers that failed and have not succeeded since
    std::vector<std::unique_ptr<LoadJob>> loads_;
    std::vector<std::unique_ptr<SendJob>> sends_;
    std::vector<std::unique_ptr<ReceiveJob>> receives_;
    std::vector<std::unique_ptr<kv::Store>> discarded_;
    struct Removal;
    std::vector<std::unique_ptr<Removal>> removals_;
    bool garbage_wanted_{false};           // to be looked for when no job is under way
    std::vector<RangeId> set_aside_;       // of these, while they have no checkpoint, files are kept that cannot be read
    std::uint64_t bytes_written_{0};
    std::uint64_t file_number_;
};

}  // namespace ringfort::shard
