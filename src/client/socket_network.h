// env::Network and env::Clock over plain non-blocking sockets and epoll: what the client library and the tools run the
// core on. No io_uring, so that it works in every container. One thread, wake() apart.
//
// The loop: `network.wait(core.turn())`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/instant.h"
#include "env/clock.h"
#include "env/network.h"

namespace ringfort::client {

class SystemClock final : public env::Clock {
  public:
    Instant now() const override;
    WallTime wall() const override;
};

struct SocketNetworkOptions {
    // Before it sleeps, wait() polls for so long with sched_yield between polls. 0: it sleeps at once.
    Duration spin{0};
};

class SocketNetwork final : public env::Network {
  public:
    explicit SocketNetwork(const SocketNetworkOptions& options = {});
    ~SocketNetwork() override;
    SocketNetwork(const SocketNetwork&) = delete;
    SocketNetwork& operator=(const SocketNetwork&) = delete;

    // Blocks until something can be dispatched, wake() was called, or `until`.
    void wait(Instant until);
    // From any thread: the wait() running now, or the next one, returns.
    void wake();

    // Host names are resolved in the call, which may block; the answer is remembered. Numeric addresses never block.
    env::ConnectionId connect(const env::Address& address, env::ConnectionClass cls,
                              env::ConnectionHandler& handler) override;
    void send(env::ConnectionId connection, Bytes bytes) override;
    void pause_receive(env::ConnectionId connection) override;
    void resume_receive(env::ConnectionId connection) override;
    void close(env::ConnectionId connection) override;
    bool send_in_flight(env::ConnectionId connection) const override;
    void dispatch(env::ConnectionClass cls) override;

    // A client listens to nobody and has one thread: calling these is a bug.
    void set_listener(env::ConnectionClass cls, env::ListenerHandler& handler) override;
    void set_handler(env::ConnectionId connection, env::ConnectionHandler& handler) override;
    void hand_over(env::ConnectionId connection, ShardId to, Bytes unconsumed) override;

  private:
    struct Socket;
    struct Done {
        env::ConnectionId connection{0};
        bool sent{false};                 // else: closed, with reason
        env::CloseReason reason{env::CloseReason::reset};
    };
    struct Resolved;

    Socket* find(env::ConnectionId connection) const;
    bool resolve(const env::Address& address, Resolved& resolved);
    bool open_socket(Socket& socket, const Resolved& resolved);
    void watch(Socket& socket);
    void try_send(Socket& socket);
    void receive(Socket& socket);
    void on_events(env::ConnectionId connection, std::uint32_t events);
    void finish_connect(Socket& socket);
    void note_unreachable(const Socket& socket);
    void fail(Socket& socket, env::CloseReason reason);
    int poll(Duration timeout);

    static constexpr std::size_t receive_bytes = 256 * kib;
    static constexpr int events_max = 256;

    SocketNetworkOptions options_;
    SystemClock clock_;
    int epoll_{-1};
    int wake_{-1};
    env::ConnectionId next_id_{1};
    std::unordered_map<env::ConnectionId, std::unique_ptr<Socket>> sockets_;   // looked up, never walked
    std::unordered_map<std::string, std::unique_ptr<Resolved>> resolved_;
    std::vector<Done> done_;              // to be told by the next dispatch()
    std::vector<Done> telling_;
    std::vector<std::pair<env::ConnectionId, std::uint32_t>> ready_;   // events fetched and not yet dispatched
    bool woken_{false};                   // a wake was met, and no wait() has returned since
    std::unique_ptr<std::uint64_t[]> buffer_;
};

}  // namespace ringfort::client
