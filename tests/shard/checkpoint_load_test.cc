// A checkpoint file read back: what it says of itself must be what the record that names it says.
#include <gtest/gtest.h>

#include <optional>

#include "kv/store.h"
#include "log_harness.h"
#include "shard/checkpoint_file.h"
#include "shard/checkpoints.h"
#include "shard/context.h"
#include "shard/replica.h"
#include "shard/replicas.h"

namespace ringfort::test {
namespace {

constexpr RangeId range{1};
constexpr LogIndex applied{7};

// A store's own stream, at `applied`.
MemoryDisk::Content stream_of(kv::Store& store) {
    const auto writer = store.open_checkpoint();
    MemoryDisk::Content out;
    for (kv::Step step = kv::Step::more; step != kv::Step::done;) {
        std::vector<std::byte> piece(4 * kib);
        WorkBudget budget;
        const auto given = writer->next(piece, budget);
        out.insert(out.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(given.bytes));
        step = given.step;
    }
    return out;
}

struct Loaded {
    bool ok{false};
    bool unreadable{false};
    Duration took{0};
};

// What comes of it under a record that names it at `named`, if the disk fails so often: to open it, or to read it.
Loaded load(LogIndex named, std::uint64_t opens_fail = 0, std::uint64_t reads_fail = 0) {
    LogHarness h;
    h.start();
    NoNetwork network;
    NoMailbox mailbox;
    NoSink sink;
    NoProcess process;
    env::World world{h.disk, network, h.clock, mailbox, sink, process, 1};
    shard::Context context{world, {}, Prng(1)};
    shard::Replicas replicas(context);
    context.log = h.log.get();
    context.replicas = &replicas;
    shard::Checkpoints checkpoints(context);

    kv::Store store({.range = range, .hash_seed = 1, .populate = nullptr});
    store.skip(applied);
    MemoryDisk::Content stream = stream_of(store);
    shard::CheckpointRecord record;
    record.applied = {Term(1), named};
    record.state_hash = store.hash();
    record.bytes = stream.size();
    record.file_checksum = shard::chain_checksum(0, stream);
    record.file = "shard-0/checkpoint-1";
    stream.resize(round_up(stream.size(), limits::block_bytes));
    h.disk.files[record.file] = std::make_shared<MemoryDisk::File>();
    h.disk.files[record.file]->durable = stream;

    h.disk.unopenable.insert(record.file);
    h.disk.unopenable_for = opens_fail;
    h.disk.unreadable.insert({record.file, 0});
    h.disk.unreadable_for = reads_fail;

    const Instant begun = h.clock.at;
    std::optional<Loaded> loaded;
    checkpoints.load(range, record, [&](shard::LoadedState state) {
        loaded = Loaded{state.ok, state.unreadable, h.clock.at - begun};
    });
    for (int turn = 0; turn < 100 && !loaded; turn++) {
        context.work = {};
        context.now = h.clock.at;
        checkpoints.run();
        h.disk.dispatch();
        if (const Instant next = checkpoints.next_deadline(); h.disk.pending() == 0 && next != never) {
            h.clock.at = std::max(h.clock.at, next);
        }
    }
    checkpoints.run();
    return loaded.value_or(Loaded{});
}

bool loads(LogIndex named) { return load(named).ok; }

TEST(CheckpointLoad, takes_a_file_at_the_index_it_is_named_by) {
    EXPECT_TRUE(loads(applied));
}

// A peer's: its snapshot would be installed at an index that its state is not at.
TEST(CheckpointLoad, refuses_a_file_at_another_index_than_it_is_named_by) {
    EXPECT_FALSE(loads(applied.next()));
    EXPECT_FALSE(loads(LogIndex(applied.value - 1)));
}

TEST(CheckpointLoad, errors_of_the_disk_are_not_believed_at_first_sight) {
    for (const bool opening : {false, true}) {
        const Loaded later = opening ? load(applied, 3, 0) : load(applied, 0, 3);
        EXPECT_TRUE(later.ok);
        const Loaded never_again = opening ? load(applied, UINT64_MAX, 0) : load(applied, 0, UINT64_MAX);
        EXPECT_FALSE(never_again.ok);
        EXPECT_TRUE(never_again.unreadable);
        EXPECT_GE(never_again.took, 4s);
        EXPECT_LE(never_again.took, 6s);
    }
    EXPECT_FALSE(load(applied.next()).unreadable);
}

}  // namespace
}  // namespace ringfort::test
