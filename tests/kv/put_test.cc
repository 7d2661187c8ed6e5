#include "store_driver.h"

namespace ringfort::kv {
namespace {

TEST(Put, first_write_of_a_fresh_store_has_revision_two) {
    Driver driver;
    EXPECT_EQ(driver.store.revision(), 1);
    driver.put("a", "x");
    EXPECT_EQ(driver.store.revision(), 2);
    const auto pair = driver.store.get("a");
    ASSERT_TRUE(pair);
    EXPECT_EQ(Driver::copy(*pair), (Driver::Pair{"a", "x", 2, 2, 1, 0}));
}

TEST(Put, same_value_again_still_makes_a_revision) {
    Driver driver;
    driver.put("a", "x");
    driver.put("a", "x");
    EXPECT_EQ(driver.store.revision(), 3);
    EXPECT_EQ(Driver::copy(*driver.store.get("a")), (Driver::Pair{"a", "x", 2, 3, 2, 0}));
    EXPECT_EQ(Driver::copy(*driver.store.get("a", 2)), (Driver::Pair{"a", "x", 2, 2, 1, 0}));
}

TEST(Put, empty_value_is_not_absence) {
    Driver driver;
    driver.put("a", "");
    ASSERT_TRUE(driver.store.get("a"));
    EXPECT_EQ(driver.store.get("a")->value, "");
    EXPECT_FALSE(driver.store.get("b"));
}

TEST(Put, after_a_removal_starts_a_new_generation) {
    Driver driver;
    driver.put("a", "1");
    driver.put("a", "2");
    EXPECT_EQ(driver.remove("a").deleted, 1);
    driver.put("a", "3");
    EXPECT_EQ(Driver::copy(*driver.store.get("a")), (Driver::Pair{"a", "3", 5, 5, 1, 0}));
    EXPECT_FALSE(driver.store.get("a", 4));
    EXPECT_EQ(driver.store.get("a", 3)->value, "2");
    driver.store.check_invariants();
}

TEST(Put, prev_kv_is_the_pair_before_and_absent_for_a_creation) {
    Driver driver;
    const api::PutRequest put{.key = "a", .value = "1", .prev_kv = true};
    EXPECT_FALSE(driver.must<api::PutResponse>(put).prev_kv);
    const auto response = driver.must<api::PutResponse>(put);
    ASSERT_TRUE(response.prev_kv);
    EXPECT_EQ(Driver::copy(*response.prev_kv), (Driver::Pair{"a", "1", 2, 2, 1, 0}));
}

TEST(Put, ignore_flags_need_the_key) {
    Driver driver;
    EXPECT_EQ(driver.error(api::PutRequest{.key = "a", .value = {}, .ignore_value = true}), api::Errc::key_not_found);
    EXPECT_EQ(driver.error(api::PutRequest{.key = "a", .value = "v", .ignore_lease = true}),
              api::Errc::key_not_found);
    EXPECT_EQ(driver.store.revision(), 1);
    driver.put("a", "kept");
    EXPECT_EQ(driver.error(api::PutRequest{.key = "a", .value = {}, .ignore_value = true}), api::Errc::ok);
    EXPECT_EQ(Driver::copy(*driver.store.get("a")), (Driver::Pair{"a", "kept", 2, 3, 2, 0}));
    driver.remove("a");
    EXPECT_EQ(driver.error(api::PutRequest{.key = "a", .value = {}, .ignore_value = true}), api::Errc::key_not_found);
}

TEST(Put, lease_that_does_not_exist_is_refused_and_changes_nothing) {
    Driver driver;
    EXPECT_EQ(driver.error(api::PutRequest{.key = "a", .value = "v", .lease = 5}), api::Errc::lease_not_found);
    EXPECT_EQ(driver.store.revision(), 1);
    EXPECT_EQ(driver.store.key_count(), 0u);
}

TEST(Put, is_one_step_whatever_the_budget) {
    Driver driver(WorkBudget{1, 1});
    driver.begin(command_of(api::PutRequest{.key = "a", .value = "a value longer than the budget"}));
    EXPECT_EQ(driver.step(), Step::done);
}

TEST(Store, malformed_and_unknown_commands_are_answered_and_counted) {
    Driver driver;
    const std::uint64_t before = driver.store.hash();
    const auto outcome = driver.apply_bytes(std::vector<std::byte>(10));
    EXPECT_EQ(std::get<api::Errc>(outcome), api::Errc::malformed_request);
    auto newer = command_of(api::PutRequest{.key = "a", .value = {}});
    newer[0] = std::byte{99};
    EXPECT_EQ(std::get<api::Errc>(driver.apply_bytes(newer)), api::Errc::unsupported_request);
    EXPECT_EQ(driver.store.applied(), LogIndex(2));
    EXPECT_EQ(driver.store.revision(), 1);
    EXPECT_NE(driver.store.hash(), before);
}

}  // namespace
}  // namespace ringfort::kv
