// Linearizable reads at replicas that do not lead: served there, as new as anywhere, and never slow because of it.
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

class FollowerReads : public QuietCluster {};

TEST_F(FollowerReads, are_served_where_they_came_and_one_question_does_for_many) {
    ASSERT_TRUE(begin());
    const std::size_t follower = s->follower();
    const auto before = view(follower);
    std::vector<std::uint64_t> asked;
    for (int i = 0; i < 500; i++) {
        asked.push_back(get(follower));
    }
    ASSERT_TRUE(answered(follower, asked.back()));
    for (const std::uint64_t request : asked) {
        EXPECT_EQ(answer(follower, request).value, "v0");
        EXPECT_EQ(answer(follower, request).frames, 1u);
    }
    EXPECT_EQ(view(follower).served - before.served, 500u);
    EXPECT_EQ(view(follower).passed_on, 0u);
    EXPECT_LE(view(follower).asked - before.asked, 20u);
    EXPECT_EQ(view(s->leader()).asked, 0u);
    good_end();
}

// One peer loses its connection with the answer on it; the other's answer is held back.
TEST_F(FollowerReads, of_the_leader_whose_confirmation_was_lost_with_its_link_are_answered_soon_after_it_is_back) {
    ASSERT_TRUE(begin());
    const std::size_t leader = s->leader();
    const std::size_t mute = (leader + 1) % 3;
    const std::size_t peer = (leader + 2) % 3;
    auto& network = s->cluster().network();
    network.block(s->node(mute).host(), s->node(leader).host());
    network.block(s->node(peer).host(), s->node(leader).host());
    const std::uint64_t request = get(leader);
    s->simulation.run_for(20ms);
    ASSERT_FALSE(answer(leader, request).ended);
    network.reset_between(s->node(leader).host(), s->node(peer).host());
    network.unblock(s->node(peer).host(), s->node(leader).host());
    ASSERT_TRUE(answered(leader, request, 200ms));
    EXPECT_EQ(answer(leader, request).value, "v0");
    EXPECT_EQ(s->leader(), leader);
    network.unblock_all();
    good_end();
}

// The group is idle but for that write: nothing but its commit brings the news.
TEST_F(FollowerReads, see_a_write_answered_elsewhere_at_once) {
    for (const std::size_t nodes : {3u, 5u}) {
        TearDown();
        ASSERT_TRUE(begin(no_load(nodes)));
        for (int i = 1; i <= 20; i++) {
            const std::string value = "v" + std::to_string(i);
            ASSERT_TRUE(put(s->leader(), value));
            for (std::size_t node = 0; node < s->nodes(); node++) {
                const Instant asked = s->simulation.now();
                const std::uint64_t request = get(node);
                ASSERT_TRUE(answered(node, request));
                EXPECT_EQ(answer(node, request).value, value) << "node " << node;
                EXPECT_LT(answer(node, request).at - asked, 10ms);
            }
            s->simulation.run_for(300ms);
        }
        for (std::size_t node = 0; node < s->nodes(); node++) {
            EXPECT_EQ(view(node).served, node == s->leader() ? 0u : 20u);
        }
        good_end();
    }
}

TEST_F(FollowerReads, of_a_steady_load_over_all_nodes_are_all_served_there) {
    for (const std::size_t nodes : {3u, 5u}) {
        RunOptions options = scenario_options(nodes);
        options.domains = 2;
        Scenario load(options);
        ASSERT_TRUE(load.form());
        const Instant begin = load.simulation.now();
        load.simulation.run_for(3s);
        std::uint64_t served = 0;
        for (std::size_t node = 0; node < nodes; node++) {
            const auto found = load.node(node).follower_reads();
            served += found.served;
            EXPECT_EQ(found.given_up, 0u);
        }
        EXPECT_GT(served, 200u);
        EXPECT_LE(load.longest_gap(begin), 200ms);
        load.expect_good_end();
    }
}

TEST_F(FollowerReads, of_the_list_of_members_are_served_there_too) {
    ASSERT_TRUE(begin());
    std::uint64_t led = 0;   // of the directory
    for (std::size_t node = 0; node < s->nodes(); node++) {
        for (const auto& found : s->node(node).inspect()) {
            led += found.range == RangeId(0) && found.role == raft::Role::leader ? node : 0;
        }
    }
    const std::size_t node = (led + 1) % s->nodes();
    const auto before = view(node);
    clients[node]->ask(++id, api::MemberListRequest{.linearizable = true});
    ASSERT_TRUE(answered(node, id));
    EXPECT_EQ(answer(node, id).error, api::Errc::ok);
    EXPECT_EQ(view(node).served - before.served, 1u);
    good_end();
}

TEST_F(FollowerReads, of_clients_that_route_themselves_are_sent_to_the_leader) {
    ASSERT_TRUE(begin());
    const std::size_t follower = s->follower();
    clients[follower]->ask(++id, newest(key), 5s, true);
    ASSERT_TRUE(answered(follower, id));
    EXPECT_EQ(answer(follower, id).error, api::Errc::not_leader);
    EXPECT_EQ(answer(follower, id).leader, s->node(s->leader()).id());
    EXPECT_EQ(view(follower).asked, 0u);
    good_end();
}

// Two of five that were frozen while the others went on without them: both are in the old term, and believe each other.
TEST_F(FollowerReads, of_an_old_leader_cut_off_with_its_follower_are_not_answered_from_the_past) {
    ASSERT_TRUE(begin(no_load(5)));
    const std::size_t leader = s->leader();
    const std::size_t follower = (leader + 1) % 5;
    const std::size_t other = (leader + 2) % 5;
    s->node(leader).pause();
    s->node(follower).pause();
    ASSERT_TRUE(s->run_until(10s, "no new leader", [&] {
        const auto found = s->view(s->leader());
        return s->leader() != leader && s->leader() != follower && found.commit == found.last.index;
    }));
    ASSERT_TRUE(put(other, "v1"));
    for (std::size_t node = 0; node < 5; node++) {
        if (node != leader && node != follower) {
            s->block_both(leader, node);
            s->block_both(follower, node);
        }
    }
    s->node(leader).resume();
    s->node(follower).resume();
    const std::uint64_t request = get(follower, 20s);
    s->simulation.run_for(300ms);
    EXPECT_GT(view(follower).asked, 0u);
    EXPECT_FALSE(answer(follower, request).ended) << answer(follower, request).value;
    s->cluster().network().unblock_all();
    ASSERT_TRUE(answered(follower, request, 20s));
    EXPECT_EQ(answer(follower, request).value, "v1");
    good_end();
}

TEST_F(FollowerReads, are_not_asked_for_by_a_replica_in_doubt) {
    ASSERT_TRUE(begin());
    const std::size_t follower = s->follower();
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(follower));
    s->node(follower).wipe();
    s->node(follower).start();
    const auto doubts = [&] { return s->view(follower).in_doubt && bool(s->view(follower).leader); };
    for (const Instant end = s->simulation.now() + 10s; s->simulation.now() < end && !doubts();) {
        s->simulation.run_for(500us);
    }
    ASSERT_TRUE(doubts());
    s->node(follower).media().hang_until(s->simulation.now() + 900ms);   // the end of the doubt takes a flush
    for (std::size_t i = 0; i < s->nodes(); i++) {
        clients.push_back(std::make_unique<RawClient>(s->cluster(), i));
        clients.back()->greet();
    }
    s->simulation.run_for(10ms);
    const std::uint64_t request = get(follower);
    clients[follower]->ask(1'000'000, api::StatusRequest{});
    ASSERT_TRUE(answered(follower, request, 300ms));
    EXPECT_EQ(answer(follower, request).value, "v0");
    ASSERT_TRUE(s->view(follower).in_doubt);
    EXPECT_EQ(view(follower).asked, 0u);
    ASSERT_TRUE(answered(follower, 1'000'000, 300ms));
    EXPECT_NE(std::ranges::count(answer(follower, 1'000'000).in_doubt, data_range.value), 0) << "nobody is told of it";
    ASSERT_TRUE(s->run_until(10s, "the doubt does not end", [&] { return !s->view(follower).in_doubt; }));
    ASSERT_TRUE(answered(follower, get(follower)));
    clients[follower]->ask(1'000'001, api::StatusRequest{});
    ASSERT_TRUE(answered(follower, 1'000'001));
    EXPECT_EQ(std::ranges::count(answer(follower, 1'000'001).in_doubt, data_range.value), 0);
    EXPECT_GT(view(follower).served, 0u);
    good_end();
}

// The leader sends no more than a window of appends that are not answered: with a hung disk a follower falls behind.
TEST_F(FollowerReads, of_one_that_lags_behind_go_to_the_leader_until_it_has_caught_up) {
    RunOptions options = no_load();
    options.log_window_bytes = 32 * mib;   // no bound is met but that of the window
    options.segment_bytes = 16 * mib;
    ASSERT_TRUE(begin(options));
    const std::size_t leader = s->leader();
    const std::size_t follower = s->follower();
    s->node(follower).media().hang_until(s->simulation.now() + 20s);
    for (int i = 0; i < 400; i++) {
        ASSERT_TRUE(put(leader, std::to_string(i) + std::string(10'000, 'x')));
    }
    s->simulation.run_for(100ms);
    ASSERT_LT(s->view(follower).applied, s->view(leader).applied);
    Duration first{0};
    for (int i = 0; i < 40; i++) {
        const Instant asked = s->simulation.now();
        const std::uint64_t request = get(follower);
        ASSERT_TRUE(answered(follower, request));
        EXPECT_EQ(answer(follower, request).value.substr(0, 4), "399x");
        const Duration took = answer(follower, request).at - asked;
        EXPECT_LT(took, i == 0 ? Duration(60ms) : Duration(10ms)) << i;
        first = i == 0 ? took : first;
        s->simulation.run_for(10ms);
    }
    EXPECT_GE(first, 50ms);
    EXPECT_EQ(view(follower).served, 0u);
    EXPECT_EQ(view(follower).passed_on, 1u);
    EXPECT_GT(view(follower).given_up, 2u) << "it looks now and then whether it has caught up";
    EXPECT_LT(view(follower).asked, 15u);
    ASSERT_TRUE(s->run_until(30s, "it does not catch up",
                             [&] { return s->view(follower).applied == s->view(leader).applied; }));
    for (int i = 0; i < 20; i++) {
        ASSERT_TRUE(answered(follower, get(follower)));
        s->simulation.run_for(10ms);
    }
    EXPECT_GT(view(follower).served, 5u);
    good_end();
}

// What its own disk does not take is not what its clients ask for.
TEST_F(FollowerReads, go_on_where_a_hung_disk_has_filled_the_logs_memory_and_so_do_writes_through_it) {
    RunOptions options = no_load();
    options.log_window_bytes = 4 * mib;
    options.segment_bytes = 16 * mib;
    ASSERT_TRUE(begin(options));
    const std::size_t leader = s->leader();
    const std::size_t follower = s->follower();
    const Instant hung_until = s->simulation.now() + 40s;
    s->node(follower).media().hang_until(hung_until);
    for (int i = 0; i < 600; i++) {
        ASSERT_TRUE(put(leader, std::to_string(i) + std::string(10'000, 'x')));
    }
    ASSERT_NE(s->leader(), follower);
    const std::uint64_t linearizable = get(follower);
    ASSERT_TRUE(answered(follower, linearizable, 1s));
    EXPECT_EQ(answer(follower, linearizable).value.substr(0, 4), "599x");
    api::RangeRequest own = newest(key);
    own.serializable = true;
    clients[follower]->ask(++id, own, 5s);
    ASSERT_TRUE(answered(follower, id, 1s));
    EXPECT_EQ(answer(follower, id).pairs, 1u);
    clients[follower]->ask(++id, api::PutRequest{.key = key, .value = "through it"}, 5s);
    ASSERT_TRUE(answered(follower, id, 1s));
    EXPECT_EQ(answer(follower, id).error, api::Errc::ok);
    EXPECT_LT(s->simulation.now(), hung_until) << "the disk did not hang";
    s->node(follower).media().hang_until(s->simulation.now());
    good_end();
}

TEST_F(FollowerReads, whose_leader_dies_before_it_answers_are_answered_by_the_next) {
    ASSERT_TRUE(begin());
    const std::size_t leader = s->leader();
    const std::size_t follower = s->follower();
    s->cluster().network().block(s->node(leader).host(), s->node(follower).host());
    const std::uint64_t first = id + 1;
    for (int i = 0; i < 200; i++) {
        get(follower);
    }
    s->simulation.run_for(5ms);
    ASSERT_GT(view(follower).asked, 0u);
    s->node(leader).kill();
    s->cluster().network().unblock_all();
    ASSERT_TRUE(s->run_until(5s, "not all are answered", [&] { return clients[follower]->answered() == 200; }));
    for (std::uint64_t request = first; request <= id; request++) {
        EXPECT_EQ(answer(follower, request).error, api::Errc::ok);
        EXPECT_EQ(answer(follower, request).value, "v0");
        EXPECT_EQ(answer(follower, request).frames, 1u);
    }
    s->node(leader).start();
    good_end();
}

// Answers held up for longer than reads wait for them count for nothing when they come.
TEST_F(FollowerReads, whose_answer_is_late_are_answered_once_all_the_same) {
    ASSERT_TRUE(begin());
    const std::size_t leader = s->leader();
    const std::size_t follower = s->follower();
    for (int round = 0; round < 5; round++) {
        s->cluster().network().block(s->node(leader).host(), s->node(follower).host());
        const std::uint64_t request = get(follower);
        s->simulation.run_for(200ms);
        EXPECT_FALSE(answer(follower, request).ended);
        const std::string value = "w" + std::to_string(round);
        clients[leader]->ask(++id, api::PutRequest{.key = key, .value = value}, 5s);
        ASSERT_TRUE(answered(leader, id));
        const std::uint64_t late = get(follower);
        s->simulation.run_for(20ms);
        s->cluster().network().unblock_all();
        ASSERT_TRUE(answered(follower, late));
        EXPECT_EQ(answer(follower, late).value, value);
        s->simulation.run_for(300ms);
        EXPECT_TRUE(answer(follower, request).ended);
        EXPECT_EQ(answer(follower, request).frames, 1u);
        EXPECT_EQ(answer(follower, late).frames, 1u);
        ASSERT_EQ(s->leader(), leader);
    }
    good_end();
}

// The answer to an earlier question says nothing of what was written since.
TEST_F(FollowerReads, that_come_while_a_question_is_out_wait_for_the_next) {
    ASSERT_TRUE(begin());
    const std::size_t leader = s->leader();
    const std::size_t follower = s->follower();
    for (int round = 0; round < 5; round++) {
        s->cluster().network().set_extra_latency(s->node(leader).host(), s->node(follower).host(), 30ms);
        const std::uint64_t early = get(follower);
        s->simulation.run_for(1ms);
        const std::string value = "w" + std::to_string(round);
        ASSERT_TRUE(put(leader, value));   // the other follower has it
        ASSERT_FALSE(answer(follower, early).ended);
        const std::uint64_t request = get(follower);
        ASSERT_TRUE(answered(follower, request));
        EXPECT_EQ(answer(follower, request).value, value);
        s->cluster().network().clear_extra_latency();
        s->simulation.run_for(100ms);
    }
    EXPECT_EQ(view(follower).served, 10u);
    good_end();
}

// The question meets one that leads no more; the reads need not wait for their answer to be late.
TEST_F(FollowerReads, whose_leader_gives_way_meanwhile_are_answered_by_the_next) {
    ASSERT_TRUE(begin());
    const std::size_t old = s->leader();
    const std::size_t follower = (old + 1) % 3;
    const std::size_t next = (old + 2) % 3;
    s->cluster().network().set_extra_latency(s->node(follower).host(), s->node(old).host(), 45ms);
    const Instant asked = s->simulation.now();
    const std::uint64_t request = get(follower);
    s->simulation.run_for(1ms);
    clients[old]->ask(++id, api::MoveLeaderRequest{.target = s->node(next).id(), .range = data_range}, 5s);
    ASSERT_TRUE(answered(old, id));
    ASSERT_TRUE(put(next, "v1"));
    ASSERT_TRUE(answered(follower, request));
    EXPECT_EQ(answer(follower, request).error, api::Errc::ok);
    EXPECT_LT(answer(follower, request).at - asked, 45ms);
    EXPECT_EQ(view(follower).passed_on, 1u);
    s->simulation.run_for(100ms);
    EXPECT_EQ(answer(follower, request).frames, 1u);
    ASSERT_TRUE(answered(follower, get(follower)));
    EXPECT_EQ(answer(follower, id).value, "v1");
    EXPECT_EQ(view(follower).served, 1u);
    good_end();
}

// The follower does not hear of its next leader: the old one refuses what comes, and sends nothing on.
TEST_F(FollowerReads, that_a_second_node_refuses_too_wait_where_they_came_until_the_leader_is_known_or_their_time_is_over) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t old = s->leader();
    const std::size_t follower = (old + 1) % 3;
    const std::size_t next = (old + 2) % 3;
    auto& network = s->cluster().network();
    network.block(s->node(old).host(), s->node(follower).host());
    const std::uint64_t first = get(follower);
    s->simulation.run_for(60ms);   // too late: what comes now is sent to the leader
    network.unblock_all();
    ASSERT_TRUE(answered(follower, first));
    network.block(s->node(next).host(), s->node(follower).host());
    network.set_extra_latency(s->node(follower).host(), s->node(old).host(), 45ms);

    const std::uint64_t segments = network.counters().segments;
    const Instant asked = s->simulation.now();
    const std::uint64_t hurried = get(follower, 200ms);
    const std::uint64_t patient = get(follower, 5s);
    s->simulation.run_for(1ms);
    ASSERT_GT(s->node(follower).held().forwarded, 0u);
    clients[old]->ask(++id, api::MoveLeaderRequest{.target = s->node(next).id(), .range = data_range}, 5s);
    ASSERT_TRUE(answered_just_now(old, id));
    clients[next]->ask(++id, api::PutRequest{.key = key, .value = "v1"}, 5s);
    ASSERT_TRUE(answered_just_now(next, id));
    ASSERT_LT(s->simulation.now() - asked, 45ms);
    const std::uint64_t redirected = ++id;
    clients[old]->ask(redirected, newest(key), 5s, true);
    ASSERT_TRUE(answered(old, redirected));
    EXPECT_EQ(answer(old, redirected).error, api::Errc::not_leader);
    EXPECT_EQ(answer(old, redirected).leader, s->node(next).id());
    s->simulation.run_for(300ms);
    EXPECT_EQ(view(follower).passed_on, 1u) << "the first";
    EXPECT_EQ(answer(follower, hurried).error, api::Errc::timed_out);
    EXPECT_LT(answer(follower, hurried).at - asked, 220ms);
    EXPECT_FALSE(answer(follower, patient).ended);
    EXPECT_LT(network.counters().segments - segments, 400u) << "it is tried again now and then, not all the time";

    network.unblock_all();
    network.clear_extra_latency();
    ASSERT_TRUE(answered(follower, patient, 500ms));
    EXPECT_EQ(answer(follower, patient).value, "v1");
    s->simulation.run_for(300ms);
    EXPECT_EQ(answer(follower, hurried).frames, 1u);
    EXPECT_EQ(answer(follower, patient).frames, 1u);
    EXPECT_EQ(s->node(follower).held().forwarded, 0u);
    good_end();
}

// Reads that came when the next leader was known already are no business of the old one, however it answers.
TEST_F(FollowerReads, are_not_served_by_an_answer_that_an_old_leader_gave_to_an_earlier_question) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t old = s->leader();
    const std::size_t follower = (old + 1) % 3;
    const std::size_t next = (old + 2) % 3;
    for (int round = 0; round < 3; round++) {
        const std::string value = "w" + std::to_string(round);
        const std::size_t from = s->leader();
        const std::size_t to = from == old ? next : old;
        s->cluster().network().set_extra_latency(s->node(from).host(), s->node(follower).host(), 40ms);
        const Instant begun = s->simulation.now();
        const std::uint64_t early = get(follower);
        s->simulation.run_for(2ms);   // its answer is under way
        const std::uint64_t asked = view(follower).asked;
        clients[from]->ask(++id, api::MoveLeaderRequest{.target = s->node(to).id(), .range = data_range}, 5s);
        ASSERT_TRUE(answered_just_now(from, id));
        s->simulation.run_for(2ms);
        ASSERT_EQ(s->view(follower).leader, s->node(to).id());
        s->cluster().network().set_extra_latency(s->node(to).host(), s->node(follower).host(), 45ms);
        clients[to]->ask(++id, api::PutRequest{.key = key, .value = value}, 5s);   // the old leader has it
        ASSERT_TRUE(answered_just_now(to, id));
        ASSERT_LT(s->simulation.now() - begun, 40ms) << "the old leader's answer has come";
        const std::uint64_t late = get(follower);
        s->simulation.run_for(2ms);
        EXPECT_EQ(view(follower).asked, asked + 1);
        ASSERT_TRUE(answered(follower, late));
        EXPECT_EQ(answer(follower, late).value, value);
        ASSERT_TRUE(answered(follower, early));
        EXPECT_EQ(answer(follower, early).error, api::Errc::ok);
        s->cluster().network().clear_extra_latency();
        s->simulation.run_for(300ms);
        EXPECT_EQ(answer(follower, early).frames, 1u);
        EXPECT_EQ(answer(follower, late).frames, 1u);
    }
    good_end();
}

// Many that may be served together are served some a turn.
TEST_F(FollowerReads, by_the_thousand_share_the_loop_with_others_and_so_do_the_leaders) {
    for (const bool at_the_leader : {false, true}) {
        TearDown();
        RunOptions options = no_load();
        options.turn_cost = at_the_leader ? 4ms : 1ms;
        options.network.bytes_per_second *= 1000;   // answers of one turn come together
        ASSERT_TRUE(begin(options));
        const std::size_t node = at_the_leader ? s->leader() : s->follower();
        constexpr std::uint64_t requests = 1000;
        std::vector<std::unique_ptr<RawClient>> crowd;
        for (int i = 0; i < 30; i++) {
            crowd.push_back(std::make_unique<RawClient>(s->cluster(), node));
            crowd.back()->greet();
            for (std::uint64_t request = 1; request <= requests; request++) {
                crowd.back()->ask(request, newest(key), 20s);
            }
        }
        // They gather in one round.
        for (std::size_t peer = 0; peer < s->nodes(); peer++) {
            if (peer != node) {
                s->cluster().network().set_extra_latency(s->node(peer).host(), s->node(node).host(), 20 * options.turn_cost);
            }
        }
        std::size_t before = 0;
        std::size_t most_at_a_time = 0;
        for (int i = 0; i < 4000 && before < crowd.size() * requests; i++) {
            s->simulation.run_for(250us);
            std::size_t sum = 0;
            for (const auto& client : crowd) {
                sum += client->answered();
            }
            most_at_a_time = std::max(most_at_a_time, sum - before);
            before = sum;
        }
        EXPECT_EQ(before, crowd.size() * requests);
        for (const auto& client : crowd) {
            EXPECT_EQ(client->failed(), 0u);
        }
        EXPECT_LE(most_at_a_time, 4500u) << "of two turns, at most";
        crowd.clear();
        good_end();
    }
}

}  // namespace
}  // namespace ringfort::sim
