// The store's own structures, each against the plain one of the library.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "kv/hash_index.h"
#include "kv/key_tree.h"
#include "kv/slab.h"

namespace ringfort::kv {
namespace {

TEST(Slab, blocks_do_not_overlap_and_every_byte_is_counted) {
    Slab slab;
    Prng prng(1);
    struct Block {
        unsigned char* at;
        std::size_t bytes;
        unsigned char mark;
    };
    std::vector<Block> blocks;
    std::uint64_t counted = 0;
    for (int i = 0; i < 40000; i++) {
        if (blocks.empty() || prng.below(5) < 3) {
            const std::size_t bytes = prng.one_in(50) ? prng.between(1, 20000) : prng.between(1, 700);
            auto* at = static_cast<unsigned char*>(slab.allocate(bytes));
            ASSERT_EQ(reinterpret_cast<std::uintptr_t>(at) % 8, 0u);
            const auto mark = static_cast<unsigned char>(prng.next());
            std::memset(at, mark, bytes);
            blocks.push_back({at, bytes, mark});
            counted += Slab::block_bytes(bytes);
        } else {
            std::swap(blocks[prng.below(blocks.size())], blocks.back());
            const Block block = blocks.back();
            blocks.pop_back();
            for (std::size_t b = 0; b < block.bytes; b++) {
                ASSERT_EQ(block.at[b], block.mark);
            }
            slab.release(block.at, block.bytes);
            counted -= Slab::block_bytes(block.bytes);
        }
        ASSERT_EQ(slab.block_bytes(), counted);
        ASSERT_GE(slab.reserved_bytes(), counted);
    }
    for (const Block& block : blocks) {
        slab.release(block.at, block.bytes);
    }
    EXPECT_EQ(slab.block_bytes(), 0u);
}

TEST(Slab, gives_regions_back_when_their_blocks_are_gone) {
    Slab slab;
    std::vector<void*> blocks;
    for (int i = 0; i < 200000; i++) {
        blocks.push_back(slab.allocate(300));
    }
    const std::uint64_t peak = slab.reserved_bytes();
    EXPECT_GT(peak, 60'000'000u);
    EXPECT_LT(static_cast<double>(peak), 1.03 * static_cast<double>(slab.block_bytes()) + 2e6);
    for (void* block : blocks) {
        slab.release(block, 300);
    }
    EXPECT_LE(slab.reserved_bytes(), 2 * Slab::region_pages * Slab::page_bytes);
}

std::vector<std::pair<void*, std::size_t>> populated;

TEST(Slab, asks_for_the_memory_of_each_page_before_it_cuts_blocks_from_it) {
    populated.clear();
    Slab slab([](void* memory, std::size_t bytes) { populated.emplace_back(memory, bytes); });
    for (std::size_t bytes = 0; bytes < 3 * Slab::page_bytes; bytes += 1024) {
        auto* const block = static_cast<std::byte*>(slab.allocate(1024));
        ASSERT_FALSE(populated.empty());
        auto* const page = static_cast<std::byte*>(populated.back().first);
        EXPECT_TRUE(block >= page && block + 1024 <= page + Slab::page_bytes);
        EXPECT_EQ(populated.back().second, Slab::page_bytes);
    }
    EXPECT_EQ(populated.size(), 4u);   // the head of a page takes room, too
}

TEST(Slab, sizes_at_the_borders_of_the_classes) {
    EXPECT_EQ(Slab::block_bytes(1), 8u);
    EXPECT_EQ(Slab::block_bytes(8), 8u);
    EXPECT_EQ(Slab::block_bytes(9), 16u);
    EXPECT_EQ(Slab::block_bytes(512), 512u);
    EXPECT_EQ(Slab::block_bytes(513), 576u);
    EXPECT_EQ(Slab::block_bytes(4096), 4096u);
    EXPECT_EQ(Slab::block_bytes(4097), 4097u + 16u);
}

class Records {
  public:
    KeyRecord* make(std::string_view key, std::uint64_t hash) {
        auto* record = static_cast<KeyRecord*>(slab.allocate(KeyRecord::bytes(key.size())));
        record->latest = nullptr;
        record->key_bytes = static_cast<std::uint32_t>(key.size());
        record->hash = static_cast<std::uint32_t>(hash >> 32);
        std::memcpy(record + 1, key.data(), key.size());
        return record;
    }
    Slab slab;
};

TEST(HashIndex, does_what_a_map_does) {
    Records records;
    HashIndex index(7);
    Prng prng(2);
    std::map<std::string, KeyRecord*> expected;
    for (int i = 0; i < 60000; i++) {
        const std::string key = "key" + std::to_string(prng.below(20000));
        const std::uint64_t hash = index.hash(key);
        const auto found = expected.find(key);
        ASSERT_EQ(index.find(key, hash).record, found == expected.end() ? nullptr : found->second);
        if (found == expected.end()) {
            KeyRecord* record = records.make(key, hash);
            ASSERT_TRUE(index.insert(record, hash));
            expected[key] = record;
        } else if (prng.one_in(3)) {
            ASSERT_TRUE(index.erase(found->second, hash));
            expected.erase(found);
        }
        ASSERT_EQ(index.size(), expected.size());
    }
    std::size_t likely = 0;
    for (const auto& [key, record] : expected) {
        const std::uint64_t hash = index.hash(key);
        ASSERT_EQ(index.find(key, hash).record, record);
        index.prefetch(hash);
        likely += index.likely(hash) == record ? 1U : 0U;
    }
    EXPECT_GT(likely, expected.size() / 2);   // the others were pushed aside by their neighbours
}

TEST(HashIndex, keys_of_one_hash_overflow_to_the_tree_without_growing_the_directory) {
    Records records;
    HashIndex index(7);
    constexpr std::uint64_t hash = 0x1234'5678'9abc'def0;
    std::vector<KeyRecord*> in;
    std::vector<std::string> declined;
    for (int i = 0; i < 3000; i++) {
        const std::string key = "key" + std::to_string(i);
        KeyRecord* record = records.make(key, hash);
        if (index.insert(record, hash)) {
            in.push_back(record);
        } else {
            declined.push_back(key);
        }
    }
    EXPECT_EQ(in.size(), 896u) << "seven eighths of a segment";
    EXPECT_LT(index.memory_bytes(), 1'000'000u);
    for (KeyRecord* record : in) {
        EXPECT_EQ(index.find(record->key(), hash).record, record);
    }
    for (const std::string& key : declined) {
        EXPECT_TRUE(index.find(key, hash).ask_tree);
        EXPECT_EQ(index.find(key, hash).record, nullptr);
    }
    for (KeyRecord* record : in) {
        EXPECT_TRUE(index.erase(record, hash));
    }
    EXPECT_EQ(index.size(), 0u);
    KeyRecord* late = records.make("late", hash);
    EXPECT_TRUE(index.insert(late, hash));
    EXPECT_EQ(index.find("late", hash).record, late);
}

class TreeRun {
  public:
    explicit TreeRun(std::uint64_t seed) : prng(seed) {}

    std::string random_key() {
        // Long shared prefixes, zero bytes, keys that are prefixes of each other, lengths around the head's eight bytes.
        static constexpr std::string_view stems[] = {"", "a", "registry/pods/", "registry/pods/namespace/", "zz"};
        std::string out(stems[prng.below(std::size(stems))]);
        for (std::uint64_t i = prng.below(12); i > 0; i--) {
            out.push_back("\0\1ab\xff"[prng.below(5)]);
        }
        return out.empty() ? "x" : out;
    }
    void check_queries() {
        const std::string a = random_key();
        const std::string b = random_key();
        const auto at = expected.lower_bound(a);
        const auto cursor = tree.lower_bound(a);
        ASSERT_EQ(cursor.at_end(), at == expected.end());
        if (at != expected.end()) {
            ASSERT_EQ(cursor.record(), at->second.first);
            ASSERT_EQ(cursor.live(), at->second.second);
        }
        const auto before = tree.last_before(a);
        ASSERT_EQ(before.at_end(), at == expected.begin());
        if (at != expected.begin()) {
            ASSERT_EQ(before.record(), std::prev(at)->second.first);
        }
        KeyTree::Counts counts;
        for (auto it = at; it != expected.end() && it->first < b; ++it) {
            counts.records++;
            counts.live += it->second.second ? 1u : 0u;
        }
        const KeyTree::Counts found = tree.count(a, b);
        ASSERT_EQ(found.records, counts.records);
        ASSERT_EQ(found.live, counts.live);
    }
    void check_walks() {
        auto forward = tree.lower_bound({});
        for (const auto& [key, entry] : expected) {
            ASSERT_EQ(forward.record(), entry.first);
            forward.next();
        }
        ASSERT_TRUE(forward.at_end());
        auto backward = tree.last_before(std::nullopt);
        for (auto it = expected.rbegin(); it != expected.rend(); ++it) {
            ASSERT_EQ(backward.record(), it->second.first);
            backward.prev();
        }
        ASSERT_TRUE(backward.at_end());
    }

    Prng prng;
    Records records;
    KeyTree tree{records.slab};
    std::map<std::string, std::pair<KeyRecord*, bool>> expected;
};

TEST(KeyTree, does_what_a_map_does_and_counts) {
    for (std::uint64_t seed = 1; seed <= 4; seed++) {
        TreeRun run(seed);
        // Grows, shrinks to nothing, grows again: splits, merges, roots coming and going.
        for (int phase = 0; phase < 4; phase++) {
            const bool growing = phase % 2 == 0;
            for (int i = 0; i < 12000; i++) {
                const std::string key = run.random_key();
                const auto found = run.expected.find(key);
                if (found == run.expected.end()) {
                    if (growing || run.prng.one_in(8)) {
                        KeyRecord* record = run.records.make(key, 0);
                        const bool live = !run.prng.one_in(4);
                        run.tree.insert(record, live);
                        run.expected[key] = {record, live};
                    }
                } else if (run.prng.one_in(3)) {
                    found->second.second = !found->second.second;
                    run.tree.set_live(found->second.first, found->second.second);
                } else if (!growing || run.prng.one_in(10)) {
                    run.tree.erase(found->second.first);
                    run.expected.erase(found);
                }
                if (i % 400 == 0) {
                    run.tree.check_invariants();
                    run.check_queries();
                    if (::testing::Test::HasFatalFailure()) {
                        return;
                    }
                }
            }
            run.check_walks();
            while (!growing && !run.expected.empty()) {
                auto it = run.expected.lower_bound(run.random_key());
                it = it == run.expected.end() ? run.expected.begin() : it;
                run.tree.erase(it->second.first);
                run.expected.erase(it);
            }
            run.tree.check_invariants();
        }
    }
}

TEST(KeyTree, ascending_keys_fill_their_leaves) {
    Records records;
    KeyTree tree(records.slab);
    const std::uint64_t before = records.slab.block_bytes();
    char key[16];
    std::uint64_t record_bytes = 0;
    for (unsigned i = 0; i < 100000; i++) {
        std::snprintf(key, sizeof(key), "k%08u", i);
        tree.insert(records.make(key, 0), true);
        record_bytes += Slab::block_bytes(KeyRecord::bytes(9));
    }
    tree.check_invariants();
    const std::uint64_t tree_bytes = records.slab.block_bytes() - before - record_bytes;
    EXPECT_LT(tree_bytes, 100000u * 19) << "sixteen bytes a key and little more";
}

}  // namespace
}  // namespace ringfort::kv
