// A node's disk: names, files, and the operations in flight. It outlives the processes that use it.
//
// Fault model. Killing a process: writes that completed stay in the device, those in flight land later, in part or not
// at all; a node must not start again before quiet(). Cutting the power: every 512-byte sector of every write that is
// not durable survives or not by its own lot; names that were not made durable come or go likewise; operations of
// directories in flight happen whole or not at all. Nothing that completed durably is ever lost, except by the damage
// that is asked for by name: rot, bad sectors, lost files, writes that went astray, reads of another place, a device
// whose flushes lie, a directory that is lost or put back as it was.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "env/disk.h"
#include "sim/disk_file.h"
#include "sim/event_queue.h"

namespace ringfort::sim {

class SimDisk;

// Sees every write when it is asked for, before anybody knows what becomes of it.
class DiskWatcher {
  public:
    virtual ~DiskWatcher() = default;
    virtual void on_write(std::uint64_t offset, Bytes content) = 0;
};

struct DiskProfile {
    Duration read_latency{80us};
    Duration write_latency{60us};
    Duration sync_latency{250us};     // added to a dsync write as well
    Duration metadata_latency{2ms};
    std::uint32_t tail_per_million{2000};
    Duration tail_max{20ms};
    Duration byte_latency_per_mib{500us};
    // What all writes share, as they do on a device with a write cache: plain writes go on while the cache has room, and
    // whoever flushes waits for all that was written before, by whomever. 0: no such bound.
    std::uint64_t drain_bytes_per_second{0};
    std::uint64_t cache_bytes{256 * mib};
    std::uint64_t capacity_bytes{1ull << 40};
    env::Durability preferred{env::Durability::dsync};
    std::string unopenable{};   // files with this in their names cannot be opened, for want of something else
    // Faults by the operation, in cases per million.
    std::uint32_t read_error_per_million{0};
    std::uint32_t list_error_per_million{0};         // a file of it cannot be looked at
    std::uint32_t write_error_per_million{0};
    std::uint32_t sync_error_per_million{0};
    std::uint32_t misdirected_read_per_million{0};   // answered with what lies elsewhere
};

struct DiskCounters {
    std::uint64_t reads{0};
    std::uint64_t writes{0};
    std::uint64_t syncs{0};
    std::uint64_t bytes_read{0};
    std::uint64_t bytes_written{0};
    std::uint64_t errors_injected{0};
    std::uint64_t reads_misdirected{0};
    std::uint64_t refused{0};            // files, for want of room
    std::uint64_t sectors_in_doubt{0};   // that met a power cut before they were durable
};

class DiskMedia {
  public:
    DiskMedia(EventQueue& queue, std::uint64_t seed, const DiskProfile& profile);
    ~DiskMedia();
    DiskMedia(const DiskMedia&) = delete;
    DiskMedia& operator=(const DiskMedia&) = delete;

    DiskProfile& profile() { return profile_; }
    const DiskCounters& counters() const { return counters_; }

    // ---- faults
    // Nothing completes before then; what is in flight waits too.
    void hang_until(Instant until) { hang_until_ = std::max(hang_until_, until); }
    void set_slow_factor(std::uint32_t factor) { slow_factor_ = factor; }
    // Requires: every SimDisk of it is detached. keep_per_million: 0 loses all that is not durable, 1'000'000 keeps it.
    void cut_power(std::uint32_t keep_per_million);
    // The directory is replaced by an empty one. Requires: quiet(), every SimDisk detached.
    void wipe();
    // All files of a directory are removed, before there is a process. Requires: quiet(), every SimDisk detached.
    void remove_directory(std::string_view name);
    // The file is gone, as a broken file system loses it. Who has it open keeps it.
    void lose(const std::string& name);
    // While it lies, writes and syncs that say they are durable are not: a power cut takes them like any other. (The file
    // system's own writes, of names and of files replaced whole, do not pass by the cache that lies.) When it lies no
    // more, all of it has reached the medium, or a power cut has ended it.
    void set_lying(bool lying);
    bool lying() const { return lying_; }

    // Writes of the last moments with what had lain there: any of them may turn out never to have reached its place.
    // Until then readers had it from the device's cache.
    struct RecentWrite {
        std::shared_ptr<DiskFile> file;
        std::uint64_t offset{0};
        DiskContent content;
        DiskContent before;
    };
    void note_recent_writes(std::size_t count) { recent_max_ = count; }
    const std::deque<RecentWrite>& recent_writes() const { return recent_; }
    // Its place holds what had lain there. false: it is not durable yet, or other writes have been there since. Requires:
    // the device does not lie.
    static bool take_back(const RecentWrite& write);
    // The same, and what was written lies in another place, block by block as far as that file reaches.
    static bool misdirect(const RecentWrite& write, DiskFile& to, std::uint64_t offset);

    // The whole directory as it is at this moment, all of it durable.
    using Copy = std::map<std::string, std::shared_ptr<DiskFile>, std::less<>>;
    Copy copy() const;
    // The directory is replaced by the copy. Requires: quiet(), every SimDisk detached.
    void put_back(const Copy& copy);
    // The file, or null. For damage and for judges.
    DiskFile* file(std::string_view name);
    // Names that exist now, sorted.
    std::vector<std::string> names() const;

    // ---- for judges
    void watch(DiskWatcher& watcher) { watcher_ = &watcher; }
    // Something was not kept as it was written, ever.
    bool harmed() const;
    // It was never harmed, never failed to give what was written, and says now what is true.
    bool sound() const { return !lying_ && !misread_ && !harmed(); }
    // How often the whole directory went back to what it was.
    std::uint64_t rollbacks() const { return rollbacks_; }
    // Whether a power cut now would keep these bytes whatever the lots.
    bool durable(std::string_view name, std::uint64_t offset, std::uint64_t bytes) const;
    bool durable_name(std::string_view name) const;
    // Nothing is in flight, not even of dead processes.
    bool quiet() const { return in_flight_ == 0; }
    std::uint64_t used_bytes() const;

  private:
    friend class SimDisk;
    using FilePointer = std::shared_ptr<DiskFile>;
    using Names = Copy;

    enum class Kind : std::uint8_t {
        open, create, create_growing, sync_new, remove, rename, list, read_whole, replace_whole, write, read, sync,
    };
    struct Task {
        Kind kind{Kind::open};
        bool active{false};        // false: its event is ignored
        SimDisk* owner{nullptr};   // null: the process is dead
        env::DiskOperation* operation{nullptr};
        FilePointer file;
        std::string name;
        std::string target;        // rename
        std::uint64_t offset{0};
        std::uint64_t bytes{0};    // create, create_growing; sync: covers completed writes through this number
        const std::byte* source{nullptr};
        MutableBytes into;
        DiskContent content;              // of writes, as submitted
        env::Durability durability{env::Durability::none};
        std::uint64_t landed{0};   // of a dead process's write: this many bytes land
    };

    Task& begin(Kind kind, SimDisk& owner, env::DiskOperation& operation);
    void submit(Task& task);       // draws the latency
    Duration draw_latency(const Task& task);
    Instant shared_until(const Task& task);
    static void on_event(void* context, std::uint64_t slot, std::uint64_t);
    void finish(std::uint64_t slot);
    env::DiskErrc perform(Task& task);
    env::DiskErrc perform_data(Task& task);
    env::DiskErrc perform_read(Task& task);
    env::DiskErrc perform_write(Task& task);
    bool read_elsewhere(Task& task);
    void note_recent(const Task& task);
    env::DiskErrc perform_name(Task& task);
    env::DiskErrc open_file(Task& task);
    env::DiskErrc make_file(Task& task);
    env::DiskErrc replace_file(Task& task);
    env::DiskErrc list_files(Task& task);
    void land_failed_write(Task& task);
    void detach(SimDisk& owner);
    // Names of this directory are durable as they are now: removals can no longer come back.
    void sync_directory(std::string_view name);
    bool has_room(std::uint64_t bytes) const;

    EventQueue& queue_;
    DiskWatcher* watcher_{nullptr};
    Prng random_;
    DiskProfile profile_;
    DiskCounters counters_;
    Names live_;      // as processes see it
    Names durable_;   // as a power cut would leave it; differs by unsynced makings and removals
    std::vector<std::unique_ptr<Task>> tasks_;
    std::vector<std::uint64_t> free_;
    std::size_t in_flight_{0};
    std::uint64_t write_sequence_{0};   // of the last write that completed
    Instant hang_until_{0};
    Instant drained_at_{0};             // when all that was written so far is on the medium
    std::uint32_t slow_factor_{1};
    bool lying_{false};
    bool harmed_{false};                // by more than the files themselves know
    bool misread_{false};
    std::uint64_t rollbacks_{0};
    std::size_t recent_max_{0};
    std::deque<RecentWrite> recent_;    // the newest last
    std::vector<std::byte> scratch_;    // as long as the longest write among them
};

}  // namespace ringfort::sim
