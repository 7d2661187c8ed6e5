#include "sim/checkers/turn_work.h"

#include <gtest/gtest.h>

#include "base/bounds.h"

namespace ringfort::sim {

using shard::PartBudget;
using shard::TurnPart;
using shard::TurnWork;

TEST(TurnWork, each_part_has_its_budget_and_a_step_more) {
    TurnWork work;
    for (std::size_t i = 0; i < shard::turn_parts; i++) {
        PartBudget budget(work, TurnPart(i));
        budget.take(budget.keys, budget.bytes);
        EXPECT_TRUE(budget.spent());
        budget.take(300, 16 * kib);
    }
    EXPECT_EQ(check_turn_work(work, 16 * kib), "");
}

TEST(TurnWork, flags_a_part_that_goes_on_when_its_budget_is_spent) {
    for (std::size_t i = 0; i < shard::turn_parts; i++) {
        TurnWork keys;
        TurnWork bytes;
        for (int again = 0; again < 3; again++) {
            PartBudget(keys, TurnPart(i)).take(WorkBudget().keys, 0);
            PartBudget(bytes, TurnPart(i)).take(0, WorkBudget().bytes);
        }
        EXPECT_NE(check_turn_work(keys, 16 * kib), "");
        EXPECT_NE(check_turn_work(bytes, 16 * kib), "");
        EXPECT_EQ(check_turn_work(bytes, 1 * mib), "") << "a step may be a request";
    }
}

}  // namespace ringfort::sim
