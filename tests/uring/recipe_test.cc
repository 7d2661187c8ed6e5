#include "uring/recipe.h"

#include <gtest/gtest.h>

#include "world_fixture.h"

namespace ringfort::uring {
namespace {

using env::Durability;

constexpr RecipeMeasurement usual{.dsync = 120us, .write_then_sync = 130us};

TEST(Recipe, dsync_is_used_where_it_measures_best) {
    EXPECT_EQ(Durability::dsync, RecipeChooser(usual).preferred({0}));
    EXPECT_EQ(Durability::none, RecipeChooser({.dsync = 300us, .write_then_sync = 130us}).preferred({0}));
}

TEST(Recipe, a_plateau_at_a_tick_switches_and_is_tried_again_later) {
    RecipeChooser chooser(usual);
    Instant now{1'000'000'000};
    for (std::size_t i = 0; i + 1 < RecipeChooser::window / 2; i++) {
        chooser.on_dsync_write(now, 4ms);
    }
    EXPECT_EQ(Durability::dsync, chooser.preferred(now)) << "one below the bound";
    chooser.on_dsync_write(now, 4ms);
    EXPECT_EQ(Durability::none, chooser.preferred(now));
    EXPECT_EQ(1U, chooser.trap_count());
    now = now + RecipeChooser::pause_first - 1ns;
    EXPECT_EQ(Durability::none, chooser.preferred(now));
    now = now + 1ns;
    EXPECT_EQ(Durability::dsync, chooser.preferred(now));
    for (std::size_t i = 0; i < RecipeChooser::window / 2; i++) {
        chooser.on_dsync_write(now, 4ms);
    }
    EXPECT_EQ(Durability::none, chooser.preferred(now + RecipeChooser::pause_first)) << "the pause grows";
    EXPECT_EQ(Durability::dsync, chooser.preferred(now + 2 * RecipeChooser::pause_first));
}

TEST(Recipe, single_slow_writes_do_not_switch) {
    RecipeChooser chooser(usual);
    for (int i = 0; i < 1000; i++) {
        chooser.on_dsync_write({i}, i % 4 == 0 ? 5ms : 100us);
    }
    EXPECT_EQ(Durability::dsync, chooser.preferred({1000}));
    EXPECT_EQ(0U, chooser.trap_count());
}

TEST(Recipe, a_disk_that_is_always_slow_is_not_taken_for_the_trap) {
    RecipeChooser chooser({.dsync = 9ms, .write_then_sync = 10ms});
    for (int i = 0; i < 100; i++) {
        chooser.on_dsync_write({i}, 9ms);
    }
    EXPECT_EQ(Durability::dsync, chooser.preferred({100}));
}

TEST(Recipe, a_start_inside_the_trap_begins_with_the_other_recipe) {
    RecipeChooser chooser({.dsync = 4ms, .write_then_sync = 130us});
    EXPECT_EQ(Durability::none, chooser.preferred({5}));
    EXPECT_EQ(Durability::dsync, chooser.preferred(Instant{5} + RecipeChooser::pause_first));
}

TEST(Recipe, both_recipes_are_measured_on_the_real_disk) {
    TempDirectory directory;
    const auto measured = measure_recipes(directory.fd(), directory.path());
    ASSERT_TRUE(measured) << measured.error().sentence;
    EXPECT_GT(measured->dsync, 1us);
    EXPECT_GT(measured->write_then_sync, 1us);
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
    RecordProperty("dsync_us", static_cast<int>(measured->dsync.count() / 1000));
    RecordProperty("write_then_sync_us", static_cast<int>(measured->write_then_sync.count() / 1000));
}

}  // namespace
}  // namespace ringfort::uring
