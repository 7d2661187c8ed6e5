// A change of the shard count: moves each replica's log and checkpoint to the shard that shard_of() now names. Runs at
// start, on one thread, before any shard does; talks to env only, so that it runs in simulation and is cut off at every
// write by a test.
//
// How, and why so. Two ways were weighed:
//
//   beside     Write the whole new layout into directories of their own, then switch from one set to the other. Easy to
//              see through, but everything is copied, what stays included; every name in the product gets a layout
//              number in front; and twice the disk is needed.
//   in place   Append each replica that moves to the log it moves to, which is an ordinary log that starts an ordinary
//              epoch; the old log is left as it is. Then one small file is replaced, atomically: the one that says how
//              many shards there are. Only what moves is copied.
//
// It is done in place. What makes it safe is one rule, which holds at every start and not only here: a replica in a log
// counts only if shard_of(), with the count in force, places it on that log's shard (LogOptions::shard_count). Until the
// file is replaced the copies count for nothing, and the next start drops them; from then on the originals do. So
// whenever it is cut off, one complete layout counts and nothing of the other does; and it may be begun anew, with any
// count, from any point.
//
// Damage goes along as what it is: an entry known by id and checksum alone arrives so, doubtful promises arrive doubtful,
// an unreadable checkpoint arrives unreadable, and its replica is rebuilt from peers. Where there are too few of them what
// the disk does not read ends the change instead, as the disk may read it again. One thing cannot go along: that
// records were lost and there may have been replicas nobody knows of. Then the change is refused, until a start with the
// old count has made up for it.
//
// Range 0 stays on shard 0 whatever the count.
//
// Memory: a window for each log of the larger layout, one piece of a log or of a file on its way, and while a log is
// opened what opening it takes. Directories of shards that are no more are left to the caller.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/world.h"
#include "shard/log_move_file.h"
#include "shard/log_store.h"
#include "shard/patience.h"

namespace ringfort::shard {

struct ShardMoveOptions {
    InstanceId instance{};
    std::uint32_t from_count{0};
    std::uint32_t to_count{0};                // another one
    std::size_t segment_bytes{limits::segment_bytes_default};
    std::size_t window_bytes{32 * mib};
    // The file that says how many shards there are, and what it is to say: replaced whole, last.
    std::string switch_file;
    std::vector<std::byte> switch_content;
};

class ShardMove {
  public:
    ShardMove(env::World& world, const ShardMoveOptions& options);
    ~ShardMove();
    ShardMove(const ShardMove&) = delete;
    ShardMove& operator=(const ShardMove&) = delete;

    void start();
    // As Shard::turn(). Ends with world.process.halt(): stopped, or why it could not be done.
    Instant turn();
    // Ends it where it is; the old layout stands.
    void stop();

    // The new layout stands. Otherwise, once it has halted, the old one does.
    bool switched() const { return stage_ == Stage::ended && switched_; }
    std::size_t moved() const { return moved_; }

  private:
    enum class Stage : std::uint8_t {
        idle,
        remembering,   // whether the directory was in use: then each of its logs must be there
        listing,       // directories of shards that are to be: what an older layout left in them
        clearing,
        opening,       // every log, one after the other
        copying_file,  // of one replica: its checkpoint
        placing,       //   then its first record
        reading,       //   then its entries, piece by piece
        appending,
        sealing,       // everything in every log
        switching,
        ended,
    };
    struct Log;
    struct Moving {
        RangeId range{};
        std::uint32_t from{0};
        std::uint32_t to{0};
        raft::HardState hard_state;
        bool promises_in_doubt{false};
        std::optional<CheckpointRecord> checkpoint;   // as the old log names it
        std::vector<LogIndex> damaged;                // entries known to be
        LogIndex next{1};                             // entry to be moved
        LogIndex end{1};
    };

    static void on_operation(env::DiskOperation& op);
    static void on_entries(EntryRead& read);
    void on_recovered(Log& log, const RecoveredLog& recovered);
    void on_log_failed(const Log& log, std::string_view reason);
    // Goes on as far as it can without waiting, but for a bounded piece of work. false: it waits.
    bool step();
    bool list_next();
    bool clear_next();
    bool open_next();
    bool begin_replica();
    bool copy_file();
    bool place();
    bool read();
    bool append();
    bool on_damaged(LogStore& target);
    bool append_damaged(LogStore& target);
    void refuse_unreadable(const std::string& what);
    bool end_replica();
    bool seal();
    bool finish_switch();
    bool wait_for_room(LogStore& target);
    void tell_progress(Instant now);
    void end(env::Halt how, std::string sentence);
    LogStore& log_of(std::uint32_t shard);

    env::World& world_;
    const ShardMoveOptions options_;
    const std::uint32_t log_count_;
    Stage stage_{Stage::idle};
    bool switched_{false};
    bool in_use_{false};             // the memory of peers is there
    env::DiskOperation op_;
    bool op_done_{false};
    std::uint32_t shard_{0};         // being listed, cleared
    std::vector<std::string> to_clear_;
    std::vector<std::unique_ptr<Log>> logs_;
    std::vector<Moving> moving_;
    std::size_t moved_{0};           // of moving_: these are done
    std::unique_ptr<FileCopy> file_;
    Patience patience_;              // with entries that could be read before
    EntryRead read_;
    bool read_done_{false};
    bool news_{false};               // a log has answered since the last step
    std::size_t next_entry_{0};      // of read_
    std::uint64_t bytes_moved_{0};
    Instant tell_at_{};
};

}  // namespace ringfort::shard
