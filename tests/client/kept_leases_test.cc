// The leases a client keeps alive, without a client: who is asked for when, and when one is lost.
#include "client/public_client_leases.h"

#include <gtest/gtest.h>

#include <string>

#include "base/bounds.h"

namespace ringfort::client {
namespace {

class KeptLeasesTest : public testing::Test {
  protected:
    void add(std::int64_t id, std::int64_t ttl, std::uint64_t domain = 0) {
        kept.add({domain, id}, ttl, 0, now, [this, id] { lost.push_back(id); });
    }
    Instant run() {
        asked.clear();
        kept.run(now, [this](const std::vector<std::int64_t>& ids, const LeaseOptions& options) {
            asked.push_back(ids);
            domains.push_back(options.domain);
        });
        return kept.next_due();
    }
    void answer(const std::vector<std::int64_t>& ids, std::vector<std::int64_t> ttls, Duration took = 0s) {
        kept.on_answer(0, ids, now - took, now, LeaseKeepAliveReply{.header = {}, .ttls = std::move(ttls)});
    }
    void fail(const std::vector<std::int64_t>& ids) { kept.on_answer(0, ids, now, now, Error{ErrorCode::no_leader}); }

    using Groups = std::vector<std::vector<std::int64_t>>;
    KeptLeases kept;
    Instant now{1'000'000'000};
    Groups asked;
    std::vector<std::uint64_t> domains;
    std::vector<std::int64_t> lost;
};

TEST_F(KeptLeasesTest, are_due_sooner_once_an_answer_says_so) {
    add(1, 2);
    EXPECT_EQ(run(), now + 2s) << "unless it is answered";
    fail({1});
    EXPECT_EQ(kept.next_due(), now + 200ms);
    now = now + 200ms;
    run();
    answer({1}, {2});
    EXPECT_EQ(kept.next_due(), now + Duration(2s) / 3);
}

TEST_F(KeptLeasesTest, are_renewed_at_once_and_at_thirds_of_their_time_from_when_they_were_asked_for) {
    EXPECT_EQ(run(), never);
    add(7, 9);
    run();
    EXPECT_EQ(asked, Groups{{7}});
    now = now + 1s;
    answer({7}, {9}, 1s);
    EXPECT_EQ(run(), now + 2s);
    EXPECT_TRUE(asked.empty());
    now = now + 2s;
    run();
    EXPECT_EQ(asked, Groups{{7}});
    EXPECT_TRUE(lost.empty());
}

TEST_F(KeptLeasesTest, that_are_due_together_are_asked_for_together_by_domain_and_no_more_than_fit) {
    for (std::int64_t id = 1; id <= static_cast<std::int64_t>(limits::lease_keep_alive_ids_max) + 10; id++) {
        add(id, 9);
    }
    add(100'000, 9, 3);
    run();
    ASSERT_EQ(asked.size(), 3u);
    EXPECT_EQ(asked[0].size(), limits::lease_keep_alive_ids_max);
    EXPECT_EQ(asked[1].size() + asked[2].size(), 11u);
    EXPECT_EQ(domains.back(), 3u);
}

TEST_F(KeptLeasesTest, are_lost_when_the_cluster_says_so) {
    add(7, 9);
    run();
    answer({7}, {0});
    EXPECT_TRUE(lost.empty());
    EXPECT_EQ(run(), never);
    EXPECT_EQ(lost, std::vector<std::int64_t>{7});
    EXPECT_TRUE(asked.empty());
}

TEST_F(KeptLeasesTest, are_lost_when_nobody_was_heard_for_their_time_counted_from_the_question) {
    add(7, 3);
    run();
    answer({7}, {3});
    const Instant renewed = now;
    while (now < renewed + 3s) {
        EXPECT_TRUE(lost.empty());
        now = std::min(run(), renewed + 3s);
        if (!asked.empty()) {
            fail({7});
        }
    }
    run();
    EXPECT_EQ(lost, std::vector<std::int64_t>{7});
}

TEST_F(KeptLeasesTest, with_a_question_out_and_no_answer_are_lost_in_time) {
    add(7, 3);
    EXPECT_EQ(run(), now + 3s);
    now = now + 3s;
    EXPECT_EQ(run(), never);
    EXPECT_EQ(lost, std::vector<std::int64_t>{7});
    answer({7}, {3});   // too late
    EXPECT_EQ(run(), never);
}

TEST_F(KeptLeasesTest, count_from_when_they_were_granted_until_an_answer_says_otherwise) {
    kept.add({0, 7}, 3, 0, now - 2s, [this] { lost.push_back(7); });
    EXPECT_EQ(run(), now + 1s);
    EXPECT_EQ(asked, Groups{{7}}) << "at once";
    now = now + 1s;
    EXPECT_EQ(run(), never);
    EXPECT_EQ(lost, std::vector<std::int64_t>{7});
}

TEST_F(KeptLeasesTest, say_until_when_they_live_whenever_that_changes) {
    std::vector<Instant> lives;
    bool alive = true;
    const Instant start = now;
    kept.add({0, 7}, 3, 0, now, [this] { lost.push_back(7); }, [&](Instant until) {
        lives.push_back(until);
        return alive;
    });
    run();
    now = now + 1s;
    answer({7}, {6}, 500ms);
    fail({7});
    now = now + 2s;
    run();
    alive = false;
    answer({7}, {6});
    EXPECT_EQ(lives, (std::vector<Instant>{start + 3s, start + 6500ms, now + 6s}));
    now = start + 6500ms;
    run();
    EXPECT_EQ(lost, std::vector<std::int64_t>{7}) << "an answer that came too late does not bring it back";
}

TEST_F(KeptLeasesTest, of_one_id_in_two_domains_are_two) {
    add(7, 9, 1);
    add(7, 9, 2);
    run();
    EXPECT_EQ(asked, (Groups{{7}, {7}}));
    kept.on_answer(1, {7}, now, now, LeaseKeepAliveReply{.header = {}, .ttls = {0}});
    kept.on_answer(2, {7}, now, now, LeaseKeepAliveReply{.header = {}, .ttls = {9}});
    EXPECT_EQ(run(), now + 3s);
    EXPECT_EQ(lost.size(), 1u);
    kept.remove({2, 7});
    EXPECT_EQ(run(), never);
    EXPECT_EQ(lost.size(), 1u);
}

TEST_F(KeptLeasesTest, removed_are_neither_asked_for_nor_lost) {
    add(7, 3);
    run();
    kept.remove({0, 7});
    answer({7}, {0});
    now = now + 10s;
    EXPECT_EQ(run(), never);
    EXPECT_TRUE(lost.empty());
}

TEST_F(KeptLeasesTest, may_be_added_and_removed_while_one_is_told_as_lost) {
    add(8, 30);
    kept.add({0, 7}, 3, 0, now, [this] {
        kept.remove({0, 8});
        add(9, 3);
    });
    run();
    answer({7, 8}, {0, 30});
    run();
    EXPECT_EQ(asked, Groups{{9}});
}

}  // namespace
}  // namespace ringfort::client
