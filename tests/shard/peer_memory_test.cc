#include "shard/peer_memory.h"

#include <gtest/gtest.h>

namespace ringfort::shard {
namespace {

PeerMemory some_memory() {
    return {{{NodeId(1), InstanceId(17), Incarnation(1)}, {NodeId(2), InstanceId(), Incarnation()}}, Incarnation(3), true};
}

TEST(PeerMemory, what_is_written_is_read_again) {
    for (const PeerMemory& memory : {PeerMemory{}, some_memory()}) {
        const auto again = decode_peer_memory(encode_peer_memory(memory));
        ASSERT_TRUE(again);
        EXPECT_EQ(*again, memory);
    }
}

TEST(PeerMemory, a_changed_missing_or_added_byte_anywhere_is_noticed) {
    const std::string good = encode_peer_memory(some_memory());
    for (std::size_t at = 0; at < good.size(); at++) {
        for (const int bit : {0, 1, 4, 7}) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
            EXPECT_FALSE(decode_peer_memory(bad)) << at;
        }
        EXPECT_FALSE(decode_peer_memory(good.substr(0, at))) << at;
    }
    EXPECT_FALSE(decode_peer_memory(good + "\n"));
}

}  // namespace
}  // namespace ringfort::shard
