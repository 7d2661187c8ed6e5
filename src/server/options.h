// What the operator asked for: flags in etcd's words, environment (RINGFORT_ + the flag in upper case, '-' as '_'), YAML
// file with flag names as keys. A flag beats the environment, the environment beats the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "env/network.h"
#include "env/world.h"

namespace ringfort::server {

struct Url {
    std::string text;         // as given, without a slash at the end
    env::Address address;
    bool operator==(const Url&) const = default;
};

// A member is known to the others by one URL: its id is made of it, and it is the one that is dialled.
struct MemberUrl {
    std::string name;
    Url peer_url;
    bool operator==(const MemberUrl&) const = default;
};

enum class ClusterState : std::uint8_t { fresh, existing };
enum class CompactionMode : std::uint8_t { off, periodic, revision };

struct Options {
    std::string name;
    std::string data_dir;
    std::vector<Url> listen_client_urls;
    std::vector<Url> advertise_client_urls;
    std::vector<Url> listen_peer_urls;
    Url initial_advertise_peer_url;
    std::vector<MemberUrl> initial_cluster;      // in the order given, this node included
    std::string initial_cluster_token;
    ClusterState initial_cluster_state{ClusterState::fresh};
    std::vector<std::string> initial_domains;    // sorted, distinct
    Duration heartbeat_interval{0};
    Duration election_timeout{0};
    std::uint64_t quota_backend_bytes{0};        // of the node; 0: no limit
    CompactionMode auto_compaction_mode{CompactionMode::off};
    Duration auto_compaction_period{0};
    std::int64_t auto_compaction_revisions{0};
    Duration watch_progress_interval{0};
    std::uint32_t max_request_bytes{0};
    std::uint32_t max_txn_ops{0};
    std::uint32_t shards{0};                     // 0: not said
    std::vector<unsigned> shard_cpus;            // one a shard; empty: not pinned
    Duration poll{0};
    env::LogLevel log_level{env::LogLevel::info};
};

// Of the machine, for defaults.
struct Machine {
    std::uint64_t memory_bytes{0};
};

// Values by flag name, from one source or merged.
using FlagValues = std::map<std::string, std::string, std::less<>>;

// One sentence that names the flag.
struct OptionsFault {
    std::string sentence;
};

// What the command line was for.
enum class Errand : std::uint8_t { serve, print_and_exit };

struct CommandLine {
    Errand errand{Errand::serve};
    std::string text;                     // to print: help or version
    FlagValues values;
    std::vector<std::string> warnings;
};

// Reads all three sources. `environment` as main() gets it: "NAME=value".
Result<CommandLine, OptionsFault> read_command_line(const std::vector<std::string>& arguments,
                                                    const std::vector<std::string>& environment);
// Checks the merged values, fills in defaults.
Result<Options, OptionsFault> interpret(const FlagValues& values, const Machine& machine);

}  // namespace ringfort::server
