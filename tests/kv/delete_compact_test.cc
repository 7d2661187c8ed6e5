#include <cstdio>

#include "store_driver.h"

namespace ringfort::kv {
namespace {

TEST(DeleteRange, gives_back_what_it_removed_in_key_order_at_one_revision) {
    Driver driver(WorkBudget{1, 1});
    driver.put("c", "3");
    driver.put("a", "1");
    driver.put("b", "2");
    const auto response = driver.remove("a", "c", true);
    EXPECT_EQ(response.deleted, 2);
    ASSERT_EQ(response.prev_kvs.size(), 2u);
    EXPECT_EQ(Driver::copy(response.prev_kvs[0]), (Driver::Pair{"a", "1", 3, 3, 1, 0}));
    EXPECT_EQ(Driver::copy(response.prev_kvs[1]), (Driver::Pair{"b", "2", 4, 4, 1, 0}));
    EXPECT_EQ(driver.store.revision(), 5);
    EXPECT_EQ(driver.store.key_count(), 1u);
}

TEST(DeleteRange, of_nothing_makes_no_revision) {
    Driver driver;
    driver.put("a", "1");
    EXPECT_EQ(driver.remove("b", endless).deleted, 0);
    EXPECT_EQ(driver.remove("b").deleted, 0);
    EXPECT_EQ(driver.remove("b", "a").deleted, 0);
    EXPECT_EQ(driver.store.revision(), 2);
}

TEST(Compact, refuses_what_is_compacted_or_to_come) {
    Driver driver;
    driver.put("a", "1");
    driver.put("a", "2");
    EXPECT_EQ(driver.compact(4), api::Errc::future_revision);
    EXPECT_EQ(driver.compact(0), api::Errc::compacted);
    EXPECT_EQ(driver.compact(-1), api::Errc::compacted);
    EXPECT_EQ(driver.compact(3), api::Errc::ok);
    EXPECT_EQ(driver.compact(3), api::Errc::compacted);
    EXPECT_EQ(driver.compact(2), api::Errc::compacted);
    EXPECT_EQ(driver.store.revision(), 3) << "compaction makes no revision";
    EXPECT_EQ(driver.store.compact_revision(), 3);
}

TEST(Compact, gives_the_space_back_in_steps_down_to_what_is_live) {
    Driver driver;
    const std::string value(200, 'v');
    std::uint64_t once = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 500; i++) {
            driver.put("key" + std::to_string(i), value);
        }
        if (round == 0) {
            once = driver.store.live_bytes();
        }
    }
    EXPECT_GT(driver.store.live_bytes(), 15 * once);
    ASSERT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
    int steps = 0;
    while (driver.store.compaction_pending()) {
        WorkBudget budget{100, 1 << 20};
        driver.store.compact_step(budget);
        EXPECT_GE(budget.keys, -overdraft_max);
        steps++;
    }
    EXPECT_GT(steps, 90);
    EXPECT_LT(driver.store.live_bytes(), once + once / 4);
    driver.store.check_invariants();
    EXPECT_EQ(driver.store.key_count(), 500u);
}

TEST(Compact, drops_removed_keys_altogether) {
    Driver driver;
    const std::uint64_t empty = driver.store.live_bytes();
    for (int i = 0; i < 300; i++) {
        driver.put("key" + std::to_string(i), "value");
    }
    driver.remove(endless, endless);
    ASSERT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
    driver.forget_all();
    driver.store.check_invariants();
    EXPECT_EQ(driver.store.live_bytes(), empty);
}

// A million keys: no step does more than its budget, everybody sees the state before until the last one.
TEST(LargeDeleteRange, of_a_million_keys_is_done_in_bounded_steps_and_all_at_once) {
    constexpr std::uint64_t keys = 1'000'000;
    Driver driver;
    char key[16];
    for (std::uint64_t i = 0; i < keys; i++) {
        std::snprintf(key, sizeof(key), "k%08u", static_cast<unsigned>(i * 7919 % keys));
        driver.put(key, "v");
    }
    ASSERT_EQ(driver.store.key_count(), keys);
    const api::Revision before = driver.store.revision();
    driver.wants_answer = false;
    driver.begin(command_of(api::DeleteRangeRequest{.key = endless, .range_end = endless}));
    int steps = 0;
    for (;; steps++) {
        WorkBudget budget;
        if (driver.store.step(budget) == Step::done) {
            break;
        }
        ASSERT_GE(budget.keys, -overdraft_max);
        ASSERT_EQ(driver.store.revision(), before);
        ASSERT_EQ(driver.store.key_count(), keys);
        ASSERT_TRUE(driver.store.get("k00000000"));
        ASSERT_TRUE(driver.store.get("k00999999"));
    }
    EXPECT_GE(steps, 900);
    EXPECT_EQ(driver.store.revision(), before + 1);
    EXPECT_EQ(driver.store.key_count(), 0u);
    EXPECT_FALSE(driver.store.get("k00000000"));
    EXPECT_TRUE(driver.store.get("k00000000", before));
    ASSERT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
    driver.forget_all();
    driver.store.check_invariants();
    EXPECT_LT(driver.store.live_bytes(), keys * 20) << "only the side index keeps its size";
    EXPECT_LE(driver.store.reserved_bytes(), driver.store.live_bytes() + (std::uint64_t{8} << 20));
}

}  // namespace
}  // namespace ringfort::kv
