#include "sim/checkers/serializability.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "history_builder.h"
#include "sim/checkers/kv_model.h"

namespace ringfort::sim {

using B = HistoryBuilder;

namespace {
void expect_good(const HistoryBuilder& history) {
    const auto report = history.check();
    EXPECT_EQ(report.violation, "");
    EXPECT_FALSE(report.inconclusive);
}
void expect_bad(const HistoryBuilder& history, std::string_view why) {
    const auto report = history.check();
    EXPECT_NE(report.violation.find(why), std::string::npos) << "found: " << report.violation;
}
}  // namespace

TEST(Serializability, takes_writes_and_reads_that_follow_from_each_other) {
    HistoryBuilder h;
    h.ok(0, 1, 1, B::get("a"));
    h.ok(2, 5, 2, B::put("a", "1"));
    h.ok(3, 6, 3, B::put("a", "2", true), {{B::kv("a", "1", 2, 2, 1)}, 0, false});
    h.ok(7, 8, 3, B::get("a"), {{B::kv("a", "2", 2, 3, 2)}, 1, false});
    h.ok(9, 10, 4, B::remove("a"), {{}, 1, false});
    h.ok(11, 12, 4, B::remove("a"));
    h.ok(13, 14, 5, B::put("a", "3"));
    h.ok(15, 16, 5, B::get("a", "b"), {{B::kv("a", "3", 5, 5, 1)}, 1, false});
    expect_good(h);
    EXPECT_EQ(h.check().writes, 4u);
    EXPECT_EQ(h.check().reads, 4u);
}

TEST(Serializability, flags_a_lost_acknowledged_write) {
    HistoryBuilder h;
    h.ok(0, 1, 2, B::put("a", "1"));
    h.ok(2, 3, 2, B::get("a"));
    expect_bad(h, "not true at its revision");
}

TEST(Serializability, flags_a_stale_linearizable_read_and_takes_a_stale_serializable_one) {
    HistoryBuilder h;
    h.ok(0, 1, 2, B::put("a", "1"));
    h.ok(2, 3, 3, B::put("a", "2"));
    auto& read = h.ok(4, 5, 2, B::get("a"), {{B::kv("a", "1", 2, 2, 1)}, 1, false});
    expect_bad(h, "older than one");
    read.serializable = true;
    expect_good(h);
    read.results[0].kvs[0].value = "0";
    expect_bad(h, "which the replay does not have");
}

TEST(Serializability, flags_a_read_from_the_future) {
    HistoryBuilder h;
    auto& read = h.ok(0, 1, 2, B::get("a"), {{B::kv("a", "1", 2, 2, 1)}, 1, false});
    h.ok(2, 3, 2, B::put("a", "1"));
    expect_bad(h, "older than one");
    read.serializable = true;
    expect_bad(h, "older than one");
}

TEST(Serializability, flags_two_writes_of_one_revision_and_a_write_answered_with_an_old_one) {
    HistoryBuilder h;
    h.ok(0, 9, 2, B::put("a", "1"));
    h.ok(0, 9, 2, B::put("b", "2"));
    expect_bad(h, "two writes made one revision");
    HistoryBuilder g;
    g.ok(0, 1, 3, B::put("a", "1"));
    g.ok(2, 3, 2, B::put("b", "2"));
    expect_bad(g, "older than one");
}

TEST(Serializability, flags_an_answer_of_a_revision_that_never_was) {
    HistoryBuilder h;
    auto& read = h.ok(0, 1, 0, B::get("a"), {{B::kv("a", "1", 1, 1, 1)}, 1, false});
    expect_bad(h, "never was");
    read.serializable = true;
    expect_bad(h, "never was");
    HistoryBuilder g;
    g.ok(0, 1, 1, B::put("a", "1"));
    expect_bad(g, "never was");
}

TEST(Serializability, an_unknown_write_stands_where_its_value_was_seen_and_touches_nothing_seen_untouched) {
    // Twenty gaps, and writes for twice as many, of which what was seen leaves one order only.
    HistoryBuilder h;
    for (int i = 0; i < 20; i++) {
        h.unknown(0, B::put("a", "a" + std::to_string(i)));
        h.unknown(0, B::put("b", "b" + std::to_string(i)));
    }
    h.ok(0, 1, 22, B::put("c", "1"));
    h.ok(2, 3, 22, B::get("a", "c"), {{B::kv("a", "a5", 2, 2, 1), B::kv("b", "b7", 3, 21, 19)}, 2, false});
    const auto report = h.check();
    EXPECT_EQ(report.violation, "") << report.steps;
    EXPECT_FALSE(report.inconclusive);
}

// The value was seen as of revision 4 only, where another put had kept it.
TEST(Serializability, an_unknown_write_stands_where_its_value_was_seen_or_before_if_another_may_have_kept_it) {
    StepRequest keeps = B::put("a", "");
    keeps.ignore_value = true;
    HistoryBuilder h;
    h.unknown(0, B::put("a", "1"));
    h.ok(0, 1, 3, B::put("b", "1"));
    h.ok(2, 3, 4, keeps);
    h.ok(4, 5, 4, B::get("a"), {{B::kv("a", "1", 2, 4, 2)}, 1, false});
    expect_good(h);

    HistoryBuilder both_unknown;
    both_unknown.unknown(0, B::put("a", "1"));
    both_unknown.unknown(0, keeps);
    both_unknown.ok(4, 5, 3, B::get("a"), {{B::kv("a", "1", 2, 3, 2)}, 1, false});
    expect_good(both_unknown);

    HistoryBuilder before_it_exists;
    before_it_exists.ok(0, 1, 2, keeps);
    expect_bad(before_it_exists, "does not follow");
}

TEST(Serializability, what_a_read_of_keys_only_shows_says_nothing_of_values) {
    StepRequest keys = B::get("a");
    keys.arrangement.keys_only = true;
    HistoryBuilder h;
    h.ok(0, 1, 2, B::put("a", "1"));
    h.ok(2, 3, 2, keys, {{B::kv("a", "", 2, 2, 1)}, 1, false});
    expect_good(h);
    HistoryBuilder with_value;
    with_value.ok(0, 1, 2, B::put("a", "1"));
    with_value.ok(2, 3, 2, keys, {{B::kv("a", "1", 2, 2, 1)}, 1, false});
    expect_bad(with_value, "not true at its revision");
}

TEST(Serializability, gives_up_and_blames_nobody_when_the_search_has_tried_much_or_visited_many_keys) {
    HistoryBuilder tries;
    for (int i = 0; i < 30; i++) {
        tries.unknown(0, B::put("a", std::to_string(i)));
    }
    tries.ok(0, 1, 12, B::remove("b"), {{}, 1, false});   // nothing made b, and any ten of them fill the gaps before it
    EXPECT_TRUE(tries.check(1000).inconclusive);
    EXPECT_EQ(tries.check(1000).violation, "");

    // A revision of a thousand keys, and twenty reads of all of them.
    HistoryBuilder visits;
    auto& many = visits.ok(0, 1, 2, B::put("a", "v"));
    many.success.clear();
    for (int i = 0; i < 1000; i++) {
        many.success.push_back(B::put("a" + std::to_string(i), "v"));
    }
    many.results.resize(many.success.size());
    for (int i = 0; i < 20; i++) {
        StepRequest all = B::get("a", "b");
        all.limit = 1;
        visits.ok(2, 3, 2, all, {{B::kv("a0", "v", 2, 2, 1)}, 1000, true});
    }
    visits.ok(4, 5, 3, B::put("c", "v"));
    EXPECT_FALSE(visits.check(1000).inconclusive);
    EXPECT_EQ(visits.check(1000).violation, "");
    EXPECT_TRUE(visits.check(100).inconclusive);
    EXPECT_EQ(visits.check(100).violation, "");
}

TEST(Serializability, a_gap_must_be_explained_by_an_unknown_write) {
    HistoryBuilder h;
    h.ok(0, 1, 3, B::put("a", "1"));
    expect_bad(h, "no operation explains revision 2");
    h.failed(0, 1, B::put("b", "2"));
    expect_bad(h, "no operation explains revision 2");
    h.unknown(0, B::put("b", "3"));
    expect_good(h);
    EXPECT_EQ(h.check().unknown_placed, 1u);
}

TEST(Serializability, a_failed_write_must_stay_invisible) {
    HistoryBuilder h;
    h.failed(0, 1, B::put("a", "1"));
    h.unknown(0, B::put("a", "2"));
    h.ok(2, 3, 2, B::get("a"), {{B::kv("a", "1", 2, 2, 1)}, 1, false});
    expect_bad(h, "an answer shows a=1 of revision 2");
}

TEST(Serializability, an_unknown_write_takes_effect_once_at_most) {
    HistoryBuilder h;
    h.unknown(0, B::put("a", "1"));
    h.ok(1, 2, 4, B::put("b", "2"));
    expect_bad(h, "no operation explains revision 3");
}

TEST(Serializability, an_unknown_write_stands_behind_what_was_answered_before_it_was_invoked) {
    HistoryBuilder h;
    h.ok(0, 1, 3, B::put("a", "1"));
    h.unknown(2, B::put("b", "2"));
    expect_bad(h, "no operation explains revision 2");
}

TEST(Serializability, goes_back_when_a_later_answer_contradicts_its_choice) {
    // Both unknown puts could be revision 2; only the order c, then b gives b's create revision.
    HistoryBuilder h;
    h.unknown(0, B::put("b", "1"));
    h.unknown(0, B::put("c", "2"));
    h.unknown(0, B::put("d", "3"));
    h.ok(0, 1, 4, B::put("a", "4"));
    h.ok(2, 3, 4, B::get("b", "d"), {{B::kv("b", "1", 3, 3, 1), B::kv("c", "2", 2, 2, 1)}, 2, false});
    expect_good(h);
    EXPECT_EQ(h.check().unknown_placed, 2u);
}

TEST(Serializability, searches_deletes_whose_only_trace_is_a_version) {
    HistoryBuilder h;
    h.ok(0, 1, 2, B::put("a", "1"));
    h.unknown(2, B::put("x", "9"));
    h.unknown(2, B::remove("a"));
    h.unknown(2, B::remove("nothing"));
    h.ok(3, 4, 4, B::put("a", "2"));
    h.ok(5, 6, 4, B::get("a"), {{B::kv("a", "2", 4, 4, 1)}, 1, false});
    expect_good(h);
    EXPECT_GT(h.check().steps, 4u) << "the put of x was tried first";
}

TEST(Serializability, transactions_follow_the_branch_their_compares_choose) {
    const auto history = [](bool succeeded) {
        HistoryBuilder h;
        h.ok(0, 1, 2, B::put("a", "1"));
        auto& txn = h.ok(2, 3, succeeded ? 3 : 2, B::put("b", "2"));
        txn.transaction = true;
        txn.compares.push_back({api::CompareTarget::mod, api::CompareResult::equal, "a", 2, {}});
        txn.failure.push_back(B::get("a"));
        txn.succeeded = succeeded;
        if (!succeeded) {
            txn.results = {{{B::kv("a", "1", 2, 2, 1)}, 1, false}};
        }
        return h;
    };
    expect_good(history(true));
    expect_bad(history(false), "not true at its revision");
}

TEST(Serializability, reads_at_a_past_revision_are_checked_there) {
    HistoryBuilder h;
    h.ok(0, 1, 2, B::put("a", "1"));
    h.ok(2, 3, 3, B::put("a", "2"));
    auto step = B::get("a");
    step.revision = 2;
    auto& read = h.ok(4, 5, 3, step, {{B::kv("a", "1", 2, 2, 1)}, 1, false});
    expect_good(h);
    read.results[0] = {{B::kv("a", "2", 2, 3, 2)}, 1, false};
    expect_bad(h, "not true at its revision");
}

TEST(Serializability, a_real_execution_is_good_and_any_one_changed_answer_is_found) {
    // Random operations run one after the other on the model itself; then one answer is bent.
    for (std::uint64_t seed = 0; seed < 40; seed++) {
        Prng random(seed);
        KvModel model;
        History history;
        for (int i = 0; i < 60; i++) {
            RecordedOperation op;
            const std::string key(1, static_cast<char>('a' + random.below(4)));
            const auto kind = random.below(4);
            op.success.push_back(kind == 0   ? B::get(key, "d")
                                 : kind == 1 ? B::remove(key)
                                             : B::put(key, "v" + std::to_string(i), true));
            op.invoked = Instant{i * 10};
            auto& stored = history.add(std::move(op));
            const auto made = model.execute(stored);
            stored.results = made.results;
            stored.succeeded = made.succeeded;
            stored.header.revision = model.revision();
            stored.completed = Instant{i * 10 + 5};
            // Some answers never arrive.
            stored.outcome = random.one_in(8) ? Outcome::unknown : Outcome::ok;
        }
        std::vector<const RecordedOperation*> all;
        for (const auto& operation : history.operations()) {
            all.push_back(&operation);
        }
        const auto good = check_serializability(all);
        ASSERT_EQ(good.violation, "") << "seed " << seed;
        ASSERT_FALSE(good.inconclusive);

        auto& bent = history[random.below(60)];
        if (bent.outcome != Outcome::ok) {
            continue;
        }
        if (!bent.results[0].kvs.empty()) {
            bent.results[0].kvs.back().value += "!";
        } else if (bent.modified()) {
            bent.header.revision += 1000;
        } else {
            bent.results[0].count++;
        }
        EXPECT_NE(check_serializability(all).violation, "") << "seed " << seed << ": " << describe(bent);
    }
}

}  // namespace ringfort::sim
