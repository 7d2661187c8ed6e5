// A LogStore on a MemoryDisk with a clock the test moves; drives turns and remembers what the log said.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "memory_disk.h"
#include "shard/log_store.h"

namespace ringfort::test {

class TestClock final : public env::Clock {
  public:
    Instant at{};
    Instant now() const override { return at; }
    WallTime wall() const override { return {}; }
};

class NoNetwork final : public env::Network {
  public:
    void set_listener(env::ConnectionClass, env::ListenerHandler&) override { UNREACHABLE(); }
    env::ConnectionId connect(const env::Address&, env::ConnectionClass, env::ConnectionHandler&) override {
        UNREACHABLE();
    }
    void set_handler(env::ConnectionId, env::ConnectionHandler&) override { UNREACHABLE(); }
    void send(env::ConnectionId, Bytes) override { UNREACHABLE(); }
    void pause_receive(env::ConnectionId) override { UNREACHABLE(); }
    void resume_receive(env::ConnectionId) override { UNREACHABLE(); }
    void close(env::ConnectionId) override { UNREACHABLE(); }
    bool send_in_flight(env::ConnectionId) const override { UNREACHABLE(); }
    void hand_over(env::ConnectionId, ShardId, Bytes) override { UNREACHABLE(); }
    void dispatch(env::ConnectionClass) override { UNREACHABLE(); }
};
class NoMailbox final : public env::Mailbox {
  public:
    ShardId self() const override { return {}; }
    std::size_t shard_count() const override { return 1; }
    bool try_send(ShardId, env::Mail&&) override { UNREACHABLE(); }
    std::size_t free_slots(ShardId) const override { UNREACHABLE(); }
    void dispatch(env::MailHandler&) override { UNREACHABLE(); }
};
class NoSink final : public env::LogSink {
  public:
    void write(env::LogLevel, std::string_view) override {}
};
class NoProcess final : public env::Process {
  public:
    void halt(env::Halt, std::string_view) override { UNREACHABLE(); }
    std::uint64_t cpu_us() const override { return 0; }
    std::uint64_t resident_bytes() const override { return 0; }
};

// A copy of RecoveredLog that owns its payloads.
struct FoundReplica {
    shard::RecoveredReplica replica;
    std::vector<std::string> payloads;   // of `entries`
};

class LogHarness : public shard::LogListener {
  public:
    MemoryDisk disk;
    TestClock clock;
    shard::LogOptions options;
    std::unique_ptr<shard::LogStore> log;

    bool recovered{false};
    bool fresh{false};
    std::vector<FoundReplica> found;
    std::vector<std::string> notes;
    shard::BatchSequence durable{0};
    std::string failure;
    std::vector<RangeId> checkpoints_wanted;

    LogHarness() {
        options.instance = InstanceId(77);
        options.directory = "shard-0";
        options.segment_bytes = 256 * kib;
        options.window_bytes = 1 * mib;
    }
    LogHarness(const LogHarness&) = delete;

    void start() {
        begin();
        finish_start();
        prepare();
    }
    // Time passes where the log waits for nothing else.
    void finish_start() {
        for (int i = 0; i < 100'000 && !recovered && failure.empty(); i++) {
            turn();
            if (disk.pending() == 0 && log->next_deadline() != never) {
                clock.at = std::max(clock.at, log->next_deadline());
            }
        }
        ASSERT(recovered || !failure.empty());
    }
    // Time passes until the segments wanted ahead are there.
    void prepare() {
        for (int i = 0; i < 1000 && failure.empty() && !disk.no_space && log->next_deadline() != never; i++) {
            clock.at = std::max(clock.at, log->next_deadline());
            turn();
        }
    }
    void begin() {
        recovered = false;
        found.clear();
        notes.clear();
        durable = 0;
        failure.clear();
        log = std::make_unique<shard::LogStore>(world_, options, *this);
        log->start();
    }
    void turn() {
        disk.dispatch();
        log->close_batch(clock.at);
    }
    // Turns until nothing is in flight and everything appended is durable.
    void settle() {
        for (int i = 0; i < 10'000; i++) {
            turn();
            if (log->durable() + 1 == log->open_batch() && disk.pending() == 0 && log->next_deadline() > clock.at) {
                return;
            }
        }
        UNREACHABLE();
    }
    void wait(Duration time) { clock.at = clock.at + time; }
    // A power cut that loses what was not synced, then a start.
    void crash_and_start() {
        const auto image = disk.after_crash([](const std::string&, std::size_t, std::size_t) { return false; });
        restart_from(image);
    }
    void restart_from(const std::map<std::string, MemoryDisk::Content>& image) {
        begin_restart(image);
        finish_start();
    }
    void begin_restart(const std::map<std::string, MemoryDisk::Content>& image) {
        log.reset();
        const env::Durability recipe = disk.recipe;
        const bool no_space = disk.no_space;
        const auto refusal = disk.refusal;
        const auto unreadable = disk.unreadable;
        const auto unreadable_for = disk.unreadable_for;
        const auto unlistable = disk.unlistable;
        const auto unlistable_for = disk.unlistable_for;
        std::destroy_at(&disk);
        std::construct_at(&disk);
        disk.recipe = recipe;
        disk.no_space = no_space;
        disk.refusal = refusal;
        disk.unreadable = unreadable;
        disk.unreadable_for = unreadable_for;
        disk.unlistable = unlistable;
        disk.unlistable_for = unlistable_for;
        disk.load(image);
        begin();
    }

    // ---- short ways to append
    void create(std::uint64_t range, std::uint64_t voters = 3) {
        shard::CheckpointRecord initial;
        initial.applied = {Term(1), LogIndex(1)};
        for (std::uint64_t voter = 1; voter <= voters; voter++) {
            initial.configuration.voters.push_back(NodeId(voter));
        }
        raft::HardState hard_state;
        hard_state.term = Term(1);
        hard_state.incarnation = Incarnation(1);
        log->append_created(RangeId(range), hard_state, &initial);
    }
    void append(std::uint64_t range, std::uint64_t term, std::uint64_t index, std::string_view payload,
                raft::EntryKind kind = raft::EntryKind::command) {
        const MutableBytes room =
            log->append_entry(RangeId(range), {Term(term), LogIndex(index)}, kind, payload.size());
        std::copy_n(as_bytes(payload).data(), payload.size(), room.data());
        log->seal_entry(checksum(room));
    }
    void vote(std::uint64_t range, std::uint64_t term, std::uint64_t node, std::uint64_t incarnation = 1,
              bool in_doubt = false) {
        log->append_hard_state(RangeId(range), {Term(term), NodeId(node), LogIndex(0), Incarnation(incarnation), in_doubt});
    }
    void checkpoint(std::uint64_t range, std::uint64_t term, std::uint64_t index) {
        log->append_checkpoint(RangeId(range), checkpoint_at(term, index));
    }
    static shard::CheckpointRecord checkpoint_at(std::uint64_t term, std::uint64_t index) {
        shard::CheckpointRecord out;
        out.applied = {Term(term), LogIndex(index)};
        out.state_hash = index * 7;
        out.bytes = index * 100;
        out.file_checksum = index * 13;
        out.configuration.voters = {NodeId(1), NodeId(2), NodeId(3)};
        out.file = "checkpoint-" + std::to_string(index);
        return out;
    }
    const FoundReplica* replica(std::uint64_t range) const {
        for (const FoundReplica& r : found) {
            if (r.replica.range == RangeId(range)) {
                return &r;
            }
        }
        return nullptr;
    }
    std::string in_memory(std::uint64_t range, std::uint64_t index) const {
        const auto entry = log->find(RangeId(range), LogIndex(index));
        return entry ? std::string(as_text(entry->payload)) : "(none)";
    }
    // Reads through the disk; what came, as text.
    std::vector<std::string> read(std::uint64_t range, std::uint64_t first, std::uint64_t last,
                                  std::size_t bytes_max = 1 * mib, bool* damaged = nullptr) {
        shard::EntryRead read;
        read.callback = [](shard::EntryRead&) {};
        log->read(RangeId(range), LogIndex(first), LogIndex(last), bytes_max, read);
        for (int i = 0; i < 10'000 && read.in_flight; i++) {
            turn();
        }
        ASSERT(!read.in_flight);
        std::vector<std::string> out;
        std::uint64_t index = first;
        for (const raft::Entry& entry : read.entries) {
            ASSERT(entry.id.index.value == index++);
            ASSERT(checksum(entry.payload) == entry.checksum);
            out.emplace_back(as_text(entry.payload));
        }
        if (damaged != nullptr) {
            *damaged = read.damaged;
        }
        return out;
    }

    // ---- LogListener
    void on_recovered(shard::RecoveredLog& what) override {
        recovered = true;
        fresh = what.fresh;
        notes = what.notes;
        for (const shard::RecoveredReplica& r : what.replicas) {
            FoundReplica& out = found.emplace_back();
            out.replica = r;
            for (raft::Entry& entry : out.replica.entries) {
                out.payloads.emplace_back(as_text(entry.payload));
                entry.payload = {};
            }
        }
    }
    void on_durable(shard::BatchSequence through) override {
        ASSERT(through > durable);
        durable = through;
    }
    void on_log_failed(std::string_view reason) override {
        ASSERT(failure.empty());
        failure = reason;
    }
    void on_checkpoint_wanted(RangeId range) override { checkpoints_wanted.push_back(range); }

  private:
    NoNetwork network_;
    NoMailbox mailbox_;
    NoSink sink_;
    NoProcess process_;
    env::World world_{disk, network_, clock, mailbox_, sink_, process_, 1};
};

}  // namespace ringfort::test
