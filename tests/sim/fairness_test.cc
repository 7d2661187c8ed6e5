// What one range does must not be felt by the others of its shard.
#include "scenario.h"

namespace ringfort::sim {

namespace {

constexpr int transactions = 500;
constexpr int keys_each = 100;

bool fill_first_domain(Scenario& s) {
    for (int i = 0; i < transactions; i++) {
        RecordedOperation fill;
        fill.transaction = true;
        for (int key = 0; key < keys_each; key++) {
            fill.success.push_back({StepKind::put, "d00/fill" + std::to_string(i * keys_each + key), {}, "x", false, 0, 0});
        }
        if (s.simulation.ask(0, fill, 20s)->outcome != Outcome::ok) {
            return false;
        }
    }
    return true;
}

}  // namespace

TEST(Fairness, a_large_removal_in_one_range_does_not_hold_up_writes_to_another) {
    RunOptions options = scenario_options();
    options.shards = 1;
    options.domains = 2;
    options.turn_cost = 1ms;
    options.workload.think = 3600s;   // no load but ours
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    ASSERT_TRUE(fill_first_domain(s));
    const auto put = [&](int number) {
        RecordedOperation operation =
            operation_of({StepKind::put, "d01/key", {}, std::to_string(number), false, 0, 0});
        operation.domain = 1;
        return s.simulation.ask(1, operation, 20s);
    };
    ASSERT_EQ(put(0)->outcome, Outcome::ok);
    // Some dozen turns on every node.
    const std::uint64_t number = s.cluster().clients()[0]->ask(
        operation_of({StepKind::remove, "d00/", "d00/\xff", {}, false, 0, 0}), 20s);
    const RecordedOperation& removal = s.cluster().history()[number];
    Duration longest{0};
    int puts = 0;
    while (removal.outcome == Outcome::pending) {
        const auto* written = put(++puts);
        ASSERT_EQ(written->outcome, Outcome::ok) << describe(*written);
        longest = std::max(longest, written->completed - written->invoked);
    }
    ASSERT_EQ(removal.outcome, Outcome::ok);
    EXPECT_EQ(removal.results[0].count, transactions * keys_each);
    EXPECT_GT(puts, 3);
    EXPECT_LT(longest, (removal.completed - removal.invoked) / 3);
    s.expect_good_end();
}

// The log keeps what was written last in memory, and no more: a command that takes many turns is not among it at their end.
TEST(Fairness, a_large_removal_knows_its_end_when_the_logs_memory_has_gone_on_to_other_writes) {
    RunOptions options = scenario_options();
    options.shards = 1;
    options.domains = 2;
    options.turn_cost = 1ms;
    options.request_bytes = 128 * kib;
    options.log_window_bytes = 4 * mib;
    options.workload.think = 3600s;   // no load but ours
    Scenario s(options);
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    ASSERT_TRUE(fill_first_domain(s));
    ASSERT_EQ(s.simulation.ask(0, operation_of({StepKind::put, "d00/zebra", {}, "stays", false, 0, 0}), 20s)->outcome,
              Outcome::ok);
    const std::uint64_t number = s.cluster().clients()[0]->ask(
        operation_of({StepKind::remove, "d00/", "d00/zebra", {}, false, 0, 0}), 20s);
    std::size_t bytes = 0;
    const std::string value(100 * kib, '\xff');
    while (s.cluster().history()[number].outcome == Outcome::pending) {
        RecordedOperation put = operation_of({StepKind::put, "d01/key", {}, value, false, 0, 0});
        put.domain = 1;
        for (int i = 0; i < 16; i++) {
            s.cluster().clients()[1]->ask(put, 20s);
            bytes += value.size();
        }
        s.simulation.run_for(5ms);
    }
    EXPECT_GT(bytes, 2 * options.log_window_bytes);
    const RecordedOperation& removal = s.cluster().history()[number];
    ASSERT_EQ(removal.outcome, Outcome::ok);
    EXPECT_EQ(removal.results[0].count, transactions * keys_each);
    s.expect_good_end();
}

}  // namespace ringfort::sim
