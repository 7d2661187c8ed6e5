// Segment files made ahead of need.
#include "shard/log_segments.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "base/bounds.h"
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

}  // namespace
}  // namespace ringfort::test
