#include "sim/sim_disk.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/aligned_buffer.h"

namespace ringfort::sim {

using env::DiskErrc;
using env::Durability;

namespace {

constexpr std::size_t block = limits::block_bytes;

class DiskTest : public testing::Test {
  protected:
    struct Operation : env::DiskOperation {
        Operation() : DiskOperation([](env::DiskOperation& op) { static_cast<Operation&>(op).done = true; }, nullptr) {}
        bool done{false};
    };

    DiskTest() { make(1); }
    void make(std::uint64_t seed, DiskProfile profile = {}) {
        disk_.reset();
        media_ = std::make_unique<DiskMedia>(queue_, seed, profile);
        disk_ = std::make_unique<SimDisk>(*media_, Waker{});
    }
    // The process dies, and another starts.
    void restart() { disk_ = std::make_unique<SimDisk>(*media_, Waker{}); }
    void cut_power(std::uint32_t keep_per_million) {
        disk_->detach();
        media_->cut_power(keep_per_million);
        restart();
    }
    void settle() {
        queue_.run_until(queue_.now() + 100s);
        disk_->dispatch();
    }
    DiskErrc wait(Operation& op) {
        settle();
        EXPECT_TRUE(op.done);
        op.done = false;
        return op.error;
    }
    env::FileId create(std::string_view name, std::size_t bytes) {
        Operation op;
        disk_->create(op, name, bytes);
        EXPECT_EQ(wait(op), DiskErrc::ok);
        return op.file;
    }
    env::FileId open(std::string_view name) {
        Operation op;
        disk_->open(op, name);
        return wait(op) == DiskErrc::ok ? op.file : 0;
    }
    static AlignedBuffer filled(std::size_t bytes, char with) {
        AlignedBuffer buffer(bytes);
        std::memset(buffer.data(), with, bytes);
        return buffer;
    }
    DiskErrc write(env::FileId file, std::uint64_t offset, char with, Durability durability, std::size_t bytes = block) {
        const auto buffer = filled(bytes, with);
        Operation op;
        disk_->write(op, file, offset, buffer.span(), durability);
        return wait(op);
    }
    DiskErrc sync(env::FileId file) {
        Operation op;
        disk_->sync(op, file);
        return wait(op);
    }
    // The first byte of each sector; "!" if it cannot be read.
    std::string sectors(env::FileId file, std::uint64_t offset, std::size_t bytes) {
        AlignedBuffer buffer(bytes);
        Operation op;
        disk_->read(op, file, offset, buffer.span());
        if (wait(op) != DiskErrc::ok) {
            return "!";
        }
        std::string out;
        for (std::size_t at = 0; at < bytes; at += sector_bytes) {
            const char c = static_cast<char>(buffer.data()[at]);
            for (std::size_t i = 1; i < sector_bytes; i++) {
                EXPECT_EQ(buffer.data()[at + i], buffer.data()[at]) << "a torn sector";
            }
            out.push_back(c == 0 ? '.' : c);
        }
        return out;
    }
    std::vector<std::string> names(std::string_view directory) {
        Operation op;
        disk_->list(op, directory);
        EXPECT_EQ(wait(op), DiskErrc::ok);
        std::vector<std::string> out;
        for (const auto& file : op.files) {
            out.push_back(file.name);
        }
        return out;
    }

    EventQueue queue_;
    std::unique_ptr<DiskMedia> media_;
    std::unique_ptr<SimDisk> disk_;
};

TEST_F(DiskTest, a_created_file_is_zero_and_survives_every_power_cut) {
    create("shard-0/log-1", 4 * block);
    cut_power(0);
    const auto file = open("shard-0/log-1");
    EXPECT_EQ(sectors(file, 0, block), "........");
    EXPECT_EQ(sectors(file, 4 * block, block), "!");
    Operation again;
    disk_->create(again, "shard-0/log-1", block);
    EXPECT_EQ(wait(again), DiskErrc::exists);
    EXPECT_EQ(names("shard-0"), std::vector<std::string>{"log-1"});
    EXPECT_EQ(names("elsewhere"), std::vector<std::string>{});
}

TEST_F(DiskTest, a_plain_write_is_lost_until_synced_and_a_dsync_write_never) {
    const auto file = create("f", 4 * block);
    EXPECT_EQ(write(file, 0, 'a', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(write(file, block, 'b', Durability::none), DiskErrc::ok);
    EXPECT_EQ(sync(file), DiskErrc::ok);
    EXPECT_EQ(write(file, 2 * block, 'c', Durability::none), DiskErrc::ok);
    EXPECT_TRUE(media_->durable("f", 0, 2 * block));
    EXPECT_FALSE(media_->durable("f", 0, 3 * block));
    EXPECT_EQ(sectors(file, 2 * block, block), "cccccccc");
    cut_power(0);
    EXPECT_EQ(sectors(open("f"), 0, 3 * block), "aaaaaaaabbbbbbbb........");
}

TEST_F(DiskTest, a_dsync_write_does_not_carry_earlier_plain_writes_of_the_file) {
    const auto file = create("f", 4 * block);
    EXPECT_EQ(write(file, 0, 'a', Durability::none), DiskErrc::ok);
    EXPECT_EQ(write(file, block, 'b', Durability::dsync), DiskErrc::ok);
    cut_power(0);
    EXPECT_EQ(sectors(open("f"), 0, 2 * block), "........bbbbbbbb");
}

TEST_F(DiskTest, an_older_plain_write_never_resurfaces_over_a_durable_one) {
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        make(seed);
        const auto file = create("f", block);
        EXPECT_EQ(write(file, 0, 'a', Durability::none), DiskErrc::ok);
        EXPECT_EQ(write(file, 0, 'b', Durability::dsync), DiskErrc::ok);
        EXPECT_EQ(sectors(file, 0, block), "bbbbbbbb");
        cut_power(500'000);
        EXPECT_EQ(sectors(open("f"), 0, block), "bbbbbbbb");
    }
}

TEST_F(DiskTest, a_power_cut_tears_unsynced_writes_sector_by_sector_in_any_order) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 40; seed++) {
        make(seed);
        const auto file = create("f", block);
        EXPECT_EQ(write(file, 0, 'a', Durability::none), DiskErrc::ok);
        EXPECT_EQ(write(file, 0, 'b', Durability::none), DiskErrc::ok);
        cut_power(500'000);
        const auto found = sectors(open("f"), 0, block);
        EXPECT_EQ(found.find_first_not_of(".ab"), std::string::npos);
        seen.insert(found);
        cut_power(1'000'000);
        EXPECT_EQ(sectors(open("f"), 0, block), found) << "what survived once is durable";
    }
    EXPECT_GT(seen.size(), 30u);
}

TEST_F(DiskTest, a_write_in_flight_at_a_power_cut_may_land_in_part) {
    std::set<bool> untouched, whole;
    for (std::uint64_t seed = 0; seed < 40; seed++) {
        make(seed);
        const auto file = create("f", block);
        const auto buffer = filled(block, 'x');
        Operation op;
        disk_->write(op, file, 0, buffer.span(), Durability::dsync);
        cut_power(500'000);
        EXPECT_FALSE(op.in_flight);
        EXPECT_TRUE(media_->quiet());
        const auto found = sectors(open("f"), 0, block);
        untouched.insert(found == "........");
        whole.insert(found == "xxxxxxxx");
    }
    EXPECT_EQ(untouched.size(), 2u);
    EXPECT_EQ(whole.count(false), 1u);
}

TEST_F(DiskTest, a_killed_process_keeps_what_completed_and_its_last_writes_land_late_or_not) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 60; seed++) {
        make(seed);
        const auto file = create("f", 2 * block);
        EXPECT_EQ(write(file, 0, 'a', Durability::none), DiskErrc::ok);
        const auto buffer = filled(block, 'b');
        Operation op;
        disk_->write(op, file, block, buffer.span(), Durability::dsync);
        restart();
        EXPECT_FALSE(media_->quiet());
        settle();
        EXPECT_TRUE(media_->quiet());
        EXPECT_FALSE(op.done);
        const auto now_open = open("f");
        EXPECT_EQ(sectors(now_open, 0, block), "aaaaaaaa");
        EXPECT_FALSE(media_->durable("f", 0, block)) << "a kill makes nothing durable";
        seen.insert(sectors(now_open, block, block));
        EXPECT_EQ(sync(now_open), DiskErrc::ok);
        EXPECT_TRUE(media_->durable("f", 0, 2 * block));
    }
    EXPECT_TRUE(seen.contains("........"));
    EXPECT_TRUE(seen.contains("bbbbbbbb"));
    EXPECT_GT(seen.size(), 2u);
}

TEST_F(DiskTest, a_sync_covers_only_writes_that_completed_before_it_was_called) {
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        make(seed);
        const auto file = create("f", block);
        const auto buffer = filled(block, 'x');
        Operation write_op, sync_op;
        disk_->write(write_op, file, 0, buffer.span(), Durability::none);
        disk_->sync(sync_op, file);
        settle();
        EXPECT_TRUE(write_op.done && sync_op.done);
        EXPECT_FALSE(media_->durable("f", 0, block));
    }
}

TEST_F(DiskTest, a_growing_file_has_its_room_set_aside_until_sync_new) {
    media_->profile().capacity_bytes = media_->used_bytes() + 8 * block;
    Operation op;
    disk_->create_growing(op, "shard-0/one", 9 * block);
    EXPECT_EQ(wait(op), DiskErrc::no_space);
    disk_->create_growing(op, "shard-0/one", 6 * block);
    EXPECT_EQ(wait(op), DiskErrc::ok);
    const auto one = op.file;
    disk_->create_growing(op, "shard-0/other", 3 * block);
    EXPECT_EQ(wait(op), DiskErrc::no_space);
    EXPECT_EQ(write(one, 0, 'a', Durability::none, 2 * block), DiskErrc::ok);
    disk_->sync_new(op, one, "shard-0/one");
    EXPECT_EQ(wait(op), DiskErrc::ok);
    disk_->create_growing(op, "shard-0/other", 6 * block);
    EXPECT_EQ(wait(op), DiskErrc::ok) << "what was not needed is free again";
}

TEST_F(DiskTest, a_growing_file_has_no_durable_name_and_size_before_sync_new) {
    Operation op;
    disk_->create_growing(op, "shard-0/checkpoint", 0);
    EXPECT_EQ(wait(op), DiskErrc::ok);
    const auto file = op.file;
    EXPECT_EQ(write(file, 0, 'a', Durability::none, 2 * block), DiskErrc::ok);
    EXPECT_EQ(sync(file), DiskErrc::ok);
    EXPECT_FALSE(media_->durable_name("shard-0/checkpoint"));
    cut_power(0);
    EXPECT_EQ(open("shard-0/checkpoint"), 0u);

    disk_->create_growing(op, "shard-0/checkpoint", 0);
    EXPECT_EQ(wait(op), DiskErrc::ok);
    EXPECT_EQ(write(op.file, 0, 'b', Durability::none, 2 * block), DiskErrc::ok);
    disk_->sync_new(op, op.file, "shard-0/checkpoint");
    EXPECT_EQ(wait(op), DiskErrc::ok);
    EXPECT_TRUE(media_->durable("shard-0/checkpoint", 0, 2 * block));
    cut_power(0);
    EXPECT_EQ(sectors(open("shard-0/checkpoint"), 0, 2 * block), "bbbbbbbbbbbbbbbb");
}

TEST_F(DiskTest, a_removed_file_may_come_back_until_its_directory_is_synced) {
    std::set<bool> back;
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        make(seed);
        create("d/f", block);
        Operation op;
        disk_->remove(op, "d/f");
        EXPECT_EQ(wait(op), DiskErrc::ok);
        EXPECT_EQ(open("d/f"), 0u);
        cut_power(500'000);
        back.insert(open("d/f") != 0);
    }
    EXPECT_EQ(back.size(), 2u);
    make(1);
    create("d/f", block);
    Operation op;
    disk_->remove(op, "d/f");
    EXPECT_EQ(wait(op), DiskErrc::ok);
    create("d/g", block);
    cut_power(0);
    EXPECT_EQ(open("d/f"), 0u);
    disk_->remove(op, "d/absent");
    EXPECT_EQ(wait(op), DiskErrc::not_found);
}

TEST_F(DiskTest, rename_and_replace_are_whole_and_durable_when_complete) {
    create("a", block);
    EXPECT_EQ(write(open("a"), 0, 'a', Durability::dsync), DiskErrc::ok);
    create("b", block);
    Operation op;
    disk_->rename(op, "a", "b");
    EXPECT_EQ(wait(op), DiskErrc::ok);
    disk_->replace_whole(op, "meta", as_bytes("first"));
    EXPECT_EQ(wait(op), DiskErrc::ok);
    cut_power(0);
    EXPECT_EQ(open("a"), 0u);
    EXPECT_EQ(sectors(open("b"), 0, block), "aaaaaaaa");
    std::set<std::string> seen;
    for (int i = 0; i < 20; i++) {
        disk_->replace_whole(op, "meta", as_bytes("second"));
        cut_power(500'000);
        disk_->read_whole(op, "meta");
        EXPECT_EQ(wait(op), DiskErrc::ok);
        seen.insert(std::string(as_text(op.content)));
    }
    for (const auto& text : seen) {
        EXPECT_TRUE(text == "first" || text == "second");
    }
    EXPECT_TRUE(seen.contains("second"));
}

TEST_F(DiskTest, space_is_refused_at_the_bound_and_given_back_by_removal) {
    make(1, {.capacity_bytes = 4 * block});
    create("a", 3 * block);
    Operation op;
    disk_->create(op, "b", 2 * block);
    EXPECT_EQ(wait(op), DiskErrc::no_space);
    create("c", block);
    disk_->remove(op, "a");
    EXPECT_EQ(wait(op), DiskErrc::ok);
    create("b", 3 * block);
    EXPECT_EQ(media_->used_bytes(), 4 * block);
}

TEST_F(DiskTest, injected_errors_and_damage_are_reported_and_damage_heals_when_written) {
    const auto file = create("f", 2 * block);
    EXPECT_EQ(write(file, 0, 'a', Durability::dsync, 2 * block), DiskErrc::ok);
    media_->file("f")->spoil_sector(block + 512);
    EXPECT_EQ(sectors(file, 0, block), "aaaaaaaa");
    EXPECT_EQ(sectors(file, 0, 2 * block), "!");
    EXPECT_EQ(write(file, block, 'b', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(sectors(file, block, block), "bbbbbbbb");
    media_->file("f")->flip_bit(8 * 700);
    AlignedBuffer buffer(block);
    Operation op;
    disk_->read(op, file, 0, buffer.span());
    EXPECT_EQ(wait(op), DiskErrc::ok);
    EXPECT_EQ(static_cast<int>(buffer.data()[700]), 'a' ^ 1);
    media_->profile().write_error_per_million = 1'000'000;
    EXPECT_EQ(write(file, 0, 'c', Durability::dsync), DiskErrc::write_failed);
    media_->profile().sync_error_per_million = 1'000'000;
    EXPECT_EQ(sync(file), DiskErrc::sync_failed);
    media_->profile().read_error_per_million = 1'000'000;
    EXPECT_EQ(sectors(file, 0, block), "!");
}

TEST_F(DiskTest, a_write_that_never_reached_its_place_shows_what_had_lain_there) {
    for (const Durability durability : {Durability::none, Durability::dsync}) {
        make(1);
        media_->note_recent_writes(2);
        const auto file = create("f", 4 * block);
        EXPECT_EQ(write(file, 0, 'a', durability), DiskErrc::ok);
        EXPECT_EQ(write(file, 0, 'b', durability, 2 * block), DiskErrc::ok);
        EXPECT_EQ(media_->recent_writes().size(), 2u);
        if (durability == Durability::none) {
            EXPECT_FALSE(DiskMedia::take_back(media_->recent_writes().back())) << "it may still be on its way";
            EXPECT_EQ(sync(file), DiskErrc::ok);
        }
        EXPECT_FALSE(DiskMedia::take_back(media_->recent_writes().front())) << "others have written there since";
        EXPECT_TRUE(DiskMedia::take_back(media_->recent_writes().back()));
        EXPECT_EQ(sectors(file, 0, 2 * block), "aaaaaaaa........");
        EXPECT_TRUE(media_->harmed());
        cut_power(0);
        EXPECT_EQ(sectors(open("f"), 0, 2 * block), "aaaaaaaa........");
    }
}

TEST_F(DiskTest, a_misdirected_write_leaves_its_place_as_it_was_and_overwrites_another) {
    media_->note_recent_writes(4);
    const auto file = create("f", 4 * block);
    const auto other = create("g", 2 * block);
    EXPECT_EQ(write(file, 0, 'a', Durability::dsync, 4 * block), DiskErrc::ok);
    EXPECT_EQ(write(other, 0, 'o', Durability::dsync, 2 * block), DiskErrc::ok);
    EXPECT_EQ(write(file, 0, 'x', Durability::dsync, 2 * block), DiskErrc::ok);
    EXPECT_TRUE(DiskMedia::misdirect(media_->recent_writes().back(), *media_->file("f"), 2 * block));
    EXPECT_EQ(sectors(file, 0, 4 * block), "aaaaaaaaaaaaaaaaxxxxxxxxxxxxxxxx");
    EXPECT_FALSE(DiskMedia::misdirect(media_->recent_writes().back(), *media_->file("f"), 0)) << "it was, once";

    EXPECT_EQ(write(file, 0, 'y', Durability::dsync, 2 * block), DiskErrc::ok);
    EXPECT_FALSE(DiskMedia::misdirect(media_->recent_writes().back(), *media_->file("g"), 2 * block));
    EXPECT_TRUE(DiskMedia::misdirect(media_->recent_writes().back(), *media_->file("g"), block));
    EXPECT_EQ(sectors(other, 0, 2 * block), "ooooooooyyyyyyyy") << "what goes beyond the file's end is gone";
    EXPECT_EQ(sectors(file, 0, 2 * block), "aaaaaaaaaaaaaaaa");
}

TEST_F(DiskTest, a_misdirected_read_answers_with_another_block_and_changes_nothing) {
    std::set<std::string> seen;
    const auto file = create("f", 3 * block);
    const auto other = create("g", block);
    EXPECT_EQ(write(file, 0, 'a', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(write(file, block, 'b', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(write(file, 2 * block, 'c', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(write(other, 0, 'o', Durability::dsync), DiskErrc::ok);
    media_->profile().misdirected_read_per_million = 1'000'000;
    for (int i = 0; i < 40; i++) {
        seen.insert(sectors(file, 0, block));
    }
    EXPECT_EQ(seen, (std::set<std::string>{"aaaaaaaa", "bbbbbbbb", "cccccccc", "oooooooo"}));
    EXPECT_EQ(media_->counters().reads_misdirected, 40u);
    EXPECT_EQ(sectors(other, 0, block).size(), 8u);
    media_->profile().misdirected_read_per_million = 0;
    EXPECT_EQ(sectors(file, 0, 3 * block), "aaaaaaaabbbbbbbbcccccccc");
    EXPECT_FALSE(media_->harmed());
    EXPECT_FALSE(media_->sound());
}

TEST_F(DiskTest, a_flush_that_lies_is_believed_until_the_power_cut) {
    const auto file = create("f", 3 * block);
    EXPECT_EQ(write(file, 0, 'a', Durability::dsync), DiskErrc::ok);
    media_->set_lying(true);
    EXPECT_EQ(write(file, 0, 'x', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(write(file, block, 'y', Durability::none), DiskErrc::ok);
    EXPECT_FALSE(media_->durable("f", block, block));
    EXPECT_EQ(sync(file), DiskErrc::ok);
    EXPECT_TRUE(media_->durable("f", 0, 3 * block)) << "it says so";
    EXPECT_EQ(sectors(file, 0, 2 * block), "xxxxxxxxyyyyyyyy");
    EXPECT_FALSE(media_->harmed());
    EXPECT_FALSE(media_->sound());
    EXPECT_EQ(media_->rollbacks(), 0u);
    cut_power(0);
    EXPECT_EQ(media_->rollbacks(), 1u);
    EXPECT_EQ(sectors(open("f"), 0, 2 * block), "aaaaaaaa........");
    EXPECT_TRUE(media_->harmed());
    EXPECT_FALSE(media_->lying());
}

TEST_F(DiskTest, when_a_flush_lies_no_more_all_it_said_is_true) {
    const auto file = create("f", 2 * block);
    media_->set_lying(true);
    EXPECT_EQ(write(file, 0, 'x', Durability::dsync), DiskErrc::ok);
    media_->set_lying(false);
    cut_power(0);
    EXPECT_EQ(sectors(open("f"), 0, 2 * block), "xxxxxxxx........");
    EXPECT_TRUE(media_->sound());
}

TEST_F(DiskTest, an_old_copy_put_back_is_the_whole_directory_of_that_moment) {
    const auto file = create("d/f", 2 * block);
    create("d/gone", block);
    EXPECT_EQ(write(file, 0, 'a', Durability::dsync), DiskErrc::ok);
    EXPECT_EQ(write(file, block, 'b', Durability::none), DiskErrc::ok);
    const DiskMedia::Copy copy = media_->copy();
    EXPECT_EQ(write(file, 0, 'x', Durability::dsync, 2 * block), DiskErrc::ok);
    Operation op;
    disk_->remove(op, "d/gone");
    EXPECT_EQ(wait(op), DiskErrc::ok);
    create("d/new", block);
    for (int i = 0; i < 2; i++) {
        disk_->detach();
        media_->put_back(copy);
        restart();
        EXPECT_EQ(names("d"), (std::vector<std::string>{"f", "gone"}));
        EXPECT_EQ(sectors(open("d/f"), 0, 2 * block), "aaaaaaaabbbbbbbb") << "as it was readable then";
        EXPECT_TRUE(media_->durable("d/f", 0, 2 * block));
        EXPECT_EQ(write(open("d/f"), 0, 'z', Durability::dsync), DiskErrc::ok);   // the copy stays as it is
    }
    EXPECT_TRUE(media_->harmed());
    EXPECT_EQ(media_->rollbacks(), 2u);
    disk_->detach();
    media_->wipe();
    EXPECT_EQ(media_->rollbacks(), 2u) << "nobody takes an empty one for what it was";
}

TEST_F(DiskTest, a_removed_directory_may_come_back_at_a_power_cut) {
    create("d/f", block);
    create("d2/f", block);
    disk_->detach();
    media_->remove_directory("d");
    EXPECT_EQ(media_->names(), std::vector<std::string>{"d2/f"});
    cut_power(0);
    EXPECT_EQ(media_->names(), (std::vector<std::string>{"d/f", "d2/f"}));
    disk_->detach();
    media_->remove_directory("d");
    cut_power(1'000'000);
    EXPECT_EQ(media_->names(), std::vector<std::string>{"d2/f"});
}

TEST_F(DiskTest, a_hung_disk_completes_nothing_until_it_goes_on) {
    const auto file = create("f", block);
    const auto buffer = filled(block, 'x');
    Operation before, after;
    disk_->write(before, file, 0, buffer.span(), Durability::dsync);
    const Instant resume = queue_.now() + 5s;
    media_->hang_until(resume);
    disk_->read(after, file, 0, {const_cast<std::byte*>(buffer.data()), block});
    queue_.run_until(resume - Duration(1));
    disk_->dispatch();
    EXPECT_FALSE(before.done || after.done);
    settle();
    EXPECT_TRUE(before.done && after.done);
}

using DiskDeathTest = DiskTest;

TEST_F(DiskDeathTest, misuse_of_the_seam_ends_the_run) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto file = create("f", 2 * block);
    auto buffer = filled(2 * block, 'x');
    Operation op;
    EXPECT_DEATH(disk_->write(op, file, 512, buffer.span(), Durability::dsync), "assertion");
    EXPECT_DEATH(disk_->write(op, file, 0, buffer.span().subspan(8, block), Durability::dsync), "assertion");
    EXPECT_DEATH(disk_->write(op, file, 0, buffer.span().first(1000), Durability::dsync), "assertion");
    EXPECT_DEATH(disk_->write(op, file, block, buffer.span(), Durability::dsync), "assertion");
    EXPECT_DEATH(disk_->write(op, 77, 0, buffer.span(), Durability::dsync), "assertion");
    disk_->write(op, file, 0, buffer.span(), Durability::dsync);
    EXPECT_DEATH(disk_->sync(op, file), "in_flight");
    EXPECT_DEATH(disk_->close(file), "in_flight");
    buffer.data()[7] = std::byte{0};
    EXPECT_DEATH(settle(), "task.source");
    disk_.reset();   // the write is still on its way: its operation has to outlive the disk
}

}  // namespace
}  // namespace ringfort::sim
