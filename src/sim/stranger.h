// A machine that does not keep to the protocol: it floods nodes with noise, sends half a frame and falls silent, breaks
// frames that were right, goes on after it was refused, or asks for everything and reads nothing. Nothing it sends can
// decode to a write. Nobody else may notice it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "sim/network_port.h"
#include "wire/out_buffer.h"

namespace ringfort::sim {

class Stranger {
  public:
    Stranger(EventQueue& queue, SimNetwork& network, HostId host, std::vector<std::string> nodes, std::uint64_t seed);
    ~Stranger();
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

    // Bothers nodes every `interval` on average, until stop(): then it leaves, without a word.
    void start(Duration interval);
    void stop();

    std::uint64_t attempts() const { return attempts_; }
    std::uint64_t thrown_out() const { return thrown_out_; }   // connections that a node closed

  private:
    struct Talk;

    void attempt();
    wire::OutBuffer compose();
    void add_noise(wire::OutBuffer& out, std::size_t bytes);
    void add_greeting(wire::OutBuffer& out, bool as_client);
    void add_hellos(wire::OutBuffer& out, std::uint64_t count);
    void add_reads(wire::OutBuffer& out, std::uint64_t count);
    static void on_wake(void* context, std::uint64_t);
    static void on_dispatch(void* context, std::uint64_t, std::uint64_t);
    static void on_next(void* context, std::uint64_t epoch, std::uint64_t);

    EventQueue& queue_;
    std::vector<std::string> nodes_;
    Prng random_;
    NetworkPort port_;
    std::vector<std::unique_ptr<Talk>> talks_;
    Duration interval_{0};
    std::uint64_t epoch_{0};
    bool active_{false};
    bool dispatch_due_{false};
    std::uint64_t attempts_{0};
    std::uint64_t thrown_out_{0};
};

}  // namespace ringfort::sim
