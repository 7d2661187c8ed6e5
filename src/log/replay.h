// Replays the batches that count into the state of each replica. Order is the numbering of each range's records: new
// records rise with their place; copies carry the numbers their entries had and only say where these lie now.
//
// Where records are lost (both directories of a batch unreadable), each replica is suspect until its next record shows
// by its number that none of its own was among them. A replica that lost records, or stays suspect, is `in_doubt`: its
// log is then what it was before the loss (a true log of that time), its hard state the newest known. The opening of an
// epoch states what its recovery concluded: from there on that holds, doubt included; a new incarnation ends the doubt.
// Unless the log found here is another than the one that recovery concluded from, because more has been lost since, or
// because the disk reads again what it could not read then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "log/recovery.h"

namespace ringfort::log {

struct OwnedCheckpoint {
    CheckpointBody body;   // its views are set by view()
    std::vector<NodeId> voters, outgoing, learners, learners_next;
    std::string file;

    static OwnedCheckpoint copy_of(const CheckpointBody& body);
};

struct ReplayedReplica {
    std::uint64_t range{0};
    std::uint64_t incarnation{0};
    HardStateBody hard_state;
    std::optional<OwnedCheckpoint> checkpoint;
    RunList runs;                       // after the checkpoint, without holes; terms may only rise
    std::vector<std::uint64_t> damaged; // indices, rising
    std::uint64_t last_sequence{0};
    bool in_doubt{false};

    // While replaying.
    bool suspect{false};
    bool frozen{false};                 // records were lost: the log stays as it was
    bool state_seen{false};             // by a created or state record
    bool concluded{false};              // by the epoch that begins in the batch being replayed
    std::uint64_t claimed_last{0};      // last index by the newest state record, until something changes it
};

class Replay {
  public:
    explicit Replay(const Judgement& judgement) : judgement_(judgement) {}

    // Replays about `budget` more records. Returns whether all is done.
    bool step(std::size_t budget);

    // By range. Valid once done.
    std::vector<ReplayedReplica>& replicas() { return replicas_; }
    // Records were lost, and since then nothing said which replicas there are: some may be missing above. Once done.
    bool replicas_unknown() const { return replicas_unknown_; }

    // ---- about entries of `runs`, while the scans live
    const JudgedBatch& batch_of(const EntryRun& run) const;
    std::span<const EntryItem> items_of(const EntryRun& run) const;

  private:
    void apply(const Record& record, const JudgedBatch& batch);
    void apply_entries(ReplayedReplica& replica, const Record& record, const JudgedBatch& batch);
    void apply_copies(ReplayedReplica& replica, const Record& record, const JudgedBatch& batch);
    void apply_state(ReplayedReplica& replica, const Record& record);
    bool ends_otherwise(const ReplayedReplica& replica, const Record& state) const;
    bool ends_as_stated(const ReplayedReplica& replica, const Record& state) const;
    void lose_records();
    void begin_epoch();
    void conclude();
    void set_checkpoint(ReplayedReplica& replica, const CheckpointBody& body);
    void check_number(ReplayedReplica& replica, const Record& record);
    void finish(ReplayedReplica& replica);
    ReplayedReplica* find(std::uint64_t range);
    ReplayedReplica& find_or_add(std::uint64_t range);

    const Judgement& judgement_;
    std::size_t next_batch_{0};
    std::size_t next_finished_{0};
    std::vector<ReplayedReplica> replicas_;  // by range
    bool epoch_opens_{false};                // in the batch being replayed
    bool records_lost_{false};               // from here back: replicas not heard of since may be unknown
    bool replicas_unknown_{false};           // the same, until a segment's opening says which there are
};

}  // namespace ringfort::log
