// Segment files made ahead of need.
#include "shard/log_segments.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "base/bounds.h"
#include "log/run_list.h"
#include "memory_disk.h"

namespace ringfort::test {
namespace {

using shard::SegmentSet;

// Fills one segment with zeros on a disk that takes `each` for every write of them; how large the writes were.
std::vector<std::uint64_t> zero_writes(Duration each) {
    constexpr std::uint64_t segment_bytes = 8 * mib;
    MemoryDisk disk;
    shard::BackgroundPace pace;
    SegmentSet segments(disk, pace, "shard-0", segment_bytes, 64 * mib, 1);
    std::vector<std::uint64_t> sizes;
    Instant now{1};
    std::uint64_t log_written = 0;
    segments.step(now, 0, log_written);   // the first is made at once
    disk.dispatch();
    EXPECT_TRUE(segments.has_ready());
    segments.open_next(1);
    while (!segments.has_ready()) {
        const std::uint64_t before = disk.bytes_written;
        log_written += segment_bytes;     // as fast as it can: the pace is not what is looked at
        segments.step(now, 0, log_written);
        now = now + each;
        disk.dispatch();
        if (disk.bytes_written > before) {
            sizes.push_back(disk.bytes_written - before);
        }
    }
    return sizes;
}

TEST(LogSegments, zeros_are_written_in_large_pieces_on_a_fast_disk) {
    const auto sizes = zero_writes(SegmentSet::zeros_take);
    ASSERT_GE(sizes.size(), 4u);
    EXPECT_EQ(sizes[0], SegmentSet::zeros_bytes_min);
    EXPECT_EQ(sizes[1], 2 * SegmentSet::zeros_bytes_min);
    EXPECT_EQ(sizes[2], SegmentSet::zeros_bytes_max);
    EXPECT_EQ(sizes[3], SegmentSet::zeros_bytes_max);
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}), 8 * mib) << "all of it";
}

TEST(LogSegments, zeros_are_written_in_small_pieces_on_a_slow_disk_lest_a_flush_of_the_log_waits) {
    for (const std::uint64_t size : zero_writes(SegmentSet::zeros_take + 1ns)) {
        EXPECT_EQ(size, SegmentSet::zeros_bytes_min);
    }
}

TEST(LogSegments, zeros_that_an_idle_log_does_not_need_yet_take_their_time_and_a_busy_log_is_never_without) {
    constexpr std::uint64_t segment_bytes = 8 * mib;
    MemoryDisk disk;
    shard::BackgroundPace pace;
    SegmentSet segments(disk, pace, "shard-0", segment_bytes, 64 * mib, 1);
    Instant now{1};
    std::uint64_t log_written = 0;
    segments.step(now, 0, log_written);
    disk.dispatch();
    ASSERT_TRUE(segments.has_ready());
    shard::Segment& active = segments.open_next(1);
    const std::uint64_t made = disk.bytes_written;
    const auto run_for = [&](Duration duration, std::uint64_t log_bytes_per_second) {
        for (const Instant end = now + duration; now < end && !segments.has_ready(); now = now + 1ms) {
            log_written += log_bytes_per_second / 1000;
            active.used += log_bytes_per_second / 1000;
            segments.step(now, 0, log_written);
            EXPECT_TRUE(segments.next_deadline() > now || segments.has_ready());
            disk.dispatch();
        }
    };
    run_for(1s, 0);
    EXPECT_GE(disk.bytes_written - made, SegmentSet::zeros_leisurely_rate - SegmentSet::zeros_bytes_max);
    EXPECT_LE(disk.bytes_written - made, SegmentSet::zeros_leisurely_rate + SegmentSet::zeros_bytes_max);
    run_for(1s, 4 * mib + 1000);
    EXPECT_TRUE(segments.has_ready()) << "half of what the log had is used";
}

TEST(LogSegments, an_old_segment_is_freed_and_removed_although_zeros_take_their_time) {
    constexpr std::uint64_t segment_bytes = 8 * mib;
    MemoryDisk disk;
    shard::BackgroundPace pace;
    SegmentSet segments(disk, pace, "shard-0", segment_bytes, 2 * segment_bytes, 1);
    Instant now{1};
    std::uint64_t log_written = 0;
    const auto run_until = [&](Instant end, auto done) {
        for (; now < end && !done(); now = now + 1ms) {
            segments.step(now, 1, log_written);
            disk.dispatch();
        }
    };
    const auto has_ready = [&] { return segments.has_ready(); };
    run_until(now + 1s, has_ready);
    log::EntryRun run;
    run.place.segment = segments.open_next(1).number;
    run.count = 1;
    segments.add_live(run);
    run_until(now + 1s, [&] {
        log_written += 1 * mib;
        return segments.has_ready();
    });
    ASSERT_TRUE(segments.has_ready());
    segments.open_next(1);
    run_until(now + 100ms, has_ready);   // the next is begun
    ASSERT_FALSE(segments.has_ready());
    ASSERT_EQ(segments.live_count(), 2u);
    segments.drop_live(run, 1);
    run_until(now + 2ms, [] { return false; });
    EXPECT_EQ(segments.live_count(), 1u);
    run_until(now + 1500ms, [&] { return disk.files.size() == 2; });
    EXPECT_EQ(disk.files.size(), 2u);
}

// Four files of which two are live, and one is to stand ready.
TEST(LogSegments, files_for_later_use_go_when_no_segment_was_begun_for_a_minute) {
    constexpr std::uint64_t segment_bytes = 8 * mib;
    MemoryDisk disk;
    shard::BackgroundPace pace;
    SegmentSet segments(disk, pace, "shard-0", segment_bytes, 1 * gib, 1);
    Instant now{1};
    std::uint64_t log_written = 0;
    log::EntryRun run;
    run.count = 1;
    const auto run_until = [&](Instant end, auto done) {
        for (; now < end && !done(); now = now + 10ms) {
            log_written += 10 * mib;   // as fast as it can
            segments.step(now, 1, log_written);
            disk.dispatch();
        }
    };
    for (int i = 0; i < 3; i++) {
        run_until(now + 10s, [&] { return segments.has_ready(); });
        ASSERT_TRUE(segments.has_ready());
        run.place.segment = segments.open_next(1).number;
        segments.add_live(run);
    }
    const Instant quiet_at = now + SegmentSet::quiet_after;
    run_until(now + 10s, [&] { return segments.has_ready(); });
    for (run.place.segment = 1; run.place.segment < 3; run.place.segment++) {
        segments.drop_live(run, 1);
    }
    run_until(quiet_at - 50ms, [] { return false; });
    EXPECT_EQ(disk.files.size(), 4u);
    EXPECT_EQ(segments.live_count(), 1u);
    EXPECT_GT(segments.next_deadline(), now) << "and nothing is to be done before";
    run_until(quiet_at + 50ms, [] { return false; });
    EXPECT_EQ(disk.files.size(), 2u) << "the one that is live and the one that stands ready";
    EXPECT_EQ(segments.next_deadline(), never);
}

// Puts are refused meanwhile, so that the log does not ask for the zeros either.
TEST(LogSegments, a_disk_that_has_room_again_has_a_whole_segment_within_seconds) {
    MemoryDisk disk;
    shard::BackgroundPace pace;
    SegmentSet segments(disk, pace, "shard-0", 16 * mib, 1 * gib, 1);
    Instant now{1};
    const auto run_until_space_or = [&](Instant end) {
        for (; now < end && !segments.has_space(); now = now + 1ms) {
            pace.observe(now, {});
            segments.step(now, 0, 0);
            disk.dispatch();
        }
    };
    segments.step(now, 0, 0);
    disk.dispatch();
    segments.open_next(1);
    disk.no_space = true;
    segments.step(now, 0, 0);
    disk.dispatch();
    run_until_space_or(now + 10s);
    ASSERT_FALSE(segments.has_space());
    disk.no_space = false;
    const Instant room_again = now;
    run_until_space_or(now + 60s);
    ASSERT_TRUE(segments.has_space());
    EXPECT_LE(now - room_again, 3s);
}

}  // namespace
}  // namespace ringfort::test
