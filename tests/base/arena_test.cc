#include "base/arena.h"

#include <gtest/gtest.h>

namespace ringfort {

TEST(Arena, copies_survive_growth_and_alignment_is_kept) {
    Arena arena(128);
    const auto first = arena.copy("first");
    for (int i = 0; i < 100; i++) {
        auto* number = arena.make<std::uint64_t>();
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(number) % alignof(std::uint64_t), 0u);
        (void)arena.copy("x");
    }
    const auto large = arena.make_array<char>(10'000);
    EXPECT_EQ(large.size(), 10'000u);
    EXPECT_EQ(first, "first");
    EXPECT_GE(arena.used_bytes(), 10'000u + 100 * sizeof(std::uint64_t));
    arena.reset();
    EXPECT_EQ(arena.used_bytes(), 0u);
}

TEST(Arena, empty_requests_take_nothing) {
    Arena arena;
    EXPECT_TRUE(arena.make_array<int>(0).empty());
    EXPECT_TRUE(arena.copy("").empty());
    EXPECT_EQ(arena.used_bytes(), 0u);
}

}  // namespace ringfort
