// A node whose data directory was lost finds out what it was from what its peers remember, whatever happens meanwhile.
#include <map>
#include <optional>
#include <utility>

#include "kv/directory.h"
#include "scenario.h"
#include "wire/peer_codec.h"

namespace ringfort::sim {

namespace {

// Says hello in a member's name, and hears what is remembered of that member.
class Pretender final : public env::ConnectionHandler {
  public:
    struct Answer {
        wire::Refusal refusal{};
        InstanceId instance{};   // remembered of the member
        Incarnation incarnation{};
    };

    explicit Pretender(Cluster& cluster)
        : cluster_(cluster),
          port_(cluster.network(), cluster.network().add_host("pretender"), Waker{&Pretender::on_wake, this, 0}) {
        std::vector<shard::InitialMember> members(cluster.node_count());
        for (std::size_t i = 0; i < members.size(); i++) {
            members[i].id = cluster.node(i).id();
        }
        hello_.cluster_id = shard::initial_cluster_id(members, "simulated");
        hello_.shard_count = cluster.options().shards;
        hello_.feature_level = kv::feature_level_current;
        hello_.probe = true;
    }
    ~Pretender() override { port_.detach(Death::noticed); }

    void ask(std::size_t node, ShardId shard, NodeId as, InstanceId instance, Incarnation incarnation) {
        if (connection_ != 0) {
            port_.close(connection_);
        }
        answer_.reset();
        reader_ = wire::FrameReader(limits::frame_bytes_max);
        hello_.target = cluster_.node(node).id();
        hello_.target_shard = shard;
        hello_.node = as;
        hello_.instance = instance;
        hello_.incarnation = incarnation;
        out_ = wire::OutBuffer();
        wire::encode_preamble(out_.extend(wire::preamble_bytes),
                              {wire::protocol_version, wire::protocol_version, wire::PeerRole::peer});
        wire::encode_peer(hello_, out_);
        connection_ = port_.connect({cluster_.node(node).name(), peer_port}, env::ConnectionClass::peer, *this);
    }
    const std::optional<Answer>& answer() const { return answer_; }

    void on_connected() override { port_.send(connection_, out_.start_send()); }
    void on_sent() override { out_.send_done(); }
    void on_closed(env::CloseReason) override { connection_ = 0; }
    void on_received(Bytes bytes) override {
        reader_.feed(bytes);
        const auto frame = reader_.next();
        ASSERT_TRUE(frame);
        if (*frame) {
            Arena arena;
            const auto decoded = wire::decode_peer(**frame, arena);
            ASSERT_TRUE(decoded);
            const auto& reply = std::get<wire::PeerHelloReply>(*decoded);
            answer_ = Answer{reply.refusal, reply.your_instance, reply.your_incarnation};
        }
    }

  private:
    static void on_wake(void* context, std::uint64_t) {
        static_cast<Pretender*>(context)->cluster_.queue().schedule_in(20us, &Pretender::on_dispatch, context);
    }
    static void on_dispatch(void* context, std::uint64_t, std::uint64_t) {
        static_cast<Pretender*>(context)->port_.dispatch(env::ConnectionClass::peer);
    }

    Cluster& cluster_;
    NetworkPort port_;
    env::ConnectionId connection_{0};
    wire::PeerHello hello_;
    wire::OutBuffer out_;
    wire::FrameReader reader_{limits::frame_bytes_max};
    std::optional<Answer> answer_;
};

RunOptions some_load(RunOptions options) {
    options.workload.think = 200ms;
    return options;
}

struct Wiped : Scenario {
    explicit Wiped(const RunOptions& options = scenario_options()) : Scenario(some_load(options)) {}
    std::map<std::size_t, Incarnation> last_incarnation;   // by node; none: the first

    Pretender::Answer ask(Pretender& pretender, std::size_t node, ShardId shard, std::size_t as, InstanceId instance,
                          Incarnation incarnation) {
        pretender.ask(node, shard, this->node(as).id(), instance, incarnation);
        EXPECT_TRUE(run_until(2s, "a hello is not answered", [&] { return pretender.answer().has_value(); }));
        return pretender.answer().value_or(Pretender::Answer{});
    }
    testing::AssertionResult cut_power_of(std::size_t index) {
        node(index).cut_power(0);
        node(index).power_on();
        node(index).start();
        return run_until(5s, "a node does not start", [&] { return node(index).ready(); });
    }
    std::size_t directory_leader() {
        for (std::size_t i = 0; i < nodes(); i++) {
            for (const auto& found : node(i).inspect()) {
                if (found.range == directory_range && found.role == raft::Role::leader) {
                    return i;
                }
            }
        }
        return 0;
    }
    void set_links(std::size_t victim, const std::vector<std::size_t>& open) {
        for (std::size_t i = 0; i < nodes(); i++) {
            if (i != victim) {
                set_link(victim, i, std::ranges::find(open, i) != open.end());
            }
        }
    }

    bool stands(std::size_t victim) {
        return view(victim).range == data_range;
    }
    // It stands for a new incarnation, which was announced in doubt: not as a new member. (The doubt itself may be over
    // between two looks.)
    bool is_reborn(std::size_t victim) {
        Incarnation& last = last_incarnation.try_emplace(victim, Incarnation(1)).first->second;
        return std::exchange(last, view(victim).incarnation) < view(victim).incarnation;
    }
    testing::AssertionResult comes_back(std::size_t victim) {
        const auto stood = run_until(10s, "the wiped node does not come back", [&] { return stands(victim); });
        if (!stood) {
            return stood;
        }
        if (!is_reborn(victim)) {
            return testing::AssertionFailure() << "it came back as a new member";
        }
        const auto taken_back = run_until(10s, "the wiped node is not taken back", [&] {
            return cluster().all_ready() && std::ranges::none_of(node(victim).inspect(), &shard::ReplicaView::in_doubt);
        });
        simulation.run_for(100ms);   // that the doubt is over is durable a flush later: one killed before is in doubt again
        return taken_back;
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
            ASSERT_TRUE(s.kill_all_quietly());
            s.node(victim).wipe();
            s.start_all();
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

TEST(Wiped, a_node_that_announced_an_incarnation_to_one_peer_and_forgot_it_comes_back) {
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

// An incarnation is a claim on promises: no second directory may stand for it, whoever the first one had told of it.
TEST(Wiped, an_incarnation_that_one_of_four_peers_heard_of_is_of_no_use_to_a_second_directory) {
    Wiped s(scenario_options(5));
    ASSERT_TRUE(s.form());
    const std::size_t told = s.directory_leader();
    const std::size_t victim = (told + 1) % 5;
    const std::size_t others[3] = {(told + 2) % 5, (told + 3) % 5, (told + 4) % 5};
    ASSERT_TRUE(s.kill_quietly(victim));
    s.node(victim).wipe();
    s.set_links(victim, {});
    s.node(victim).start();
    ASSERT_TRUE(s.simulation.run_for(1s));   // its log is made
    for (const std::size_t reached : {others[0], others[1], told}) {
        s.set_links(victim, {reached});
        ASSERT_TRUE(s.simulation.run_for(3s));
    }
    ASSERT_TRUE(s.kill_quietly(victim));
    s.node(victim).wipe();
    s.set_links(victim, {others[0], others[1], others[2]});
    s.node(victim).start();
    ASSERT_TRUE(s.run_until(10s, "the wiped node makes no replica", [&] {
        return s.node(victim).running() && !s.node(victim).inspect().empty();
    }));
    ASSERT_TRUE(s.simulation.run_for(1s));
    s.cluster().network().unblock_all();
    ASSERT_TRUE(s.comes_back(victim));
    s.expect_good_end();
}

TEST(Wiped, a_node_comes_back_as_soon_as_a_quorum_without_it_runs) {
    for (const std::size_t nodes : {3u, 5u}) {
        Wiped s(scenario_options(nodes));
        ASSERT_TRUE(s.form());
        const std::size_t down = nodes / 2;   // with the victim one too many
        for (std::size_t i = 0; i <= down; i++) {
            ASSERT_TRUE(s.kill_quietly(i));
        }
        s.node(0).wipe();
        s.node(0).start();
        ASSERT_TRUE(s.simulation.run_for(3s));
        EXPECT_TRUE(s.node(0).inspect().empty());
        s.node(1).start();
        ASSERT_TRUE(s.run_until(10s, "the wiped node does not come back", [&] {
            return s.stands(0) && std::ranges::none_of(s.node(0).inspect(), &shard::ReplicaView::in_doubt);
        }));
        EXPECT_TRUE(s.is_reborn(0));
        for (std::size_t i = 2; i <= down; i++) {
            s.node(i).start();
        }
        s.expect_good_end();
    }
}

// The others go on, and let it in when they have room to remember it.
TEST(Wiped, a_node_whose_peers_have_full_disks_waits_and_ends_none_of_them) {
    Scenario s;
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.kill_quietly(0));
    s.node(0).wipe();
    const auto set_room = [&](bool any) {
        for (std::size_t i = 1; i < s.nodes(); i++) {
            DiskMedia& media = s.node(i).media();
            media.profile().capacity_bytes = any ? DiskProfile{}.capacity_bytes : media.used_bytes();
        }
    };
    set_room(false);
    s.node(0).start();
    s.simulation.run_for(10s);
    EXPECT_TRUE(s.node(1).running() && s.node(2).running());
    EXPECT_FALSE(s.cluster().all_ready());
    set_room(true);
    ASSERT_TRUE(s.run_until(20s, "it is not let in", [&] { return s.cluster().all_ready(); }));
    s.expect_good_end();
}

TEST(Wiped, a_node_names_those_that_do_not_remember_its_incarnation_yet) {
    Wiped s;
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.kill_quietly(0));
    s.node(0).wipe();
    for (const std::size_t peer : {1u, 2u}) {
        s.node(peer).media().hang_until(s.simulation.now() + 7s);   // both answer, and cannot note what it says
    }
    s.node(0).start();
    ASSERT_TRUE(s.simulation.run_for(6s));
    std::string waits;
    for (const SimLogSink::Line& line : s.node(0).log_lines()) {
        waits = line.text.starts_with("first start: waiting for ") ? line.text : waits;
    }
    // In the order of their ids.
    EXPECT_EQ(waits, "first start: waiting for a quorum of members to remember incarnation 2; missing: n3, n2");
    ASSERT_TRUE(s.comes_back(0));
    s.expect_good_end();
}

TEST(Wiped, a_peer_says_of_a_member_only_what_it_will_remember) {
    Wiped s;
    Pretender pretender(s.cluster());
    ASSERT_TRUE(s.form());
    constexpr InstanceId stranger{98};   // never taken for the member: its incarnation is the first
    constexpr InstanceId later{99};
    ASSERT_TRUE(s.kill_quietly(1));
    s.node(0).media().hang_until(s.simulation.now() + 800ms);
    for (int i = 0; i < 2; i++) {
        const auto answer = s.ask(pretender, 0, ShardId(0), 1, later, Incarnation(2));
        EXPECT_EQ(answer.refusal, wire::Refusal::stopping) << i;
        EXPECT_NE(answer.instance, later) << i;
        ASSERT_TRUE(s.simulation.run_for(100ms));
    }
    ASSERT_TRUE(s.cut_power_of(0));
    auto answer = s.ask(pretender, 0, ShardId(0), 1, stranger, Incarnation(1));
    EXPECT_EQ(answer.refusal, wire::Refusal::old_incarnation);
    EXPECT_NE(answer.instance, later);

    s.ask(pretender, 0, ShardId(0), 1, later, Incarnation(2));
    ASSERT_TRUE(s.simulation.run_for(100ms));
    answer = s.ask(pretender, 0, ShardId(0), 1, later, Incarnation(2));
    EXPECT_EQ(answer.refusal, wire::Refusal::none);
    EXPECT_EQ(answer.instance, later);
    ASSERT_TRUE(s.cut_power_of(0));
    answer = s.ask(pretender, 0, ShardId(0), 1, stranger, Incarnation(1));
    EXPECT_EQ(answer.refusal, wire::Refusal::old_incarnation);
    EXPECT_EQ(answer.instance, later);
    EXPECT_EQ(answer.incarnation, Incarnation(2));

    s.node(1).wipe();
    s.node(1).start();
    ASSERT_TRUE(s.comes_back(1));
    s.expect_good_end();
}

TEST(Wiped, every_shard_refuses_an_old_incarnation_from_the_first_life_on) {
    RunOptions options = scenario_options();
    options.domains = 2;   // a range for each shard
    Wiped s(options);
    Pretender pretender(s.cluster());
    ASSERT_TRUE(s.form());
    ASSERT_TRUE(s.kill_quietly(1));
    for (std::uint64_t shard = 0; shard < options.shards; shard++) {
        const auto answer = s.ask(pretender, 0, ShardId(shard), 1, InstanceId(98), Incarnation(1));
        EXPECT_EQ(answer.refusal, wire::Refusal::old_incarnation) << shard;
    }
    s.node(1).start();
    s.expect_good_end();
}

}  // namespace ringfort::sim
