#include "server/flags.h"

#include <algorithm>
#include <array>

namespace ringfort::server {
namespace {

constexpr std::string_view member_flags = "Member";
constexpr std::string_view clustering = "Clustering";
constexpr std::string_view storage = "Storage and limits";
constexpr std::string_view machine_flags = "Machine";
constexpr std::string_view logging = "Logging";

constexpr std::array flag_table = {
    Flag{"name", member_flags, "NAME", "default", "Human-readable name of this member."},
    Flag{"data-dir", member_flags, "PATH", "", "Data directory. Default: NAME.ringfort"},
    Flag{"listen-client-urls", member_flags, "URL,...", "http://localhost:2379", "URLs to listen on for clients."},
    Flag{"listen-peer-urls", member_flags, "URL,...", "http://localhost:2380", "URLs to listen on for peers."},
    Flag{"heartbeat-interval", member_flags, "MS", "100", "Time between heartbeats, in milliseconds."},
    Flag{"election-timeout", member_flags, "MS", "1000",
         "Time without a leader before an election, in milliseconds; at least 5 heartbeat intervals."},
    Flag{"config-file", member_flags, "PATH", "",
         "YAML file whose keys are flag names. Flags and environment variables beat it."},

    Flag{"advertise-client-urls", clustering, "URL,...", "",
         "This member's client URLs as told to the others. Default: the listening ones."},
    Flag{"initial-advertise-peer-urls", clustering, "URL", "",
         "This member's one peer URL as told to the others. Default: that of --initial-cluster, else the listening one."},
    Flag{"initial-cluster", clustering, "NAME=URL,...", "",
         "All members of a new cluster, one peer URL each. Default: this member alone."},
    Flag{"initial-cluster-token", clustering, "TOKEN", "ringfort-cluster",
         "Makes the ids of this cluster differ from those of others with the same members."},
    Flag{"initial-cluster-state", clustering, "new|existing", "new",
         "'existing' refuses to start without the data of a former start."},
    Flag{"initial-domains", clustering, "KEY,...", "",
         "Keys at which the key space of a new cluster is split into domains, each with its own revisions."},

    Flag{"quota-backend-bytes", storage, "BYTES", "0",
         "Memory for stored data on this node; 0: a quarter of the machine's or cgroup's memory; negative: no limit."},
    Flag{"auto-compaction-mode", storage, "periodic|revision", "periodic",
         "How --auto-compaction-retention counts: time or revisions."},
    Flag{"auto-compaction-retention", storage, "VALUE", "0",
         "History to keep: for 'periodic' a duration (\"30m\"; a bare number is hours), for 'revision' a number; 0: all."},
    Flag{"watch-progress-notify-interval", storage, "DURATION", "10m",
         "Time between marks of a watch that wants them and has nothing else to tell (\"10m\", \"500ms\")."},
    Flag{"max-request-bytes", storage, "BYTES", "1572864", "Largest client request; fixed when the cluster is founded."},
    Flag{"max-txn-ops", storage, "COUNT", "128", "Most operations in a transaction; fixed when the cluster is founded."},

    Flag{"shards", machine_flags, "COUNT", "",
         "Shards, one thread each. Default: as the data directory was made; for a new one the usable cores."},
    Flag{"shard-cpus", machine_flags, "CPU,...", "",
         "Pins shards to CPUs, one for each (\"0,2,4-6\"). Default: shards float over the allowed CPUs."},
    Flag{"poll-us", machine_flags, "US", "200",
         "How long a shard looks for events before it sleeps, in microseconds, and at most 60 when it has much to do; "
         "0: never."},

    Flag{"log-level", logging, "LEVEL", "info", "debug, info, warn or error."},
};

struct Refusal {
    std::string_view name;    // a '*' at the end stands for any rest
    std::string_view why;
};

constexpr std::string_view no_tls = "TLS is not built: put ringfort on a private network or behind a TLS proxy";
constexpr std::string_view no_discovery = "discovery is not built: name all members with --initial-cluster";
constexpr std::string_view no_auth = "authentication is not built";
constexpr std::string_view no_grpc = "clients speak FlatBuffers over TCP here, not gRPC or HTTP";
constexpr std::string_view no_bolt = "there is no bbolt backend here: data lives in memory, in a log and in checkpoints";
constexpr std::string_view no_snapshots = "checkpoints are taken by log size, not by a count of entries";
constexpr std::string_view no_logger = "log lines go to stderr as text";
constexpr std::string_view no_metrics = "no metrics are served over HTTP";
constexpr std::string_view no_tracing = "distributed tracing is not built";
constexpr std::string_view always_on = "this is always on";
constexpr std::string_view no_hash_checks =
    "nodes do not compare their states while they run: \"ringctl endpoint status -w json\" shows the hash of each replica";

constexpr std::array refusal_table = {
    Refusal{"cert-file", no_tls}, Refusal{"key-file", no_tls}, Refusal{"client-*", no_tls},
    Refusal{"trusted-ca-file", no_tls}, Refusal{"auto-tls", no_tls}, Refusal{"peer-*", no_tls},
    Refusal{"self-signed-cert-validity", no_tls}, Refusal{"cipher-suites", no_tls}, Refusal{"tls-*", no_tls},
    Refusal{"cors", no_grpc}, Refusal{"host-whitelist", no_grpc}, Refusal{"listen-client-http-urls", no_grpc},
    Refusal{"grpc-*", no_grpc}, Refusal{"enable-grpc-gateway", no_grpc}, Refusal{"max-concurrent-streams", no_grpc},
    Refusal{"socket-reuse-*", no_grpc},
    Refusal{"discovery*", no_discovery},
    Refusal{"auth-token*", no_auth}, Refusal{"bcrypt-cost", no_auth},
    Refusal{"wal-dir", "log and checkpoints lie together in --data-dir"},
    Refusal{"snapshot-c*", no_snapshots}, Refusal{"max-snapshots", no_snapshots}, Refusal{"max-wals", no_snapshots},
    Refusal{"backend-b*", no_bolt}, Refusal{"bootstrap-defrag-threshold-megabytes", no_bolt},
    Refusal{"memory-mlock", "locking the store into memory is not built"},
    Refusal{"raft-*", "connections between members are watched by heartbeats, not by timeouts of their own"},
    Refusal{"initial-election-tick-advance", "there are no election ticks here"},
    Refusal{"strict-reconfig-check", "changing members is not built"},
    Refusal{"max-learners", "changing members is not built"},
    Refusal{"pre-vote", always_on}, Refusal{"feature-gates", "there are no feature gates"},
    Refusal{"compact-hash-check-*", no_hash_checks}, Refusal{"corrupt-check-time", no_hash_checks},
    Refusal{"compaction-*", "compaction works in steps bounded by this version, not by flags"},
    Refusal{"experimental-watch-progress-notify-interval", "its name is --watch-progress-notify-interval"},
    Refusal{"warning-*", no_logger}, Refusal{"downgrade-check-time", "downgrades are not built"},
    Refusal{"enable-pprof", no_metrics}, Refusal{"metrics", no_metrics}, Refusal{"listen-metrics-urls", no_metrics},
    Refusal{"logger", no_logger}, Refusal{"log-outputs", no_logger}, Refusal{"log-format", no_logger},
    Refusal{"log-rotation*", no_logger}, Refusal{"enable-log-rotation", no_logger},
    Refusal{"enable-distributed-tracing", no_tracing}, Refusal{"distributed-tracing-*", no_tracing},
    Refusal{"experimental-*", "there are no experimental flags"},
    Refusal{"force-new-cluster", "rebuilding a cluster from one member is not built"},
    Refusal{"unsafe-no-fsync", "every acknowledged write is durable here"},
};

}  // namespace

std::span<const Flag> flags() {
    return flag_table;
}

const Flag* find_flag(std::string_view name) {
    const auto found = std::find_if(flag_table.begin(), flag_table.end(),
                                    [&](const Flag& flag) { return flag.name == name; });
    return found == flag_table.end() ? nullptr : &*found;
}

std::string_view refusal_of(std::string_view name) {
    for (const Refusal& refusal : refusal_table) {
        const bool prefix = refusal.name.ends_with('*');
        if (prefix ? name.starts_with(refusal.name.substr(0, refusal.name.size() - 1)) : name == refusal.name) {
            return refusal.why;
        }
    }
    return {};
}

}  // namespace ringfort::server
