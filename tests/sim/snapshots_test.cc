// Snapshots on bad days: a follower whose log was left behind gets the leader's checkpoint, whatever else goes wrong.
// No load but what the tests write, so that no newer checkpoint comes to the rescue.
#include "scenario.h"

namespace ringfort::sim {

namespace {

RunOptions quiet_options() {
    RunOptions options = scenario_options();
    options.shards = 1;
    options.checkpoint_log_bytes = 64 * kib;
    options.workload.think = 3600s;
    return options;
}

class QuietScenario : public Scenario {
  public:
    explicit QuietScenario(const RunOptions& options = quiet_options()) : Scenario(options) {}

    // Overwrites so many keys, and compacts what they were, again and again.
    testing::AssertionResult write(int keys, std::size_t value_bytes, int rounds) {
        for (int round = 0; round < rounds; round++) {
            api::Revision revision{0};
            for (int key = 0; key < keys; key++) {
                StepRequest put{StepKind::put, "d00/fill" + std::to_string(key), {}, {}, false, 0, 0};
                put.value = std::to_string(++values_) + std::string(value_bytes, 'x');
                const auto* answered = ask(put);
                if (answered->outcome != Outcome::ok) {
                    return testing::AssertionFailure() << describe(*answered);
                }
                revision = answered->header.revision;
            }
            const auto* answered = ask({StepKind::compact, {}, {}, {}, false, 0, revision});
            if (answered->outcome != Outcome::ok || !simulation.run_for(200ms)) {
                return testing::AssertionFailure() << describe(*answered) << simulation.problem();
            }
        }
        return testing::AssertionSuccess();
    }
    // Whatever the node does that the client happens to talk to.
    const RecordedOperation* ask(const StepRequest& step) {
        const RecordedOperation* answered = nullptr;
        for (int attempt = 0; attempt < 5 && (answered == nullptr || answered->outcome != Outcome::ok); attempt++) {
            answered = simulation.ask(0, operation_of(step), 20s);
        }
        return answered;
    }
    // A follower starts whose log was left behind by more than a checkpoint; its index.
    testing::AssertionResult leave_behind(std::size_t& out) {
        if (!simulation.form()) {
            return testing::AssertionFailure() << simulation.problem();
        }
        if (testing::AssertionResult wrote = write(1, 100, 1); !wrote) {
            return wrote;
        }
        out = follower();
        if (!kill_quietly(out)) {
            return testing::AssertionFailure() << simulation.problem();
        }
        testing::AssertionResult wrote = write(18, 100'000, 5);
        node(out).start();
        return wrote;
    }
    bool caught_up(std::size_t index) { return view(index).applied == view(leader()).applied; }

  private:
    int values_{0};
};

}  // namespace

TEST(Snapshots, one_whose_load_takes_longer_than_any_silence_is_installed_all_the_same) {
    QuietScenario s;
    std::size_t follower = s.nodes();
    ASSERT_TRUE(s.leave_behind(follower));
    ASSERT_TRUE(s.run_until(10s, "the follower does not start", [&] { return s.view(follower).range == data_range; }));
    // Of each chunk: the load takes 7 of them, one after the other.
    s.node(follower).media().profile().read_latency = 2500ms;
    EXPECT_TRUE(s.run_until(40s, "the snapshot is not installed", [&] { return s.caught_up(follower); }));
    s.node(follower).media().profile().read_latency = 80us;
    s.expect_good_end();
}

// Its file, and the memory it takes, would stay for as long as no other comes.
TEST(Snapshots, one_that_nobody_goes_on_with_is_given_up) {
    RunOptions options = quiet_options();
    options.network.bytes_per_second = 2 * mib;
    QuietScenario s(options);
    std::size_t follower = s.nodes();
    ASSERT_TRUE(s.leave_behind(follower));
    const DiskMedia& media = s.node(follower).media();
    const auto half_received = [&] {
        return std::ranges::any_of(media.names(), [&](const std::string& name) {
            const DiskFile* file = s.node(follower).media().file(name);
            return name.find("/checkpoint-1-") != std::string::npos && file->growing() && file->bytes() > 500'000;
        });
    };
    ASSERT_TRUE(s.run_until(10s, "no snapshot comes", half_received));
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != follower) {
            s.node(i).kill();
        }
    }
    ASSERT_TRUE(s.simulation.run_for(8s));
    EXPECT_FALSE(s.node(follower).files().has_value()) << "the sender may come back";
    ASSERT_TRUE(s.simulation.run_for(4s));
    EXPECT_TRUE(s.node(follower).files().has_value());
    EXPECT_FALSE(half_received());
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != follower) {
            s.node(i).start();
        }
    }
    s.expect_good_end();
}

TEST(Snapshots, the_credit_of_their_slices_goes_back_to_the_byte) {
    QuietScenario s;
    std::size_t follower = s.nodes();
    ASSERT_TRUE(s.leave_behind(follower));
    ASSERT_TRUE(s.run_until(40s, "the snapshot is not installed",
                            [&] { return s.node(follower).ready() && s.caught_up(follower); }));
    ASSERT_TRUE(s.simulation.run_for(2s));
    constexpr auto cls = static_cast<std::size_t>(wire::LinkClass::snapshot);
    const shard::LinkView sender = s.link(s.leader(), follower);
    const shard::LinkView receiver = s.link(follower, s.leader());
    EXPECT_GT(receiver.to_grant[cls], 0U) << "nothing was sent";
    EXPECT_EQ(sender.credit[cls] + static_cast<std::int64_t>(receiver.to_grant[cls]),
              static_cast<std::int64_t>(sender.whole[cls]));
    s.expect_good_end();
}

// Without room for one, asking again and again would fill the disk, and empty it, all the time.
TEST(Snapshots, a_checkpoint_without_room_is_tried_now_and_then_and_takes_no_room_from_the_log) {
    RunOptions options = quiet_options();
    options.segment_bytes = 2 * mib;
    options.log_window_bytes = 2 * mib;
    QuietScenario s(options);
    ASSERT_TRUE(s.simulation.form());
    ASSERT_TRUE(s.write(40, 100'000, 3));
    const std::size_t full = s.follower();
    DiskMedia& media = s.node(full).media();
    media.profile().capacity_bytes = media.used_bytes() + 3 * mib;   // a segment of the log, no checkpoint
    const std::uint64_t refused_before = media.counters().refused;
    const std::uint64_t written_before = media.counters().bytes_written;
    const Instant begin = s.simulation.now();
    std::uint64_t rounds = 0;
    while (s.simulation.now() < begin + 20s) {
        ASSERT_TRUE(s.write(10, 10'000, 1));
        s.simulation.run_for(500ms);
        rounds++;
    }
    const std::uint64_t refused = media.counters().refused - refused_before;
    EXPECT_GT(refused, 2u) << "there was room";
    EXPECT_LT(refused, 12u + 25u) << "checkpoints, and once a second a segment of the log";
    EXPECT_LT(media.counters().bytes_written - written_before, rounds * 4 * 10 * 10'000 + 10 * mib);
    const auto before = media.names();
    media.profile().capacity_bytes = 1ull << 40;
    EXPECT_TRUE(s.run_until(40s, "no checkpoint although there is room", [&] {
        return std::ranges::any_of(media.names(), [&](const std::string& name) {
            return name.find("checkpoint-1-") != std::string::npos && std::ranges::find(before, name) == before.end();
        });
    }));
    s.expect_good_end();
}

TEST(Snapshots, a_lost_answer_to_an_installed_one_is_given_again) {
    QuietScenario s;
    ASSERT_TRUE(s.simulation.form());
    ASSERT_TRUE(s.write(1, 100, 1));
    const std::size_t leader = s.leader();
    const std::size_t follower = s.follower();
    ASSERT_TRUE(s.kill_quietly(follower));
    ASSERT_TRUE(s.write(10, 10'000, 10));
    ASSERT_TRUE(s.write(1, 100, 5));   // behind the last checkpoint
    const LogIndex before = s.view(leader).applied;
    s.node(follower).start();
    s.node(follower).media().profile().metadata_latency = 100ms;   // leaves time to interfere
    ASSERT_TRUE(s.run_until(5s, "no slice arrives", [&] {
        return std::ranges::any_of(s.node(follower).media().names(), [](const std::string& name) {
            return name.find("checkpoint-1-") != std::string::npos;
        });
    }));
    // From here on the leader hears nothing more of the follower, until it has installed.
    s.cluster().network().block(s.node(follower).host(), s.node(leader).host());
    ASSERT_TRUE(s.run_until(5s, "the snapshot is not installed",
                            [&] { return s.view(follower).applied.value > before.value / 2; }));
    s.simulation.run_for(100ms);
    ASSERT_FALSE(s.caught_up(follower)) << "entries follow the checkpoint: the answer was heard";
    ASSERT_EQ(s.leader(), leader);
    s.cluster().network().reset_between(s.node(follower).host(), s.node(leader).host());
    s.cluster().network().unblock_all();
    EXPECT_TRUE(s.run_until(15s, "the follower gets no entries", [&] { return s.caught_up(follower); }));
    s.expect_good_end();
}

}  // namespace ringfort::sim
