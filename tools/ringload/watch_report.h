// The result of --op watch and watch-latency, as a table and as JSON.
#pragma once

#include <cstdint>
#include <string>

#include "cluster.h"
#include "load.h"
#include "options.h"
#include "timeline.h"
#include "watch_load.h"

namespace ringload {

struct WatchReport {
    const Options* options{nullptr};
    const WatchLoad* watches{nullptr};
    const Load* puts{nullptr};           // null: none were made
    double created_seconds{0};           // how long it took to create them all
    ServerWork creation;                 // what the nodes did and grew by from before the first watch until all were there
    ServerWork servers;                  // what they did from then on
    std::uint64_t received{0};           // events since then
    double seconds{0};                   // since then
    double client_cpu_us{0};             // of this process, likewise
    ringfort::client::CoreCounters client;
    bool interrupted{false};

    // Of all watches for all acknowledged puts, and not received. Those that ended are owed nothing.
    std::uint64_t missing() const;
};

std::string as_table(const WatchReport& report);
std::string as_json(const WatchReport& report);
// Of the second that ended.
std::string live_line(const Interval& events, const Interval& puts, std::size_t watches);

}  // namespace ringload
