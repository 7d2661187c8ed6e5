// env::Disk over io_uring: direct reads, writes and syncs go through the shard's ring, everything that may block goes to
// a helper thread. Short transfers are continued here and nowhere else.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "env/disk.h"
#include "uring/clock_source.h"
#include "uring/helper_thread.h"
#include "uring/recipe.h"
#include "uring/ring.h"

namespace ringfort::uring {

enum class RecipeChoice : std::uint8_t { automatic, dsync, write_then_sync };

struct DiskOptions {
    int directory{-1};              // descriptor of the data directory; the caller's, open as long as the disk
    RecipeMeasurement measured;
    RecipeChoice recipe{RecipeChoice::automatic};
};

struct DiskCounters {
    std::uint64_t writes{0};
    std::uint64_t dsync_writes{0};
    std::uint64_t syncs{0};
    std::uint64_t reads{0};
    std::uint64_t bytes_written{0};
    std::uint64_t bytes_read{0};
    std::uint64_t short_transfers{0};
};

class RingDisk final : public env::Disk {
  public:
    RingDisk(Ring& ring, Doorbell& doorbell, const TurnClock& clock, const DiskOptions& options);
    ~RingDisk() override;

    void open(env::DiskOperation& op, std::string_view name) override;
    void create(env::DiskOperation& op, std::string_view name, std::uint64_t bytes) override;
    void create_growing(env::DiskOperation& op, std::string_view name, std::uint64_t bytes_expected) override;
    void sync_new(env::DiskOperation& op, env::FileId file, std::string_view name) override;
    void close(env::FileId file) override;
    void remove(env::DiskOperation& op, std::string_view name) override;
    void rename(env::DiskOperation& op, std::string_view from, std::string_view to) override;
    void list(env::DiskOperation& op, std::string_view directory) override;
    void read_whole(env::DiskOperation& op, std::string_view name) override;
    void replace_whole(env::DiskOperation& op, std::string_view name, Bytes content) override;
    void write(env::DiskOperation& op, env::FileId file, std::uint64_t offset, Bytes bytes,
               env::Durability durability) override;
    void read(env::DiskOperation& op, env::FileId file, std::uint64_t offset, MutableBytes bytes) override;
    void sync(env::DiskOperation& op, env::FileId file) override;
    env::Durability preferred() const override;
    void dispatch() override;

    // Takes what the helper thread finished; once a turn, before dispatch().
    void collect() { helper_.take_finished(); }
    // At the end: forgets what completed, callbacks do not run.
    void drop_ready();
    bool has_ready() const { return !ready_.empty(); }
    bool idle() const { return in_flight_ == 0 && ready_.empty(); }
    const DiskCounters& counters() const { return counters_; }
    const RecipeChooser& recipe() const { return recipe_; }

  private:
    friend class SlowCall;

    // One read, write or sync in the ring. Pooled.
    struct Transfer {
        enum class Kind : std::uint8_t { read, write, sync };
        explicit Transfer(RingDisk* disk) : done(&RingDisk::on_transfer, disk) {}
        Completion done;
        Kind kind{};
        env::Durability durability{};
        int fd{-1};
        std::uint64_t offset{0};       // of what is left
        std::byte* memory{nullptr};    // of what is left
        std::size_t bytes_left{0};
        std::size_t bytes_asked{0};
        Instant begin{};
        env::DiskOperation* op{nullptr};
    };
    struct OpenFile {
        int fd{-1};
        std::size_t in_flight{0};
    };

    static void on_transfer(Completion& completion, int result, std::uint32_t flags);
    void begin_operation(env::DiskOperation& op);
    void finish_operation(env::DiskOperation& op, env::DiskErrc error);
    Transfer& take_transfer(env::DiskOperation& op, Transfer::Kind kind, env::FileId file);
    void queue(Transfer& transfer);
    void continue_transfer(Transfer& transfer, int result);
    void finish_transfer(Transfer& transfer, env::DiskErrc error);
    env::FileId add_file(int fd);
    OpenFile& file_of(env::FileId id);

    Ring& ring_;
    const TurnClock& clock_;
    const int directory_;
    const RecipeChoice choice_;
    mutable RecipeChooser recipe_;
    std::vector<OpenFile> files_;              // FileId - 1; fd -1: free
    std::deque<Transfer> transfers_;           // stable addresses
    std::vector<Transfer*> free_transfers_;
    std::vector<env::DiskOperation*> ready_;   // completed, callback not yet run
    std::vector<env::DiskOperation*> dispatching_;
    std::size_t in_flight_{0};                 // operations begun and not yet in ready_
    DiskCounters counters_;
    HelperThread helper_;                      // last: its jobs refer to the rest
};

}  // namespace ringfort::uring
