// Requests that another node answers, by the ten thousand.
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

class Forwarded : public QuietCluster {};

// To look at all of them takes tens of turns; the next leader is known before that.
TEST_F(Forwarded, writes_all_hear_that_their_leader_is_gone_however_many_there_are) {
    RunOptions options = no_load_nor_tails();
    options.network.bytes_per_second *= 1000;
    ASSERT_TRUE(begin(options));
    // The leader's node is the one that dials: the other hears of the loss once, and of no failed attempts.
    std::size_t leader = 0;
    for (std::size_t i = 1; i < s->nodes(); i++) {
        leader = s->node(i).id() < s->node(leader).id() ? i : leader;
    }
    const std::size_t before = s->leader();
    clients[before]->ask(++id, api::MoveLeaderRequest{.target = s->node(leader).id(), .range = data_range}, 5s);
    ASSERT_TRUE(answered(before, id));
    ASSERT_EQ(s->leader(), leader);
    const std::size_t follower = s->follower();
    constexpr std::uint64_t per_client = limits::requests_per_connection_max;
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (int i = 0; i < 48; i++) {
        crowd.push_back(std::make_unique<RawClient>(s->cluster(), follower));
        crowd.back()->greet();
    }
    s->simulation.run_for(10ms);
    s->cluster().network().block(s->node(leader).host(), s->node(follower).host());
    for (const auto& client : crowd) {
        for (std::uint64_t request = 1; request <= per_client; request++) {
            client->ask(request, api::PutRequest{.key = key, .value = "w"}, 600s);
        }
    }
    s->simulation.run_for(100ms);
    s->node(leader).kill();
    s->cluster().network().unblock_all();
    const auto answered_all = [&] {
        return std::all_of(crowd.begin(), crowd.end(), [](const auto& client) { return client->answered() == per_client; });
    };
    ASSERT_TRUE(s->run_until(10s, "some are not answered", answered_all));
    std::size_t lost = 0;
    for (const auto& client : crowd) {
        lost += client->failed();
        for (std::uint64_t request = 1; request <= per_client; request++) {
            const api::Errc error = client->answer(request).error;
            ASSERT_TRUE(error == api::Errc::leader_changed || error == api::Errc::ok) << api::error_text(error);
        }
    }
    EXPECT_GT(lost, 40'000u);
    s->node(leader).start();
    crowd.clear();
    good_end();
}

// A frame larger than the rest of the credit leaves all the same. What it takes beyond that is owed: credit for others
// that comes meanwhile lets no second one follow.
TEST_F(Forwarded, a_large_request_is_followed_by_no_other_before_its_own_credit_comes) {
    constexpr auto cls = static_cast<std::size_t>(wire::LinkClass::forward);
    RunOptions options = no_load_nor_tails();
    options.shards = 1;
    options.bounds.link_credit_bytes[cls] = 4 * kib;
    ASSERT_TRUE(begin(options));
    const std::size_t leader = s->leader();
    const std::size_t node = s->follower();
    const auto credit = [&] { return s->link(node, leader).credit[cls]; };
    const auto ask = [&](std::size_t bytes) {
        clients[node]->ask(++id, api::PutRequest{.key = key, .value = std::string(bytes, 'x')}, 20s);
        s->simulation.run_for(20ms);
    };
    s->cluster().network().block(s->node(leader).host(), s->node(node).host());
    for (int i = 0; i < 3; i++) {
        ask(900);
    }
    const std::int64_t rest = credit();
    ASSERT_GT(rest, 0);
    ASSERT_LT(rest, 2 * std::int64_t{kib});
    s->cluster().network().block(s->node(node).host(), s->node(leader).host());
    ask(100'000);
    const std::int64_t owed = credit();
    EXPECT_LE(owed, rest - 100'000);
    s->cluster().network().unblock(s->node(leader).host(), s->node(node).host());
    ASSERT_TRUE(s->run_until(1s, "no credit for the small ones comes", [&] { return credit() > owed; }));
    const std::int64_t still_owed = credit();
    EXPECT_LT(still_owed, -90'000);
    ask(100'000);
    EXPECT_EQ(credit(), still_owed) << "a second one is on its way";
    s->cluster().network().unblock_all();
    for (std::uint64_t request = id - 4; request <= id; request++) {
        ASSERT_TRUE(answered(node, request));
        EXPECT_EQ(answer(node, request).error, api::Errc::ok);
    }
    good_end();
}

// The others hear the leader and keep it. Whoever asks here may ask them.
TEST_F(Forwarded, requests_at_a_node_that_alone_hears_no_leader_are_told_so_long_before_their_deadlines) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t leader = s->leader();
    const std::size_t node = s->follower();
    s->cluster().network().block(s->node(leader).host(), s->node(node).host());
    s->simulation.run_for(1500ms);
    ASSERT_EQ(s->leader(), leader) << "the others elected another";
    clients[node]->ask(++id, api::PutRequest{.key = key, .value = "never"}, 60s);
    const std::uint64_t write = id;
    const std::uint64_t read = get(node, 60s);
    ASSERT_TRUE(answered(node, write, 4s));
    ASSERT_TRUE(answered(node, read, 100ms));
    EXPECT_EQ(answer(node, write).error, api::Errc::no_leader);
    EXPECT_EQ(answer(node, read).error, api::Errc::no_leader);
    ASSERT_TRUE(put(leader, "through the leader"));
    s->cluster().network().unblock_all();
    s->simulation.run_for(3s);
    ASSERT_TRUE(put(node, "through it"));
    good_end();
}

// Its outcome is unknown there, and may stay so; the client can go on elsewhere.
TEST_F(Forwarded, writes_of_a_leader_that_was_cut_off_are_told_so_long_before_their_deadlines) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t leader = s->leader();
    for (std::size_t other = 0; other < 3; other++) {
        if (other != leader) {
            s->block_both(leader, other);
        }
    }
    clients[leader]->ask(++id, api::PutRequest{.key = key, .value = "unknown"}, 60s);
    const std::uint64_t write = id;
    ASSERT_TRUE(answered(leader, write, 3s));
    EXPECT_EQ(answer(leader, write).error, api::Errc::leader_changed);
    s->cluster().network().unblock_all();
    s->simulation.run_for(3s);
    ASSERT_TRUE(put(leader, "healed"));
    good_end();
}

// The write is committed only when its node is back; by then that node counts its requests from the beginning.
TEST_F(Forwarded, requests_of_a_restarted_node_are_not_answered_with_answers_to_those_before) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t leader = s->leader();
    const std::size_t follower = (leader + 1) % 3;
    const std::size_t third = (leader + 2) % 3;
    // Terms pass, so that the follower will know the directory as soon as it starts.
    for (const std::size_t next : {third, follower, leader}) {
        for (std::size_t node = 0; node < 3; node++) {
            clients[node]->ask(++id, api::MoveLeaderRequest{.target = s->node(next).id(), .range = {}}, 5s);
            ASSERT_TRUE(answered(node, id));
        }
        s->simulation.run_for(100ms);
    }
    ASSERT_EQ(s->leader(), leader);
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(third));
    auto client = std::make_unique<RawClient>(s->cluster(), follower);
    client->greet();
    s->simulation.run_for(10ms);
    s->cluster().network().block(s->node(leader).host(), s->node(follower).host());
    const LogIndex last = s->view(leader).last.index;
    client->ask(1, api::PutRequest{.key = key, .value = "of the former"}, 60s);
    s->simulation.run_for(20ms);
    ASSERT_EQ(s->view(leader).last.index, last.next());
    ASSERT_EQ(s->view(leader).pending, 1u);
    client.reset();
    ASSERT_TRUE(s->kill_quietly(follower));
    s->cluster().network().unblock_all();
    s->simulation.run_for(50ms);
    ASSERT_EQ(s->view(leader).pending, 1u);

    s->node(follower).start();
    ASSERT_TRUE(s->run_until(10s, "it does not start", [&] { return s->node(follower).running(); }));
    client = std::make_unique<RawClient>(s->cluster(), follower);
    client->greet();
    for (std::uint64_t request = 1; request <= 1000 && s->view(leader).applied <= last; request++) {
        client->ask(request, api::CompactRequest{.revision = 1'000'000, .physical = false}, 20s);
        s->simulation.run_for(5ms);
    }
    ASSERT_GT(s->view(leader).applied, last) << "the former is committed";
    s->simulation.run_for(1s);
    EXPECT_GT(client->answered(), 0u);
    EXPECT_EQ(client->answered(), client->failed()) << "a put's answer";
    client.reset();
    s->node(third).start();
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
