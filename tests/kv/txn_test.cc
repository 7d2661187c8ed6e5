#include "store_driver.h"

namespace ringfort::kv {
namespace {

using Ops = std::vector<api::RequestOp>;
using Compares = std::vector<api::Compare>;
using api::CompareResult;
using api::CompareTarget;


api::RequestOp put(std::string_view key, std::string_view value) {
    return {api::PutRequest{.key = key, .value = value}};
}
api::RequestOp remove(std::string_view key, std::string_view end = {}) {
    return {api::DeleteRangeRequest{.key = key, .range_end = end}};
}
api::RequestOp range(std::string_view key, std::string_view end = {}, api::Revision revision = 0) {
    api::RangeRequest out;
    out.key = key;
    out.range_end = end;
    out.revision = revision;
    return {out};
}
api::Compare number(CompareTarget target, CompareResult result, std::int64_t value, std::string_view key,
                    std::string_view end = {}) {
    api::Compare out;
    out.target = target;
    out.result = result;
    out.number = value;
    out.key = key;
    out.range_end = end;
    return out;
}
api::Compare value(CompareResult result, std::string_view text, std::string_view key, std::string_view end = {}) {
    api::Compare out = number(CompareTarget::value, result, 0, key, end);
    out.value = text;
    return out;
}
bool holds(Driver& driver, const api::Compare& compare) {
    return driver.must<api::TxnResponse>(api::TxnRequest{{&compare, 1}, {}, {}}).succeeded;
}

TEST(Txn, no_compare_succeeds_and_several_all_have_to_hold) {
    Driver driver;
    driver.put("a", "1");
    EXPECT_TRUE(driver.must<api::TxnResponse>(api::TxnRequest{}).succeeded);
    const Compares mixed{number(CompareTarget::version, CompareResult::equal, 1, "a"),
                         number(CompareTarget::version, CompareResult::equal, 9, "a")};
    EXPECT_FALSE(driver.must<api::TxnResponse>(api::TxnRequest{mixed, {}, {}}).succeeded);
}

TEST(Txn, every_target_compares_in_every_way) {
    Driver driver;
    driver.put("x", "");
    driver.put("a", "m");
    driver.put("a", "m");   // create 3, mod 4, version 2, lease 0
    const struct {
        CompareTarget target;
        std::int64_t is;
    } rows[] = {{CompareTarget::create, 3}, {CompareTarget::mod, 4}, {CompareTarget::version, 2}, {CompareTarget::lease, 0}};
    for (const auto& [target, is] : rows) {
        EXPECT_TRUE(holds(driver, number(target, CompareResult::equal, is, "a")));
        EXPECT_FALSE(holds(driver, number(target, CompareResult::equal, is + 1, "a")));
        EXPECT_TRUE(holds(driver, number(target, CompareResult::greater, is - 1, "a")));
        EXPECT_FALSE(holds(driver, number(target, CompareResult::greater, is, "a")));
        EXPECT_TRUE(holds(driver, number(target, CompareResult::less, is + 1, "a")));
        EXPECT_FALSE(holds(driver, number(target, CompareResult::less, is, "a")));
        EXPECT_TRUE(holds(driver, number(target, CompareResult::not_equal, is + 1, "a")));
        EXPECT_FALSE(holds(driver, number(target, CompareResult::not_equal, is, "a")));
    }
    EXPECT_TRUE(holds(driver, value(CompareResult::equal, "m", "a")));
    EXPECT_TRUE(holds(driver, value(CompareResult::greater, "l", "a")));
    EXPECT_TRUE(holds(driver, value(CompareResult::less, "\xff", "a"))) << "bytes compare unsigned";
    EXPECT_FALSE(holds(driver, value(CompareResult::not_equal, "m", "a")));
}

TEST(Txn, a_missing_key_compares_as_zeros_but_never_by_value) {
    Driver driver;
    driver.put("gone", "v");
    driver.remove("gone");
    for (const std::string_view key : {"gone", "never"}) {
        EXPECT_TRUE(holds(driver, number(CompareTarget::version, CompareResult::equal, 0, key)));
        EXPECT_TRUE(holds(driver, number(CompareTarget::mod, CompareResult::less, 1, key)));
        EXPECT_FALSE(holds(driver, value(CompareResult::not_equal, "v", key)));
        EXPECT_FALSE(holds(driver, value(CompareResult::equal, "", key)));
    }
}

TEST(Txn, a_range_compare_needs_every_key_and_an_empty_range_is_a_missing_key) {
    Driver driver(WorkBudget{1, 1});
    driver.put("a", "1");
    driver.put("b", "1");
    driver.put("c", "2");
    EXPECT_TRUE(holds(driver, value(CompareResult::equal, "1", "a", "c")));
    EXPECT_FALSE(holds(driver, value(CompareResult::equal, "1", "a", "d")));
    EXPECT_FALSE(holds(driver, value(CompareResult::equal, "1", "a", endless)));
    EXPECT_TRUE(holds(driver, number(CompareTarget::version, CompareResult::equal, 1, "a", endless)));
    EXPECT_TRUE(holds(driver, number(CompareTarget::version, CompareResult::equal, 0, "x", "z")));
    EXPECT_FALSE(holds(driver, value(CompareResult::not_equal, "1", "x", "z")));
}

TEST(Txn, writes_share_one_revision_and_later_ranges_see_earlier_writes) {
    Driver driver(WorkBudget{1, 1});
    driver.put("c", "old");
    const Ops ops{put("a", "1"), range("a"), put("b", "2"), remove("c"), range(endless, endless), range("c", {}, 2)};
    const auto response = driver.must<api::TxnResponse>(api::TxnRequest{{}, ops, {}});
    ASSERT_EQ(response.responses.size(), 6u);
    EXPECT_EQ(driver.store.revision(), 3);
    EXPECT_EQ(Driver::copy(std::get<api::RangeResponse>(response.responses[1].op)).pairs,
              (std::vector<Driver::Pair>{{"a", "1", 3, 3, 1, 0}}));
    EXPECT_EQ(std::get<api::DeleteRangeResponse>(response.responses[3].op).deleted, 1);
    EXPECT_EQ(Driver::copy(std::get<api::RangeResponse>(response.responses[4].op)).pairs,
              (std::vector<Driver::Pair>{{"a", "1", 3, 3, 1, 0}, {"b", "2", 3, 3, 1, 0}}));
    EXPECT_EQ(Driver::copy(std::get<api::RangeResponse>(response.responses[5].op)).pairs,
              (std::vector<Driver::Pair>{{"c", "old", 2, 2, 1, 0}}));
}

TEST(Txn, without_a_change_makes_no_revision) {
    Driver driver;
    const Ops ops{remove("a"), range("b")};
    driver.must<api::TxnResponse>(api::TxnRequest{{}, ops, {}});
    EXPECT_EQ(driver.store.revision(), 1);
}

TEST(Txn, nested_compares_see_the_state_before_the_whole_transaction) {
    Driver driver(WorkBudget{1, 1});
    const Compares missing{number(CompareTarget::version, CompareResult::equal, 0, "a")};
    const Ops then{put("b", "then")};
    const Ops otherwise{put("b", "else")};
    const Ops ops{put("a", "1"), {api::TxnRequest{missing, then, otherwise}}};
    const auto response = driver.must<api::TxnResponse>(api::TxnRequest{{}, ops, {}});
    EXPECT_TRUE(std::get<api::TxnResponse>(response.responses[1].op).succeeded);
    EXPECT_EQ(driver.store.get("b")->value, "then");
}

TEST(Txn, a_failing_check_on_the_chosen_path_applies_nothing) {
    Driver driver(WorkBudget{1, 1});
    driver.put("a", "1");
    driver.put("a", "2");
    ASSERT_EQ(driver.compact(3), api::Errc::ok);
    const auto error_of = [&](const api::RequestOp& bad) {
        const Ops inner{bad};
        const Ops ops{put("new", "v"), {api::TxnRequest{{}, inner, {}}}};
        return driver.error(api::TxnRequest{{}, ops, {}});
    };
    EXPECT_EQ(error_of(range("a", {}, 99)), api::Errc::future_revision);
    EXPECT_EQ(error_of(range("a", {}, 2)), api::Errc::compacted);
    EXPECT_EQ(error_of(range("a", {}, -1)), api::Errc::compacted) << "in a transaction only 0 is the latest";
    EXPECT_EQ(error_of({api::PutRequest{.key = "a", .value = {}, .lease = 7}}), api::Errc::lease_not_found);
    EXPECT_EQ(error_of({api::PutRequest{.key = "none", .value = {}, .ignore_value = true}}),
              api::Errc::key_not_found);
    EXPECT_EQ(driver.store.revision(), 3);
    EXPECT_FALSE(driver.store.get("new"));
    driver.store.check_invariants();
}

TEST(Txn, what_is_wrong_on_the_branch_not_taken_does_not_matter) {
    Driver driver;
    const Ops good{put("a", "1")};
    const Ops bad{range("a", {}, 99)};
    EXPECT_EQ(driver.error(api::TxnRequest{{}, good, bad}), api::Errc::ok);
}

TEST(Txn, readers_see_all_or_nothing_between_steps) {
    Driver driver(WorkBudget{1, 1});
    driver.put("a", "old");
    driver.put("b", "old");
    const Ops ops{put("a", "new"), remove("b"), put("c", "new")};
    driver.begin(command_of(api::TxnRequest{{}, ops, {}}));
    api::RangeRequest all;
    all.key = all.range_end = endless;
    int between = 0;
    while (driver.step() == Step::more) {
        const auto answer = *driver.range(all);
        EXPECT_EQ(answer.count, 2);
        EXPECT_EQ(answer.pairs.at(0).value, "old");
        EXPECT_EQ(driver.store.key_count(), 2u);
        EXPECT_EQ(driver.store.get("c"), std::nullopt);
        between++;
    }
    EXPECT_GE(between, 5);
    EXPECT_EQ(driver.store.get("a")->value, "new");
    EXPECT_EQ(driver.store.get("b"), std::nullopt);
    EXPECT_EQ(driver.store.key_count(), 2u);
}

}  // namespace
}  // namespace ringfort::kv
