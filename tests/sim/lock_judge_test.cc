// The judge of locks and elections on hand-made records: each breach is told, and what is right is not.
#include <gtest/gtest.h>

#include "sim/checkers/locks.h"

namespace ringfort::sim {
namespace {

class LocksJudged : public testing::Test {
  protected:
    LocksJudged() {
        put(10, "n/a", "a1");
        put(11, "n/b", "b1");
        put(12, "n/a", "a2");
        remove(13, "n/a");
        put(14, "n/b", "b2");
        records.account_through = 14;
    }
    void put(api::Revision revision, const std::string& key, const std::string& value) {
        api::Revision& created = created_[key];
        created = created == 0 ? revision : created;
        records.account.push_back({revision, false, {key, value, created, revision, 1, 7}, Instant{revision}});
    }
    void remove(api::Revision revision, const std::string& key) {
        created_.erase(key);
        records.account.push_back({revision, true, {key, {}, 0, revision, 0, 0}, Instant{revision}});
    }
    void claim(const std::string& key, api::Revision token, api::Revision seen_at, std::int64_t from_s,
               std::int64_t until_s) {
        records.claims.push_back({1, "n", key, token, seen_at, Instant{from_s * 1'000'000'000},
                                  until_s == 0 ? never : Instant{until_s * 1'000'000'000}});
    }
    void act(const std::string& key, api::Revision token, api::Revision at, bool succeeded = true) {
        RecordedOperation operation;
        operation.number = operations.size();
        operation.outcome = Outcome::ok;
        operation.succeeded = succeeded;
        operation.header.revision = at;
        operations.push_back(std::move(operation));
        records.actions.push_back({operations.back().number, "n", key, token});
    }
    LeaderTale& tale(api::Revision through) {
        records.tales.push_back({1, "n", {}, through});
        return records.tales.back();
    }
    static LeaderTale::Told told(api::Revision at, const std::string& key, const std::string& value, api::Revision created,
                                 api::Revision mod) {
        return {at, {key, value, created, mod, 1, 7}};
    }
    void judged(const std::string& words) const {
        const std::string wrong = check_locks(records, operations, 100ms);
        EXPECT_NE(wrong.find(words), std::string::npos) << wrong;
        EXPECT_EQ(wrong.empty(), words.empty()) << wrong;
    }

    LockRecords records;
    std::deque<RecordedOperation> operations;

  private:
    std::map<std::string, api::Revision> created_;
};

TEST_F(LocksJudged, turns_one_after_the_other_are_good) {
    claim("n/a", 10, 10, 1, 3);
    claim("n/b", 11, 13, 3, 0);
    act("n/a", 10, 12);
    act("n/b", 11, 14);
    act("n/a", 10, 14, false);
    records.proclamations.push_back({"n", "n/a", "a2", 12});
    tale(14).told = {told(10, "n/a", "a1", 10, 10), told(12, "n/a", "a2", 10, 12), told(13, "n/b", "b1", 11, 11),
                     told(14, "n/b", "b2", 11, 14)};
    tale(14).told = {told(11, "n/a", "a1", 10, 10), told(12, "n/a", "a2", 10, 12), told(13, "n/b", "b1", 11, 11),
                     told(14, "n/b", "b2", 11, 14)};
    judged("");
}

TEST_F(LocksJudged, a_mark_stands_in_no_line) {
    records.account.insert(records.account.begin(), {9, false, {"n/left-7", {}, 9, 9, 1, 7}, Instant{9}});
    claim("n/a", 10, 10, 1, 3);
    judged("");
}

TEST_F(LocksJudged, a_turn_that_is_anothers_is_told) {
    claim("n/b", 11, 12, 1, 2);
    judged("it was not the turn of client 1 with n/b, token 11");
}

TEST_F(LocksJudged, a_turn_with_anothers_token_is_told) {
    claim("n/a", 9, 11, 1, 2);
    judged("it was not the turn");
}

TEST_F(LocksJudged, two_who_believe_at_the_same_time_are_told_beyond_what_clocks_may_drift) {
    claim("n/a", 10, 10, 1, 3);
    records.claims.back().until = Instant{3'050'000'000};
    claim("n/b", 11, 13, 3, 0);
    judged("");
    records.claims.front().until = Instant{3'200'000'000};
    judged("two had the turn at a time");
}

TEST_F(LocksJudged, tokens_that_do_not_rise_are_told) {
    claim("n/b", 11, 13, 1, 2);
    claim("n/a", 10, 12, 3, 4);
    judged("turns out of order");
}

TEST_F(LocksJudged, a_write_behind_its_turn_is_told) {
    act("n/a", 10, 14);
    judged("a write happened outside of its turn");
}

TEST_F(LocksJudged, a_write_before_its_turn_is_told) {
    act("n/b", 11, 12);
    judged("a write happened outside of its turn");
}

TEST_F(LocksJudged, a_create_revision_that_moves_is_told) {
    records.account.push_back({15, false, {"n/b", "b3", 15, 15, 3, 7}, Instant{15}});
    judged("n/b was created at 11, and is said at revision 15 to be of 15");
}

TEST_F(LocksJudged, a_lost_proclamation_is_told) {
    records.proclamations.push_back({"n", "n/a", "a3", 13});
    judged("n/a proclaimed a3 at revision 13");
}

TEST_F(LocksJudged, a_key_that_stands_there_for_nobody_is_told) {
    records.absences.push_back({"n/a", 13, Instant{20}});
    judged("");
    put(15, "n/a", "late");
    records.account_through = 15;
    records.absences.back().until = Instant{15};
    judged("");
    records.absences.back().until = never;
    judged("n/a stands in line from revision 15 on, for one who had left at revision 13");
}

TEST_F(LocksJudged, leaders_left_out_invented_or_told_twice_are_told) {
    tale(14).told = {told(10, "n/a", "a1", 10, 10), told(13, "n/b", "b1", 11, 11)};
    judged("the next leader is of revision 12");
    records.tales.clear();
    tale(14).told = {told(10, "n/b", "b1", 11, 11)};
    judged("told of n/b=b1 at revision 10: the first is n/a");
    records.tales.clear();
    tale(14).told = {told(13, "n/b", "b1", 11, 11), told(13, "n/b", "b1", 11, 11)};
    judged("the next leader is of revision 14");
    records.tales.clear();
    tale(14).told = {told(13, "n/b", "b1", 11, 11)};
    judged("not told of n/b at revision 14");
    records.tales.front().through = 13;
    judged("");
}

TEST_F(LocksJudged, what_the_account_does_not_reach_is_not_judged) {
    claim("n/c", 20, 20, 5, 6);
    act("n/c", 20, 21);
    records.proclamations.push_back({"n", "n/c", "c", 22});
    tale(22).told = {told(20, "n/c", "c", 20, 20)};
    judged("");
}

}  // namespace
}  // namespace ringfort::sim
