// Bounds of memory: what a key costs, what a put allocates, what a sort may collect.
#include <cstdlib>
#include <new>

#include "store_driver.h"

namespace {

std::uint64_t allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
    allocations++;
    void* out = std::malloc(bytes);
    if (out == nullptr) {
        std::abort();
    }
    return out;
}
void operator delete(void* block) noexcept {
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}

namespace ringfort::kv {
namespace {

std::string key32(unsigned number) {
    char key[33];
    std::snprintf(key, sizeof(key), "/registry/pods/ns%04u/%010u", number * 7919 % 1000, number);
    return std::string(key, 32);
}

TEST(Memory, of_a_key_of_32_bytes_with_256_of_value_stays_below_1_3_of_the_raw_bytes) {
    Driver driver;
    constexpr unsigned keys = 200'000;
    const std::string value(256, 'v');
    for (unsigned i = 0; i < keys; i++) {
        driver.put(key32(static_cast<unsigned>(std::uint64_t{i} * 7919 % keys)), value);
    }
    constexpr double raw = keys * 288.0;
    EXPECT_LT(static_cast<double>(driver.store.live_bytes()), 1.3 * raw);
    EXPECT_LT(static_cast<double>(driver.store.reserved_bytes()), 1.32 * raw);
}

TEST(Memory, a_put_takes_nothing_from_the_heap_but_the_stores_own_regions) {
    Driver driver;
    const std::string value(256, 'v');
    for (unsigned i = 0; i < 1000; i++) {
        driver.put(key32(i), value);
    }
    std::vector<std::vector<std::byte>> commands;
    for (unsigned i = 0; i < 1000; i++) {
        commands.push_back(command_of(api::PutRequest{.key = std::string_view(key32(i)), .value = value}));
    }
    std::uint64_t index = driver.store.applied().value;
    const std::uint64_t reserved = driver.store.reserved_bytes();
    const std::uint64_t before = allocations;
    for (const auto& command : commands) {
        driver.store.begin(command, 1, LogIndex(++index), nullptr);
        WorkBudget budget;
        ASSERT_EQ(driver.store.step(budget), Step::done);
    }
    EXPECT_LE(allocations - before, (driver.store.reserved_bytes() - reserved) >> 20);
    EXPECT_EQ(driver.store.get(key32(7))->version, 2);
}

TEST(LargeMemory, a_sort_of_more_keys_than_the_bound_is_refused_unless_a_limit_bounds_it) {
    Driver driver;
    driver.wants_answer = false;
    char key[16];
    for (std::uint64_t i = 0; i <= sorted_range_keys_max; i++) {
        std::snprintf(key, sizeof(key), "k%08u", static_cast<unsigned>(i));
        driver.put(key, "v");
    }
    api::RangeRequest range;
    range.key = range.range_end = endless;
    range.sort_target = api::SortTarget::mod;
    EXPECT_EQ(driver.store.open_range(range).error().code, api::Errc::too_many_requests);
    EXPECT_NE(driver.store.open_range(range).error().detail.find("more than 1048576 keys to sort"), std::string_view::npos);
    range.limit = static_cast<std::int64_t>(sorted_range_keys_max) + 1;
    EXPECT_EQ(driver.store.open_range(range).error().code, api::Errc::too_many_requests);
    range.limit = static_cast<std::int64_t>(sorted_range_keys_max);
    EXPECT_TRUE(driver.store.open_range(range).has_value());
    range.limit = 0;
    range.count_only = true;
    EXPECT_EQ(driver.range(range)->count, static_cast<std::int64_t>(sorted_range_keys_max) + 1);
    range.count_only = false;
    range.key = "k00000001";
    EXPECT_TRUE(driver.store.open_range(range).has_value()) << "exactly the bound";
    range.key = endless;
    range.limit = 3;
    range.sort_order = api::SortOrder::descend;
    const auto answer = *driver.range(range);
    ASSERT_EQ(answer.pairs.size(), 3u);
    EXPECT_EQ(answer.pairs[0].key, "k01048576");
    EXPECT_TRUE(answer.more);
}

}  // namespace
}  // namespace ringfort::kv
