// No heap allocation per batch once the log has warmed up: counted over everything the log does between two turns.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "log_harness.h"

namespace {
std::uint64_t allocations = 0;
}

void* operator new(std::size_t bytes) {
    allocations++;
    void* out = std::malloc(bytes == 0 ? 1 : bytes);
    if (out == nullptr) {
        std::abort();
    }
    return out;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace ringfort::test {
namespace {

// Completes what it is asked at the next dispatch, keeps nothing, allocates nothing.
class ForgetfulDisk final : public env::Disk {
  public:
    env::Durability recipe{env::Durability::dsync};

    void open(env::DiskOperation& op, std::string_view) override { push(op); }
    void create(env::DiskOperation& op, std::string_view, std::uint64_t) override { push(op); }
    void create_growing(env::DiskOperation& op, std::string_view, std::uint64_t) override { push(op); }
    void sync_new(env::DiskOperation& op, env::FileId, std::string_view) override { push(op); }
    void close(env::FileId) override {}
    void remove(env::DiskOperation& op, std::string_view) override { push(op); }
    void rename(env::DiskOperation& op, std::string_view, std::string_view) override { push(op); }
    void list(env::DiskOperation& op, std::string_view) override { push(op); }
    void read_whole(env::DiskOperation&, std::string_view) override { UNREACHABLE(); }
    void replace_whole(env::DiskOperation&, std::string_view, Bytes) override { UNREACHABLE(); }
    void write(env::DiskOperation& op, env::FileId, std::uint64_t, Bytes, env::Durability) override { push(op); }
    void read(env::DiskOperation&, env::FileId, std::uint64_t, MutableBytes) override { UNREACHABLE(); }
    void sync(env::DiskOperation& op, env::FileId) override { push(op); }
    env::Durability preferred() const override { return recipe; }
    void dispatch() override {
        for (std::size_t n = count_; n > 0; n--) {
            env::DiskOperation& op = *queue_[first_++ % queue_.size()];
            count_--;
            op.in_flight = false;
            op.callback(op);
        }
    }

  private:
    void push(env::DiskOperation& op) {
        ASSERT(count_ < queue_.size() && !op.in_flight);
        op.in_flight = true;
        op.error = env::DiskErrc::ok;
        op.file = ++files_;
        queue_[(first_ + count_++) % queue_.size()] = &op;
    }
    std::array<env::DiskOperation*, 16> queue_{};
    std::size_t first_{0};
    std::size_t count_{0};
    env::FileId files_{0};
};

class Listener final : public shard::LogListener {
  public:
    bool ready{false};
    void on_recovered(shard::RecoveredLog&) override { ready = true; }
    void on_durable(shard::BatchSequence) override {}
    void on_log_failed(std::string_view) override { UNREACHABLE(); }
    void on_checkpoint_wanted(RangeId) override {}
};

void expect_no_allocations(env::Durability recipe) {
    ForgetfulDisk disk;
    disk.recipe = recipe;
    TestClock clock;
    NoNetwork network;
    NoMailbox mailbox;
    NoSink sink;
    NoProcess process;
    env::World world{disk, network, clock, mailbox, sink, process, 1};
    shard::LogOptions options;
    options.directory = "shard-0";
    Listener listener;
    shard::LogStore log(world, options, listener);
    const auto turn = [&] {
        disk.dispatch();
        log.close_batch(clock.at);
    };
    log.start();
    while (!listener.ready) {
        turn();
    }
    while (log.next_deadline() != never) {   // until the segments wanted ahead are there
        clock.at = std::max(clock.at, log.next_deadline());
        turn();
    }
    std::uint64_t next[3] = {2, 2, 2};
    for (std::uint64_t range = 0; range < 3; range++) {
        const shard::CheckpointRecord initial{{Term(1), LogIndex(1)}, 0, 0, 0, {}, {}};
        log.append_created(RangeId(range), {}, &initial);
    }
    const std::string payload(300, 'x');
    const std::uint64_t sum = checksum(as_bytes(payload));
    const auto batch = [&] {
        for (std::uint64_t range = 0; range < 3; range++) {
            for (int i = 0; i < 5; i++) {
                const MutableBytes room = log.append_entry(RangeId(range), {Term(1), LogIndex(next[range]++)},
                                                           raft::EntryKind::command, payload.size());
                std::memcpy(room.data(), payload.data(), payload.size());
                log.seal_entry(sum);
            }
            log.append_hard_state(RangeId(range), {Term(1), NodeId(1), LogIndex(next[range] - 1), {}, false});
            ASSERT(log.find(RangeId(range), LogIndex(next[range] - 1)));
            log.release(RangeId(range), LogIndex(next[range] - 1));
        }
        turn();
    };
    const auto checkpoint = [&] {
        for (std::uint64_t range = 0; range < 3; range++) {
            log.append_checkpoint(RangeId(range), {{Term(1), LogIndex(next[range] - 1)}, 0, 0, 0, {}, {}});
        }
    };
    for (int round = 0; round < 3; round++) {   // memory of the index and of directories finds its size
        for (int i = 0; i < 2000; i++) {
            batch();
        }
        checkpoint();
    }
    const std::uint64_t before = allocations;
    for (int i = 0; i < 1900; i++) {
        batch();
    }
    EXPECT_EQ(allocations - before, 0U);
}

TEST(LogAllocation, batches_allocate_nothing_with_dsync) { expect_no_allocations(env::Durability::dsync); }
TEST(LogAllocation, batches_allocate_nothing_with_sync) { expect_no_allocations(env::Durability::none); }

}  // namespace
}  // namespace ringfort::test
