// No step does more than its budget says, whatever the store holds. In units of work, not in time.
#include "base/prng.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

constexpr unsigned keys = 60'000;
constexpr std::uint64_t region_bytes = Slab::region_pages * Slab::page_bytes;

std::string key(std::uint64_t number) {
    char out[33];
    std::snprintf(out, sizeof(out), "/registry/pods/ns%04u/%010u", static_cast<unsigned>(number % 1000),
                  static_cast<unsigned>(number));
    return std::string(out, 32);
}

// In random order, so that the pages of the store become free all at the same time when everything is removed.
void fill_at_random(Driver& driver) {
    driver.wants_answer = false;
    std::vector<unsigned> order(keys);
    for (unsigned i = 0; i < keys; i++) {
        order[i] = i;
    }
    Prng prng(5);
    for (unsigned i = keys; i > 1; i--) {
        std::swap(order[i - 1], order[prng.below(i)]);
    }
    const std::string value(256, 'v');
    for (const unsigned number : order) {
        driver.put(key(number), value);
    }
}

std::vector<std::byte> checkpoint_of(Store& store) {
    const auto writer = store.open_checkpoint();
    std::vector<std::byte> out;
    std::vector<std::byte> piece(64 * kib);
    for (;;) {
        WorkBudget budget;
        const auto [bytes, step] = writer->next(piece, budget);
        EXPECT_GE(budget.keys, -overdraft_max);
        out.insert(out.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(bytes));
        if (step == Step::done) {
            return out;
        }
    }
}

TEST(Steps, of_loading_a_checkpoint_count_splits_of_the_index_and_regions_of_memory) {
    Driver driver;
    fill_at_random(driver);
    const std::vector<std::byte> stream = checkpoint_of(driver.store);
    Store loaded{StoreOptions{}};
    const auto reader = loaded.load_checkpoint();
    int steps = 0;
    for (Bytes rest = stream; !rest.empty(); steps++) {
        WorkBudget budget;
        std::size_t consumed = 0;
        const std::uint64_t before = loaded.reserved_bytes();
        ASSERT_TRUE(reader->feed(rest, budget, consumed));
        rest = rest.subspan(consumed);
        ASSERT_GE(budget.keys, -overdraft_max);
        // A region and the segments of the index that one budget buys.
        ASSERT_LE(loaded.reserved_bytes() - before, region_bytes + 20 * 16 * kib);
    }
    ASSERT_TRUE(reader->finish());
    // Two items a key at no less than two keys each.
    EXPECT_GE(steps, static_cast<int>(keys * 4 / 2000));
    EXPECT_EQ(loaded.hash(), driver.store.hash());
}

TEST(Steps, of_dismantling_a_store_give_back_a_few_regions_at_a_time) {
    Driver driver;
    fill_at_random(driver);
    const std::vector<std::byte> stream = checkpoint_of(driver.store);
    Store loaded{StoreOptions{}};
    std::size_t consumed = 0;
    WorkBudget all{INT64_MAX, INT64_MAX};
    ASSERT_TRUE(loaded.load_checkpoint()->feed(stream, all, consumed));
    for (Store* store : {&driver.store, &loaded}) {
        const std::uint64_t full = store->reserved_bytes();
        ASSERT_GT(full, 15 * region_bytes);
        int steps = 0;
        for (bool done = false; !done; steps++) {
            WorkBudget budget;
            const std::uint64_t before = store->reserved_bytes();
            done = store->dismantle(budget);
            EXPECT_GE(budget.keys, -Slab::region_keys);
            EXPECT_TRUE(done || budget.spent());
            EXPECT_LE(before - store->reserved_bytes(), 6 * region_bytes);
        }
        EXPECT_GE(steps, 3);
        EXPECT_EQ(store->reserved_bytes(), 0u);
    }
}

TEST(Steps, of_removing_and_compacting_everything_give_back_a_few_regions_at_a_time) {
    Driver driver;
    fill_at_random(driver);
    driver.begin(command_of(api::DeleteRangeRequest{endless, endless, false}));
    int steps = 0;
    for (bool more = true; more; steps++) {
        WorkBudget budget;
        more = driver.store.step(budget) == Step::more;
        ASSERT_GE(budget.keys, -overdraft_max);
    }
    EXPECT_GE(steps, static_cast<int>(keys * 2 / 2000));
    EXPECT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
    const std::uint64_t full = driver.store.reserved_bytes();
    const std::uint64_t regions_max = 2000 / Slab::region_keys + 1;
    while (driver.store.compaction_pending()) {
        WorkBudget budget;
        const std::uint64_t before = driver.store.reserved_bytes();
        driver.store.compact_step(budget);
        ASSERT_GE(budget.keys, -overdraft_max);
        ASSERT_LE(before - driver.store.reserved_bytes(), regions_max * region_bytes);
    }
    EXPECT_LT(driver.store.reserved_bytes(), full / 4) << "so that the bound was put to the test";
    EXPECT_EQ(driver.store.key_count(), 0u);
}

// Twice the budget of a step, so that each of them makes a step of its own.
constexpr std::size_t large_bytes = 1 * mib;
constexpr int large_keys = 32;

std::string large_key(int number) {
    return "large" + std::to_string(100 + number);
}
void put_large_values(Driver& driver) {
    std::string value(large_bytes, 'v');
    for (int i = 0; i < large_keys; i++) {
        value.back() = static_cast<char>('a' + i * 7 % large_keys);   // so that the whole value has to be looked at
        driver.put(large_key(i), value);
    }
}

TEST(Steps, of_a_transaction_that_keeps_values_write_no_more_of_them_than_of_given_ones) {
    Driver driver;
    put_large_values(driver);
    std::vector<std::string> names;
    std::vector<api::RequestOp> ops;
    for (int i = 0; i < large_keys; i++) {
        names.push_back(large_key(i));
    }
    for (const std::string& name : names) {
        ops.push_back({api::PutRequest{.key = name, .value = {}, .ignore_value = true}});
    }
    driver.begin(command_of(api::TxnRequest{{}, ops, {}}));
    int steps = 0;
    for (bool more = true; more; steps++) {
        WorkBudget budget;
        const std::uint64_t before = driver.store.live_bytes();
        more = driver.store.step(budget) == Step::more;
        ASSERT_LE(driver.store.live_bytes() - before, 2 * large_bytes);
    }
    EXPECT_GE(steps, large_keys);
    EXPECT_EQ(driver.store.get(large_key(3))->value.size(), large_bytes);
    EXPECT_EQ(driver.store.get(large_key(3))->version, 2);
}

TEST(Steps, of_a_put_that_keeps_its_value_are_charged_for_it) {
    Driver driver;
    put_large_values(driver);
    const std::string name = large_key(0);
    driver.begin(command_of(api::PutRequest{.key = name, .value = {}, .ignore_value = true}));
    WorkBudget budget;
    const std::int64_t before = budget.bytes;
    EXPECT_EQ(driver.store.step(budget), Step::done);
    EXPECT_EQ(before - budget.bytes, static_cast<std::int64_t>(name.size() + large_bytes));
}

TEST(Steps, of_a_transaction_that_compares_values_are_bounded_by_the_bytes_it_compares) {
    Driver driver;
    put_large_values(driver);
    // Differs from every value in its last byte.
    std::string wanted(large_bytes, 'v');
    wanted.back() = '\0';
    const api::Compare all_greater{.result = api::CompareResult::greater, .target = api::CompareTarget::value,
                                   .key = "large", .range_end = "largf", .value = wanted};
    driver.begin(command_of(api::TxnRequest{{&all_greater, 1}, {}, {}}));
    int steps = 0;
    for (bool more = true; more; steps++) {
        WorkBudget budget;
        more = driver.store.step(budget) == Step::more;
        ASSERT_GE(budget.bytes, -static_cast<std::int64_t>(large_bytes)) << "one comparison beyond the budget";
    }
    EXPECT_GE(steps, large_keys);
    EXPECT_TRUE(std::get<api::TxnResponse>(std::get<api::Result>(driver.store.outcome())).succeeded);
    // One that differs early costs next to nothing, however long it is.
    wanted.front() = 'a';
    driver.begin(command_of(api::TxnRequest{{&all_greater, 1}, {}, {}}));
    WorkBudget budget;
    EXPECT_EQ(driver.store.step(budget), Step::done);
}

TEST(Steps, of_a_range_sorted_by_value_are_bounded_by_the_bytes_it_compares) {
    Driver driver;
    put_large_values(driver);
    const api::RangeRequest request{.key = "large", .range_end = "largf", .sort_order = api::SortOrder::ascend,
                                    .sort_target = api::SortTarget::value, .keys_only = true};
    const auto read = driver.store.open_range(request);
    ASSERT_TRUE(read);
    std::vector<std::string> order;
    int steps = 0;
    for (bool more = true; more; steps++) {
        WorkBudget budget;
        Arena arena;
        api::RangeResponse piece;
        more = (*read)->step(budget, 1 * mib, arena, piece) == Step::more;
        ASSERT_GE(budget.bytes, -static_cast<std::int64_t>(large_bytes)) << "one comparison beyond the budget";
        for (const api::KeyValue& pair : piece.kvs) {
            order.emplace_back(pair.key);
        }
    }
    EXPECT_GE(steps, large_keys);
    ASSERT_EQ(order.size(), static_cast<std::size_t>(large_keys));
    for (int i = 0; i < large_keys; i++) {
        EXPECT_EQ(order[static_cast<std::size_t>(i * 7 % large_keys)], large_key(i));
    }
}

TEST(Steps, of_a_walk_over_long_keys_are_bounded_by_the_bytes_of_the_keys) {
    Driver driver;
    const std::string stem(100 * kib, 'k');
    for (int i = 0; i < large_keys; i++) {
        driver.put(stem + std::to_string(100 + i), "v");
    }
    driver.remove(stem, endless);
    driver.begin(command_of(api::DeleteRangeRequest{stem, endless, false}));
    int steps = 0;
    for (bool more = true; more; steps++) {
        WorkBudget budget;
        more = driver.store.step(budget) == Step::more;
    }
    EXPECT_GE(steps, large_keys / 8) << "removed already: every key is looked at, none is changed";
}

}  // namespace
}  // namespace ringfort::kv
