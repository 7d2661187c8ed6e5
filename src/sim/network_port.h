// A shard's (or a client's) hold on the simulated network: env::Network over SimNetwork. Dies with its process.
#pragma once

#include <deque>
#include <vector>

#include "env/network.h"
#include "sim/sim_network.h"

namespace ringfort::sim {

// How a process ends, as its connections see it.
enum class Death : std::uint8_t {
    noticed,  // the kernel closes or resets them
    silent,   // the machine lost its power: nobody is told
};

class NetworkPort final : public env::Network {
  public:
    NetworkPort(SimNetwork& network, HostId host, Waker waker);
    ~NetworkPort() override { detach(Death::noticed); }
    NetworkPort(const NetworkPort&) = delete;
    NetworkPort& operator=(const NetworkPort&) = delete;

    // The ports of all shards of the process, self included, by shard; for hand_over().
    void set_siblings(std::vector<NetworkPort*> siblings) { siblings_ = std::move(siblings); }
    // No callback runs any more; calls do nothing.
    void detach(Death death);
    HostId host() const { return host_; }
    bool has_work() const;

    void set_listener(env::ConnectionClass cls, env::ListenerHandler& handler) override;
    env::ConnectionId connect(const env::Address& address, env::ConnectionClass cls,
                              env::ConnectionHandler& handler) override;
    void set_handler(env::ConnectionId connection, env::ConnectionHandler& handler) override;
    void send(env::ConnectionId connection, Bytes bytes) override;
    void pause_receive(env::ConnectionId connection) override;
    void resume_receive(env::ConnectionId connection) override;
    void close(env::ConnectionId connection) override;
    bool send_in_flight(env::ConnectionId connection) const override;
    void hand_over(env::ConnectionId connection, ShardId to, Bytes unconsumed) override;
    void dispatch(env::ConnectionClass cls) override;

  private:
    friend class SimNetwork;
    using Connection = SimNetwork::Connection;
    using Side = SimNetwork::Side;

    // The end if it is ours and open; else null.
    Side* own(env::ConnectionId id);
    Side& must_own(env::ConnectionId id);
    void accept(env::ConnectionId id, env::ConnectionClass cls);
    void deliver(env::ConnectionId id);
    bool deliver_bytes(env::ConnectionId id);
    void on_received_piece(Side& side, Bytes piece);

    SimNetwork& network_;
    HostId host_;
    Waker waker_;
    bool detached_{false};
    std::vector<NetworkPort*> siblings_;
    env::ListenerHandler* listeners_[2]{nullptr, nullptr};
    std::deque<env::ConnectionId> ready_[2];
    std::deque<env::ConnectionId> accepted_[2];
    std::vector<std::uint64_t> scratch_;   // what on_received() sees: bytes are gone when it returns
};

}  // namespace ringfort::sim
