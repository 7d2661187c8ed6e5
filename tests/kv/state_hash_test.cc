// Hashes of keys and values at a revision: equal whatever the way to the state, and of nothing but that revision's.
#include "store_driver.h"

namespace ringfort::kv {
namespace {

using Hash = api::HashKvResponse;

Hash finish(StateHash& hash, WorkBudget step = {}) {
    for (WorkBudget budget = step; hash.step(budget) == Step::more; budget = step) {
    }
    return hash.result();
}
Hash hash_of(Store& store, api::Revision revision = 0, WorkBudget step = {}) {
    return finish(**store.open_hash(revision), step);
}
api::Errc error_of(Store& store, api::Revision revision) {
    const auto opened = store.open_hash(revision);
    return opened ? api::Errc::ok : opened.error();
}

void reload(Driver& driver, Store& into) {
    const auto writer = driver.store.open_checkpoint();
    const auto reader = into.load_checkpoint();
    for (bool done = false; !done;) {
        std::byte piece[300];
        WorkBudget budget;
        const auto [bytes, step] = writer->next(piece, budget);
        std::size_t consumed = 0;
        ASSERT_TRUE(reader->feed(Bytes(piece).first(bytes), budget, consumed) && consumed == bytes);
        done = step == Step::done;
    }
    ASSERT_TRUE(reader->finish());
}

void fill(Driver& driver) {
    for (int i = 0; i < 200; i++) {
        driver.put("key" + std::to_string(i % 40), "value" + std::to_string(i));
    }
    driver.remove("key1", "key2");
    driver.put("key1", "again");
}

TEST(StateHash, tells_its_revisions_and_refuses_those_compacted_or_to_come) {
    Driver driver;
    EXPECT_EQ(hash_of(driver.store), (Hash{0, 0, 1}));
    fill(driver);
    const api::Revision now = driver.store.revision();
    ASSERT_EQ(driver.compact(100), api::Errc::ok);
    const Hash last = hash_of(driver.store);
    EXPECT_EQ(last.hash_revision, now);
    EXPECT_EQ(last.compact_revision, 100);
    EXPECT_EQ(hash_of(driver.store, 100).hash_revision, 100);
    EXPECT_EQ(error_of(driver.store, 99), api::Errc::compacted);
    EXPECT_EQ(error_of(driver.store, now + 1), api::Errc::future_revision);
}

TEST(StateHash, covers_every_field_of_every_version_and_removals) {
    Driver base;
    base.put("a", "1");
    base.put("a", "2");
    const std::uint64_t hash = hash_of(base.store).hash;
    const auto of = [](auto&& fill_it) {
        Driver driver;
        fill_it(driver);
        return hash_of(driver.store, 3).hash;
    };
    EXPECT_EQ(hash, of([](Driver& d) { d.put("a", "1"), d.put("a", "2"), d.put("c", "later"); }));
    EXPECT_NE(hash, of([](Driver& d) { d.put("a", "1"), d.put("a", "3"); })) << "the value";
    EXPECT_NE(hash, of([](Driver& d) { d.put("a", "0"), d.put("a", "2"); })) << "an older value";
    EXPECT_NE(hash, of([](Driver& d) { d.put("b", "1"), d.put("b", "2"); })) << "the key";
    EXPECT_NE(hash, of([](Driver& d) { d.put("b", "1"), d.put("a", "2"); })) << "create and version";
    EXPECT_NE(hash, of([](Driver& d) { d.put("a", "1"), d.remove("a"); })) << "a removal";
}

TEST(StateHash, is_the_same_after_a_checkpoint_and_whatever_compaction_has_given_back) {
    Driver driver, untouched;
    fill(driver);
    fill(untouched);
    for (Driver* one : {&driver, &untouched}) {
        ASSERT_EQ(one->compact(150), api::Errc::ok);
    }
    driver.forget_all();
    ASSERT_TRUE(untouched.store.compaction_pending());
    Store loaded(StoreOptions{});
    reload(driver, loaded);
    for (const api::Revision at : {api::Revision{150}, api::Revision{170}, driver.store.revision()}) {
        const Hash hash = hash_of(driver.store, at);
        EXPECT_EQ(hash, hash_of(untouched.store, at)) << at;
        EXPECT_EQ(hash, hash_of(loaded, at)) << at;
    }
}

// Puts, removals and compactions meanwhile, down to the space given back: the answer is that of the moment it was opened.
TEST(StateHash, in_the_smallest_steps_is_of_what_there_was_when_it_was_opened) {
    Driver driver;
    fill(driver);
    const Hash expected = hash_of(driver.store, 180);
    auto opened = driver.store.open_hash(180);
    ASSERT_TRUE(opened);
    int steps = 0;
    for (;; steps++) {
        WorkBudget budget{1, 1};
        if ((*opened)->step(budget) == Step::done) {
            break;
        }
        EXPECT_GE(budget.keys, -2 * 64 - 64) << "a group of keys is begun at once";
        driver.put("key" + std::to_string(steps % 50), "new");
        if (steps % 7 == 0) {
            driver.remove("key" + std::to_string(steps % 40), "key9");
            ASSERT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
            driver.forget_all();
        }
    }
    EXPECT_GT(steps, 150);
    EXPECT_EQ((*opened)->result(), expected);
    EXPECT_EQ(error_of(driver.store, 180), api::Errc::compacted);
    opened->reset();
    driver.forget_all();
    driver.store.check_invariants();
}

}  // namespace
}  // namespace ringfort::kv
