// A change of the shard count: whatever it is cut off by, what was known of every replica is known after it, on the
// shard that the count in force names and on no other; damage included.
#include <gtest/gtest.h>

#include <tuple>

#include "base/prng.h"
#include "log_harness.h"
#include "shard/log_move.h"
#include "shard/node_config.h"
#include "shard/peer_memory.h"

namespace ringfort::test {
namespace {

using Image = std::map<std::string, MemoryDisk::Content>;
using Keeps = std::function<bool(const std::string&, std::size_t, std::size_t)>;

// All that a log and a checkpoint file say of a replica.
struct Known {
    raft::HardState hard_state;
    bool in_doubt{false};
    std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t> checkpoint;   // term, index, hash, checksum
    std::string file;                                                                   // its content
    // term, kind, checksum, payload or that it is damaged
    std::map<std::uint64_t, std::tuple<std::uint64_t, raft::EntryKind, std::uint64_t, std::string>> entries;
    bool operator==(const Known&) const = default;
};
using Layout = std::map<std::uint64_t, Known>;

std::string text_of(const MemoryDisk::Content& content) { return std::string(as_text(content)); }
MemoryDisk::Content content_of(std::string_view text) { return {as_bytes(text).begin(), as_bytes(text).end()}; }
std::string directory_of(std::size_t shard) { return "shard-" + std::to_string(shard); }

void set_options(LogHarness& h, std::size_t shard, std::uint32_t count) {
    h.options.shard = ShardId(shard);
    h.options.shard_count = count;
    h.options.directory = directory_of(shard);
    h.options.segment_bytes = 64 * kib;
    h.options.window_bytes = 256 * kib;
}

// A data directory with `shards` logs and some replicas, each with a history.
Image make(std::uint32_t shards, std::uint64_t ranges, std::uint64_t seed,
           const std::vector<NodeId>& voters = {NodeId(1), NodeId(2), NodeId(3)}) {
    Prng random(seed);
    Image out;
    for (std::uint32_t shard = 0; shard < shards; shard++) {
        LogHarness h;
        set_options(h, shard, shards);
        h.start();
        Image files;
        for (std::uint64_t range = 0; range < ranges; range++) {
            if (shard::shard_of(RangeId(range), shards) != ShardId(shard)) {
                continue;
            }
            h.create(range);
            std::uint64_t last = 1;
            for (std::uint64_t n = random.below(40); n > 0; n--) {
                const std::string payload(random.below(3000), static_cast<char>('a' + random.below(26)));
                while (!h.log->can_append(payload.size())) {
                    h.turn();
                }
                h.append(range, 1 + last / 10, last + 1, payload,
                         random.one_in(8) ? raft::EntryKind::fence : raft::EntryKind::command);
                last++;
                if (random.one_in(3)) {
                    h.turn();
                }
                if (last > 5 && random.one_in(12)) {
                    shard::CheckpointRecord record = LogHarness::checkpoint_at(1 + (last - 1) / 10, last - 2);
                    const std::string content(limits::block_bytes * random.between(1, 80),
                                              static_cast<char>('A' + random.below(26)));
                    record.configuration.voters = voters;
                    record.file = directory_of(shard) + "/checkpoint-" + std::to_string(range) + "-" +
                                  std::to_string(last) + "-5";
                    record.bytes = content.size() - random.below(limits::block_bytes);
                    record.applied.term = Term(1 + (record.applied.index.value - 1) / 10);
                    files[record.file] = content_of(content);
                    h.log->append_checkpoint(RangeId(range), record);
                }
            }
            h.vote(range, 9 + range, 2, 1 + range, range % 3 == 2);
        }
        h.settle();
        h.wait(20ms);
        h.settle();
        out.merge(h.disk.image());
        out.merge(files);
    }
    out["identity"] = content_of(std::to_string(shards));
    out[std::string(shard::peer_memory_file)] = content_of("memory of peers");
    return out;
}

std::uint32_t count_of(const Image& image) {
    return static_cast<std::uint32_t>(std::stoul(text_of(image.at("identity"))));
}

void take(LogHarness& h, const Image& image, std::size_t shard, std::uint32_t count, Layout& out) {
    for (const FoundReplica& found : h.found) {
        const shard::RecoveredReplica& replica = found.replica;
        ASSERT_EQ(shard::shard_of(replica.range, count), ShardId(shard));
        ASSERT_FALSE(out.contains(replica.range.value)) << "two copies count";
        Known& known = out[replica.range.value];
        known.hard_state = replica.hard_state;
        known.in_doubt = replica.promises_in_doubt;
        if (replica.checkpoint) {
            const shard::CheckpointRecord& record = *replica.checkpoint;
            known.checkpoint = {record.applied.term.value, record.applied.index.value, record.state_hash,
                                record.file_checksum};
            const auto file = image.find(record.file);
            known.file = file == image.end() ? "(none)" : text_of(file->second);
            ASSERT_TRUE(record.file.empty() || record.file.starts_with(directory_of(shard) + "/")) << record.file;
        }
        for (const raft::Entry& entry : replica.entries) {
            bool damaged = false;
            const auto texts = h.read(replica.range.value, entry.id.index.value, entry.id.index.value, 1 * mib, &damaged);
            ASSERT_NE(damaged, texts.size() == 1);
            known.entries[entry.id.index.value] = {entry.id.term.value, entry.kind, entry.checksum,
                                                   damaged ? "damaged" : texts[0]};
            ASSERT_EQ(damaged, std::find(replica.damaged.begin(), replica.damaged.end(), entry.id.index) !=
                                   replica.damaged.end());
        }
    }
}

// What the layout in force says, and that a start with it works.
Layout read(const Image& image) {
    Layout out;
    const std::uint32_t count = count_of(image);
    for (std::size_t shard = 0; shard < count; shard++) {
        LogHarness h;
        set_options(h, shard, count);
        h.restart_from(image);
        EXPECT_EQ(h.failure, "");
        EXPECT_FALSE(h.fresh) << "every log of the layout is there";
        take(h, image, shard, count, out);
    }
    return out;
}

class Process final : public env::Process {
  public:
    std::optional<env::Halt> how;
    std::string reason;
    void halt(env::Halt halted, std::string_view why) override {
        ASSERT(!how);
        how = halted;
        reason = why;
    }
    std::uint64_t cpu_us() const override { return 0; }
    std::uint64_t resident_bytes() const override { return 0; }
};

class Mover {
  public:
    MemoryDisk disk;
    TestClock clock;
    Process process;
    std::unique_ptr<shard::ShardMove> move;
    std::uint64_t completed{0};

    Mover(const Image& image, std::uint32_t to) {
        disk.load(image);
        disk.manual = true;
        shard::ShardMoveOptions options;
        options.instance = InstanceId(77);
        options.from_count = count_of(image);
        options.to_count = to;
        options.segment_bytes = 64 * kib;
        options.window_bytes = 256 * kib;
        options.switch_file = "identity";
        options.switch_content = content_of(std::to_string(to));
        move = std::make_unique<shard::ShardMove>(world_, options);
        move->start();
    }
    // Until it ends; `look` at what a crash would leave, after each operation that ended.
    void run(const std::function<void()>& look = [] {}) {
        for (int turns = 0; turns < 200'000 && !process.how; turns++) {
            if (disk.pending() > 0) {
                disk.complete(0);
                completed++;
                look();
            }
            if (!process.how) {
                move->turn();
                clock.at = clock.at + 100us;
            }
        }
        ASSERT(process.how);
        disk.manual = false;
        for (int i = 0; i < 100 && disk.pending() > 0; i++) {
            disk.dispatch();   // what the logs had under way
        }
    }

  private:
    NoNetwork network_;
    NoMailbox mailbox_;
    NoSink sink_;
    env::World world_{disk, network_, clock, mailbox_, sink_, process, 1};
};

Image moved(const Image& image, std::uint32_t to) {
    Mover mover(image, to);
    mover.run();
    EXPECT_TRUE(mover.move->switched()) << mover.process.reason;
    EXPECT_EQ(mover.process.how, env::Halt::stopped);
    return mover.disk.image();
}

TEST(LogMove, every_replica_is_whole_on_its_new_shard) {
    for (const auto& [from, to] : {std::pair(1U, 2U), {2U, 1U}, {2U, 3U}, {3U, 2U}, {1U, 7U}, {7U, 1U}, {4U, 6U}}) {
        const Image before = make(from, 12, 10 * from + to);
        const Layout known = read(before);
        ASSERT_EQ(known.size(), 12U);
        const Image after = moved(before, to);
        ASSERT_EQ(count_of(after), to);
        ASSERT_EQ(read(after), known) << from << " to " << to;
        ASSERT_EQ(read(moved(after, from)), known) << "and back to " << from;
    }
}

// Turns come when the disk has answered, or when the move itself wanted one.
TEST(LogMove, waits_for_the_disk_and_for_nothing_else) {
    Mover mover(make(1, 12, 5), 2);
    Duration slept{0};
    for (int turns = 0; turns < 200'000 && !mover.process.how; turns++) {
        const Instant wanted = mover.move->turn();
        if (mover.disk.pending() > 0) {
            mover.disk.complete(0);
        } else if (wanted > mover.clock.at && !mover.process.how) {
            slept += wanted - mover.clock.at;
            mover.clock.at = wanted;
        }
    }
    EXPECT_TRUE(mover.move->switched()) << mover.process.reason;
    EXPECT_LE(slept, 100ms) << "the logs are sealed once they are idle";
    mover.run();
}

TEST(LogMove, a_disk_that_fails_is_not_taken_for_a_full_one) {
    const Image before = make(2, 12, 9);
    std::uint64_t writes = 0;
    {
        Mover whole(before, 3);
        whole.run();
        ASSERT_TRUE(whole.move->switched());
        writes = whole.disk.writes;
    }
    std::size_t failed = 0;
    for (std::uint64_t write = 1; write <= writes; write++) {
        Mover mover(before, 3);
        mover.disk.fail_write_at = write;
        mover.run();
        ASSERT_NE(mover.process.how, env::Halt::no_disk_space) << "write " << write << ": " << mover.process.reason;
        failed += mover.move->switched() ? 0U : 1U;
    }
    EXPECT_GT(failed, 0U);
}

TEST(LogMove, a_cut_at_any_point_leaves_one_complete_layout) {
    for (const auto& [from, to] : {std::pair(2U, 3U), {3U, 2U}, {1U, 3U}, {3U, 1U}}) {
        Prng random(from + 100 * to);
        const Image before = make(from, 6, from);
        const Layout known = read(before);
        Mover mover(before, to);
        std::vector<Image> images;
        mover.run([&] {
            const std::uint64_t keep_of_ten = random.below(11);
            images.push_back(mover.disk.after_crash(
                [&](const std::string&, std::size_t, std::size_t) { return random.below(10) < keep_of_ten; }));
        });
        ASSERT_TRUE(mover.move->switched());
        ASSERT_GT(images.size(), 40U);
        std::size_t with_new_layout = 0;
        for (std::size_t i = 0; i < images.size(); i++) {
            const std::uint32_t count = count_of(images[i]);
            with_new_layout += count == to ? 1 : 0;
            ASSERT_EQ(read(images[i]), known) << from << " to " << to << ", after operation " << i;
            // Begun anew, or turned around, or with a third count.
            const auto next = static_cast<std::uint32_t>(random.between(1, 4));
            if (next != count && i % 5 == 0) {
                ASSERT_EQ(read(moved(images[i], next)), known) << "from the cut at " << i << " on to " << next;
            }
        }
        ASSERT_GT(with_new_layout, 0U);
        ASSERT_LT(with_new_layout, images.size());
    }
}

TEST(LogMove, a_cut_that_is_followed_by_work_with_the_old_count_leaves_no_stale_copy) {
    const Image before = make(2, 6, 5);
    Mover mover(before, 3);
    Image cut;
    mover.run([&] {
        if (mover.move->moved() > 0 && cut.empty()) {
            cut = mover.disk.image();   // a copy is there, and counts for nothing
        }
    });
    ASSERT_EQ(count_of(cut), 2U);
    // Range 3 moves from shard 0 to shard 2: on shard 0 it now goes on.
    LogHarness h;
    set_options(h, 0, 2);
    h.restart_from(cut);
    h.vote(3, 77, 1, 9);
    h.settle();
    h.wait(20ms);
    h.settle();
    Image grown = h.disk.image();
    const Layout known = read(grown);
    ASSERT_EQ(known.at(3).hard_state.term, Term(77));
    ASSERT_EQ(read(moved(grown, 3)), known);
}

TEST(LogMove, damage_arrives_as_damage) {
    std::size_t damaged_entries = 0;
    std::size_t doubts = 0;
    std::size_t refusals = 0;
    for (std::uint64_t seed = 1; seed <= 200; seed++) {
        Prng random(seed);
        Image before = make(2, 6, 3);
        for (std::uint64_t n = random.between(1, 6); n > 0; n--) {   // a flipped byte, or a block of rot
            auto file = before.begin();
            do {
                file = std::next(before.begin(), static_cast<std::ptrdiff_t>(random.below(before.size())));
            } while (file->first.find("log-") == std::string::npos);
            const std::size_t at = random.below(file->second.size());
            const std::size_t bytes = random.one_in(2) ? 1 : std::min<std::size_t>(8192, file->second.size() - at);
            for (std::size_t i = 0; i < bytes; i++) {
                file->second[at + i] ^= std::byte{0x55};
            }
        }
        const Layout known = read(before);
        for (const auto& [range, replica] : known) {
            doubts += replica.in_doubt ? 1 : 0;
            for (const auto& [index, entry] : replica.entries) {
                damaged_entries += std::get<3>(entry) == "damaged" ? 1U : 0U;
            }
        }
        Mover mover(before, 3);
        mover.run();
        if (!mover.move->switched()) {
            refusals++;
            ASSERT_EQ(mover.process.how, env::Halt::refused);
            ASSERT_NE(mover.process.reason.find("lost records"), std::string::npos) << mover.process.reason;
        }
        ASSERT_EQ(read(mover.disk.image()), known) << "seed " << seed;
    }
    EXPECT_GT(damaged_entries, 20U);
    EXPECT_GT(doubts, 5U);
    EXPECT_GT(refusals, 0U);
    EXPECT_LT(refusals, 100U);
}

TEST(LogMove, the_lost_end_of_a_segment_arrives_as_damage) {
    const Image before = make(1, 6, 4);
    std::size_t moved_with_damage = 0;
    for (const auto& [name, content] : before) {
        if (name.find("log-") == std::string::npos) {
            continue;
        }
        std::size_t used = content.size();
        while (used > 0 && content[used - 1] == std::byte{}) {
            used--;
        }
        for (std::size_t blocks = 1; blocks <= 3 && blocks * limits::block_bytes < used; blocks++) {
            Image shortened = before;
            shortened.at(name).resize(round_up<std::size_t>(used, limits::block_bytes) - blocks * limits::block_bytes);
            const Layout known = read(shortened);
            Mover mover(shortened, 3);
            mover.run();
            const bool damaged = std::ranges::any_of(known, [](const auto& replica) {
                return std::ranges::any_of(replica.second.entries, [](const auto& entry) {
                    return std::get<3>(entry.second) == "damaged";
                });
            });
            moved_with_damage += damaged && mover.move->switched() ? 1U : 0U;
            ASSERT_EQ(read(mover.disk.image()), known) << name << " without " << blocks << " blocks";
        }
    }
    EXPECT_GT(moved_with_damage, 0U);
}

TEST(LogMove, an_unreadable_checkpoint_arrives_unreadable_and_one_that_does_not_open_ends_the_move) {
    Image before = make(1, 6, 4);
    std::string file;
    for (const auto& [name, content] : before) {
        if (name.find("checkpoint-3-") != std::string::npos) {
            file = name;
        }
    }
    const Layout known = read(before);
    file = [&] {   // the one the log names
        LogHarness h;
        set_options(h, 0, 1);
        h.restart_from(before);
        return h.replica(3)->replica.checkpoint->file;
    }();
    ASSERT_FALSE(file.empty());
    {
        Mover mover(before, 3);
        mover.disk.unreadable.insert({file, 0});
        mover.run();
        ASSERT_TRUE(mover.move->switched()) << mover.process.reason;
        Layout wanted = known;
        std::fill_n(wanted.at(3).file.begin(), limits::block_bytes, '\0');
        ASSERT_EQ(read(mover.disk.image()), wanted);
    }
    {   // for a moment only
        Mover mover(before, 3);
        mover.disk.unreadable.insert({file, 0});
        mover.disk.unreadable_for = 4;
        mover.disk.unopenable.insert(file);
        mover.disk.unopenable_for = 2;
        mover.run();
        ASSERT_TRUE(mover.move->switched()) << mover.process.reason;
        ASSERT_EQ(read(mover.disk.image()), known);
    }
    {   // that it does not open now is no reason to go on without it
        Mover mover(before, 3);
        mover.disk.unopenable.insert(file);
        mover.run();
        ASSERT_FALSE(mover.move->switched());
        ASSERT_EQ(mover.process.how, env::Halt::log_failed);
        ASSERT_EQ(read(mover.disk.image()), known);
    }
    before.erase(file);
    Layout wanted = known;
    wanted.at(3).file = "(none)";
    ASSERT_EQ(read(moved(before, 3)), wanted);
}

// With the new layout it would be lost for good, as nobody else has it.
TEST(LogMove, what_is_not_read_and_no_peer_could_give_back_ends_the_move) {
    const Image before = make(1, 6, 5, {NodeId(1), NodeId(2)});
    const Layout known = read(before);
    std::size_t files = 0;
    for (const auto& [name, content] : before) {
        if (name.find("/checkpoint-") == std::string::npos) {
            continue;
        }
        Mover mover(before, 3);
        mover.disk.unreadable.insert({name, 0});
        mover.run();
        if (mover.move->switched()) {
            continue;   // its replica stays where it is, or a later checkpoint has taken its place
        }
        files++;
        ASSERT_EQ(mover.process.how, env::Halt::refused);
        ASSERT_NE(mover.process.reason.find(name), std::string::npos) << mover.process.reason;
        ASSERT_EQ(read(mover.disk.image()), known);
    }
    EXPECT_GT(files, 0U);
}

// Read by recovery, and not any more when they are to be moved.
TEST(LogMove, entries_that_are_not_read_for_a_moment_arrive_whole) {
    const Image before = make(1, 6, 4);
    const Layout known = read(before);
    Mover whole(before, 3);
    std::uint64_t first = UINT64_MAX;   // operation by which all that is there was read
    std::uint64_t reads = 0;
    whole.run([&] {
        if (first == UINT64_MAX && whole.disk.files.size() > before.size() + 2) {
            first = whole.completed;
            reads = whole.disk.reads;
        }
    });
    ASSERT_TRUE(whole.move->switched());
    ASSERT_GT(whole.disk.reads, reads) << "nothing is read again";
    for (const bool lasting : {false, true}) {
        Mover mover(before, 3);
        mover.run([&] {
            if (mover.completed == first) {
                for (const auto& [name, content] : before) {
                    for (std::uint64_t block = 0; block < content.size() / limits::block_bytes; block++) {
                        mover.disk.unreadable.insert({name, block});
                    }
                }
                mover.disk.unreadable_for = lasting ? UINT64_MAX : 12;
            }
        });
        if (!lasting) {
            ASSERT_TRUE(mover.move->switched()) << mover.process.reason;
            ASSERT_EQ(read(mover.disk.image()), known);
        } else if (!mover.move->switched()) {
            ASSERT_EQ(read(mover.disk.image()), known);
        }
    }
}

TEST(LogMove, a_missing_log_is_refused_again_and_again) {
    Image before = make(2, 6, 4);
    std::erase_if(before, [](const auto& file) { return file.first.starts_with("shard-1/log-"); });
    for (int i = 0; i < 2; i++) {
        Mover mover(before, 3);
        mover.run();
        ASSERT_FALSE(mover.move->switched());
        ASSERT_EQ(mover.process.how, env::Halt::refused);
        ASSERT_NE(mover.process.reason.find("shard 1 is missing"), std::string::npos) << mover.process.reason;
        before = mover.disk.image();
    }
}

TEST(LogMove, a_full_disk_leaves_the_old_layout) {
    const Image before = make(2, 6, 4);
    const Layout known = read(before);
    Mover mover(before, 3);
    mover.disk.no_space = true;
    mover.run();
    ASSERT_FALSE(mover.move->switched());
    ASSERT_EQ(mover.process.how, env::Halt::no_disk_space) << mover.process.reason;
    ASSERT_EQ(read(mover.disk.image()), known);
}

TEST(LogMove, a_stop_leaves_the_old_layout) {
    const Image before = make(2, 6, 4);
    const Layout known = read(before);
    Mover mover(before, 3);
    mover.run([&] {
        if (mover.completed == 40) {
            mover.move->stop();
        }
    });
    ASSERT_FALSE(mover.move->switched());
    ASSERT_EQ(mover.process.how, env::Halt::stopped);
    ASSERT_EQ(read(mover.disk.image()), known);
}

}  // namespace
}  // namespace ringfort::test
