// What a run of ringload does. options.cc reads it from the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "env/network.h"
#include "keys.h"

namespace ringload {

enum class Operation : std::uint8_t { put, get, sget, txn, txn_put, txn_range, lease_grant, lease_keep_alive };
enum class Prefill : std::uint8_t { automatic, always, never };

struct Options {
    std::vector<ringfort::env::Address> endpoints;
    std::string op{"put"};              // as given; lease-grant before lease-keepalive
    unsigned read_percent{50};          // of mixed
    double rw_ratio{1};                 // of txn-mixed: reads for each write
    std::int64_t range_limit{1000};     // likewise: keys of a read, 0: all
    std::string end_key;                // likewise: where reads end; empty: where the keys do
    std::size_t watches_per_connection{100};
    bool idle{false};                   // watches alone, no puts
    bool prev_kv{false};                // of watches
    std::size_t connections{16};
    std::size_t in_flight{16};          // per connection
    std::size_t concurrent{0};          // 0: connections x in_flight; of an open loop the bound (default 16384)
    std::uint64_t requests{0};          // 0: by time
    double seconds{0};
    double warmup_seconds{0};
    double rate{0};                     // requests per second; 0: closed loop
    std::string prefix{"k"};
    std::int64_t put_lease{0};          // what is put hangs on it; 0: on none
    std::size_t key_bytes{8};
    std::size_t value_bytes{256};
    std::uint64_t keys{10000};
    Distribution distribution{Distribution::uniform};
    double zipf_exponent{0.99};
    bool to_leader{false};
    std::int64_t timeout_ms{5000};
    std::int64_t dial_timeout_ms{1000};
    std::uint64_t poll_us{0};
    std::uint64_t seed{0};              // 0: from the clock
    std::uint64_t started_us{0};        // since the epoch
    Prefill prefill{Prefill::automatic};
    bool live{true};
    bool json{false};
    std::string html;
    std::string history;
    // ringload verify
    bool verify{false};
    std::uint64_t sample{20000};

    bool open_loop() const { return rate > 0; }
    bool watches() const { return op == "watch" || op == "watch-latency"; }
    bool mixes() const { return op == "mixed" || op == "txn-mixed"; }
    bool writes() const { return op == "put" || op == "txn" || mixes() || (watches() && !idle); }
    bool reads() const { return op == "get" || op == "sget" || mixes(); }
    bool keeps_leases() const { return op == "lease-keepalive"; }
    // Of the lease that stands for a key. Runs have their own, those of one seed, too.
    std::int64_t lease_of(std::uint64_t key) const {
        const std::uint64_t run = seed * 31 + started_us;
        return static_cast<std::int64_t>((run & 0x3fff'ffff) << 32) + static_cast<std::int64_t>(key) + 1;
    }
    std::size_t watch_count() const { return watches() ? connections * watches_per_connection : 0; }
    std::size_t slots() const {
        if (concurrent > 0) {
            return concurrent;
        }
        return open_loop() ? 16384 : connections * in_flight;
    }
    // 0: as it comes.
    std::size_t per_connection() const { return open_loop() || concurrent > 0 ? 0 : in_flight; }
};

// Reads the command line. Ends the process after --help and --version, and with one sentence on a wrong combination.
Options read_options(int argc, char** argv);

}  // namespace ringload
