// A small server on 127.0.0.1 that speaks the client protocol over real sockets: a map behind it, a thread for each
// connection, and bad habits on demand.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "wire/client_codec.h"

namespace ringfort::client::test {

struct Habits {
    std::size_t piece_keys{1000};      // more keys than this come in several frames
    std::atomic<bool> mute{false};     // requests are read and not answered
    std::atomic<bool> curt{false};     // no transaction's compares hold, and nothing it read is told
    std::atomic<bool> hang_up{false};  // the connection closes at the next request
    std::atomic<int> hang_ups_in_reply{0};   // so often it closes after the first piece of a long reply
    std::atomic<std::uint16_t> error{0};   // every request is answered with it
};

class LoopbackServer {
  public:
    LoopbackServer();
    ~LoopbackServer();
    LoopbackServer(const LoopbackServer&) = delete;
    LoopbackServer& operator=(const LoopbackServer&) = delete;

    std::uint16_t port() const { return port_; }
    std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
    std::size_t connection_count() const { return connection_count_; }
    // Of long replies that were under way without credit: must stay 0.
    std::int64_t largest_debt_bytes() const { return largest_debt_bytes_; }

    Habits habits;

  private:
    struct Session;
    void run();

    int listener_{-1};
    std::uint16_t port_{0};
    std::atomic<std::size_t> connection_count_{0};
    std::atomic<std::int64_t> largest_debt_bytes_{0};
    std::mutex mutex_;                             // guards the rest
    std::vector<int> open_;                        // sockets to shut down at the end
    std::vector<std::thread> threads_;
    std::map<std::string, std::string> values_;
    std::int64_t revision_{1};
    bool stopping_{false};
    std::thread acceptor_;
};

}  // namespace ringfort::client::test
