// Space, memory and order: what the log does while it runs.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "log_harness.h"
#include "shard/log_reader.h"

namespace ringfort::test {
namespace {

struct SmallLog : LogHarness {
    SmallLog() {
        options.segment_bytes = 64 * kib;
        options.window_bytes = 256 * kib;
        options.log_bytes_goal = 8 * mib;
    }
};

TEST(LogSpace, disk_stays_bounded_under_long_writing_with_checkpoints) {
    SmallLog h;
    h.start();
    h.create(1);
    std::uint64_t index = 2;
    std::uint64_t most = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 10; i++) {
            h.append(1, 1, index++, std::string(1000, 'x'));
            h.turn();
        }
        if (round % 8 == 7) {
            h.checkpoint(1, 1, index - 1);
        }
        h.settle();
        most = std::max(most, h.disk.disk_bytes());
    }
    // 8 rounds of 10 KB live (two segments and a bit in 4 KiB blocks), one being written, two ready, one being freed.
    EXPECT_LE(most, 12 * 64 * kib);
    EXPECT_GT(h.disk.bytes_written, 4 * mib);
    EXPECT_LE(h.disk.creates, 12U);   // recycled, not made anew
    EXPECT_LE(h.log->counters(h.clock.at).segments, 12U);
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.checkpoint->applied.index, LogIndex(index - 1));
}

// Else it would keep its core from sleeping for as long as a read or a write takes.
TEST(LogSpace, a_log_that_waits_for_its_disk_wants_no_turn_before_that_answers) {
    SmallLog h;
    h.start();
    h.create(1);
    h.create(2);
    for (std::uint64_t i = 2; i < 40; i++) {
        h.append(2, 1, i, std::string(100, 'i'));
    }
    h.settle();
    h.disk.manual = true;
    const auto expect_rest = [&] {
        for (int turns = 0; h.log->next_deadline() <= h.clock.at; turns++) {
            ASSERT_LT(turns, 100);
            h.turn();
        }
    };
    for (std::uint64_t i = 2; i < 300; i++) {
        h.append(1, 1, i, std::string(3000, 'x'));
        if (i % 5 == 4) {
            h.checkpoint(1, 1, i);
        }
        h.turn();
        while (h.disk.pending() > 0) {
            ASSERT_NO_FATAL_FAILURE(expect_rest());
            h.disk.complete(0);
            h.turn();
        }
        ASSERT_NO_FATAL_FAILURE(expect_rest());
    }
    EXPECT_GE(h.log->counters(h.clock.at).copied_entries, 38U);
}

// An idle range's few entries and its promises must not hold the whole log.
TEST(LogSpace, few_live_entries_of_an_idle_range_are_written_again_and_its_promises_survive) {
    SmallLog h;
    h.start();
    h.create(1);
    h.create(2);
    h.vote(2, 9, 3);
    h.append(2, 9, 2, "idle, but live");
    h.append(2, 9, 3, "and this");
    std::uint64_t index = 2;
    for (int i = 0; i < 300; i++) {
        h.append(1, 1, index++, std::string(3000, 'x'));
        if (i % 5 == 4) {
            h.checkpoint(1, 1, index - 1);
        }
        h.settle();
    }
    EXPECT_GE(h.log->counters(h.clock.at).copied_entries, 2U);
    EXPECT_LE(h.disk.disk_bytes(), 12 * 64 * kib);
    EXPECT_FALSE(h.disk.files.contains("shard-0/log-0000000000000001"));
    EXPECT_TRUE(h.checkpoints_wanted.empty());
    EXPECT_EQ(h.read(2, 2, 3), (std::vector<std::string>{"idle, but live", "and this"}));
    h.crash_and_start();
    EXPECT_EQ(h.replica(2)->replica.hard_state.term, Term(9));
    EXPECT_EQ(h.replica(2)->replica.hard_state.vote, NodeId(3));
    ASSERT_EQ(h.replica(2)->replica.entries.size(), 2U);
    EXPECT_EQ(h.replica(2)->replica.entries[0].id, (raft::EntryId{Term(9), LogIndex(2)}));
    EXPECT_EQ(h.read(2, 2, 3), (std::vector<std::string>{"idle, but live", "and this"}));
}

// Each start opens a segment, and leaves a few entries in it.
TEST(LogSpace, many_starts_do_not_pile_up_segments) {
    SmallLog h;
    h.options.log_bytes_goal = 64 * mib;
    h.start();
    for (std::uint64_t range = 1; range <= 3; range++) {
        h.create(range);
    }
    for (std::uint64_t start = 1; start <= 40; start++) {
        for (std::uint64_t range = 1; range <= 3; range++) {
            h.append(range, start, 2 * start, "");
            h.append(range, start, 2 * start + 1, "of start " + std::to_string(start));
            h.settle();
        }
        h.wait(20ms);
        h.settle();
        h.crash_and_start();
        for (int i = 0; i < 200; i++) {
            h.turn();
        }
        ASSERT_LE(h.log->counters(h.clock.at).segments, 12U) << "start " << start;
    }
    for (std::uint64_t range = 1; range <= 3; range++) {
        const auto texts = h.read(range, 2, 81);
        ASSERT_EQ(texts.size(), 80U);
        EXPECT_EQ(texts[79], "of start 40");
    }
}

TEST(LogSpace, much_live_log_in_the_oldest_segment_asks_for_a_checkpoint_of_its_range) {
    SmallLog h;
    h.options.log_bytes_goal = 512 * kib;
    h.start();
    h.create(1);
    h.create(2);
    std::uint64_t index = 2;
    for (int i = 0; i < 40; i++) {
        h.append(2, 1, index++, std::string(3000, 'x'));
        h.settle();
    }
    EXPECT_TRUE(h.checkpoints_wanted.empty());
    for (std::uint64_t i = 2; i < 150; i++) {
        h.append(1, 1, i, std::string(3000, 'x'));
        h.settle();
    }
    ASSERT_FALSE(h.checkpoints_wanted.empty());
    EXPECT_EQ(h.checkpoints_wanted[0], RangeId(2));
    EXPECT_LE(h.checkpoints_wanted.size(), 4U);   // not at every turn
    const std::uint64_t before = h.disk.disk_bytes();
    h.checkpoint(2, 1, index - 1);
    h.checkpoint(1, 1, 149);
    for (int i = 0; i < 10; i++) {
        h.settle();
        h.wait(11ms);
    }
    EXPECT_LE(h.disk.disk_bytes(), std::min<std::uint64_t>(before / 2 + 64 * kib, 512 * kib));
}

// All of them lie in the oldest segment, so each must let go before it can go.
TEST(LogSpace, the_next_holder_is_asked_for_a_checkpoint_once_the_biggest_has_let_go) {
    SmallLog h;
    h.options.log_bytes_goal = 512 * kib;
    h.start();
    for (std::uint64_t range = 1; range <= 3; range++) {
        h.create(range);
    }
    h.settle();
    for (std::uint64_t i = 2; i < 8; i++) {
        h.append(2, 1, i, std::string(2000, 'x'));
        h.append(3, 1, i, std::string(3000, 'x'));
        h.settle();
    }
    for (std::uint64_t i = 2; h.checkpoints_wanted.empty(); i++) {
        ASSERT_LT(i, 400U);
        h.append(1, 1, i, std::string(3000, 'x'));
        h.settle();
    }
    EXPECT_EQ(h.checkpoints_wanted, std::vector{RangeId(3)});
    for (int i = 0; i < 50; i++) {
        h.turn();
    }
    EXPECT_EQ(h.checkpoints_wanted, std::vector{RangeId(3)}) << "once is enough while the log does not grow";
    h.checkpoint(3, 1, 5);
    h.settle();
    h.vote(1, 2, 2);
    h.settle();
    EXPECT_EQ(h.checkpoints_wanted, (std::vector{RangeId(3), RangeId(2)})) << "3 has let go of most of it";
    h.checkpoint(2, 1, 7);
    h.settle();
    h.vote(1, 3, 2);
    h.settle();
    EXPECT_EQ(h.checkpoints_wanted, (std::vector{RangeId(3), RangeId(2), RangeId(3)})) << "what 3 still has is most again";
}

TEST(LogSpace, no_space_is_an_answer_that_heals) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    EXPECT_TRUE(h.log->has_space());
    h.disk.no_space = true;
    std::uint64_t index = 2;
    while (h.log->can_append(3000)) {
        h.append(1, 1, index++, std::string(3000, 'x'));
        h.turn();
        h.turn();
        h.wait(1ms);
        ASSERT_LT(index, 100U);
    }
    EXPECT_FALSE(h.log->has_space());
    EXPECT_TRUE(h.failure.empty());
    EXPECT_GT(index, 20U);                    // what was ready was used
    h.vote(1, 2, 2);                          // promises are always taken
    h.checkpoint(1, 1, index - 1);            // and what frees space
    for (int i = 0; i < 20; i++) {
        h.turn();
    }
    EXPECT_EQ(h.log->durable() + 1, h.log->open_batch());
    EXPECT_TRUE(h.log->can_append(3000));     // old segments came back: the disk is as full as before
    EXPECT_TRUE(h.log->has_space());
    h.append(1, 2, index++, "again");
    h.settle();
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.entries.size(), 1U);
    EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(2));
}

TEST(LogSpace, no_space_ends_when_the_disk_has_room_again) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    h.disk.no_space = true;
    std::uint64_t index = 2;
    while (h.log->can_append(3000)) {
        h.append(1, 1, index++, std::string(3000, 'x'));
        h.turn();
    }
    EXPECT_FALSE(h.log->has_space());
    const std::uint64_t tries = h.disk.creates;
    h.disk.no_space = false;
    h.turn();
    EXPECT_EQ(h.disk.creates, tries);         // not at every turn
    EXPECT_LE(h.log->next_deadline(), h.clock.at + Duration(1s));
    h.wait(1s);
    h.settle();
    EXPECT_TRUE(h.log->has_space());
    EXPECT_TRUE(h.log->can_append(3000));
}

TEST(LogSpace, a_full_disk_at_the_first_start_is_refused) {
    SmallLog h;
    h.disk.no_space = true;
    h.start();
    EXPECT_FALSE(h.recovered);
    EXPECT_NE(h.failure.find("space"), std::string::npos);
    EXPECT_TRUE(h.log->failed());
}

// ---- errors

// Writes and checkpoints, so that segments come, are freed and come back, for as long as there is room.
void write_on(SmallLog& h, std::uint64_t& index, int rounds) {
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 10 && h.log->can_append(3000); i++) {
            h.append(1, 1, index++, std::string(3000, 'x'));
            h.turn();
            h.wait(1ms);
        }
        if (h.log->durable() > 0) {
            h.checkpoint(1, 1, index - 1);
        }
        for (int i = 0; i < 20; i++) {
            h.turn();
        }
    }
}

// Nothing of the log lies in a file for later use: what befalls one is no reason to end.
TEST(LogSpace, files_for_later_use_that_fail_in_any_way_cost_the_log_nothing) {
    using env::DiskErrc;
    for (const std::string_view call : {"open", "create", "create_growing", "remove", "rename"}) {
        for (const DiskErrc error : {DiskErrc::other, DiskErrc::read_failed, DiskErrc::no_space}) {
            for (const bool done : {false, true}) {
                if (done && error == DiskErrc::no_space) {
                    continue;   // without room nothing is done
                }
                SCOPED_TRACE(std::string(call) + (done ? ", done, " : ", ") + std::string(to_string(error)));
                SmallLog h;
                h.options.log_bytes_goal = 6 * 64 * kib;   // so that some are removed
                h.start();
                h.create(1);
                h.settle();
                std::uint64_t index = 2;
                h.disk.refusal = {call, error, done};
                write_on(h, index, 20);
                ASSERT_EQ(h.failure, "");
                EXPECT_EQ(h.log->durable() + 1, h.log->open_batch());
                h.crash_and_start();
                ASSERT_TRUE(h.recovered || call == "open" || call.starts_with("create")) << h.failure;
                h.disk.refusal.reset();
                h.crash_and_start();
                ASSERT_TRUE(h.recovered) << h.failure;
                EXPECT_FALSE(h.replica(1)->replica.promises_in_doubt);
                EXPECT_EQ(h.replica(1)->replica.checkpoint->applied.index, LogIndex(index - 1));
                h.wait(2s);
                write_on(h, index, 20);
                h.settle();
                EXPECT_TRUE(h.log->has_space());
                EXPECT_GT(index, 200U);
                EXPECT_LE(h.disk.disk_bytes(), 12 * 64 * kib);
            }
        }
    }
}

TEST(LogSpace, a_file_with_blocks_that_cannot_be_read_is_not_used_again) {
    SmallLog h;
    h.start();
    h.create(1);
    std::uint64_t index = 2;
    write_on(h, index, 3);
    h.settle();
    const auto image = h.disk.image();
    std::set<std::shared_ptr<MemoryDisk::File>> bad;
    for (const auto& [name, content] : image) {
        h.disk.unreadable.insert({name, 15});   // the last block of each
    }
    h.restart_from(image);
    ASSERT_TRUE(h.recovered) << h.failure;
    for (const auto& [name, file] : h.disk.files) {
        if (h.disk.unreadable.contains({name, 15})) {
            bad.insert(file);
        }
    }
    ASSERT_FALSE(bad.empty());
    h.disk.unreadable.clear();
    h.vote(1, 9, 2, 2, true);
    write_on(h, index, 20);
    h.settle();
    for (const auto& [name, file] : h.disk.files) {
        EXPECT_FALSE(bad.contains(file)) << name;
    }
}

void expect_poisoned(SmallLog& h) {
    EXPECT_FALSE(h.failure.empty());
    EXPECT_TRUE(h.log->failed());
    EXPECT_FALSE(h.log->can_append(1));
    const std::uint64_t durable = h.log->durable();
    const std::uint64_t writes = h.disk.writes;
    const std::uint64_t syncs = h.disk.syncs;
    h.append(1, 1, 99, "into the void");
    h.vote(1, 77, 1);
    for (int i = 0; i < 10; i++) {
        h.wait(20ms);
        h.turn();
    }
    EXPECT_EQ(h.log->durable(), durable);
    EXPECT_EQ(h.disk.writes, writes);
    EXPECT_EQ(h.disk.syncs, syncs);
}

TEST(LogErrors, a_failed_write_is_the_last_and_nothing_behind_it_becomes_durable) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    h.disk.manual = true;
    h.disk.fail_write_at = h.disk.writes + 2;
    const std::uint64_t first = h.log->open_batch();
    for (std::uint64_t i = 2; i <= 4; i++) {
        h.append(1, 1, i, "entry");
        h.log->close_batch(h.clock.at);
    }
    h.disk.complete(2);   // the third is written first
    EXPECT_EQ(h.durable, first - 1);
    h.disk.complete(0);
    EXPECT_EQ(h.durable, first);
    h.disk.complete(0);
    EXPECT_EQ(h.durable, first);
    h.disk.manual = false;
    expect_poisoned(h);
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.entries.size(), 1U);
}

TEST(LogErrors, a_failed_flush_is_never_tried_again) {
    SmallLog h;
    h.disk.recipe = env::Durability::none;
    h.start();
    h.create(1);
    h.settle();
    h.disk.fail_sync_at = h.disk.syncs + 1;
    const std::uint64_t durable = h.log->durable();
    h.append(1, 1, 2, "entry");
    for (int i = 0; i < 5; i++) {
        h.turn();
    }
    EXPECT_EQ(h.log->durable(), durable);
    expect_poisoned(h);
}

// ---- batches in flight

TEST(LogBatches, at_most_the_bound_are_in_flight_and_the_open_batch_goes_on_growing) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    h.disk.manual = true;
    std::uint64_t index = 2;
    const std::uint64_t first = h.log->open_batch();
    for (int i = 0; i < 10; i++) {
        h.append(1, 1, index++, "entry");
        h.log->close_batch(h.clock.at);
    }
    EXPECT_EQ(h.disk.pending(), limits::batches_in_flight_max);
    EXPECT_EQ(h.log->open_batch(), first + limits::batches_in_flight_max);
    EXPECT_EQ(h.in_memory(1, 11), "entry");
    h.disk.complete(1);
    EXPECT_EQ(h.log->durable(), first - 1);   // only in order
    h.disk.complete(0);
    EXPECT_EQ(h.log->durable(), first + 1);
    EXPECT_EQ(h.durable, first + 1);
    h.disk.manual = false;
    h.settle();
    EXPECT_EQ(h.log->durable(), first + limits::batches_in_flight_max);
}

TEST(LogBatches, one_sync_covers_all_writes_completed_before_it) {
    SmallLog h;
    h.disk.recipe = env::Durability::none;
    h.start();
    h.create(1);
    h.settle();
    h.disk.manual = true;
    for (std::uint64_t i = 2; i <= 5; i++) {
        h.append(1, 1, i, "entry");
        h.log->close_batch(h.clock.at);
    }
    const std::uint64_t durable = h.log->durable();
    const std::uint64_t syncs = h.disk.syncs;
    ASSERT_EQ(h.disk.pending(), 4U);
    h.disk.complete(0);                       // its sync is queued behind
    EXPECT_EQ(h.disk.syncs, syncs + 1);
    h.disk.complete(0);
    h.disk.complete(0);
    EXPECT_EQ(h.disk.syncs, syncs + 1);       // one at a time
    EXPECT_EQ(h.log->durable(), durable);
    h.disk.complete(1);                       // the first sync covers the first write only
    EXPECT_EQ(h.log->durable(), durable + 1);
    EXPECT_EQ(h.disk.syncs, syncs + 2);
    h.disk.complete(1);
    EXPECT_EQ(h.log->durable(), durable + 3);
    h.disk.manual = false;
    h.settle();
    EXPECT_EQ(h.log->durable(), durable + 4);
    EXPECT_EQ(h.disk.syncs, syncs + 3);
}

TEST(LogBatches, an_idle_log_seals_itself_once_after_ten_milliseconds) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    const std::uint64_t writes = h.disk.writes;
    EXPECT_EQ(h.log->next_deadline(), h.clock.at + 10ms);
    h.wait(9ms);
    h.turn();
    EXPECT_EQ(h.disk.writes, writes);
    h.wait(1ms);
    h.settle();
    EXPECT_EQ(h.disk.writes, writes + 1);
    EXPECT_EQ(h.log->next_deadline(), never);
    h.wait(1h);
    h.settle();
    EXPECT_EQ(h.disk.writes, writes + 1);
}

TEST(LogBatches, hard_states_of_one_batch_take_one_record_and_the_last_counts) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    for (std::uint64_t term = 2; term < 5000; term++) {   // far more than a directory holds
        h.vote(1, term, 2);
    }
    h.settle();
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(4999));
}

// ---- memory

TEST(LogWindow, admission_ends_while_nothing_becomes_durable_and_promises_are_still_taken) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    h.disk.manual = true;
    std::uint64_t index = 2;
    std::size_t bytes = 0;
    for (int turns = 0; turns < 50; turns++) {
        while (h.log->can_append(1000)) {
            h.append(1, 1, index++, std::string(1000, 'x'));
            bytes += 1000;
        }
        h.log->close_batch(h.clock.at);
    }
    EXPECT_LE(bytes, h.options.window_bytes);
    EXPECT_GT(bytes, h.options.window_bytes / 8);
    EXPECT_FALSE(h.log->can_append(1000));
    h.vote(1, 2, 2);
    h.log->append_truncate(RangeId(1), LogIndex(index - 1));
    h.disk.manual = false;
    h.settle();
    EXPECT_TRUE(h.log->can_append(1000));
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.entries.size(), index - 3);
    EXPECT_EQ(h.replica(1)->replica.hard_state.term, Term(2));
}

TEST(LogWindow, a_large_entry_gets_its_room_although_small_ones_keep_coming) {
    SmallLog h;
    h.start();
    h.create(1);
    std::uint64_t index = 2;
    const std::size_t large = 12 * kib;
    for (int i = 0; i < 100; i++) {
        h.append(1, 1, index++, std::string(700, 's'));
        h.turn();
        bool taken = false;
        for (int turns = 0; turns < 6 && !taken; turns++) {
            if (h.log->can_append(large)) {
                h.append(1, 1, index++, std::string(large, 'L'));
                taken = true;
            }
            h.append(1, 1, index++, std::string(100, 's'));
            h.turn();
        }
        ASSERT_TRUE(taken);
        h.checkpoint(1, 1, index - 1);
    }
}

TEST(LogWindow, what_was_refused_is_taken_by_the_next_batch_although_small_entries_come_first) {
    SmallLog h;
    h.start();
    h.create(1);
    h.settle();
    std::uint64_t index = 2;
    const std::size_t large = 9 * kib;
    std::size_t taken = 0;
    for (int turn = 0; turn < 40; turn++) {
        while (h.log->can_append(500)) {
            h.append(1, 1, index++, std::string(500, 's'));
        }
        if (h.log->can_append(large)) {
            h.append(1, 1, index++, std::string(large, 'L'));
            taken++;
        }
        h.turn();
        h.checkpoint(1, 1, index - 1);
    }
    EXPECT_GE(taken, 15U);
}

TEST(LargeLogWindow, the_largest_command_fits_with_default_settings) {
    LogHarness h;
    h.options.segment_bytes = limits::segment_bytes_default;
    h.options.window_bytes = 32 * mib;
    h.start();
    h.create(1);
    for (std::uint64_t index = 2; index < 8; index++) {
        ASSERT_TRUE(h.log->can_append(limits::command_bytes_max)) << index;
        h.append(1, 1, index, std::string(limits::command_bytes_max, static_cast<char>('a' + index)));
        EXPECT_FALSE(h.log->can_append(limits::command_bytes_max));
        h.settle();
    }
    EXPECT_FALSE(h.log->can_append(limits::batch_bytes_max));
    h.crash_and_start();
    EXPECT_EQ(h.replica(1)->replica.entries.size(), 6U);
    const auto texts = h.read(1, 3, 3);
    ASSERT_EQ(texts.size(), 1U);
    EXPECT_EQ(texts[0], std::string(limits::command_bytes_max, 'd'));
}

TEST(LogWindow, evicted_entries_are_read_from_disk_and_bounds_say_which_are_in_memory) {
    SmallLog h;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 300; i++) {
        h.append(1, 1, i, std::to_string(i) + std::string(1500, '.'));
        if (i % 3 == 0) {
            h.settle();
        }
    }
    h.settle();
    const std::uint64_t first = h.log->first_in_memory(RangeId(1)).value;
    EXPECT_GT(first, 50U);
    EXPECT_LE(first, 290U);
    EXPECT_EQ(h.in_memory(1, first - 1), "(none)");
    for (std::uint64_t i = first; i <= 300; i++) {
        EXPECT_EQ(h.in_memory(1, i), std::to_string(i) + std::string(1500, '.'));
    }
    const auto all = h.read(1, 2, 300);
    ASSERT_EQ(all.size(), 299U);
    EXPECT_EQ(all[0].substr(0, 3), "2..");
    EXPECT_EQ(all[298].substr(0, 4), "300.");
    EXPECT_EQ(h.read(1, 10, 300, 4000).size(), 2U);         // a prefix within the bytes asked for,
    EXPECT_EQ(h.read(1, 10, 300, 1).size(), 1U);            // but one at least
    EXPECT_TRUE(h.read(1, 301, 301).empty());               // beyond the end
    h.checkpoint(1, 1, 100);
    EXPECT_TRUE(h.read(1, 50, 60).empty());                 // covered by the checkpoint
    h.settle();
}

// A read takes its time, whatever its size: 300 batches of two blocks come in a handful.
TEST(LogWindow, small_batches_are_read_many_at_once) {
    LogHarness h;
    h.options.segment_bytes = 1 * mib;
    h.options.window_bytes = 1 * mib;
    h.start();
    h.create(1);
    h.create(2);
    for (std::uint64_t i = 2; i <= 301; i++) {
        h.append(1, 1, i, std::to_string(i) + std::string(i % 5 == 0 ? 0 : 1000, '.'));
        h.append(2, 1, i, std::to_string(i) + std::string(3000, ':'));
        h.settle();
    }
    h.crash_and_start();
    for (const std::uint64_t range : {1U, 2U}) {
        const std::uint64_t reads = h.disk.reads;
        const auto texts = h.read(range, 2, 301, 2 * mib);
        ASSERT_EQ(texts.size(), 300U);
        for (std::uint64_t i = 2; i <= 301; i++) {
            EXPECT_EQ(texts[i - 2], std::to_string(i) + (range == 2 ? std::string(3000, ':')
                                                                    : std::string(i % 5 == 0 ? 0 : 1000, '.')));
        }
        EXPECT_LE(h.disk.reads - reads, 300 * 2 * limits::block_bytes / shard::LogReader::extent_bytes_max + 4)
            << "one for each extent, and each segment ends one";
    }
    const std::uint64_t reads = h.disk.reads;
    EXPECT_EQ(h.read(1, 2, 301, 5000).size(), 5U) << "a prefix within the bytes asked for";
    EXPECT_EQ(h.disk.reads, reads + 1);
}

// Cut and written anew while it is being read: what is read is of the one or of the other.
TEST(LogWindow, a_log_cut_under_a_read_does_not_give_entries_of_two_logs) {
    SmallLog h;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i <= 9; i++) {
        h.append(1, 1, i, std::string(20'000, 'a'));
        h.settle();
    }
    for (std::uint64_t i = 2; i <= 60; i++) {   // out of memory
        h.vote(1, i, 2);
        h.settle();
    }
    for (std::uint64_t cut = 2; cut <= 9; cut++) {
        h.crash_and_start();
        ASSERT_EQ(h.in_memory(1, 2), "(none)");
        shard::EntryRead read;
        read.callback = [](shard::EntryRead&) {};
        h.disk.manual = true;
        h.log->read(RangeId(1), LogIndex(2), LogIndex(9), 1 * mib, read);
        h.turn();
        ASSERT_GT(h.disk.pending(), 0U);
        if (cut > 2) {
            h.disk.complete(0);   // and the next one is asked for
            h.turn();
        }
        const std::uint64_t term = 100 + cut;
        h.log->append_truncate(RangeId(1), LogIndex(2));
        for (std::uint64_t i = 2; i <= 9; i++) {
            h.append(1, term, i, "b");
        }
        h.disk.manual = false;
        for (int i = 0; i < 1000 && (read.in_flight || h.disk.pending() > 0); i++) {
            if (h.disk.pending() > 0) {
                h.disk.complete(0);
            }
            h.turn();
        }
        ASSERT_FALSE(read.in_flight);
        for (const raft::Entry& entry : read.entries) {
            EXPECT_EQ(entry.id.term, read.entries.front().id.term) << "entry " << entry.id.index.value;
        }
        h.log->append_truncate(RangeId(1), LogIndex(2));
        for (std::uint64_t i = 2; i <= 9; i++) {
            h.append(1, term, i, std::string(20'000, 'a'));
            h.settle();
        }
    }
}

TEST(LogWindow, batches_too_large_to_read_whole_are_read_in_parts) {
    LogHarness h;
    h.options.segment_bytes = 8 * mib;
    h.options.window_bytes = 8 * mib;
    h.start();
    h.create(1);
    for (std::uint64_t i = 2; i < 900; i++) {
        ASSERT_TRUE(h.log->can_append(2000));
        h.append(1, 1, i, std::to_string(i) + std::string(1900, '.'));
    }
    h.settle();
    h.crash_and_start();
    const auto texts = h.read(1, 500, 520);
    ASSERT_EQ(texts.size(), 21U);
    EXPECT_EQ(texts[20].substr(0, 3), "520");
    EXPECT_EQ(h.read(1, 2, 899, 64 * mib).size(), 898U);
}

}  // namespace
}  // namespace ringfort::test
