#include "store_driver.h"

namespace ringfort::kv {
namespace {

api::RangeRequest range_of(std::string_view key, std::string_view end = {}) {
    api::RangeRequest out;
    out.key = key;
    out.range_end = end;
    return out;
}
std::string keys_of(const Driver::Answer& answer) {
    std::string out;
    for (const Driver::Pair& pair : answer.pairs) {
        out += pair.key;
    }
    return out;
}
// Revision 2: a=3, 3: b=1, 4: c=2, 5: b again with value 2.
void fill_four(Driver& driver) {
    driver.put("a", "3");
    driver.put("b", "1");
    driver.put("c", "2");
    driver.put("b", "2");
}

TEST(Range, range_end_names_a_point_an_interval_or_everything_above) {
    Driver driver(WorkBudget{1, 1});
    fill_four(driver);
    EXPECT_EQ(keys_of(*driver.range(range_of("b"))), "b");
    EXPECT_EQ(keys_of(*driver.range(range_of("a", "c"))), "ab");
    EXPECT_EQ(keys_of(*driver.range(range_of("b", endless))), "bc");
    EXPECT_EQ(keys_of(*driver.range(range_of(endless, endless))), "abc");
    EXPECT_EQ(keys_of(*driver.range(range_of("c", "a"))), "");
    EXPECT_EQ(driver.range(range_of("c", "a"))->count, 0);
}

TEST(Range, revisions_outside_compacted_and_current_are_refused_and_the_borders_are_not) {
    Driver driver;
    fill_four(driver);
    ASSERT_EQ(driver.compact(3), api::Errc::ok);
    driver.forget_all();
    api::RangeRequest range = range_of(endless, endless);
    range.revision = 2;
    EXPECT_EQ(driver.range(range).error(), api::Errc::compacted);
    range.revision = 3;
    EXPECT_EQ(keys_of(*driver.range(range)), "ab");
    range.revision = 5;
    EXPECT_EQ(keys_of(*driver.range(range)), "abc");
    range.revision = 6;
    EXPECT_EQ(driver.range(range).error(), api::Errc::future_revision);
    range.revision = -7;
    EXPECT_EQ(keys_of(*driver.range(range)), "abc") << "<= 0 is the latest";
}

TEST(Range, limit_cuts_and_more_says_so_while_count_ignores_both_limit_and_filters) {
    Driver driver(WorkBudget{1, 1});
    fill_four(driver);
    api::RangeRequest range = range_of(endless, endless);
    range.limit = 2;
    auto answer = *driver.range(range);
    EXPECT_EQ(keys_of(answer), "ab");
    EXPECT_TRUE(answer.more);
    EXPECT_EQ(answer.count, 3);
    range.limit = 3;
    EXPECT_FALSE(driver.range(range)->more);
    range.limit = 1;
    range.min_mod_revision = 5;
    answer = *driver.range(range);
    EXPECT_EQ(keys_of(answer), "b");
    EXPECT_FALSE(answer.more) << "only one passes the filter";
    EXPECT_EQ(answer.count, 3);
}

TEST(Range, filters_are_inclusive_and_off_at_zero) {
    Driver driver;
    fill_four(driver);
    api::RangeRequest range = range_of(endless, endless);
    range.min_mod_revision = 4;
    range.max_mod_revision = 4;
    EXPECT_EQ(keys_of(*driver.range(range)), "c");
    range = range_of(endless, endless);
    range.min_create_revision = 2;
    range.max_create_revision = 3;
    EXPECT_EQ(keys_of(*driver.range(range)), "ab");
}

TEST(Range, count_only_has_no_pairs_and_no_more) {
    Driver driver;
    fill_four(driver);
    api::RangeRequest range = range_of("a", endless);
    range.count_only = true;
    range.limit = 1;
    const auto answer = *driver.range(range);
    EXPECT_TRUE(answer.pairs.empty());
    EXPECT_FALSE(answer.more);
    EXPECT_EQ(answer.count, 3);
    range.revision = 3;
    EXPECT_EQ(driver.range(range)->count, 2);
}

TEST(Range, keys_only_keeps_everything_but_the_value) {
    Driver driver;
    fill_four(driver);
    api::RangeRequest range = range_of("b");
    range.keys_only = true;
    EXPECT_EQ(driver.range(range)->pairs.at(0), (Driver::Pair{"b", "", 3, 5, 2, 0}));
}

TEST(Range, ties_of_a_sort_are_in_key_order_both_ways) {
    Driver driver(WorkBudget{1, 1});
    fill_four(driver);
    api::RangeRequest range = range_of(endless, endless);
    range.sort_target = api::SortTarget::value;   // a=3 b=2 c=2
    EXPECT_EQ(keys_of(*driver.range(range)), "bca") << "no order given is ascending";
    range.sort_order = api::SortOrder::descend;
    EXPECT_EQ(keys_of(*driver.range(range)), "abc");
    range.sort_target = api::SortTarget::key;
    EXPECT_EQ(keys_of(*driver.range(range)), "cba");
}

TEST(Range, values_that_agree_in_their_first_bytes_sort_by_the_rest) {
    Driver driver;
    driver.put("a", "12345678b");
    driver.put("b", "12345678a");
    driver.put("c", std::string_view("1234567\0", 8));
    driver.put("d", "1234567");
    api::RangeRequest range = range_of(endless, endless);
    range.sort_target = api::SortTarget::value;
    EXPECT_EQ(keys_of(*driver.range(range)), "dcba");
}

TEST(Range, unknown_sorts_are_refused) {
    Driver driver;
    api::RangeRequest range = range_of("a");
    range.sort_order = static_cast<api::SortOrder>(3);
    EXPECT_EQ(driver.range(range).error(), api::Errc::invalid_sort_option);
    range.sort_order = api::SortOrder::none;
    range.sort_target = static_cast<api::SortTarget>(5);
    EXPECT_EQ(driver.range(range).error(), api::Errc::invalid_sort_option);
}

TEST(Range, an_open_read_keeps_its_revision_through_writes_removals_and_compaction) {
    Driver driver(WorkBudget{2, 1 << 20});
    for (char c = 'a'; c <= 'z'; c++) {
        driver.put(std::string(1, c), "old");
    }
    auto read = *driver.store.open_range(range_of(endless, endless));
    EXPECT_EQ(read->revision(), 27);
    std::string keys;
    Step step = Step::more;
    while (step == Step::more) {
        Arena arena;
        api::RangeResponse piece;
        WorkBudget budget{3, 1 << 20};
        step = read->step(budget, 1 << 20, arena, piece);
        for (const api::KeyValue& pair : piece.kvs) {
            keys += pair.key;
            EXPECT_EQ(pair.value, "old");
        }
        driver.remove(endless, endless);
        driver.put("bb", "new");
        ASSERT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
        driver.forget_all();
        driver.store.check_invariants();
    }
    EXPECT_EQ(keys, "abcdefghijklmnopqrstuvwxyz");
    EXPECT_FALSE(driver.store.compaction_pending()) << "what is left waits behind the pin";
    read.reset();
    EXPECT_TRUE(driver.store.compaction_pending());
    driver.forget_all();
    EXPECT_EQ(driver.store.key_count(), 1u);
}

TEST(Range, a_piece_ends_at_its_bytes_but_holds_at_least_one_pair) {
    Driver driver;
    fill_four(driver);
    auto read = *driver.store.open_range(range_of(endless, endless));
    for (int i = 0; i < 3; i++) {
        Arena arena;
        api::RangeResponse piece;
        WorkBudget budget;
        const Step step = read->step(budget, 1, arena, piece);
        ASSERT_EQ(piece.kvs.size(), 1u);
        EXPECT_EQ(step, i < 2 ? Step::more : Step::done);
    }
}

TEST(Range, a_key_with_many_newer_versions_is_read_in_steps) {
    Driver driver;
    for (int i = 0; i < 5000; i++) {
        driver.put("hot", std::to_string(i));
    }
    api::RangeRequest range = range_of("hot");
    range.revision = 2;
    auto read = *driver.store.open_range(range);
    Arena arena;
    api::RangeResponse out;
    int steps = 0;
    for (Step step = Step::more; step == Step::more; steps++) {
        WorkBudget budget{100, 1 << 20};
        step = read->step(budget, 1 << 20, arena, out);
        EXPECT_GE(budget.keys, -1);
    }
    EXPECT_GE(steps, 49);
    ASSERT_EQ(out.kvs.size(), 1u);
    EXPECT_EQ(out.kvs[0].value, "0");
}

}  // namespace
}  // namespace ringfort::kv
