#include "sim/checkers/rest.h"

#include <gtest/gtest.h>

namespace ringfort::sim {

namespace {

// One of two nodes whose links to each other are whole: 1000 bytes of appends are not yet granted anew to node 1.
Holdings holdings(std::uint64_t node) {
    Holdings out;
    out.who = "n" + std::to_string(node);
    out.node = NodeId(node);
    out.pools = {{"proposals", 0, 10}};
    constexpr std::int64_t whole = 1'000'000;
    out.links.push_back({NodeId(3 - node), ShardId(0), true, {0, whole, whole, whole}, {0, whole, whole, whole}, {}});
    out.links[0].credit[1] -= node == 1 ? 1000 : 0;
    out.links[0].to_grant[1] += node == 2 ? 1000 : 0;
    return out;
}

NodeFiles files() {
    return {"n1", 3, 0, 3, {"cluster", "shard-0/checkpoint-1-9-2", "shard-0/log-1", "shard-0/log-2", "shard-1/log-1"},
            {"shard-0/checkpoint-1-9-2"}, false};
}

}  // namespace

TEST(Rest, flags_a_pool_above_its_bound) {
    Holdings here = holdings(1);
    here.pools[0].held = 10;
    EXPECT_EQ(check_bounds(here), "");
    here.pools[0].held = 11;
    EXPECT_NE(check_bounds(here), "");
}

TEST(Rest, flags_whatever_is_still_held) {
    std::vector<Holdings> all = {holdings(1), holdings(2)};
    EXPECT_EQ(check_rest(all), "");
    all[1].pools[0].held = 1;
    EXPECT_NE(check_rest(all), "");
    all[1].pools[0].lasting = true;
    EXPECT_EQ(check_rest(all), "") << "somebody wants it";
    using Member = std::size_t shard::HeldView::*;
    for (const Member member : {&shard::HeldView::replies, &shard::HeldView::forwarded, &shard::HeldView::sorted,
                                &shard::HeldView::reads, &shard::HeldView::streams}) {
        all = {holdings(1), holdings(2)};
        all[0].held.*member = 1;
        EXPECT_NE(check_rest(all), "");
    }
}

TEST(Rest, flags_credit_that_was_lost_or_made_up) {
    for (const std::int64_t credit : {998'999, 999'001, -1001}) {
        std::vector<Holdings> all = {holdings(1), holdings(2)};
        all[0].links[0].credit[1] = credit;
        EXPECT_NE(check_rest(all), "");
    }
}

TEST(Rest, flags_a_link_that_is_up_at_one_end) {
    std::vector<Holdings> all = {holdings(1), holdings(2)};
    all[1].links[0].up = false;
    EXPECT_NE(check_rest(all), "");
    all[0].links[0].up = false;
    EXPECT_EQ(check_rest(all), "") << "down at both";
}

TEST(Rest, flags_files_that_nobody_needs) {
    EXPECT_EQ(check_files(files()), "");
    NodeFiles open = files();
    open.open++;
    EXPECT_NE(check_files(open), "");
    open.scrubbed = 1;
    EXPECT_EQ(check_files(open), "") << "one is being read by the scrub";
    NodeFiles checkpoint = files();
    checkpoint.checkpoints[0] = "shard-0/checkpoint-1-10-3";
    EXPECT_NE(check_files(checkpoint), "");
    NodeFiles log = files();
    log.names.push_back("shard-1/log-2");
    EXPECT_NE(check_files(log), "");
    log.segments_excused = true;
    EXPECT_EQ(check_files(log), "");
}

}  // namespace ringfort::sim
