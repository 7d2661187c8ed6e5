// A replica whose state differs from the others' is found, answers nothing, and is rebuilt from one of them.
#include "kv/store_impl.h"
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

class WrongState : public QuietCluster {
  protected:
    // As if the last command had been applied wrongly there: the value is another one.
    void spoil(std::size_t node, const std::string& value) {
        ASSERT_TRUE(s->cluster().spoil_state(node, data_range));
        kv::StoreState& state = s->node(node).store_of(data_range)->impl().state;
        kv::KeyRecord* record = state.find(key);
        ASSERT_TRUE(record != nullptr && record->latest->value().size() == value.size());
        std::memcpy(kv::value_room(record->latest), value.data(), value.size());
    }
    bool out(std::size_t node) { return s->view(node).out_of_service; }
    testing::AssertionResult taken_out(std::size_t node) {
        return s->run_until(20s, "it is not found", [&] { return out(node); });
    }
    testing::AssertionResult rebuilt(std::size_t node) {
        const auto done = s->run_until(30s, "it is not rebuilt", [&] { return !out(node); });
        s->cluster().excuse_state(node, false);
        return done;
    }
    bool logged(std::size_t node, std::string_view text) {
        return std::ranges::any_of(s->node(node).log_lines(),
                                   [&](const auto& line) { return line.text.find(text) != std::string::npos; });
    }
    api::Errc stale_read(std::size_t node) {
        api::RangeRequest read = newest(key);
        read.serializable = true;
        clients[node]->ask(++id, read, 5s);
        EXPECT_TRUE(answered(node, id));
        return answer(node, id).error;
    }
};

TEST_F(WrongState, of_a_follower_is_found_and_healed_and_meanwhile_nothing_is_read_there) {
    ASSERT_TRUE(begin());
    const std::size_t node = s->follower();
    spoil(node, "xx");
    ASSERT_TRUE(taken_out(node));
    EXPECT_TRUE(logged(node, "the state here differs from that of a majority"));
    EXPECT_TRUE(logged(s->leader(), "differs from that of a majority"));
    EXPECT_EQ(stale_read(node), api::Errc::unhealthy);
    const std::uint64_t linearizable = get(node);
    ASSERT_TRUE(answered(node, linearizable));
    EXPECT_EQ(answer(node, linearizable).value, "v0") << "answered by who leads";
    ASSERT_TRUE(put(node, "v1")) << "entries are taken, and writes passed on";
    ASSERT_TRUE(rebuilt(node));
    EXPECT_TRUE(logged(node, "the state is rebuilt"));
    ASSERT_TRUE(s->run_until(5s, "it does not catch up",
                             [&] { return s->view(node).applied == s->view(s->leader()).applied; }));
    EXPECT_EQ(stale_read(node), api::Errc::ok);
    EXPECT_EQ(answer(node, id).value, "v1");
    good_end();
}

TEST_F(WrongState, of_the_leader_ends_its_leadership) {
    ASSERT_TRUE(begin());
    const std::size_t node = s->leader();
    spoil(node, "xx");
    ASSERT_TRUE(taken_out(node));
    ASSERT_TRUE(s->run_until(10s, "nobody else leads", [&] { return s->leader() != node && s->leader() < s->nodes(); }));
    ASSERT_TRUE(rebuilt(node));
    ASSERT_TRUE(put(node, "v1"));
    good_end();
}

TEST_F(WrongState, that_goes_on_while_it_is_written_to_is_rebuilt_at_a_later_entry) {
    ASSERT_TRUE(begin());
    const std::size_t node = s->follower();
    spoil(node, "xx");
    for (int i = 0; !out(node); i++) {
        ASSERT_LT(i, 1000);
        ASSERT_TRUE(put(s->leader(), "w" + std::to_string(i)));
        s->simulation.run_for(20ms);
    }
    for (int i = 0; i < 20; i++) {
        ASSERT_TRUE(put(s->leader(), "u" + std::to_string(i)));
    }
    ASSERT_TRUE(rebuilt(node));
    good_end();
}

TEST_F(WrongState, does_not_lead_because_the_leader_says_so) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t leader = s->leader(), node = s->follower();
    spoil(node, "xx");
    ASSERT_TRUE(taken_out(node));
    const Term before = s->view(leader).term;
    clients[leader]->ask(++id, api::MoveLeaderRequest{.target = s->node(node).id(), .range = data_range}, 5s);
    s->simulation.run_for(2ms);
    ASSERT_TRUE(out(node)) << "it is rebuilt before it hears of it";
    ASSERT_TRUE(rebuilt(node));
    EXPECT_EQ(s->view(node).term, before) << "it stood";
    ASSERT_TRUE(answered(leader, id, 10s));
    good_end();
}

// Where all are equally far, the lowest number is the first choice: of both. They neither pass leadership to and fro, nor
// does one wait for ever for the other.
TEST_F(WrongState, of_two_of_five_is_not_led_by_either) {
    ASSERT_TRUE(begin(no_load_nor_tails(5)));
    std::vector<std::size_t> by_number{0, 1, 2, 3, 4};
    std::ranges::sort(by_number, {}, [&](std::size_t node) { return s->node(node).id(); });
    const std::size_t one = by_number[0], other = by_number[1];
    if (s->leader() != one) {
        clients[s->leader()]->ask(++id, api::MoveLeaderRequest{.target = s->node(one).id(), .range = data_range}, 5s);
    }
    ASSERT_TRUE(s->run_until(5s, "it does not lead", [&] { return s->leader() == one; }));
    ASSERT_TRUE(put(one, "v1"));
    s->simulation.run_for(100ms);
    spoil(one, "xx");
    spoil(other, "xx");
    ASSERT_TRUE(s->run_until(20s, "they are not found", [&] { return out(one) && out(other); }));
    bool led = false;
    ASSERT_TRUE(s->run_until(10s, "nobody else leads", [&] {
        led |= s->leader() == other;
        return s->leader() != one && s->leader() != other && s->leader() < s->nodes();
    }));
    EXPECT_FALSE(led);
    ASSERT_TRUE(rebuilt(one));
    ASSERT_TRUE(rebuilt(other));
    ASSERT_TRUE(put(one, "v2"));
    good_end();
}

// Two of three: nobody knows who is right.
TEST_F(WrongState, without_a_majority_is_told_and_nobody_goes) {
    ASSERT_TRUE(begin());
    const std::size_t leader = s->leader(), node = s->follower(), third = (leader + 2) % 3;
    ASSERT_TRUE(s->kill_quietly(third));
    spoil(node, "xx");
    s->simulation.run_for(12s);
    EXPECT_FALSE(out(node));
    EXPECT_FALSE(out(leader));
    s->node(third).start();
    ASSERT_TRUE(taken_out(node));
    ASSERT_TRUE(rebuilt(node));
    good_end();
}

// Nobody votes for a shorter log: the replica in the wrong leads until another has what it has.
TEST_F(WrongState, of_the_longest_log_left_does_not_leave_the_range_without_a_leader) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    const std::size_t leader = s->leader(), node = s->follower(), third = (leader + 2) % 3;
    spoil(node, "xx");
    ASSERT_TRUE(taken_out(node));
    s->block_both(third, leader);
    s->block_both(third, node);
    ASSERT_TRUE(put(leader, "v1"));
    ASSERT_TRUE(out(node)) << "it is rebuilt before the leader dies";
    ASSERT_TRUE(s->kill_quietly(leader));
    s->cluster().network().unblock(s->node(third).host(), s->node(node).host());
    s->cluster().network().unblock(s->node(node).host(), s->node(third).host());
    ASSERT_LT(s->view(third).last.index, s->view(node).last.index);
    ASSERT_TRUE(s->run_until(20s, "nobody leads", [&] { return s->leader() == third; }));
    ASSERT_TRUE(rebuilt(node));
    ASSERT_TRUE(put(third, "v2"));
    s->cluster().network().unblock_all();
    s->node(leader).start();
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
