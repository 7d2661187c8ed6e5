#include "tolerance.h"

#include <gtest/gtest.h>

namespace ringctl {
namespace {

std::vector<ringfort::Member> members(std::size_t voters, std::size_t learners = 0) {
    std::vector<ringfort::Member> list;
    for (std::size_t i = 0; i < voters + learners; i++) {
        ringfort::Member member;
        member.id = i + 1;
        member.is_learner = i >= voters;
        list.push_back(member);
    }
    return list;
}

MemberHealth answering(std::uint64_t id, std::initializer_list<std::uint64_t> leaders = {1, 1}) {
    ringfort::StatusReply status;
    for (const std::uint64_t leader : leaders) {
        status.ranges.emplace_back().leader = leader;
    }
    return {.id = id, .status = status};
}

std::vector<MemberHealth> all_up(std::size_t count) {
    std::vector<MemberHealth> health;
    for (std::size_t i = 0; i < count; i++) {
        health.push_back(answering(i + 1));
    }
    return health;
}

TEST(Tolerance, whole_clusters_of_every_size) {
    // Failures survived now, and after the next loss.
    const std::vector<std::pair<std::size_t, std::size_t>> expected{{0, 0}, {0, 0}, {1, 0}, {1, 0}, {2, 1}, {2, 1}, {3, 2}};
    for (std::size_t size = 1; size <= expected.size(); size++) {
        const Tolerance tolerance = measure(members(size), all_up(size));
        EXPECT_EQ(tolerance.voters, size);
        EXPECT_EQ(tolerance.up, size);
        EXPECT_TRUE(tolerance.has_majority());
        EXPECT_EQ(tolerance.survives_now(), expected[size - 1].first) << size;
        EXPECT_EQ(tolerance.survives_after_next_loss(), expected[size - 1].second) << size;
    }
}

TEST(Tolerance, what_it_says) {
    EXPECT_EQ(describe(measure(members(3), all_up(3))),
              "cluster: 3 voters, 3 up: survives 1 failure now, no failure after the next loss\n");
    EXPECT_EQ(describe(measure(members(5), all_up(5))),
              "cluster: 5 voters, 5 up: survives 2 failures now, 1 failure after the next loss\n");
    EXPECT_EQ(describe(measure(members(1), all_up(1))),
              "cluster: 1 voter, 1 up: survives no failure now, no failure after the next loss\n");
    EXPECT_EQ(describe(measure(members(3), {answering(1), answering(3)})),
              "cluster: 3 voters, 2 up: survives no failure now, no failure after the next loss\n");
    EXPECT_EQ(describe(measure(members(3), {answering(2), {.id = 1, .status = {}}})),
              "cluster: 3 voters, 1 up: no majority (2 needed), it cannot serve\n");
    EXPECT_EQ(describe(measure(members(3), {})), "cluster: 3 voters, 0 up: no majority (2 needed), it cannot serve\n");
}

TEST(Tolerance, even_sizes_are_warned_of_and_odd_ones_not) {
    for (std::size_t size = 1; size <= 7; size++) {
        const std::string text = describe(measure(members(size), all_up(size)));
        EXPECT_EQ(text.find("warning") != std::string::npos, size % 2 == 0) << text;
    }
    EXPECT_EQ(describe(measure(members(4), all_up(4))),
              "cluster: 4 voters, 4 up: survives 1 failure now, no failure after the next loss\n"
              "warning: 4 voters survive no more failures than 3: use an odd number\n");
}

TEST(Tolerance, learners_count_neither_as_voters_nor_as_up) {
    auto health = all_up(3);
    health.push_back(answering(4));
    const Tolerance tolerance = measure(members(3, 1), health);
    EXPECT_EQ(tolerance.voters, 3U);
    EXPECT_EQ(tolerance.up, 3U);
}

TEST(Tolerance, a_member_that_answers_but_knows_no_leader_while_others_do_is_not_up) {
    const Tolerance tolerance = measure(members(3), {answering(1), answering(2, {1, 0}), answering(3)});
    EXPECT_EQ(tolerance.up, 2U);
    EXPECT_EQ(tolerance.survives_now(), 0U);
    EXPECT_EQ(measure(members(3), {answering(1), answering(2, {}), answering(3)}).up, 2U) << "one without replicas";
}

TEST(Tolerance, a_member_in_doubt_in_one_range_is_not_up_and_it_is_said) {
    auto health = all_up(3);
    health[1].status->ranges.back().in_doubt = true;
    const Tolerance tolerance = measure(members(3), health);
    EXPECT_EQ(tolerance.up, 2U);
    EXPECT_EQ(tolerance.in_doubt, 1U);
    EXPECT_EQ(describe(tolerance), "cluster: 3 voters, 2 up, 1 in doubt (data lost, not fenced yet): survives no "
                                   "failure now, no failure after the next loss\n");
}

TEST(Tolerance, between_two_leaders_all_that_answer_are_up_and_it_is_said) {
    const Tolerance tolerance = measure(members(3), {answering(1, {0, 0}), answering(2, {0, 0}), answering(3, {0})});
    EXPECT_EQ(tolerance.up, 3U);
    EXPECT_EQ(describe(tolerance),
              "cluster: 3 voters, 3 up: survives 1 failure now, no failure after the next loss; at this moment not every "
              "range has a leader\n");
}

TEST(Tolerance, answers_of_strangers_count_for_nothing) {
    EXPECT_EQ(measure(members(3), {answering(1), answering(77)}).up, 1U);
}

}  // namespace
}  // namespace ringctl
