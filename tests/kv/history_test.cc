// The changes a store keeps: which, in which order, told how; what compaction and checkpoints leave of them.
#include "base/prng.h"
#include "kv/history.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

TEST(LoadedHistory, is_merged_in_steps_that_are_shorter_the_more_runs_there_are) {
    constexpr std::size_t changes = 40'000;   // 40 runs
    Slab slab;
    std::vector<Version> versions(changes);
    KeyRecord record{};
    History history(slab);
    Prng prng(5);
    for (Version& version : versions) {
        version = {static_cast<api::Revision>(2 + prng.below(changes)), 0, static_cast<std::uint32_t>(prng.next())};
        history.load(&record, &version);
    }
    WorkBudget first{100, 4096};
    EXPECT_FALSE(history.merge(first));
    EXPECT_EQ(history.end(), 50u) << "each goes down a heap of six levels";
    for (WorkBudget budget{100, 4096}; !history.merge(budget); budget = {100, 4096}) {
    }
    ASSERT_EQ(history.end(), changes);
    for (std::uint64_t at = 1; at < changes; at++) {
        ASSERT_LE(history[at - 1].mod(), history[at].mod()) << at;
    }
    WorkBudget all{INT64_MAX, INT64_MAX};
    history.dismantle(all);
}

// "5.1 put k=v (was u)": a change for people.
std::string told(const Store::Change& change) {
    const api::Event& event = change.event;
    std::string out = std::to_string(event.kv.mod_revision) + "." + std::to_string(change.sub);
    out += event.type == api::EventType::put ? " put " : " remove ";
    out += event.kv.key;
    if (event.type == api::EventType::put) {
        out += "=" + std::string(event.kv.value);
    }
    if (event.prev_kv) {
        out += " (was " + std::string(event.prev_kv->value) + ")";
    }
    return out + (change.whole ? "" : " ...");
}

std::vector<std::string> told_from(const Store& store, api::Revision revision) {
    std::vector<std::string> out;
    for (std::uint64_t at = store.first_change(revision); at < store.changes_end(); at++) {
        auto change = store.change(at);
        if (change) {
            change->event.prev_kv = store.former_pair(at);
        }
        out.push_back(change ? told(*change) : "gone");
    }
    return out;
}
using Told = std::vector<std::string>;

std::vector<std::byte> written(Store& store) {
    auto writer = store.open_checkpoint();
    std::vector<std::byte> out(1 << 20);
    WorkBudget all{INT64_MAX, INT64_MAX};
    const auto piece = writer->next(out, all);
    out.resize(piece.bytes);
    return out;
}

void load_into(Store& store, Bytes bytes) {
    auto reader = store.load_checkpoint();
    for (std::size_t consumed = 0; !bytes.empty(); bytes = bytes.subspan(consumed)) {
        WorkBudget budget{50, 4096};
        ASSERT_TRUE(reader->feed(bytes, budget, consumed));
    }
    for (WorkBudget budget{50, 4096}; !reader->settle(budget); budget = {50, 4096}) {
        ASSERT_GE(budget.keys, -overdraft_max);
    }
    ASSERT_TRUE(reader->finish());
}

void make_some(Driver& driver) {
    driver.put("a", "1");                            // 2
    driver.put("b", "2");                            // 3
    driver.put("a", "3");                            // 4
    driver.remove("a", "c");                         // 5
    const api::RequestOp ops[] = {{api::PutRequest{.key = "c", .value = "4"}}, {api::PutRequest{.key = "a", .value = "5"}}};
    driver.must<api::TxnResponse>(api::TxnRequest{{}, ops, {}});   // 6
    driver.put("c", "6");                            // 7
}
const Told all_of_some = {"2.0 put a=1",          "3.0 put b=2",          "4.0 put a=3 (was 1)",
                          "5.0 remove a (was 3) ...", "5.1 remove b (was 2)", "6.0 put c=4 ...",
                          "6.1 put a=5",          "7.0 put c=6 (was 4)"};
Told some_from(std::size_t first) {
    return Told(all_of_some.begin() + static_cast<std::ptrdiff_t>(first), all_of_some.end());
}

TEST(Changes, are_told_in_the_order_in_which_they_were_made) {
    Driver driver;
    make_some(driver);
    EXPECT_EQ(told_from(driver.store, 0), all_of_some);
    EXPECT_EQ(told_from(driver.store, 5), some_from(3));
    EXPECT_EQ(told_from(driver.store, 7), some_from(7));
    EXPECT_EQ(told_from(driver.store, 8), Told());
    EXPECT_EQ(driver.store.changes_whole_from(), 0);
}

TEST(Changes, of_a_command_are_visible_all_at_once) {
    Driver driver(WorkBudget{1, 1});
    make_some(driver);
    driver.begin(command_of(api::DeleteRangeRequest{.key = endless, .range_end = endless}));
    ASSERT_EQ(driver.step(), Step::more);
    ASSERT_EQ(driver.step(), Step::more);
    EXPECT_EQ(told_from(driver.store, 0), all_of_some);
    while (driver.step() == Step::more) {
    }
    EXPECT_EQ(told_from(driver.store, 8), (Told{"8.0 remove a (was 5) ...", "8.1 remove c (was 6)"}));
}

TEST(Changes, at_the_compacted_revision_stay_until_the_next_compaction) {
    Driver driver;
    make_some(driver);
    ASSERT_EQ(driver.compact(6), api::Errc::ok);
    EXPECT_EQ(driver.store.changes_whole_from(), 6);
    driver.forget_all();
    EXPECT_EQ(driver.store.changes_whole_from(), 6);
    EXPECT_EQ(told_from(driver.store, 0), some_from(5));
    ASSERT_EQ(driver.compact(7), api::Errc::ok);
    driver.forget_all();
    EXPECT_EQ(told_from(driver.store, 0), Told{"7.0 put c=6"}) << "what was before is compacted";
    EXPECT_FALSE(driver.store.compaction_pending());
    driver.store.check_invariants();
}

TEST(Changes, begin_behind_the_compacted_revision_if_keys_went_with_it) {
    Driver driver;
    make_some(driver);
    ASSERT_EQ(driver.compact(5), api::Errc::ok);
    driver.forget_all();
    EXPECT_EQ(driver.store.changes_whole_from(), 6) << "b is not there any more: nobody can tell of its removal";
    EXPECT_EQ(told_from(driver.store, 6), some_from(5));
    EXPECT_EQ(told_from(driver.store, 5), some_from(5));
}

TEST(Changes, behind_a_pin_are_kept_whole_whatever_is_compacted) {
    Driver driver;
    make_some(driver);
    driver.store.pin(3);
    ASSERT_EQ(driver.compact(7), api::Errc::ok);
    driver.forget_all();
    EXPECT_EQ(told_from(driver.store, 4), some_from(2));
    driver.store.unpin(3);
    driver.forget_all();
    EXPECT_EQ(told_from(driver.store, 0), Told{"7.0 put c=6"});
}

TEST(Changes, of_a_checkpoint_are_those_behind_its_compacted_revision) {
    for (const api::Revision compacted : {0, 3, 4, 5, 6, 7}) {
        Driver driver;
        make_some(driver);
        if (compacted > 0) {
            ASSERT_EQ(driver.compact(compacted), api::Errc::ok);
        }
        Store loaded(StoreOptions{});
        load_into(loaded, written(driver.store));
        const api::Revision first = loaded.changes_whole_from();
        EXPECT_EQ(first, compacted == 0 ? 0 : compacted + 1);
        EXPECT_EQ(told_from(loaded, first), told_from(driver.store, first)) << compacted;
        EXPECT_EQ(loaded.changes_begin(), loaded.first_change(first));
    }
}

// Against the store before: the same changes, however many runs they were loaded in, and compaction goes on over them.
TEST(Changes, of_a_large_checkpoint_are_in_order_and_can_be_compacted) {
    Driver driver;
    Prng prng(5);
    for (int i = 0; i < 6000; i++) {
        driver.put("k" + std::to_string(prng.below(700)), "v" + std::to_string(i));
        if (prng.one_in(100)) {
            driver.remove("k" + std::to_string(prng.below(7)), "k" + std::to_string(prng.below(7)));
        }
    }
    ASSERT_EQ(driver.compact(500), api::Errc::ok);
    Store loaded(StoreOptions{});
    load_into(loaded, written(driver.store));
    EXPECT_GT(loaded.changes_end(), 5000u);
    EXPECT_EQ(told_from(loaded, 501) == told_from(driver.store, 501), true);

    Driver other;
    const auto bytes = command_of(api::CompactRequest{driver.store.revision() - 10, false});
    loaded.begin(bytes, checksum(bytes), loaded.applied().next(), nullptr);
    WorkBudget budget;
    ASSERT_EQ(loaded.step(budget), Step::done);
    while (loaded.compaction_pending()) {
        budget = {};
        loaded.compact_step(budget);
    }
    loaded.check_invariants();
    const api::Revision first = loaded.compact_revision() + 1;
    EXPECT_EQ(told_from(loaded, first).size(), told_from(driver.store, first).size());
    EXPECT_LE(loaded.changes_begin(), loaded.first_change(first));
}

TEST(History, finds_revisions_and_gives_its_blocks_back) {
    Slab slab;
    History history(slab);
    std::vector<Version> versions(3000);
    KeyRecord record{};
    for (std::size_t i = 0; i < versions.size(); i++) {
        versions[i] = {static_cast<api::Revision>(2 + i / 3 * 2), 0, static_cast<std::uint32_t>(i % 3)};
        history.append(&record, &versions[i]);
    }
    for (api::Revision revision = 0; revision < 2004; revision++) {
        const auto expected = static_cast<std::uint64_t>(revision <= 2 ? 0 : (revision - 1) / 2 * 3);
        ASSERT_EQ(history.first_at(revision), std::min<std::uint64_t>(expected, 3000)) << revision;
    }
    for (std::size_t i = 0; i < versions.size(); i++) {
        ASSERT_EQ(history[i].version, &versions[i]);
        history.reclaim();
        history.pop();
    }
    EXPECT_TRUE(history.empty());
    EXPECT_EQ(slab.block_bytes(), 0u);
    history.append(&record, &versions[7]);
    EXPECT_EQ(history[3000].version, &versions[7]);
}

}  // namespace
}  // namespace ringfort::kv
