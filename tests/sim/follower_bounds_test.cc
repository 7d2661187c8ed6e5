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
        RunOptions options = no_load_nor_tails();
        options.network.bytes_per_second *= 1000;   // what is asked at a time comes at a time
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

// The next is forwarded to the leader's node, and as many may be under way from here. Beyond that a client is told so.
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

    // At the leader the answers are more than the link takes at once: reads wait for it, and are not refused.
    unmute_leader();
    std::size_t refused = 0;
    ASSERT_TRUE(s->run_until(10s, "not all are answered", [&] { return answered_crowd() == follower_reads_max; }));
    for (const auto& client : crowd) {
        for (std::uint64_t request = 1; request <= per_client; request++) {
            const RawClient::Answer& got = client->answer(request);
            ASSERT_EQ(got.frames, 1u);
            refused += got.error == api::Errc::too_many_requests ? 1U : 0U;
            ASSERT_TRUE(got.error == api::Errc::too_many_requests || got.value == "v0") << api::error_text(got.error);
        }
    }
    EXPECT_EQ(refused, 1u);
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

TEST_F(FollowerBounds, reads_of_a_client_that_goes_away_give_their_place_back_and_trouble_nobody_else) {
    ASSERT_TRUE(begin_fast(4));
    mute_leader();
    for (const auto& client : crowd) {
        for (std::uint64_t request = 1; request <= 1000; request++) {
            client->ask(request, newest(key), 60s);
        }
    }
    ASSERT_TRUE(s->run_until(20ms, "they do not come", [&] { return waiting() == 4000; }));
    crowd.clear();
    ASSERT_TRUE(s->run_until(60ms, "they keep their place", [&] { return waiting() == 0; }));
    EXPECT_TRUE(nothing_held());
    EXPECT_EQ(s->node(leader).held().reads, 0u);
    unmute_leader();
    good_end();
}

TEST_F(FollowerBounds, reads_whose_deadline_is_over_are_answered_so_and_give_their_place_back) {
    ASSERT_TRUE(begin_fast(1));
    mute_leader();
    const Instant asked = s->simulation.now();
    for (std::uint64_t request = 1; request <= 1000; request++) {
        crowd[0]->ask(request, newest(key), 20ms);
    }
    ASSERT_TRUE(s->run_until(20ms, "they do not come", [&] { return waiting() == 1000; }));
    ASSERT_TRUE(s->run_until(60ms, "they keep their place", [&] { return waiting() == 0; }));
    EXPECT_TRUE(nothing_held());
    ASSERT_TRUE(s->run_until(5ms, "not all are answered", [&] { return answered_crowd() == 1000; }));
    for (std::uint64_t request = 1; request <= 1000; request++) {
        ASSERT_EQ(crowd[0]->answer(request).error, api::Errc::timed_out);
        ASSERT_LT(crowd[0]->answer(request).at - asked, 60ms);
    }
    unmute_leader();
    crowd.clear();
    good_end();
}

// More than a piece, and a client that gives no credit for a second one.
class EarlyCancel : public FollowerBounds {
  protected:
    testing::AssertionResult begin_long() {
        const auto begun = begin_fast(0);
        if (!begun) {
            return begun;
        }
        for (int i = 0; i < 10; i++) {
            const std::string name = "d00/long" + std::to_string(i);
            clients[leader]->ask(++id, api::PutRequest{.key = name, .value = std::string(50'000, 'x')}, 5s);
            if (const auto done = answered(leader, id); !done) {
                return done;
            }
        }
        s->simulation.run_for(100ms);
        return testing::AssertionSuccess();
    }
    RawClient& stingy_client(std::size_t node) {
        crowd.push_back(std::make_unique<RawClient>(s->cluster(), node));
        wire::ClientHello hello;
        hello.reply_credit_bytes = 1;
        crowd.back()->greet(hello);
        s->simulation.run_for(10ms);
        return *crowd.back();
    }
    static api::RangeRequest long_range() { return {.key = "d00/long", .range_end = "d00/lonh"}; }
    // What the node asks others takes a while.
    void slow_questions(std::size_t node) {
        for (std::size_t peer = 0; peer < s->nodes(); peer++) {
            if (peer != node) {
                s->cluster().network().set_extra_latency(s->node(node).host(), s->node(peer).host(), 30ms);
            }
        }
    }
};

TEST_F(EarlyCancel, of_a_long_read_that_waits_for_its_turn_is_answered_and_no_reply_begins) {
    ASSERT_TRUE(begin_long());
    for (const std::size_t node : {follower, leader}) {
        RawClient& client = stingy_client(node);
        slow_questions(node);
        client.ask(1, long_range(), 20s);
        client.ask(2, long_range(), 20s);
        s->simulation.run_for(5ms);
        ASSERT_GT(s->node(node).held().reads, 0u);
        client.cancel(1);
        ASSERT_TRUE(s->run_until(1s, "no answer", [&] { return client.answer(1).ended && client.answer(2).frames > 0; }));
        EXPECT_EQ(client.answer(1).error, api::Errc::cancelled);
        EXPECT_EQ(client.answer(1).frames, 1u);
        EXPECT_FALSE(client.answer(2).ended);
        EXPECT_EQ(s->node(node).held().streams, 1u) << "the one that was not cancelled";
        // What is asked later under the same number was not meant.
        client.cancel(2);
        client.cancel(1);
        ASSERT_TRUE(s->run_until(1s, "no end", [&] { return client.answer(2).ended; }));
        client.ask(1, newest(key), 5s);
        ASSERT_TRUE(s->run_until(1s, "no answer", [&] { return client.answer(1).frames == 2; }));
        EXPECT_EQ(client.answer(1).value, "v0");
        EXPECT_EQ(s->node(node).held().streams, 0u);
        s->cluster().network().clear_extra_latency();
        s->simulation.run_for(200ms);
    }
    crowd.clear();
    good_end();
}

TEST_F(EarlyCancel, is_what_the_end_of_a_client_means_for_its_long_reads_that_wait) {
    ASSERT_TRUE(begin_long());
    for (const std::size_t node : {follower, leader}) {
        RawClient& client = stingy_client(node);
        slow_questions(node);
        for (std::uint64_t request = 1; request <= limits::requests_per_connection_max; request++) {
            client.ask(request, long_range(), 20s);
        }
        s->simulation.run_for(10ms);
        ASSERT_GT(s->node(node).held().reads, 0u);
        crowd.clear();
        ASSERT_TRUE(s->run_until(1s, "they keep their place", [&] { return s->node(node).held().reads == 0; }));
        EXPECT_EQ(s->node(node).held().streams, 0u);
        // Others have the place.
        clients[node]->give_credit_as_it_reads();
        clients[node]->ask(++id, long_range(), 5s);
        ASSERT_TRUE(answered(node, id));
        EXPECT_EQ(answer(node, id).error, api::Errc::ok);
        EXPECT_EQ(answer(node, id).pairs, 10u);
        s->cluster().network().clear_extra_latency();
        s->simulation.run_for(200ms);
    }
    good_end();
}

// The silent link speaks again, and brings pieces of a reply that was asked for elsewhere meanwhile.
TEST_F(EarlyCancel, comes_from_the_asking_node_if_a_reply_is_nobodys) {
    ASSERT_TRUE(begin_long());
    auto& network = s->cluster().network();
    clients[follower]->give_credit_as_it_reads();
    network.block(s->node(leader).host(), s->node(follower).host());
    clients[follower]->ask(++id, long_range(), 20s);
    s->simulation.run_for(100ms);
    ASSERT_EQ(view(follower).passed_on, 1u);
    ASSERT_EQ(s->node(leader).held().streams, 1u);
    network.block(s->node(leader).host(), s->node(3 - leader - follower).host());
    ASSERT_TRUE(answered(follower, id));
    EXPECT_EQ(answer(follower, id).pairs, 10u);
    ASSERT_NE(s->leader(), leader);
    ASSERT_EQ(s->node(leader).held().streams, 1u);
    network.unblock_all();
    ASSERT_TRUE(s->run_until(1s, "it waits for credit", [&] { return s->node(leader).held().streams == 0; }));
    EXPECT_EQ(answer(follower, id).pairs, 10u);
    good_end();
}

// The reply would begin after its link was lost and is back.
TEST_F(EarlyCancel, is_what_the_loss_of_a_link_means_for_long_reads_that_came_over_it) {
    ASSERT_TRUE(begin_long());
    auto& network = s->cluster().network();
    const std::size_t third = 3 - leader - follower;
    clients[follower]->give_credit_as_it_reads();
    network.block(s->node(leader).host(), s->node(follower).host());
    network.block(s->node(leader).host(), s->node(third).host());
    clients[follower]->ask(++id, long_range(), 20s);
    s->simulation.run_for(100ms);   // it has gone to the leader, and waits there
    ASSERT_EQ(view(follower).passed_on, 1u);
    ASSERT_GT(s->node(leader).held().reads, 0u);
    network.reset_between(s->node(leader).host(), s->node(follower).host());
    network.unblock(s->node(leader).host(), s->node(follower).host());
    ASSERT_TRUE(answered(follower, id));
    EXPECT_EQ(answer(follower, id).error, api::Errc::ok);
    EXPECT_EQ(answer(follower, id).pairs, 10u);
    network.unblock_all();
    ASSERT_TRUE(s->run_until(1s, "it waits for credit", [&] {
        return s->node(leader).held().streams == 0 && s->node(leader).held().reads == 0;
    }));
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
