// What linearizable reads that wait at a follower may take up, and that they give it back.
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

constexpr std::uint64_t follower_reads_max = 64 * 1024;
constexpr std::uint64_t follower_read_bytes_max = 64 * mib;

// One node's answers do not arrive at another for a while, and many clients ask there.
class FollowerBounds : public QuietCluster {
  protected:
    testing::AssertionResult begin_fast(std::size_t crowd_size) {
        RunOptions options = no_load();
        options.network.bytes_per_second *= 1000;   // what is asked at a time comes at a time
        options.network.tail_per_million = 0;
        const auto begun = begin(options);
        if (!begun) {
            return begun;
        }
        leader = s->leader();
        follower = s->follower();
        for (std::size_t i = 0; i < crowd_size; i++) {
            crowd.push_back(std::make_unique<RawClient>(s->cluster(), follower));
            crowd.back()->greet();
        }
        s->simulation.run_for(100ms);
        return testing::AssertionSuccess();
    }
    void TearDown() override {
        crowd.clear();
        QuietCluster::TearDown();
    }
    void mute_leader() { s->cluster().network().block(s->node(leader).host(), s->node(follower).host()); }
    void unmute_leader() { s->cluster().network().unblock_all(); }
    shard::HeldView held() { return s->node(follower).held(); }
    std::uint64_t waiting() { return view(follower).waiting; }
    std::size_t answered_crowd() const {
        std::size_t sum = 0;
        for (const auto& client : crowd) {
            sum += client->answered();
        }
        return sum;
    }
    std::size_t failed_crowd() const {
        std::size_t sum = 0;
        for (const auto& client : crowd) {
            sum += client->failed();
        }
        return sum;
    }
    bool nothing_held() { return waiting() == 0 && held().reads == 0 && held().forwarded == 0; }

    std::size_t leader{0};
    std::size_t follower{0};
    std::vector<std::unique_ptr<RawClient>> crowd;
};

// The next goes to the leader's node, where as many may be under way. When that is full too, a client is told so.
TEST_F(FollowerBounds, as_many_reads_wait_as_may_and_one_more_goes_another_way) {
    constexpr std::uint64_t per_client = limits::requests_per_connection_max;
    ASSERT_TRUE(begin_fast(follower_reads_max / per_client));
    mute_leader();
    for (const auto& client : crowd) {
        for (std::uint64_t request = 1; request <= per_client; request++) {
            client->ask(request, newest(key), 60s);
        }
    }
    ASSERT_TRUE(s->run_until(40ms, "they do not come", [&] { return waiting() == follower_reads_max; }));
    EXPECT_EQ(held().forwarded, 0u);
    const std::size_t held_at_bound = held().reads;

    const std::uint64_t one_more = get(follower, 60s);
    s->simulation.run_for(2ms);
    ASSERT_EQ(waiting(), follower_reads_max);
    EXPECT_EQ(held().reads, held_at_bound);
    EXPECT_GT(held().forwarded, 0u);
    EXPECT_FALSE(answer(follower, one_more).ended);

    // The leader does not answer in time: all go after the one, and the last does not find room there.
    ASSERT_TRUE(s->run_until(1s, "nobody is refused", [&] { return waiting() == 0 && failed_crowd() > 0; }));
    EXPECT_EQ(answered_crowd(), 1u);
    EXPECT_EQ(held().reads, 0u);
    EXPECT_GT(held().forwarded, 0u);

    // At the leader answers for a link that takes none have a bound as well.
    unmute_leader();
    ASSERT_TRUE(s->run_until(10s, "not all are answered", [&] { return answered_crowd() == follower_reads_max; }));
    for (const auto& client : crowd) {
        for (std::uint64_t request = 1; request <= per_client; request++) {
            const RawClient::Answer& got = client->answer(request);
            ASSERT_EQ(got.frames, 1u);
            ASSERT_TRUE(got.error == api::Errc::too_many_requests || got.value == "v0") << api::error_text(got.error);
        }
    }
    EXPECT_EQ(api::error_class(api::Errc::too_many_requests), api::ErrorClass::definite);
    ASSERT_TRUE(answered(follower, one_more));
    EXPECT_EQ(answer(follower, one_more).value, "v0");
    EXPECT_TRUE(nothing_held());
    // There is room again.
    s->simulation.run_for(200ms);
    const std::uint64_t served = view(follower).served;
    ASSERT_TRUE(answered(follower, get(follower)));
    ASSERT_TRUE(answered(follower, get(follower)));
    EXPECT_GT(view(follower).served, served);
    crowd.clear();
    good_end();
}

TEST_F(FollowerBounds, reads_wait_up_to_so_many_bytes_and_one_more_goes_another_way) {
    const std::string long_key = "d00/" + std::string(100'000, 'k');
    ASSERT_TRUE(begin_fast(60));
    mute_leader();
    std::uint64_t asked = 0;
    for (std::uint64_t request = 1; request <= 10; request++) {
        for (const auto& client : crowd) {
            client->ask(request, newest(long_key), 60s);
            asked++;
        }
    }
    ASSERT_GT(2 * asked * long_key.size(), follower_read_bytes_max);
    ASSERT_TRUE(s->run_until(40ms, "they do not come", [&] { return held().forwarded > 0; }));
    const std::size_t at_bound = held().reads;
    EXPECT_LE(at_bound, follower_read_bytes_max);
    EXPECT_GT(at_bound, follower_read_bytes_max - 300'000);
    EXPECT_LT(waiting(), asked);
    s->simulation.run_for(1ms);
    EXPECT_EQ(held().reads, at_bound);

    unmute_leader();
    ASSERT_TRUE(s->run_until(10s, "not all are answered", [&] { return answered_crowd() == asked; }));
    EXPECT_EQ(failed_crowd(), 0u);
    EXPECT_TRUE(nothing_held());
    crowd.clear();
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
