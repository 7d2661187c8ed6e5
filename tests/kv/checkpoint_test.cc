// Damage and bounds of checkpoints; that they carry the state is the differential test's business.
#include "base/prng.h"
#include "kv/checkpoint_format.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

std::vector<std::byte> written(Store& store) {
    auto writer = store.open_checkpoint();
    std::vector<std::byte> out;
    for (;;) {
        std::byte piece[4096];
        WorkBudget budget;
        const auto [bytes, step] = writer->next(piece, budget);
        out.insert(out.end(), piece, piece + bytes);
        if (step == Step::done) {
            return out;
        }
    }
}

bool loads(Store& store, Bytes bytes) {
    auto reader = store.load_checkpoint();
    while (!bytes.empty()) {
        WorkBudget budget;
        std::size_t consumed = 0;
        if (!reader->feed(bytes, budget, consumed)) {
            return false;
        }
        bytes = bytes.subspan(consumed);
    }
    return reader->finish();
}
bool loads(Bytes bytes, RangeId range = {}) {
    Store store(StoreOptions{range, 0});
    return loads(store, bytes);
}

void fill_some(Driver& driver) {
    for (int i = 0; i < 40; i++) {
        driver.put("key" + std::to_string(i % 15), std::string(static_cast<std::size_t>(i) * 3, 'v'));
    }
    driver.remove("key1", "key12");
    EXPECT_EQ(driver.compact(20), api::Errc::ok);
}

TEST(Checkpoint, of_an_empty_store_loads) {
    Driver driver;
    const auto bytes = written(driver.store);
    Store store(StoreOptions{});
    ASSERT_TRUE(loads(store, bytes));
    EXPECT_EQ(store.revision(), 1);
}

TEST(Checkpoint, with_any_byte_changed_or_cut_off_or_followed_by_more_is_refused) {
    Driver driver;
    fill_some(driver);
    const auto good = written(driver.store);
    ASSERT_TRUE(loads(good));
    for (std::size_t at = 0; at < good.size(); at++) {
        auto bad = good;
        bad[at] ^= std::byte{0x40};
        ASSERT_FALSE(loads(bad)) << at;
        ASSERT_FALSE(loads(Bytes(good).first(at))) << at;
    }
    auto longer = good;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(loads(longer));
    longer.insert(longer.end(), good.begin(), good.end());
    EXPECT_FALSE(loads(longer));
}

TEST(Checkpoint, of_another_range_is_refused) {
    Driver driver(WorkBudget{}, StoreOptions{RangeId(2), 0});
    driver.put("a", "1");
    const auto bytes = written(driver.store);
    EXPECT_TRUE(loads(bytes, RangeId(2)));
    EXPECT_FALSE(loads(bytes, RangeId(3)));
}

// A whole block lost, doubled or swapped with another has a right checksum; its number gives it away.
TEST(Checkpoint, blocks_missing_doubled_or_swapped_are_refused) {
    Driver driver;
    for (int i = 0; i < 1000; i++) {
        driver.put("key" + std::to_string(i), std::string(300, 'v'));
    }
    const auto good = written(driver.store);
    std::vector<std::vector<std::byte>> blocks;
    for (std::size_t at = 0; at < good.size();) {
        const std::size_t bytes = checkpoint::block_head_bytes + load<std::uint32_t>(good.data() + at);
        blocks.emplace_back(good.begin() + static_cast<std::ptrdiff_t>(at),
                            good.begin() + static_cast<std::ptrdiff_t>(at + bytes));
        at += bytes;
    }
    ASSERT_GE(blocks.size(), 4u);
    const auto joined = [](const std::vector<std::vector<std::byte>>& parts) {
        std::vector<std::byte> out;
        for (const auto& part : parts) {
            out.insert(out.end(), part.begin(), part.end());
        }
        return out;
    };
    EXPECT_TRUE(loads(joined(blocks)));
    for (std::size_t i = 0; i < blocks.size(); i++) {
        auto changed = blocks;
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(loads(joined(changed)));
        changed = blocks;
        changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), blocks[i]);
        EXPECT_FALSE(loads(joined(changed)));
        if (i > 0) {
            changed = blocks;
            std::swap(changed[i], changed[i - 1]);
            EXPECT_FALSE(loads(joined(changed)));
        }
    }
}

TEST(Checkpoint, pieces_and_loading_steps_are_bounded_whatever_the_size_of_a_value) {
    Driver driver;
    driver.put("large", std::string(1 << 20, 'x'));
    auto writer = driver.store.open_checkpoint();
    std::vector<std::byte> bytes;
    for (Step step = Step::more; step == Step::more;) {
        std::vector<std::byte> piece(1 << 22);
        WorkBudget budget{100, 4096};
        const auto made = writer->next(piece, budget);
        EXPECT_LE(made.bytes, 2 * checkpoint::block_payload_bytes_max);
        EXPECT_GT(budget.bytes, -static_cast<std::int64_t>(checkpoint::block_payload_bytes_max));
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(made.bytes));
        step = made.step;
    }
    EXPECT_EQ(writer->applied(), driver.store.applied());
    EXPECT_EQ(writer->hash(), driver.store.hash());
    Store store(StoreOptions{});
    auto reader = store.load_checkpoint();
    int steps = 0;
    for (Bytes rest = bytes; !rest.empty(); steps++) {
        WorkBudget budget{100, 4096};
        std::size_t consumed = 0;
        ASSERT_TRUE(reader->feed(rest, budget, consumed));
        rest = rest.subspan(consumed);
    }
    EXPECT_TRUE(reader->finish());
    EXPECT_GE(steps, 16);
    EXPECT_EQ(store.get("large")->value, std::string(1 << 20, 'x'));
}

TEST(Checkpoint, commands_go_on_over_a_loaded_store_as_over_the_one_it_was_cut_from) {
    Driver driver;
    fill_some(driver);
    Store loaded(StoreOptions{});
    ASSERT_TRUE(loads(loaded, written(driver.store)));
    const auto next = command_of(api::PutRequest{.key = "key3", .value = "more"});
    const LogIndex index = loaded.applied().next();
    loaded.begin(next, checksum(next), index, nullptr);
    WorkBudget budget;
    ASSERT_EQ(loaded.step(budget), Step::done);
    driver.apply_bytes(next);
    EXPECT_EQ(loaded.hash(), driver.store.hash());
    EXPECT_EQ(written(loaded) == written(driver.store), true);
}

}  // namespace
}  // namespace ringfort::kv
