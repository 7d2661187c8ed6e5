// The interval index of watches, against looking at each of them; the table of their request ids; and what a watch at rest
// takes.
#include "shard/watch_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "kv/slab.h"
#include "shard/watch_table.h"

namespace ringfort::shard {
namespace {

struct Keys {
    std::string begin, end;
    bool no_end;
};

class WatchIndexing : public testing::Test {
  protected:
    std::uint32_t add(Keys keys) {
        const std::uint32_t slot = watchers.take();
        texts.resize(std::max<std::size_t>(texts.size(), slot + 1));
        Watcher& watcher = watchers[slot];
        watcher.point = !keys.no_end && keys.end == keys.begin + std::string(1, '\0');
        texts[slot] = watcher.point ? keys.end : keys.begin + keys.end;
        watcher.text = texts[slot].data();
        watcher.begin_bytes = static_cast<std::uint32_t>(keys.begin.size());
        watcher.end_bytes = static_cast<std::uint32_t>(texts[slot].size() - keys.begin.size());
        watcher.no_end = keys.no_end;
        index.insert(slot);
        there.push_back(slot);
        return slot;
    }
    void remove(std::size_t at) {
        index.erase(there[at]);
        watchers.give_back(there[at]);
        there.erase(there.begin() + static_cast<std::ptrdiff_t>(at));
    }
    std::vector<std::uint32_t> found(const std::string& key, std::size_t at_once) const {
        std::vector<std::uint32_t> out, groups;
        WatchIndex::After after;
        for (bool more = true; more;) {
            more = index.find(key, at_once, after, groups);
            for (const std::uint32_t group : groups) {
                for (std::uint32_t at = index.first_of(group); at != no_slot; at = watchers[at].group_next) {
                    out.push_back(at);
                }
            }
        }
        std::sort(out.begin(), out.end());
        return out;
    }
    std::vector<std::uint32_t> looked_at(const std::string& key) const {
        std::vector<std::uint32_t> out;
        for (const std::uint32_t slot : there) {
            if (watchers[slot].begin() <= key && watchers[slot].ends_behind(key)) {
                out.push_back(slot);
            }
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    Watchers watchers;
    WatchIndex index{watchers, 7};
    std::deque<std::string> texts;   // addresses stay
    std::vector<std::uint32_t> there;
};

TEST_F(WatchIndexing, finds_the_watches_of_a_key_and_no_others) {
    Prng prng(3);
    const auto key = [&] { return std::to_string(prng.below(300)); };
    for (int round = 0; round < 3000; round++) {
        if (there.size() > 200 || (!there.empty() && prng.one_in(3))) {
            remove(prng.below(there.size()));
        } else if (prng.one_in(3)) {
            const std::string point = key();
            add({point, point + std::string(1, '\0'), false});
        } else if (prng.one_in(10)) {
            add({key(), "", true});
        } else {
            std::string begin = key(), end = key();
            if (begin == end) {
                continue;
            }
            add({std::min(begin, end), std::max(begin, end), false});
        }
        const std::string wanted = key();
        ASSERT_EQ(found(wanted, prng.between(1, 5)), looked_at(wanted)) << wanted << " in round " << round;
    }
    while (!there.empty()) {
        remove(there.size() - 1);
    }
    EXPECT_EQ(index.groups(), 0u);
}

TEST_F(WatchIndexing, holds_watches_of_one_interval_in_one_group) {
    for (int i = 0; i < 1000; i++) {
        add({"app/", "app0", false});
    }
    EXPECT_EQ(index.groups(), 1u);
    EXPECT_EQ(found("app/x", 64).size(), 1000u);
    EXPECT_EQ(found("app0", 64).size(), 0u);
}

class WatchIds : public testing::Test {
  protected:
    std::uint32_t add(std::uint32_t sink, std::uint64_t request_id) {
        const std::uint32_t slot = watchers.take();
        watchers[slot].sink = sink;
        watchers[slot].request_id = request_id;
        table.insert(slot);
        return slot;
    }

    Watchers watchers;
    WatchTable table{watchers, 11};
};

TEST_F(WatchIds, are_found_while_the_table_grows_and_after_others_are_gone) {
    EXPECT_EQ(table.find(0, 1), no_slot);
    std::vector<std::uint32_t> slots;
    for (std::uint32_t i = 0; i < 3000; i++) {
        slots.push_back(add(i % 3, i / 3));
        for (std::uint32_t seen = 0; seen <= i; seen += 97) {
            ASSERT_EQ(table.find(seen % 3, seen / 3), slots[seen]) << seen << " of " << i;
        }
    }
    EXPECT_EQ(table.find(3, 1), no_slot);
    for (std::uint32_t i = 0; i < 3000; i += 2) {
        table.erase(slots[i]);
        watchers.give_back(slots[i]);
    }
    for (std::uint32_t i = 0; i < 3000; i++) {
        ASSERT_EQ(table.find(i % 3, i / 3), i % 2 == 0 ? no_slot : slots[i]);
    }
}

// Steps that a hash by multiplication, without a seed, puts into one bucket are among them.
TEST_F(WatchIds, share_buckets_evenly_whichever_clients_choose) {
    const std::uint64_t steps[] = {1, 1 << 16, std::uint64_t{1} << 44, 0x96de'1b17'3f11'9089};
    std::uint32_t sink = 0;
    for (const std::uint64_t step : steps) {
        for (std::uint64_t i = 0; i < 16 * 1024; i++) {
            add(sink, i * step);
        }
        sink++;
    }
    EXPECT_LT(table.longest(), 16u);
}

// With a key of 60 bytes: what Watches keeps of it, and four bytes each of a free list and of the table.
TEST(Watcher, at_rest_takes_less_than_200_bytes) {
    constexpr std::size_t key_bytes = 60;
    const std::size_t texts = kv::Slab::block_bytes(key_bytes + 1);
    EXPECT_LE(sizeof(Watcher) + WatchIndex::group_bytes + texts + 8, 200u);
}

}  // namespace
}  // namespace ringfort::shard
