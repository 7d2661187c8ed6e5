// The judge of leases that sees only what clients were told: a true story passes, and each promise broken is called by its
// name.
#include "sim/checkers/lease_promises.h"

#include <gtest/gtest.h>

#include "history_builder.h"

namespace ringfort::sim {
namespace {

// Lease 7 is granted for 5 s at 1 s and holds the key a, by revision 2; others write b ten times a second.
class LeasePromises : public testing::Test {
  protected:
    static constexpr std::int64_t second = 1'000'000'000;
    static StepRequest about(StepKind kind, std::int64_t ttl = 0) {
        StepRequest out{kind, {}, {}, {}, false, 0, 0};
        out.lease = 7;
        out.ttl = ttl;
        return out;
    }
    static StepResult lives(std::int64_t ttl) {
        StepResult out;
        out.ttl = ttl;
        return out;
    }
    static StepRequest put(std::string key, std::string value, api::LeaseId lease = 0) {
        StepRequest out = HistoryBuilder::put(std::move(key), std::move(value));
        out.lease = lease;
        return out;
    }

    LeasePromises() {
        watch.range_end = std::string(1, '\0');
        watch.prev_kv = true;
        begin();
    }
    void begin() {
        history.ok(1 * second, 2 * second, 1, about(StepKind::grant, 5), lives(5)).header.raft_term = Term(1);
        history.ok(2 * second, 2 * second, 2, put("a", "1", 7)).header.raft_term = Term(1);
    }
    void write(std::int64_t from_s, std::int64_t to_s, std::uint64_t term = 1) {
        for (std::int64_t at = from_s * second; at < to_s * second; at += second / 10) {
            revision++;
            history.ok(at, at + 1, revision, put("b", std::to_string(revision))).header.raft_term = Term(term);
        }
    }
    // The lease takes a along, and the watch is told so.
    void end(std::int64_t told_s, const std::string& key = "a") {
        revision++;
        RecordedEvent removal{true, {key, "", 0, revision, 0}, true, {key, "1", 2, 2, 1, 7}};
        watch.told.push_back({WatchTold::Kind::revision, Instant{told_s * second}, revision, {removal}, 0, api::Errc::ok});
    }
    LeaseReport report() const {
        const RecordedWatch* const watches[] = {&watch};
        return check_lease_promises(history.all(), watches);
    }
    // "ok", or the name of the promise.
    std::string verdict() const {
        const std::string broken = report().violation;
        const std::string begin = "lease 7 is ";
        const std::string name = broken.starts_with(begin) ? broken.substr(begin.size()) : broken;
        return broken.empty() ? "ok" : name.substr(0, name.find_first_of(":,"));
    }

    HistoryBuilder history;
    RecordedWatch watch;
    api::Revision revision{2};
};

TEST_F(LeasePromises, end_in_time_is_good_and_counted) {
    write(2, 7);
    end(7);
    write(7, 9);
    history.ok(9 * second, 9 * second, revision, about(StepKind::time_to_live), lives(-1));
    EXPECT_EQ(verdict(), "ok") << report().violation;
    EXPECT_EQ(report().granted, 1u);
    EXPECT_EQ(report().expired, 1u);
    EXPECT_EQ(report().alive, 0u);
}

TEST_F(LeasePromises, end_heard_of_before_its_time_is_early) {
    write(2, 5);
    end(5);
    EXPECT_EQ(verdict(), "early");
}

// No answer and no watch but a read tells how far the revisions had come.
TEST_F(LeasePromises, end_behind_which_somebody_was_answered_before_its_time_is_early) {
    write(2, 4);
    end(9);
    history.ok(5 * second, 5 * second, revision, HistoryBuilder::get("b"));
    EXPECT_EQ(verdict(), "early");
}

TEST_F(LeasePromises, end_before_an_acknowledged_keep_alive_is_over_is_early) {
    history.ok(5 * second, 6 * second, 2, about(StepKind::keep_alive), lives(5));
    write(6, 8);
    end(8);
    EXPECT_EQ(verdict(), "early");
}

TEST_F(LeasePromises, keep_alive_without_an_answer_promises_nothing) {
    history.unknown(5 * second, about(StepKind::keep_alive)).completed = Instant{6 * second};
    write(2, 8);
    end(8);
    EXPECT_EQ(verdict(), "ok") << report().violation;
}

TEST_F(LeasePromises, denial_before_its_time_is_early) {
    history.failed(3 * second, 4 * second, put("c", "1", 7)).error = api::Errc::lease_not_found;
    EXPECT_EQ(verdict(), "early");
}

TEST_F(LeasePromises, denial_by_an_answer_about_it_before_its_time_is_early) {
    history.ok(3 * second, 4 * second, 2, about(StepKind::time_to_live), lives(-1));
    EXPECT_EQ(verdict(), "early");
}

TEST_F(LeasePromises, revocation_may_end_it_whoever_knows) {
    history.unknown(3 * second, about(StepKind::revoke));
    write(2, 4);
    end(4);
    history.ok(5 * second, 5 * second, revision, about(StepKind::time_to_live), lives(-1));
    EXPECT_EQ(verdict(), "ok") << report().violation;
    EXPECT_EQ(report().expired, 0u);
}

TEST_F(LeasePromises, revocation_asked_for_after_the_end_excuses_nothing) {
    write(2, 4);
    end(4);
    history.ok(5 * second, 5 * second, revision, about(StepKind::revoke));
    EXPECT_EQ(verdict(), "early");
}

TEST_F(LeasePromises, what_clients_delete_is_no_end) {
    history.ok(2 * second, 3 * second, 3, HistoryBuilder::remove("a"), {{}, 1, false});
    end(3);
    EXPECT_EQ(verdict(), "ok") << report().violation;
    write(3, 4);
    end(4, "k");
    history.unknown(2 * second, HistoryBuilder::remove("j", "l"));
    EXPECT_EQ(verdict(), "ok") << report().violation;
}

TEST_F(LeasePromises, keys_that_are_there_long_after_its_time_are_late) {
    write(2, 11);
    end(11);
    EXPECT_EQ(verdict(), "ok") << report().violation;
    watch.told.clear();
    write(11, 13);
    end(13);
    EXPECT_EQ(verdict(), "late");
}

TEST_F(LeasePromises, answer_that_knows_it_long_after_its_time_is_late) {
    write(2, 13);
    history.ok(13 * second, 13 * second, revision, about(StepKind::time_to_live), lives(0));
    EXPECT_EQ(verdict(), "late");
    EXPECT_EQ(report().alive, 1u);
}

TEST_F(LeasePromises, one_that_was_renewed_has_longer_but_not_for_ever) {
    history.ok(3 * second, 3 * second, 2, about(StepKind::keep_alive), lives(5));
    write(2, 32);
    end(32);
    EXPECT_EQ(verdict(), "ok") << report().violation;
    watch.told.clear();
    write(32, 35);
    end(35);
    EXPECT_EQ(verdict(), "late");
}

TEST_F(LeasePromises, time_without_commits_and_changes_of_leaders_do_not_count) {
    write(2, 4);
    write(9, 16);
    end(16);
    EXPECT_EQ(verdict(), "ok") << report().violation;
    write(16, 19);
    history.ok(19 * second, 19 * second, revision, HistoryBuilder::get("b"));
    watch.told.clear();
    end(19);
    EXPECT_EQ(verdict(), "late");
    history = {};
    begin();
    revision = 2;
    watch.told.clear();
    write(2, 5);
    write(5, 8, 2);
    write(8, 14, 4);
    end(14);
    EXPECT_EQ(verdict(), "ok") << report().violation;
}

TEST_F(LeasePromises, keys_that_go_at_two_revisions_are_not_whole) {
    write(2, 7);
    end(7);
    end(7, "k");
    EXPECT_EQ(verdict(), "not whole");
}

TEST_F(LeasePromises, there_after_an_answer_that_it_is_not_is_back) {
    write(2, 7);
    history.ok(7 * second, 7 * second, revision, about(StepKind::time_to_live), lives(-1));
    EXPECT_EQ(verdict(), "ok") << report().violation;
    history.ok(8 * second, 8 * second, revision, about(StepKind::keep_alive), lives(5));
    EXPECT_EQ(verdict(), "back");
}

TEST_F(LeasePromises, key_put_on_it_behind_its_end_is_back) {
    write(2, 7);
    end(7);
    history.ok(6 * second, 9 * second, ++revision, put("c", "1", 7));
    EXPECT_EQ(verdict(), "back");
}

TEST_F(LeasePromises, key_put_on_it_behind_its_revocation_is_back) {
    history.ok(3 * second, 4 * second, 3, about(StepKind::revoke));
    EXPECT_EQ(verdict(), "ok") << report().violation;
    history.ok(3 * second, 4 * second, 4, put("c", "1", 7));
    EXPECT_EQ(verdict(), "back");
}

}  // namespace
}  // namespace ringfort::sim
