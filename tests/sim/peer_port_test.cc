// Strangers on the peer port that only take up room.
#include "scenario.h"

namespace ringfort::sim {

namespace {

// Opens connections and says nothing.
class SilentCrowd final : public env::ConnectionHandler {
  public:
    explicit SilentCrowd(Cluster& cluster)
        : queue_(cluster.queue()),
          port_(cluster.network(), cluster.network().add_host("crowd"), Waker{&SilentCrowd::on_wake, this, 0}) {}
    ~SilentCrowd() override { port_.detach(Death::noticed); }

    void come(const std::string& node, std::size_t count) {
        for (std::size_t i = 0; i < count; i++) {
            static_cast<void>(port_.connect({node, peer_port}, env::ConnectionClass::peer, *this));
        }
    }
    std::size_t connected() const { return connected_; }

    void on_connected() override { connected_++; }
    void on_received(Bytes) override {}
    void on_sent() override {}
    void on_closed(env::CloseReason) override {}

  private:
    static void on_wake(void* context, std::uint64_t) {
        auto& self = *static_cast<SilentCrowd*>(context);
        self.queue_.schedule_in(20us, &SilentCrowd::on_dispatch, context);
    }
    static void on_dispatch(void* context, std::uint64_t, std::uint64_t) {
        static_cast<SilentCrowd*>(context)->port_.dispatch(env::ConnectionClass::peer);
    }

    EventQueue& queue_;
    NetworkPort port_;
    std::size_t connected_{0};
};

}  // namespace

TEST(PeerPort, a_crowd_of_silent_connections_does_not_keep_peers_out) {
    RunOptions options = scenario_options();
    options.shards = 1;
    Scenario s(options);
    SilentCrowd crowd(s.cluster());
    ASSERT_TRUE(s.form());
    // The one of the highest id is dialed by both others.
    std::size_t last = 0;
    for (std::size_t i = 1; i < s.nodes(); i++) {
        last = s.node(i).id() > s.node(last).id() ? i : last;
    }
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != last) {
            s.cluster().network().reset_between(s.node(i).host(), s.node(last).host());
            s.block_both(i, last);
        }
    }
    crowd.come(s.node(last).name(), 1000);
    s.simulation.run_for(1s);
    EXPECT_GT(crowd.connected(), 256u);
    s.cluster().network().unblock_all();
    // Well before the silent ones are closed for their silence.
    EXPECT_TRUE(s.run_until(3s, "the peers do not get in",
                            [&] { return s.view(last).leader && s.view(last).commit == s.view(s.leader()).commit; }));
    s.expect_good_end();
}

}  // namespace ringfort::sim
