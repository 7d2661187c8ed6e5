// The judges of leases on hand-made histories: each breach is told, and what is right is not.
#include <gtest/gtest.h>

#include "history_builder.h"
#include "sim/checkers/leases.h"

namespace ringfort::sim {
namespace {

constexpr std::int64_t second = 1'000'000'000;

StepRequest about(StepKind kind, api::LeaseId lease, std::int64_t ttl = 0) {
    StepRequest out{kind, {}, {}, {}, false, 0, 0};
    out.lease = lease;
    out.ttl = ttl;
    return out;
}
StepResult lives(std::int64_t ttl) {
    StepResult out;
    out.ttl = ttl;
    return out;
}
StepRequest put_on(api::LeaseId lease, std::string key, std::string value) {
    StepRequest out = HistoryBuilder::put(std::move(key), std::move(value));
    out.lease = lease;
    return out;
}

class LeaseJudged : public testing::Test {
  protected:
    // One replica after another, or the same one later.
    std::string see(std::int64_t at_s, std::uint64_t applied, std::vector<shard::LeaseView> leases,
                    api::Revision revision = 1) {
        return judge.observe({RangeId(1), LogIndex(applied), revision, std::move(leases)}, Instant{at_s * second});
    }
    static shard::LeaseView lease(api::LeaseId id, std::uint64_t version, std::int64_t deadline_s) {
        return {id, {5, kv::LeaseTime{deadline_s * second}, LogIndex(version)}};
    }
    void granted() {
        history.ok(1 * second, 2 * second, 1, about(StepKind::grant, 7, 5), lives(5));
        EXPECT_EQ(see(2, 10, {lease(7, 10, 6)}), "");
    }
    std::string check() { return judge.check(history.all()); }

    HistoryBuilder history;
    LeaseJudge judge{10'000};
};

TEST_F(LeaseJudged, end_in_time_is_good) {
    granted();
    EXPECT_EQ(see(6, 20, {}), "");
    EXPECT_EQ(check(), "");
    EXPECT_EQ(judge.alive(), 0u);
}

TEST_F(LeaseJudged, end_before_its_time_is_told) {
    granted();
    EXPECT_EQ(see(5, 20, {}), "");
    EXPECT_NE(check().find("before its time"), std::string::npos);
}

TEST_F(LeaseJudged, end_before_an_acknowledged_keep_alive_is_over_is_told) {
    granted();
    history.ok(5 * second, 6 * second, 1, about(StepKind::keep_alive, 7), lives(5));
    EXPECT_EQ(see(8, 20, {}), "");
    EXPECT_NE(check().find("before its time"), std::string::npos);
}

TEST_F(LeaseJudged, keep_alive_without_an_answer_promises_nothing_and_a_revocation_may_end_it) {
    granted();
    history.unknown(5 * second, about(StepKind::keep_alive, 7));
    EXPECT_EQ(see(6, 20, {}), "");
    EXPECT_EQ(check(), "");
    history.unknown(2 * second, about(StepKind::revoke, 7));
    LeaseJudge other(10'000);
    EXPECT_EQ(other.observe({RangeId(1), LogIndex(10), 1, {lease(7, 10, 6)}}, Instant{2 * second}), "");
    EXPECT_EQ(other.observe({RangeId(1), LogIndex(11), 1, {}}, Instant{3 * second}), "");
    EXPECT_EQ(other.check(history.all()), "");
}

TEST_F(LeaseJudged, renewed_by_nobody_is_told) {
    granted();
    EXPECT_EQ(see(3, 12, {lease(7, 12, 9)}), "");
    EXPECT_NE(check().find("nobody had asked"), std::string::npos);
}

TEST_F(LeaseJudged, deadline_that_differs_between_replicas_is_told) {
    granted();
    EXPECT_NE(see(3, 12, {lease(7, 10, 7)}).find("disagree"), std::string::npos);
}

TEST_F(LeaseJudged, back_after_its_end_is_told_but_not_a_replica_that_is_behind) {
    granted();
    EXPECT_EQ(see(7, 20, {}), "");
    EXPECT_EQ(see(8, 15, {lease(7, 10, 6)}), "");
    EXPECT_NE(see(9, 21, {lease(7, 10, 6)}).find("back after its end"), std::string::npos);
}

TEST_F(LeaseJudged, denied_while_it_is_there_is_told) {
    granted();
    history.ok(3 * second, 4 * second, 1, about(StepKind::time_to_live, 7), lives(-1));
    EXPECT_NE(check().find("denies"), std::string::npos);
}

TEST_F(LeaseJudged, denied_put_while_it_is_there_is_told_and_after_its_end_is_good) {
    granted();
    EXPECT_EQ(see(7, 20, {}), "");
    history.failed(7 * second, 8 * second, put_on(7, "a", "1")).error = api::Errc::lease_not_found;
    EXPECT_EQ(check(), "");
    history.failed(3 * second, 4 * second, put_on(7, "a", "2")).error = api::Errc::lease_not_found;
    EXPECT_NE(check().find("denies"), std::string::npos);
}

TEST_F(LeaseJudged, key_put_on_a_revoked_one_is_told) {
    granted();
    history.ok(3 * second, 4 * second, 5, about(StepKind::revoke, 7));
    EXPECT_EQ(see(4, 20, {}), "");
    EXPECT_EQ(check(), "");
    history.ok(5 * second, 6 * second, 6, put_on(7, "a", "1"));
    EXPECT_NE(check().find("was revoked"), std::string::npos);
}

TEST_F(LeaseJudged, key_put_on_one_that_ended_by_itself_is_told) {
    granted();
    EXPECT_EQ(see(7, 20, {}, 5), "");
    history.ok(6 * second, 8 * second, 5, put_on(7, "a", "1"));
    EXPECT_EQ(check(), "") << "the put may stand before its end";
    history.ok(6 * second, 9 * second, 6, put_on(7, "a", "2"));
    EXPECT_NE(check().find("had ended"), std::string::npos);
}

TEST_F(LeaseJudged, ends_lie_between_the_revisions_seen) {
    granted();
    EXPECT_EQ(see(3, 15, {lease(7, 10, 6)}, 4), "");
    EXPECT_EQ(see(7, 20, {}, 6), "");
    ASSERT_EQ(judge.ends().size(), 1u);
    EXPECT_EQ(judge.ends()[0].after, 4);
    EXPECT_EQ(judge.ends()[0].by, 6);
}

// ---------------------------------------------------------------------------------------------- histories

class LeasedHistory : public testing::Test {
  protected:
    void SetUp() override {
        history.ok(1, 2, 1, about(StepKind::grant, 7, 5), lives(5));
        history.ok(3, 4, 2, put_on(7, "a", "1"));
        history.ok(5, 6, 3, put_on(7, "b", "2"));
    }
    void read_all(std::int64_t at, api::Revision revision, std::vector<RecordedKv> kvs) {
        StepResult result;
        result.count = static_cast<std::int64_t>(kvs.size());
        result.kvs = std::move(kvs);
        history.ok(at, at + 1, revision, HistoryBuilder::get("a", "z"), std::move(result));
    }
    std::string check(std::vector<LeaseEnd> ends) const {
        return check_serializability(history.all(), ends).violation;
    }
    HistoryBuilder history;
    static constexpr std::int64_t late = 20 * second;
};

TEST_F(LeasedHistory, keys_that_go_with_their_lease_at_one_revision_are_explained) {
    read_all(late, 4, {});
    EXPECT_EQ(history.check().violation, "");
    EXPECT_EQ(check({{7, 3, 4}}), "");
}

TEST_F(LeasedHistory, keys_that_go_before_its_time_are_not_explained) {
    read_all(10, 4, {});
    EXPECT_NE(history.check().violation, "");
}

TEST_F(LeasedHistory, keys_that_go_where_nobody_saw_it_end_are_not_explained) {
    read_all(late, 4, {});
    EXPECT_NE(check({}), "");
    EXPECT_NE(check({{7, 4, 5}}), "");
    EXPECT_NE(check({{8, 3, 4}}), "");
}

TEST_F(LeasedHistory, half_of_its_keys_is_not_explained) {
    read_all(late, 4, {{"b", "2", 3, 3, 1, 7}});
    EXPECT_NE(history.check().violation, "");
    EXPECT_NE(check({{7, 3, 4}}), "");
}

TEST_F(LeasedHistory, key_put_without_it_stays) {
    history.ok(7, 8, 4, HistoryBuilder::put("a", "3"));
    read_all(late, 5, {{"a", "3", 2, 4, 2, 0}});
    EXPECT_EQ(check({{7, 4, 5}}), "");
    read_all(late + 5, 6, {});
    EXPECT_NE(check({{7, 4, 5}}), "");
}

TEST_F(LeasedHistory, answer_with_another_lease_is_not_true) {
    read_all(late, 3, {{"a", "1", 2, 2, 1, 0}, {"b", "2", 3, 3, 1, 7}});
    EXPECT_NE(check({}), "");
}

TEST_F(LeasedHistory, revocation_makes_the_revision_it_names) {
    history.ok(7, 8, 4, about(StepKind::revoke, 7));
    read_all(late, 4, {});
    EXPECT_EQ(check({{7, 3, 4}}), "");
    EXPECT_EQ(history.check().violation, "");
}

TEST_F(LeasedHistory, revocation_without_an_answer_explains_the_end_of_a_lease_that_nobody_saw) {
    read_all(10, 4, {});
    EXPECT_NE(check({}), "");
    history.unknown(7, about(StepKind::revoke, 7));
    EXPECT_EQ(check({}), "");
    EXPECT_NE(check({{7, 4, 5}}), "") << "it was seen to end elsewhere";
}

TEST_F(LeasedHistory, keys_left_by_a_revocation_are_told) {
    history.ok(7, 8, 3, about(StepKind::revoke, 7));
    EXPECT_NE(history.check().violation, "");
}

}  // namespace
}  // namespace ringfort::sim
