// Everything a run is made of, drawn from its seed. Swarm testing: each seed switches whole classes of faults, sizes and
// timings on or off, so that every combination is met some time and none hides another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/instant.h"
#include "base/prng.h"
#include "shard/shard_bounds.h"
#include "sim/disk_media.h"
#include "sim/number_set.h"
#include "sim/sim_network.h"

namespace ringfort::sim {

enum class FaultKind : std::uint8_t {
    kill,            // one process, restarted later
    kill_all,
    power_cut,       // one machine
    power_cut_all,
    stop,            // orderly stop and restart
    pause,           // SIGSTOP for a while
    isolate,         // one node from everybody, or from its peers only
    split,           // nodes in two groups
    one_way,         // one direction between two nodes
    bridge,          // two groups that cannot talk, and perhaps one node that can with both
    flap,            // one pair, on and off
    reset,           // connections
    delay,           // a path becomes slow
    slow_disk,
    hung_disk,
    disk_error,      // a write or flush fails: the node takes itself out
    clock_drift,
    wall_jump,
    // Harm to data, within the budget of sim/damage_budget.h.
    wipe,            // the data directory is lost
    bit_flip,        // rot in log, checkpoint or the small files
    bad_sector,      // it cannot be read until it is written again
    read_error,      // reads, or lists of files, fail for a while
    lost_file,
    full_disk,
    stranger,        // somebody who does not keep to the protocol (sim/stranger.h)
    crash_point,     // death at a certain completion of the disk or event of the network
    kill_two,
    rolling_restart, // orderly, one node after the other, each when all are back
    restart_storm,   // one node is killed again and again, often before it is up
    steal,           // many short pauses, as a busy hypervisor makes them
    half_open,       // one end of connections is gone, and the other does not hear of it
    trickle,         // a path carries little: socket buffers fill
    // Harm to data again.
    lost_write,        // acknowledged, and never stored
    misdirected_write, // stored in another place
    misdirected_read,  // reads answer with what lies in another place, for a while
    lying_flush,       // what was flushed is gone after a power cut
    old_copy,          // the data directory as it was is put back
};
inline constexpr std::size_t fault_kinds = std::to_underlying(FaultKind::old_copy) + 1;   // the last one
std::string_view to_string(FaultKind kind);
std::optional<FaultKind> fault_kind(std::string_view name);
bool harms_data(FaultKind kind);

struct WorkloadOptions {
    std::size_t clients{5};
    std::size_t in_flight_max{2};          // per client
    Duration think{50ms};                  // between operations of a client, on average
    std::uint32_t keys{8};                 // per domain
    bool uniform{false};                   // else half of the operations meet on two keys
    std::uint32_t value_bytes_max{64};
    // More keys of a domain, of short values, which large transactions fill and large ranges read and delete; 0: none.
    std::uint32_t bulk_keys{0};
    std::uint32_t txn_ops{128};            // the cluster's bound: fills are as large
    Duration request_timeout{5s};
    // Weights of the kinds of operation.
    std::uint32_t puts{30}, gets{25}, stale_gets{8}, past_gets{4}, ranges{8}, pages{5}, removes{8},
        range_removes{2}, transactions{15}, compactions{2};
    std::uint32_t leases{0};               // likewise; 0: none, and no put with one
    // More keys of a domain, only for puts with a lease; who deletes what is many deletes them, too. 0: none.
    std::uint32_t lease_keys{0};
    std::uint32_t hashes{0}, disarms{0};   // likewise
    std::size_t burst_requests{0};         // of a client, at once; 0: no bursts
    Duration burst_interval{5s};           // between bursts, on average
    std::uint32_t cancel_one_in{0};        // requests given up before their answer; 0: none
    std::uint32_t hurry_one_in{0};         // requests with a deadline of milliseconds; 0: none
    std::uint32_t keeps_one_in{0};         // puts that keep the value or the lease of a key that may be gone
    std::uint64_t operations_max{0};       // of a client; 0: it goes on asking until the load ends
    std::size_t watches{0};                // of a client, at a time
    bool locks{false};                     // locks and elections, in a domain of their own
    std::uint32_t reply_credit_bytes{1 << 20};   // of a long reply or a watch
};

struct RunOptions {
    std::uint64_t seed{1};
    std::size_t nodes{3};
    std::uint32_t shards{2};
    std::uint32_t domains{1};
    Duration duration{30s};                // of the phase with faults
    bool trace{false};
    bool stop_at_violation{true};

    Duration heartbeat_interval{100ms};
    Duration election_timeout{1000ms};
    std::size_t segment_bytes{16 * mib};
    // A batch is a quarter of window and segment at most, and must hold the largest request and a whole append.
    std::size_t request_bytes{limits::request_bytes_default};
    std::size_t log_window_bytes{32 * mib};
    std::uint64_t checkpoint_log_bytes{64 * mib};
    std::uint64_t checkpoint_slack_bytes{64 * mib};
    Duration scrub_interval{1h};
    std::uint64_t log_bytes_goal{1 * gib};
    std::uint64_t memory_quota_bytes{0};   // of a node; 0: none
    shard::ShardBounds bounds;
    std::size_t connections_max{4096};     // client connections of a shard
    std::size_t mailbox_capacity{1024};    // between two shards
    // At most one of them is not 0: compaction without being asked.
    Duration auto_compaction_period{0};
    std::int64_t auto_compaction_revisions{0};
    Duration watch_progress_interval{10min};
    Duration turn_cost{10us};              // virtual CPU time of a turn, on average
    std::uint32_t invariants_one_in{64};   // turns after which a shard checks its invariants
    DiskProfile disk;
    NetworkProfile network;
    std::int64_t drift_ppm_max{0};
    WorkloadOptions workload;

    Duration load_goes_on{5s};             // behind a healing
    Duration fault_interval{0};            // between faults on average; 0: none
    Duration repair_max{3s};               // how long a fault lasts at most
    std::uint64_t fault_mask{0};           // bit FaultKind
    // Left out of what would be injected; the rest happens as before, as far as it does not follow from these.
    std::uint64_t without_mask{0};         // bit FaultKind
    NumberSet skipped_faults;              // by their numbers in the order of injection, from 1
    // Nodes that go during the run and never come back; a minority, and not together with damage.
    std::size_t nodes_lost{0};
    std::uint32_t keep_per_million{500'000};   // of what is not durable at a power cut

    bool shard_changes{false};             // some starts come with another number of shards
    bool beyond_budget{false};             // loud harm hits all copies: it may end in a halt or in silence

    // Those of the workload, and that of the locks behind them.
    std::uint32_t all_domains() const { return domains + (workload.locks ? 1u : 0u); }
    bool enabled(FaultKind kind) const { return ((fault_mask >> static_cast<unsigned>(kind)) & 1u) != 0; }
};

// What the command line fixes; the rest is drawn.
struct RunRequest {
    std::uint64_t seed{1};
    std::optional<std::size_t> nodes;
    std::optional<std::uint32_t> shards;
    std::optional<std::uint32_t> domains;
    Duration duration{30s};
    bool trace{false};
    bool faults{true};
    std::uint64_t without_mask{0};       // of faults: bit FaultKind
    NumberSet skipped_faults;
    std::vector<std::string> settings;   // `name=value` (sim/settings.h), over what is drawn
    std::string mutant;   // the planted bug this process has (sim/mutants.h); empty: none
    bool light{false};   // nothing is drawn: 10 clients with 100 operations a second in a healthy world; to measure speed
};
// Requires: the settings are good (check_settings).
RunOptions draw_options(const RunRequest& request);
// What is wrong with them, a sentence; empty if all are good.
std::string check_settings(const RunRequest& request);
// One line for people.
std::string describe(const RunOptions& options);

}  // namespace ringfort::sim
