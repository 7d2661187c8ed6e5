// A node whose data directory was lost finds out what it was from what its peers remember, whatever happens meanwhile.
#include "scenario.h"

namespace ringfort::sim {

namespace {

struct Wiped : Scenario {
    bool doubted{false};

    bool stands(std::size_t victim) {
        doubted |= view(victim).in_doubt;
        return view(victim).range == data_range;
    }
    testing::AssertionResult comes_back(std::size_t victim) {
        doubted = false;
        const auto stood = run_until(10s, "the wiped node does not come back", [&] { return stands(victim); });
        if (!stood) {
            return stood;
        }
        if (!doubted) {
            return testing::AssertionFailure() << "it came back as a new member";
        }
        return run_until(10s, "the wiped node is not taken back", [&] {
            return cluster().all_ready() && std::ranges::none_of(node(victim).inspect(), &shard::ReplicaView::in_doubt);
        });
    }
    void set_link(std::size_t a, std::size_t b, bool open) {
        if (!open) {
            block_both(a, b);
            return;
        }
        cluster().network().unblock(node(a).host(), node(b).host());
        cluster().network().unblock(node(b).host(), node(a).host());
    }
    // The empty victim learns what both peers remember of it, and tells a new incarnation to `told` only, or to both;
    // then it loses its power before anything of that is durable.
    void announce_in_vain(std::size_t victim, std::size_t told, bool to_both) {
        const std::size_t other = 3 - victim - told;
        set_link(victim, told, false);
        set_link(victim, other, false);
        node(victim).start();
        simulation.run_for(1s);   // its log is made
        node(victim).media().hang_until(simulation.now() + 6100ms);
        set_link(victim, other, true);
        simulation.run_for(3s);
        set_link(victim, other, to_both);
        set_link(victim, told, true);
        simulation.run_for(3s);
        EXPECT_FALSE(stands(victim));
        node(victim).cut_power(0);
        set_link(victim, other, true);
        node(victim).power_on();
    }
};

}  // namespace

// Peers that run are asked while they read what they remember, and then while they recover their logs.
TEST(Wiped, a_node_learns_it_from_peers_that_are_about_to_start) {
    Wiped s;
    ASSERT_TRUE(s.form());
    for (const Duration before : {0us, 50us, 200us, 1000us, 5000us}) {
        for (std::size_t victim = 0; victim < s.nodes(); victim++) {
            for (std::size_t i = 0; i < s.nodes(); i++) {
                ASSERT_TRUE(s.kill_quietly(i));
            }
            s.node(victim).wipe();
            for (std::size_t i = 0; i < s.nodes(); i++) {
                s.node(i).start();
            }
            s.simulation.run_for(before);
            for (std::size_t i = 0; i < s.nodes(); i++) {
                if (i != victim) {
                    s.node(i).media().hang_until(s.simulation.now() + 300ms);
                }
            }
            ASSERT_TRUE(s.comes_back(victim)) << "node " << victim << ", " << before.count();
        }
    }
    s.expect_good_end();
}

TEST(Wiped, a_node_that_announced_an_incarnation_to_one_peer_and_forgot_it_takes_a_later_one) {
    for (std::size_t victim = 0; victim < 3; victim++) {
        Wiped s;
        ASSERT_TRUE(s.form());
        ASSERT_TRUE(s.kill_quietly(victim));
        for (int round = 0; round < 2; round++) {
            s.node(victim).wipe();
            s.announce_in_vain(victim, (victim + 1) % 3, false);
        }
        s.node(victim).start();
        ASSERT_TRUE(s.comes_back(victim)) << victim;
        s.expect_good_end();
    }
}

TEST(Wiped, a_node_that_announced_an_incarnation_to_all_and_forgot_it_is_no_new_member) {
    for (std::size_t victim = 0; victim < 3; victim++) {
        Wiped s;
        ASSERT_TRUE(s.form());
        ASSERT_TRUE(s.kill_quietly(victim));
        s.node(victim).wipe();
        s.announce_in_vain(victim, (victim + 1) % 3, true);
        s.node(victim).start();
        ASSERT_TRUE(s.comes_back(victim)) << victim;
        s.expect_good_end();
    }
}

}  // namespace ringfort::sim
