// The pace against disks that are simple models: what a flush takes is a function of what else was written.
#include "shard/background_pace.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringfort::shard {
namespace {

constexpr std::uint64_t piece = 256 * kib;

// A log that flushes one batch after the other, each millisecond one, and work that always has a next piece.
class Load {
  public:
    BackgroundPace pace;
    Instant now{};
    FlushFacts facts;
    std::uint64_t went{0};

    explicit Load(std::uint64_t ceiling = BackgroundPace::rate_max) : pace(ceiling) {}

    // `flush(bytes)`: what a flush takes when so many bytes went in the millisecond.
    template <class Flush>
    void run(Duration time, bool work, Flush flush) {
        for (const Instant end = now + time; now < end; now = now + 1ms) {
            std::uint64_t bytes = 0;
            while (work && pace.may_go(now)) {
                pace.went(now, piece);
                bytes += piece;
            }
            went += bytes;
            facts.count++;
            facts.time += flush(bytes);
            pace.observe(now, facts);
        }
    }
    void run_quiet(Duration time, Duration flush = 1ms) {
        run(time, false, [=](std::uint64_t) { return flush; });
    }
    // Bytes per second, over so long.
    template <class Flush>
    std::uint64_t measure(Duration time, Flush flush) {
        const std::uint64_t before = went;
        run(time, true, flush);
        return (went - before) * 1000 / static_cast<std::uint64_t>(time / 1ms);
    }
};

const auto unmoved = [](std::uint64_t) { return Duration(1ms); };

TEST(BackgroundPace, reaches_its_ceiling_and_no_more_where_flushes_do_not_mind) {
    for (const std::uint64_t ceiling : {64 * mib, 256 * mib}) {
        Load load(ceiling);
        load.run_quiet(1s);
        load.measure(30s, unmoved);
        const std::uint64_t rate = load.measure(1s, unmoved);
        EXPECT_EQ(load.pace.rate(), ceiling);
        EXPECT_GE(rate, ceiling / 10 * 9);
        EXPECT_LE(rate, ceiling / 100 * 102);
    }
}

TEST(BackgroundPace, begins_low_again_after_a_quiet_time) {
    Load load;
    load.run_quiet(1s);
    load.measure(30s, unmoved);
    load.run_quiet(1s);
    EXPECT_LE(load.measure(BackgroundPace::window, unmoved), 2 * BackgroundPace::rate_begin);
}

// Flushes wait for what was written before them: a disk of 100 MiB/s that the log shares. Only a model: whatever went in
// the last 100 ms beyond what the disk took is in the way.
class SharedDisk {
  public:
    static constexpr std::uint64_t bytes_per_ms = 100 * mib / 1000;
    Duration operator()(std::uint64_t bytes) {
        backlog_ += bytes;
        backlog_ -= std::min(backlog_, bytes_per_ms);
        const Duration flush = 1ms + Duration(1ms) * (backlog_ / bytes_per_ms);
        slowest_ = std::max(slowest_, flush);
        sum_ += flush;
        count_++;
        return flush;
    }
    Duration slowest() const { return slowest_; }
    Duration mean() const { return sum_ / std::max<std::int64_t>(count_, 1); }

  private:
    std::uint64_t backlog_{0};
    Duration slowest_{0};
    Duration sum_{0};
    std::int64_t count_{0};
};

TEST(BackgroundPace, leaves_flushes_of_a_shared_disk_as_they_are_and_yet_uses_most_of_it) {
    Load load;
    load.run_quiet(1s);
    SharedDisk disk;
    const auto flush = [&](std::uint64_t bytes) { return disk(bytes); };
    const std::uint64_t rate = load.measure(30s, flush);
    EXPECT_GE(rate, 50 * mib);
    EXPECT_LE(disk.slowest(), 100ms);
    EXPECT_LE(disk.mean(), 4ms);
}

TEST(BackgroundPace, falls_to_the_floor_when_flushes_are_slow) {
    Load load;
    load.run_quiet(1s);
    load.measure(1s, unmoved);
    EXPECT_GT(load.pace.rate(), 64 * mib);
    load.measure(500ms, [](std::uint64_t) { return Duration(20ms); });
    EXPECT_EQ(load.pace.rate(), BackgroundPace::rate_floor);
}

TEST(BackgroundPace, goes_at_the_floor_whatever_happens) {
    BackgroundPace pace;
    Instant now{};
    pace.observe(now, {1, 1ms, never});
    pace.observe(now + 1s, {2, 2ms, never});
    std::uint64_t went = 0;
    for (now = now + 1s; now < Instant{} + 11s; now = now + 1ms) {
        while (pace.may_go(now)) {
            pace.went(now, piece);
            went += piece;
        }
        pace.observe(now, {2, 2ms, Instant{}});   // one flush hangs
    }
    EXPECT_GE(went / 10, BackgroundPace::rate_floor / 10 * 9);
    EXPECT_LE(went / 10, BackgroundPace::rate_floor / 10 * 11);
}

// One window in eight takes ten times as long, whoever writes: a busy machine.
TEST(BackgroundPace, is_not_brought_to_its_knees_by_flushes_that_are_slow_by_chance) {
    Load load;
    std::uint64_t lot = 1;
    int ms = 0;
    Duration takes{1ms};
    const auto noisy = [&](std::uint64_t) {
        if (ms++ % 50 == 0) {
            lot = lot * 6364136223846793005 + 1442695040888963407;
            takes = (lot >> 33) % 8 == 0 ? 10ms : 1ms;
        }
        return takes;
    };
    load.run(10s, false, noisy);
    EXPECT_GT(load.measure(30s, noisy), 32 * mib);
}

TEST(BackgroundPace, a_load_that_slows_flushes_for_good_is_quiet_after_a_while) {
    Load load;
    load.run_quiet(1s);
    const auto slow = [](std::uint64_t) { return Duration(20ms); };
    load.measure(2s, slow);
    load.measure(30s, slow);
    EXPECT_GT(load.measure(10s, slow), 16 * BackgroundPace::rate_floor);
}

TEST(BackgroundPace, other_work_than_its_own_hardly_passes_for_quiet) {
    Load load;
    load.run_quiet(10s);
    load.run_quiet(500ms, 50ms);
    EXPECT_LT(load.pace.quiet_flush(), 20ms);
    load.run_quiet(2s);
    EXPECT_LT(load.pace.quiet_flush(), 2ms) << "and is soon forgotten";
}

TEST(BackgroundPace, only_the_floor_goes_while_a_flush_is_late) {
    Load load;
    load.run_quiet(1s);
    load.measure(1s, unmoved);
    load.facts.oldest = load.now;
    load.pace.observe(load.now, load.facts);
    // Twice what a slow flush takes: 2 x (2 x 1 ms + 1 ms).
    const Instant late = load.now + 6ms;
    load.pace.went(late, piece);
    EXPECT_LT(load.pace.next_at(late), late + 50ms);
    const Instant after = late + Duration(1);
    EXPECT_EQ(load.pace.next_at(after), late + 62'500us) << "a piece of 256 KiB at 4 MiB/s";
    load.facts.oldest = never;
    load.pace.observe(after, load.facts);
    EXPECT_LT(load.pace.next_at(after), late + 50ms) << "it has ended";
}

TEST(BackgroundPace, no_flushes_no_objection) {
    BackgroundPace pace;
    Instant now{};
    for (int ms = 0; ms < 30'000; ms++, now = now + 1ms) {
        while (pace.may_go(now)) {
            pace.went(now, piece);
        }
        pace.observe(now, {});
    }
    EXPECT_EQ(pace.rate(), BackgroundPace::rate_max);
}

TEST(BackgroundPace, does_not_rise_unless_it_is_what_holds_the_work_up) {
    BackgroundPace pace;
    FlushFacts facts;
    Instant now{};
    for (int ms = 0; ms < 10'000; ms++, now = now + 1ms) {
        if (ms % 100 == 0 && pace.may_go(now)) {
            pace.went(now, piece);   // 2.5 MiB/s
        }
        facts.count++;
        facts.time += 1ms;
        pace.observe(now, facts);
    }
    EXPECT_EQ(pace.rate(), BackgroundPace::rate_begin);
}

// ---- LogRace

TEST(LogRace, has_done_as_great_a_share_as_the_log_has_used_of_its_room) {
    const LogRace race{700 * mib, 350 * mib, 1000 * mib};
    EXPECT_FALSE(race.behind(0, 1000 * mib));
    EXPECT_TRUE(race.behind(0, 1001 * mib));
    EXPECT_TRUE(race.behind(2 * mib - kib, 1001 * mib));
    EXPECT_FALSE(race.behind(2 * mib, 1001 * mib));
    EXPECT_TRUE(race.behind(700 * mib - kib, 1350 * mib));
    EXPECT_FALSE(race.behind(700 * mib, 1350 * mib));
    EXPECT_FALSE(race.behind(700 * mib, 9000 * mib)) << "done is done";
}

TEST(LogRace, is_well_ahead_at_a_quarter_more) {
    const LogRace race{700 * mib, 350 * mib, 1000 * mib};
    EXPECT_TRUE(race.well_ahead(0, 1000 * mib));
    EXPECT_FALSE(race.well_ahead(0, 1001 * mib));
    EXPECT_FALSE(race.well_ahead(2560 * kib - 1, 1001 * mib));
    EXPECT_TRUE(race.well_ahead(2560 * kib, 1001 * mib));
    EXPECT_TRUE(race.well_ahead(700 * mib, 1280 * mib));
    EXPECT_FALSE(race.well_ahead(700 * mib, 1281 * mib)) << "what is left is little, and is done at the disk's pace";
}

TEST(LogRace, without_room_all_is_due_at_once) {
    const LogRace race{64 * mib, 0, 5};
    EXPECT_FALSE(race.well_ahead(64 * mib - kib, 5));
    EXPECT_TRUE(race.behind(64 * mib - kib, 5));
}

TEST(LogRace, holds_for_the_largest_disks) {
    const std::uint64_t tib = 1024 * gib;
    const LogRace race{16 * tib, 16 * tib, 0};
    EXPECT_TRUE(race.behind(8 * tib - kib, 8 * tib));
    EXPECT_FALSE(race.behind(8 * tib, 8 * tib));
}

}  // namespace
}  // namespace ringfort::shard
