// The four jobs of Checkpoints. Private to checkpoint*.cc.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/aligned_buffer.h"
#include "shard/checkpoint_file.h"
#include "shard/checkpoints.h"
#include "shard/job_operation.h"
#include "shard/patience.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"

namespace ringfort::shard {

struct Checkpoints::Removal {
    JobOperation operation;
};

class Checkpoints::WriteJob {
  public:
    WriteJob(Checkpoints& owner, Replica& replica, const Want& want);
    // One step; false: waiting for the disk.
    bool step(WorkBudget& budget);
    bool done() const { return stage_ == Stage::done; }
    bool waiting() const { return operation_.op.in_flight; }
    // It would go on at once: a turn's budget stopped it. Everything else is waited for, and wakes the shard.
    bool wants_turn() const { return !waiting() && (stage_ == Stage::fill || (abandoned_ && !done())); }
    // When a piece that waits for its pace may go; never: none does.
    Instant next_at() const;
    // The log grows faster than it.
    bool behind() const;
    RangeId range() const { return record_range_; }
    // What there is cannot be read back, the checkpoint or entries through that one. true: this one replaces it, and is
    // wanted again if it fails.
    bool renew(LogIndex through);
    bool renews() const { return renews_ && !done(); }
    void on_durable(BatchSequence through);
    // Reads the store no more: it is about to be replaced. A record already in the log stands.
    void abandon();

  private:
    enum class Stage : std::uint8_t { create, fill, pace, write, sync, name, durable, done };
    bool fill(WorkBudget& budget);
    void flush();
    void fail(const std::string& why);
    bool disk_failed(std::string_view what);

    Checkpoints& owner_;
    Replica& replica_;
    RangeId record_range_;
    Stage stage_{Stage::create};
    JobOperation operation_;
    env::FileId file_{0};
    CheckpointRecord record_;
    std::unique_ptr<kv::CheckpointWriter> writer_;
    std::vector<std::byte> directory_bytes_;
    std::size_t directory_given_{0};
    AlignedBuffer chunk_;
    std::size_t chunk_filled_{0};
    bool stream_ended_{false};
    bool abandoned_{false};
    std::uint64_t offset_{0};
    LogRace race_;
    bool hurries_;                    // somebody waits for it
    bool renews_;                     // what there is cannot be read back
    const std::string former_;        // file of the checkpoint there was when it began
    Instant next_leisurely_{};
    BatchSequence named_in_{0};
};

class Checkpoints::LoadJob {
  public:
    // Read ahead of what is decoded, at full speed: a disk far away answers one read in milliseconds, and many as well.
    static constexpr std::size_t chunks_ahead = 16;

    LoadJob(Checkpoints& owner, RangeId range, const CheckpointRecord& record, LoadSpeed speed,
            std::function<void(LoadedState)> done);
    // One step; false: waiting for the disk or its pace, or the budget is spent.
    bool step(WorkBudget& budget);
    bool done() const { return stage_ == Stage::done; }
    // An operation is in flight.
    bool waiting() const;
    // It would go on at once: a turn's budget stopped it. Everything else is waited for, and wakes the shard.
    bool wants_turn() const;
    bool paced() const { return paced_; }
    // When it tries again what the disk could not do; never: it waits for no such time.
    Instant next_try_at() const { return patience_.waiting() && !waiting() ? patience_.deadline() : never; }
    std::uint64_t bytes() const { return record_.bytes; }
    std::uint64_t bytes_fed() const {
        return std::min<std::uint64_t>(record_.bytes, chunks_fed_ * checkpoint_chunk_bytes + fed_);
    }

  private:
    enum class Stage : std::uint8_t { begin, open, feed, drain, done };
    struct Slot {
        JobOperation operation;
        AlignedBuffer chunk;
        std::uint64_t bytes{0};   // of the chunk that is read or being read; 0: none
    };
    Slot& head() { return slots_[chunks_fed_ % slots_.size()]; }
    const Slot& head() const { return slots_[chunks_fed_ % slots_.size()]; }
    bool is_directory() const { return range_ == directory_range; }
    void begin();
    void open();
    bool on_opened();
    void read_ahead();
    bool feed(WorkBudget& budget);
    bool is_as_named();
    void fail();
    // Once what is in flight has ended and the pause is over. false: not yet.
    bool try_again();
    void finish(bool ok);

    Checkpoints& owner_;
    CheckpointRecord record_;
    LoadSpeed speed_;
    bool paced_{false};   // waits for the pace
    const RangeId range_;
    std::function<void(LoadedState)> done_;
    Stage stage_{Stage::begin};
    Patience patience_;
    JobOperation open_;
    env::FileId file_{0};
    // Invariant: chunks_fed_ <= chunks_read_ <= chunks_fed_ + slots_.size(); chunk n lies in slot n % slots_.size().
    std::vector<Slot> slots_;
    std::uint64_t chunks_read_{0};   // or being read
    std::uint64_t chunks_fed_{0};    // whole
    std::uint64_t fed_{0};           // bytes of the next one
    std::uint64_t checksum_{0};
    LoadedState state_;
    std::unique_ptr<kv::CheckpointReader> reader_;
    std::vector<std::byte> directory_bytes_;
};

class Checkpoints::SendJob {
  public:
    SendJob(Checkpoints& owner, Replica& replica, NodeId to, Instant not_before);
    bool step();
    bool done() const { return stage_ == Stage::done; }
    bool waiting() const { return operation_.op.in_flight; }
    bool paced() const { return paced_; }
    RangeId range() const { return range_; }
    NodeId to() const { return to_; }
    bool goes_over(const Link& link) const { return owner_.context_.links->link_of(replica_, to_) == &link; }
    void on_answer(const wire::SnapshotAnswer& answer);
    void abort();
    const std::string& file_name() const { return record_.file; }

  private:
    enum class Stage : std::uint8_t { pause, open, read, send, wait, done };
    void begin();
    void end(bool ok);
    void end_damaged(std::string_view why);

    Checkpoints& owner_;
    Replica& replica_;
    RangeId range_;
    NodeId to_;
    Term term_;
    Instant not_before_;
    CheckpointRecord record_;
    Stage stage_{Stage::pause};
    JobOperation operation_;
    env::FileId file_{0};
    AlignedBuffer chunk_;
    std::uint64_t offset_{0};
    std::uint64_t checksum_{0};    // of what was read
    std::uint64_t answered_{0};
    Instant last_progress_{};
    bool paced_{false};       // waits for the pace
    bool aborted_{false};
    bool installed_{false};   // at once, if the receiver had it before
};

class Checkpoints::ReceiveJob {
  public:
    ReceiveJob(Checkpoints& owner, Replica& replica, const wire::SnapshotSlice& first, NodeId from);
    bool step();
    bool done() const { return stage_ == Stage::done; }
    bool waiting() const { return operation_.op.in_flight || loading_; }
    bool paced() const { return paced_; }
    RangeId range() const { return range_; }
    NodeId from() const { return from_; }
    bool continues(const wire::SnapshotSlice& slice, NodeId from) const;
    // The sender began anew with what is all here already: it need not send it again.
    bool takes_up(const wire::SnapshotSlice& first, NodeId from);
    void take(Link& link, const wire::SnapshotSlice& slice);
    // While it works on what it has the sender is told so now and then: silence would end the transfer.
    void maybe_tell_progress();
    void on_durable(BatchSequence through);
    void abort();

  private:
    enum class Stage : std::uint8_t { create, receive, write, sync, load, name, durable, done };
    void answer(wire::SnapshotVerdict verdict);
    void give_credit(std::uint64_t bytes);
    void finish(bool ok);

    Checkpoints& owner_;
    Replica& replica_;
    RangeId range_;
    NodeId from_;
    Term term_;
    CheckpointRecord record_;
    Stage stage_{Stage::create};
    JobOperation operation_;
    env::FileId file_{0};
    std::vector<std::byte> received_;   // not yet written: at most the sender's window
    AlignedBuffer chunk_;
    std::size_t chunk_bytes_{0};
    std::uint64_t received_bytes_{0};
    std::uint64_t owed_credit_{0};    // of slices taken, not yet given back to the sender
    std::uint64_t owed_to_{0};        // Link::place(): another connection begins with the whole credit
    std::uint64_t written_{0};
    std::uint64_t checksum_{0};
    bool loading_{false};
    bool paced_{false};                 // waits for the pace
    bool aborted_{false};
    LoadedState loaded_;
    std::string former_file_;           // superseded once the new one is named durably
    BatchSequence named_in_{0};
    Instant told_at_{};                 // when the sender last heard of it
    Instant taken_at_{};                // when its last slice came
};

}  // namespace ringfort::shard
