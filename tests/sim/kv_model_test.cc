#include "sim/checkers/kv_model.h"

#include <gtest/gtest.h>

#include "history_builder.h"

namespace ringfort::sim {

using B = HistoryBuilder;

namespace {
RecordedOperation one(StepRequest step) {
    RecordedOperation out;
    out.success.push_back(std::move(step));
    return out;
}
}  // namespace

TEST(KvModel, keeps_etcds_revisions_versions_and_generations) {
    KvModel model;
    EXPECT_EQ(model.revision(), 1);
    EXPECT_TRUE(model.execute(one(B::put("a", "1"))).modified);
    EXPECT_TRUE(model.execute(one(B::put("a", "2"))).modified);
    EXPECT_EQ(*model.find("a", 3), B::kv("a", "2", 2, 3, 2));
    EXPECT_EQ(*model.find("a", 2), B::kv("a", "1", 2, 2, 1));
    EXPECT_EQ(model.execute(one(B::remove("a", "z"))).results[0].count, 1);
    EXPECT_FALSE(model.execute(one(B::remove("a"))).modified);
    EXPECT_EQ(model.revision(), 4);
    EXPECT_EQ(model.find("a", 4), nullptr);
    EXPECT_TRUE(model.execute(one(B::put("a", "3"))).modified);
    EXPECT_EQ(*model.find("a", 5), B::kv("a", "3", 5, 5, 1));
}

TEST(KvModel, an_absent_key_compares_as_zero_and_fails_every_compare_of_values) {
    KvModel model;
    RecordedOperation op = one(B::put("x", "1"));
    op.failure.push_back(B::get("x"));
    op.compares.push_back({api::CompareTarget::version, api::CompareResult::equal, "k", 0, {}});
    EXPECT_TRUE(model.read(op, 1).succeeded);
    op.compares[0] = {api::CompareTarget::value, api::CompareResult::not_equal, "k", 0, "v"};
    EXPECT_FALSE(model.read(op, 1).succeeded);
}

TEST(KvModel, limits_cut_after_the_limit_and_count_everything) {
    KvModel model;
    for (const char* key : {"a", "b", "c"}) {
        EXPECT_TRUE(model.execute(one(B::put(key, "v"))).modified);
    }
    auto step = B::get("a", std::string(1, '\0'));
    step.limit = 2;
    const auto cut = model.read(one(step), 4).results[0];
    EXPECT_EQ(cut.kvs.size(), 2u);
    EXPECT_EQ(cut.count, 3);
    EXPECT_TRUE(cut.more);
    step.limit = 3;
    EXPECT_FALSE(model.read(one(step), 4).results[0].more);
}

// a: versions 3, mod 5; b: created 4; c: created 2, with the greatest value.
KvModel three_keys() {
    KvModel model;
    for (const auto& [key, value] : {std::pair("c", "9"), {"a", "1"}, {"b", "5"}, {"a", "2"}, {"a", "3"}}) {
        EXPECT_TRUE(model.execute(one(B::put(key, value))).modified);
    }
    return model;
}

std::string keys_of(const StepResult& result) {
    std::string out;
    for (const RecordedKv& kv : result.kvs) {
        out += kv.key;
    }
    return out;
}

TEST(KvModel, sorts_by_what_is_asked_with_ties_in_the_order_of_keys) {
    const KvModel model = three_keys();
    StepRequest step = B::get("a", std::string(1, '\0'));
    const auto sorted = [&](api::SortTarget target, api::SortOrder order, std::int64_t limit = 0) {
        step.arrangement = {.target = target, .order = order};
        step.limit = limit;
        const StepResult result = model.read(one(step), 6).results[0];
        EXPECT_EQ(result.count, 3);
        EXPECT_EQ(result.more, limit > 0);
        return keys_of(result);
    };
    using enum api::SortOrder;
    EXPECT_EQ(sorted(api::SortTarget::key, descend), "cba");
    EXPECT_EQ(sorted(api::SortTarget::version, ascend), "bca");
    EXPECT_EQ(sorted(api::SortTarget::version, descend), "abc");
    EXPECT_EQ(sorted(api::SortTarget::create, none), "cab");
    EXPECT_EQ(sorted(api::SortTarget::mod, descend, 2), "ab");
    EXPECT_EQ(sorted(api::SortTarget::value, descend, 1), "c");
}

TEST(KvModel, filters_by_revisions_before_the_limit_and_counts_all) {
    const KvModel model = three_keys();
    StepRequest step = B::get("a", std::string(1, '\0'));
    const auto kept = [&](Arrangement how) {
        step.arrangement = how;
        const StepResult result = model.read(one(step), 6).results[0];
        EXPECT_EQ(result.count, 3);
        EXPECT_FALSE(result.more);
        return keys_of(result);
    };
    EXPECT_EQ(kept({.min_mod = 4}), "ab");
    EXPECT_EQ(kept({.max_mod = 4}), "bc");
    EXPECT_EQ(kept({.min_mod = 4, .max_mod = 4}), "b");
    EXPECT_EQ(kept({.min_create = 3}), "ab");
    EXPECT_EQ(kept({.max_create = 2}), "c");
    step.limit = 1;
    EXPECT_EQ(kept({.max_mod = 2}), "c");
    EXPECT_EQ(kept({.count_only = true}), "");
}

TEST(KvModel, keys_only_leaves_out_the_values) {
    const KvModel model = three_keys();
    StepRequest step = B::get("b");
    step.arrangement.keys_only = true;
    EXPECT_EQ(model.read(one(step), 6).results[0].kvs, std::vector{B::kv("b", "", 4, 4, 1)});
}

TEST(KvModel, a_put_keeps_the_value_or_the_lease_of_a_key_that_exists_and_else_changes_nothing) {
    KvModel model;
    StepRequest first = B::put("a", "1");
    first.lease = 7;
    EXPECT_TRUE(model.execute(one(first)).modified);
    StepRequest same_value = B::put("a", "");
    same_value.ignore_value = true;
    same_value.lease = 8;
    EXPECT_TRUE(model.execute(one(same_value)).modified);
    EXPECT_EQ(model.find("a", 3)->value, "1");
    EXPECT_EQ(model.find("a", 3)->lease, 8);
    StepRequest same_lease = B::put("a", "2");
    same_lease.ignore_lease = true;
    EXPECT_TRUE(model.execute(one(same_lease)).modified);
    EXPECT_EQ(model.find("a", 4)->value, "2");
    EXPECT_EQ(model.find("a", 4)->lease, 8);
    same_value.key = "absent";
    RecordedOperation refused = one(B::put("b", "1"));
    refused.success.push_back(same_value);
    EXPECT_FALSE(model.execute(refused).modified);
    EXPECT_EQ(model.revision(), 4);
    EXPECT_EQ(model.find("b", 4), nullptr);
}

TEST(KvModel, later_steps_of_a_transaction_see_earlier_ones_and_undo_takes_all_back) {
    KvModel model;
    RecordedOperation txn = one(B::put("a", "1"));
    txn.success.push_back(B::get("a"));
    txn.success.push_back(B::put("b", "2"));
    const auto made = model.execute(txn);
    EXPECT_EQ(made.results[1].kvs[0], B::kv("a", "1", 2, 2, 1));
    EXPECT_EQ(model.revision(), 2);
    model.undo();
    EXPECT_EQ(model.revision(), 1);
    EXPECT_EQ(model.find("a", 9), nullptr);
    EXPECT_EQ(model.find("b", 9), nullptr);
}

TEST(KvModel, a_compare_of_an_interval_holds_for_every_key_of_it) {
    KvModel model;
    RecordedOperation put;
    put.success.push_back({StepKind::put, "a", {}, "1", false, 0, 0});
    put.success.push_back({StepKind::put, "b", {}, "2", false, 0, 0});
    EXPECT_TRUE(model.execute(put).modified);
    RecordedOperation asked;
    asked.transaction = true;
    asked.compares = {{api::CompareTarget::version, api::CompareResult::equal, "a", 1, {}, "c"}};
    EXPECT_TRUE(model.read(asked, 2).succeeded);
    asked.compares[0] = {api::CompareTarget::value, api::CompareResult::equal, "a", 0, "1", "c"};
    EXPECT_FALSE(model.read(asked, 2).succeeded) << "b holds another value";
    // Of an interval without keys: as of one that does not exist, which has no value.
    asked.compares[0] = {api::CompareTarget::version, api::CompareResult::equal, "x", 0, {}, "z"};
    EXPECT_TRUE(model.read(asked, 2).succeeded);
    asked.compares[0] = {api::CompareTarget::value, api::CompareResult::not_equal, "x", 0, "1", "z"};
    EXPECT_FALSE(model.read(asked, 2).succeeded);
}

}  // namespace ringfort::sim
