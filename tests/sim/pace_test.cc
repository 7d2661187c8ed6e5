// What a shard writes besides its log leaves the log alone: on disks whose bandwidth all writes share, and whose flushes
// wait for whatever was written before.
#include "scenario.h"

namespace ringfort::sim {

namespace {

constexpr std::uint64_t drain_bytes_per_second = 20 * mib;
constexpr std::size_t value_bytes = 100'000;

RunOptions shared_disk_options() {
    RunOptions options = scenario_options();
    options.shards = 1;
    options.checkpoint_log_bytes = 24 * mib;
    options.disk.drain_bytes_per_second = drain_bytes_per_second;
    options.disk.tail_per_million = 0;
    return options;
}

RunOptions slow_reads_options() {
    RunOptions options = shared_disk_options();
    options.disk.drain_bytes_per_second = 0;
    options.disk.read_latency = 200ms;
    options.segment_bytes = 16 * mib;
    return options;
}

class SharedDisks : public Scenario {
  public:
    explicit SharedDisks(RunOptions options = shared_disk_options()) : Scenario(std::move(options)) {}

    // Beside the steady load, one large value after the other.
    testing::AssertionResult fill(std::uint64_t bytes) {
        for (std::uint64_t left = bytes / value_bytes; left > 0; left--) {
            StepRequest put{StepKind::put, "d00/fill" + std::to_string(values_), {}, {}, false, 0, 0};
            put.value = std::to_string(++values_) + std::string(value_bytes, 'x');
            const RecordedOperation* answered = nullptr;
            for (int attempt = 0; attempt < 5 && (answered == nullptr || answered->outcome != Outcome::ok); attempt++) {
                answered = simulation.ask(0, operation_of(put), 20s);   // whatever happens to the node it talks to
            }
            if (answered->outcome != Outcome::ok) {
                return testing::AssertionFailure() << simulation.problem();
            }
        }
        return testing::AssertionSuccess();
    }
    // Of that node's data range; the largest there is.
    std::uint64_t checkpoint_bytes(std::size_t index) {
        std::uint64_t bytes = 0;
        for (const std::string& name : node(index).media().names()) {
            if (name.find("checkpoint-1-") != std::string::npos) {
                bytes = std::max(bytes, node(index).media().file(name)->bytes());
            }
        }
        return bytes;
    }
    std::uint64_t log_bytes(std::size_t index) {
        std::uint64_t bytes = 0;
        for (const std::string& name : node(index).media().names()) {
            bytes += name.find("/log-") != std::string::npos ? node(index).media().file(name)->bytes() : 0;
        }
        return bytes;
    }
    bool checkpoint_begun(std::size_t index) { return checkpoint_bytes(index) > 0; }
    // Whole and durable, and no other beside it.
    bool checkpoint_done(std::size_t index, std::uint64_t bytes) {
        DiskMedia& media = node(index).media();
        std::uint64_t found = 0;
        for (const std::string& name : media.names()) {
            if (name.find("checkpoint-1-") != std::string::npos) {
                const std::uint64_t size = media.file(name)->bytes();
                found += size >= bytes && media.durable(name, 0, size) ? 1u : 2u;
            }
        }
        return found == 1;
    }

  private:
    int values_{0};
};

}  // namespace

TEST(Pace, a_checkpoint_under_load_does_not_hold_writes_up_and_ends) {
    SharedDisks s;
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.fill(22 * mib));
    ASSERT_FALSE(s.checkpoint_begun(0) || s.checkpoint_begun(1) || s.checkpoint_begun(2));
    const Instant begin = s.simulation.now();
    ASSERT_TRUE(s.fill(4 * mib));
    ASSERT_TRUE(s.run_until(30s, "no checkpoint begins", [&] {
        return s.checkpoint_begun(0) && s.checkpoint_begun(1) && s.checkpoint_begun(2);
    }));
    // More than a second's worth of what the disks can take.
    ASSERT_TRUE(s.run_until(60s, "a checkpoint does not end", [&] {
        return s.checkpoint_done(0, 23 * mib) && s.checkpoint_done(1, 23 * mib) && s.checkpoint_done(2, 23 * mib);
    }));
    EXPECT_LT(s.longest_gap(begin), 100ms);
    s.expect_good_end();
}

TEST(Pace, a_checkpoint_that_nobody_waits_for_takes_its_time_on_a_fast_disk_too) {
    RunOptions options = shared_disk_options();
    options.disk.drain_bytes_per_second = 0;
    SharedDisks s(options);
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.fill(26 * mib));
    const auto all = [&](auto holds) { return holds(0) && holds(1) && holds(2); };
    ASSERT_TRUE(s.run_until(30s, "no checkpoint begins", [&] {
        return all([&](std::size_t i) { return s.checkpoint_begun(i); });
    }));
    const Instant begin = s.simulation.now();
    ASSERT_TRUE(s.run_until(10s, "a checkpoint does not end", [&] {
        return all([&](std::size_t i) { return s.checkpoint_done(i, 23 * mib); });
    }));
    // 24 MiB at 16 a second; the first may have begun up to half a second before the last.
    EXPECT_GT(s.simulation.now() - begin, 1s);
    s.expect_good_end();
}

TEST(Pace, a_snapshot_under_load_does_not_hold_writes_up_and_is_installed) {
    SharedDisks s;
    ASSERT_TRUE(s.form());
    const std::size_t follower = s.follower();
    ASSERT_TRUE(s.kill_quietly(follower));
    ASSERT_TRUE(s.fill(50 * mib));
    const LogIndex before = s.view(s.leader()).applied;
    ASSERT_TRUE(s.run_until(60s, "no checkpoint ends", [&] { return s.checkpoint_done(s.leader(), 23 * mib); }));
    s.node(follower).wipe();
    s.node(follower).start();
    const Instant begin = s.simulation.now();
    ASSERT_TRUE(s.run_until(10s, "the follower does not start", [&] { return s.view(follower).range == data_range; }));
    ASSERT_TRUE(s.run_until(60s, "no snapshot is installed", [&] { return s.view(follower).applied >= before; }));
    EXPECT_TRUE(s.checkpoint_done(follower, 23 * mib)) << "it came as entries";
    EXPECT_LT(s.longest_gap(begin), 100ms);
    s.expect_good_end();
}

// About a hundred chunks: one read after the other would take 20 s.
TEST(Pace, a_start_does_not_wait_for_each_chunk_of_its_checkpoint) {
    SharedDisks s(slow_reads_options());
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.fill(26 * mib));
    const std::size_t follower = s.follower();
    ASSERT_TRUE(s.run_until(60s, "no checkpoint ends", [&] { return s.checkpoint_done(follower, 23 * mib); }));
    ASSERT_TRUE(s.kill_quietly(follower));
    const std::uint64_t log_bytes = s.log_bytes(follower);
    s.node(follower).start();
    const Instant begin = s.simulation.now();
    ASSERT_TRUE(s.run_until(60s, "it is still reading", [&] { return s.view(follower).range == data_range; }));
    const Duration log_takes = 200ms * (log_bytes / mib + 10);   // a MiB at a time
    EXPECT_LT(s.simulation.now() - begin, log_takes + 5s);
    s.expect_good_end();
}

// About half of 18 MiB is left: one read after the other would take more than 10 s.
TEST(Pace, a_start_does_not_wait_for_each_read_of_what_it_applies) {
    SharedDisks s(slow_reads_options());
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.fill(18 * mib));
    const std::size_t follower = s.follower();
    const LogIndex before = s.view(follower).applied;
    ASSERT_FALSE(s.checkpoint_begun(follower));
    ASSERT_TRUE(s.kill_quietly(follower));
    s.node(follower).start();
    ASSERT_TRUE(s.run_until(60s, "it is still reading", [&] { return s.view(follower).range == data_range; }));
    ASSERT_TRUE(s.run_until(60s, "nothing is applied", [&] { return s.view(follower).applied > LogIndex(10); }));
    const Instant begin = s.simulation.now();
    ASSERT_LT(s.view(follower).applied.value, before.value / 2);
    ASSERT_TRUE(s.run_until(60s, "it does not apply", [&] { return s.view(follower).applied >= before; }));
    EXPECT_LT(s.simulation.now() - begin, 5s);
    s.expect_good_end();
}

}  // namespace ringfort::sim
