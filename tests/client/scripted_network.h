// A network without time or sockets: the test is the other side of every connection, and decides when each byte, answer
// and end happens. What it does to a connection reaches the core by the next dispatch().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "env/clock.h"
#include "env/network.h"

namespace ringfort::client::test {

class ManualClock final : public env::Clock {
  public:
    Instant now() const override { return now_; }
    WallTime wall() const override { return {now_.ns}; }
    void advance(Duration by) { now_ = now_ + by; }

  private:
    Instant now_{1'000'000'000};
};

class ScriptedNetwork final : public env::Network {
  public:
    // A connection as its other end sees it.
    struct Link {
        env::ConnectionId id{0};
        env::Address address;
        env::ConnectionHandler* handler{nullptr};
        std::vector<std::byte> arrived;     // sent by the core, not yet taken by the test
        std::vector<std::size_t> sends;     // the size of each send
        Bytes sending;                      // in flight; of the core's memory
        bool connected{false};
        bool closed{false};                 // by either side
        bool hold_sends{false};             // sends stay in flight until complete_send()
    };

    // ---- the test's side
    std::size_t link_count() const { return links_.size(); }
    Link& link(std::size_t index) { return *links_[index]; }
    // The newest connection that is not closed. Requires: there is one.
    Link& newest();
    void accept(Link& link);
    void refuse(Link& link);
    void deliver(Link& link, Bytes bytes);
    void complete_send(Link& link);
    void break_off(Link& link, env::CloseReason reason = env::CloseReason::reset);
    bool idle() const { return events_.empty(); }

    // ---- the core's side
    env::ConnectionId connect(const env::Address& address, env::ConnectionClass cls,
                              env::ConnectionHandler& handler) override;
    void send(env::ConnectionId connection, Bytes bytes) override;
    void pause_receive(env::ConnectionId) override {}
    void resume_receive(env::ConnectionId) override {}
    void close(env::ConnectionId connection) override;
    bool send_in_flight(env::ConnectionId connection) const override;
    void dispatch(env::ConnectionClass cls) override;
    void set_listener(env::ConnectionClass, env::ListenerHandler&) override { std::abort(); }
    void set_handler(env::ConnectionId, env::ConnectionHandler&) override { std::abort(); }
    void hand_over(env::ConnectionId, ShardId, Bytes) override { std::abort(); }

  private:
    Link& find(env::ConnectionId connection) { return *links_[connection - 1]; }
    const Link& find(env::ConnectionId connection) const { return *links_[connection - 1]; }
    void queue(Link& link, std::function<void(Link&)> event);

    std::vector<std::unique_ptr<Link>> links_;   // id - 1; closed ones stay
    std::deque<std::function<void()>> events_;
};

}  // namespace ringfort::client::test
