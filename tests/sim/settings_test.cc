// What a replay line can say: options by name, and faults by kind and number.
#include <gtest/gtest.h>

#include <numeric>

#include "sim/settings.h"
#include "sim/simulation.h"

namespace ringfort::sim {

namespace {

std::uint64_t all_faults(const Verdict& verdict) {
    return std::accumulate(verdict.faults.begin(), verdict.faults.end(), std::uint64_t{0});
}

RunRequest busy_request() {
    RunRequest request;
    request.seed = 11;
    request.nodes = 3;
    request.duration = 2s;
    request.settings = {"fault-interval=100ms", "clients=1", "operations=3"};
    return request;
}

}  // namespace

TEST(Settings, what_differs_makes_the_same_options_again) {
    RunRequest request;
    for (request.seed = 1; request.seed <= 20; request.seed++) {
        const RunOptions drawn = draw_options(request);
        RunOptions again;
        for (const auto& setting : settings_that_differ(drawn, RunOptions{})) {
            EXPECT_TRUE(apply_setting(again, setting)) << setting;
        }
        EXPECT_TRUE(settings_that_differ(drawn, again).empty());
    }
}

TEST(Settings, refuses_what_no_option_takes) {
    RunOptions options;
    for (const char* bad : {"clients", "clients=", "clients=x", "clients=-1", "clients=3s", "nothing=1", "think=5",
                            "think=5h", "think=ms", "shards=4294967296", "shard-changes=2", "think=99999999999999s"}) {
        EXPECT_FALSE(apply_setting(options, bad)) << bad;
    }
    EXPECT_TRUE(settings_that_differ(options, RunOptions{}).empty());
}

TEST(Settings, a_bound_that_would_let_no_range_be_forwarded_is_refused) {
    const auto wrong = [](std::size_t bytes) {
        RunRequest request;
        request.settings = {"bound-replies=" + std::to_string(bytes)};
        return check_settings(request);
    };
    constexpr std::size_t least = 320 * kib;
    EXPECT_EQ(wrong(least), "");
    EXPECT_EQ(wrong(least - 1), "bound-replies is at least 327680: with less no range is ever forwarded");
}

TEST(Settings, override_what_is_drawn_and_nothing_else) {
    RunRequest request;
    request.seed = 3;
    const RunOptions drawn = draw_options(request);
    request.settings = {"think=7ms"};
    const RunOptions changed = draw_options(request);
    EXPECT_EQ(settings_that_differ(changed, drawn), std::vector<std::string>{"think=7ms"});
}

TEST(NumberSet, is_written_as_it_is_read) {
    NumberSet set;
    ASSERT_TRUE(NumberSet::parse("3,7-9", set));
    EXPECT_EQ(set.text(), "3,7-9");
    EXPECT_TRUE(set.contains(3) && set.contains(7) && set.contains(9));
    EXPECT_FALSE(set.contains(4) || set.contains(6) || set.contains(10));
    for (const char* bad : {"", ",", "3,", "9-7", "a", "3-", "3;4"}) {
        EXPECT_FALSE(NumberSet::parse(bad, set)) << bad;
    }
}

TEST(Faults, those_left_out_by_number_or_kind_do_not_happen_and_the_timetable_stays) {
    const Verdict whole = simulate(draw_options(busy_request()));
    ASSERT_GT(all_faults(whole), 5u);
    RunRequest request = busy_request();
    ASSERT_TRUE(NumberSet::parse("1,3-4", request.skipped_faults));
    const Verdict fewer = simulate(draw_options(request));
    EXPECT_EQ(all_faults(fewer), all_faults(whole) - 3);
    for (std::size_t kind = 0; kind < fault_kinds; kind++) {
        if (whole.faults[kind] > 0) {
            request = busy_request();
            request.without_mask = std::uint64_t{1} << kind;
            const Verdict without = simulate(draw_options(request));
            EXPECT_EQ(without.faults[kind], 0u);
            EXPECT_EQ(all_faults(without), all_faults(whole) - whole.faults[kind]);
        }
    }
}

}  // namespace ringfort::sim
