// What ringload asks the cluster beside the load: is it there, what its nodes have counted, are the keys written.
#pragma once

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "client/core.h"
#include "client/socket_network.h"
#include "options.h"

namespace ringload {

// Counters of the nodes that were asked.
struct NodeCounters {
    bool answered{false};
    std::uint64_t log_flushes{0};
    std::uint64_t log_bytes_written{0};
    std::uint64_t log_entry_bytes{0};
    std::uint64_t cpu_us{0};
    std::uint64_t resident_bytes{0};     // of now
};
std::vector<NodeCounters> ask_nodes(const Options& options);

// What all nodes did between two askings.
struct ServerWork {
    std::size_t nodes{0};            // that answered both times and did not start anew in between
    std::size_t nodes_asked{0};
    NodeCounters sum;
};
// `sum.resident_bytes`: by how much they grew; 0 if they did not.
ServerWork work_between(const std::vector<NodeCounters>& before, const std::vector<NodeCounters>& after);

ringfort::client::CoreOptions core_options(const Options& options);

// Runs the core until `done`, or `until`. False: it was not done in time.
template <class Done>
bool run_until(ringfort::client::Core& core, ringfort::client::SocketNetwork& network, ringfort::env::Clock& clock,
               ringfort::Instant until, Done done) {
    while (true) {
        const ringfort::Instant next = core.turn();
        if (done()) {
            return true;
        }
        if (clock.now() >= until) {
            return false;
        }
        network.wait(std::min(next, until));
    }
}

// Writes every key once, if the options ask for it. Empty: done, or nothing to do; else why it failed. Ends early when a
// signal sets `interrupted`.
std::string prefill(const Options& options, const volatile std::sig_atomic_t& interrupted);

}  // namespace ringload
