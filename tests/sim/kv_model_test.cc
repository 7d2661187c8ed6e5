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
