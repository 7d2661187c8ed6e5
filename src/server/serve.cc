#include "server/serve.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "server/machine.h"
#include "server/node.h"
#include "server/version.h"
#include "shard/log_move.h"
#include "shard/node_config.h"
#include "shard/shard.h"
#include "uring/data_directory.h"
#include "uring/entropy.h"
#include "uring/recipe.h"

namespace ringfort::server {
namespace {

using env::LogLevel;

class ShardOfNode final : public ShardDriver {
  public:
    ShardOfNode(env::World& world, const shard::NodeConfig& config) : shard_(world, config) {}
    void start() override { shard_.start(); }
    Instant turn() override { return shard_.turn(); }
    void stop() override { shard_.stop(); }
    bool ready() const override { return shard_.ready(); }
    bool has_work() const override { return shard_.has_work(); }

  private:
    shard::Shard shard_;
};

std::vector<std::string> texts(const std::vector<Url>& urls) {
    std::vector<std::string> out;
    for (const Url& url : urls) {
        out.push_back(url.text);
    }
    return out;
}

std::vector<shard::InitialMember> initial_members(const Options& options) {
    std::vector<shard::InitialMember> members;
    for (const MemberUrl& named : options.initial_cluster) {
        shard::InitialMember member;
        member.id = shard::initial_member_id(named.name, named.peer_url.text, options.initial_cluster_token);
        member.name = named.name;
        member.peer_address = named.peer_url.address;
        member.peer_urls = {named.peer_url.text};
        if (named.name == options.name) {
            member.client_urls = texts(options.advertise_client_urls);
        }
        members.push_back(std::move(member));
    }
    std::sort(members.begin(), members.end(),
              [](const shard::InitialMember& a, const shard::InitialMember& b) { return a.id < b.id; });
    return members;
}

shard::NodeConfig::CompactionMode compaction_mode(CompactionMode mode) {
    switch (mode) {
        case CompactionMode::off: return shard::NodeConfig::CompactionMode::off;
        case CompactionMode::periodic: return shard::NodeConfig::CompactionMode::periodic;
        case CompactionMode::revision: return shard::NodeConfig::CompactionMode::revision;
    }
    return shard::NodeConfig::CompactionMode::off;
}

shard::NodeConfig node_config(const Options& options, std::vector<shard::InitialMember> members,
                              const uring::DataDirectory& directory) {
    const uring::Identity& identity = directory.identity();
    shard::NodeConfig config;
    config.cluster_id = identity.cluster;
    config.self = identity.node;
    config.name = options.name;
    config.instance = identity.instance;
    config.incarnation = identity.incarnation;
    config.data_directory_fresh = directory.fresh();
    config.members = std::move(members);
    config.initial_domains = options.initial_domains;
    config.settings.txn_ops = options.max_txn_ops;
    config.settings.request_bytes = options.max_request_bytes;
    config.shard_count = identity.shard_count;
    config.heartbeat_interval = options.heartbeat_interval;
    config.election_timeout = options.election_timeout;
    config.request_timeout = 5s + 2 * options.election_timeout;
    config.memory_quota_bytes = options.quota_backend_bytes;
    config.auto_compaction_mode = compaction_mode(options.auto_compaction_mode);
    config.auto_compaction_period = options.auto_compaction_period;
    config.watch_progress_interval = options.watch_progress_interval;
    config.auto_compaction_revisions = options.auto_compaction_revisions;
    config.version = version;
    return config;
}

class MoveOfShards final : public ShardDriver {
  public:
    explicit MoveOfShards(shard::ShardMove& move) : move_(move) {}
    void start() override { move_.start(); }
    Instant turn() override { return move_.turn(); }
    void stop() override { move_.stop(); }
    bool ready() const override { return false; }
    bool has_work() const override { return false; }

  private:
    shard::ShardMove& move_;
};

// Moves the replicas to as many shards as are asked for, if the directory has another number. It runs as the only shard
// of a node that nobody can reach. Returns what the process is to end with, unless it is to go on.
std::optional<ExitCode> move_shards(std::uint32_t shard_count, uring::DataDirectory& directory, NodeOptions options,
                                    uring::LogWriter& log) {
    const uring::Identity& identity = directory.identity();
    if (shard_count == 0 || shard_count == identity.shard_count) {
        return std::nullopt;
    }
    shard::ShardMoveOptions wanted;
    wanted.instance = identity.instance;
    wanted.from_count = identity.shard_count;
    wanted.to_count = shard_count;
    wanted.switch_file = uring::DataDirectory::identity_file;
    const std::string content = directory.identity_with(shard_count);
    wanted.switch_content.assign(as_bytes(content).begin(), as_bytes(content).end());
    std::unique_ptr<shard::ShardMove> move;   // outlives the ring, which may still hold its memory at the end
    options.shard_count = 1;
    options.shard_cpus.clear();
    options.listening.clear();
    const ExitCode code = Node(options, log, [&](env::World& world, ShardId) -> std::unique_ptr<ShardDriver> {
                              move = std::make_unique<shard::ShardMove>(world, wanted);
                              return std::make_unique<MoveOfShards>(*move);
                          }).run();
    if (code != ExitCode::ok || move == nullptr || !move->switched()) {
        return code;
    }
    directory.note_shard_count(shard_count);
    return std::nullopt;
}

ExitCode refuse(uring::LogWriter& log, const uring::StartFault& fault) {
    log.write(LogLevel::error, "", fault.sentence);
    return exit_code(fault.kind);
}

// Closed when the node has ended.
class Listeners {
  public:
    ~Listeners() {
        for (const ListeningSocket& socket : sockets_) {
            close(socket.fd);
        }
    }
    uring::StartResult<bool> add(const std::vector<Url>& urls, env::ConnectionClass cls) {
        for (const Url& url : urls) {
            TRY_ASSIGN(const int fd, uring::listen_on(url.address));
            sockets_.push_back({.fd = fd, .cls = cls});
        }
        return true;
    }
    const std::vector<ListeningSocket>& sockets() const { return sockets_; }

  private:
    std::vector<ListeningSocket> sockets_;
};

}  // namespace

ExitCode serve(const Options& options, uring::LogWriter& log) {
    std::vector<shard::InitialMember> members = initial_members(options);
    const auto self = std::find_if(members.begin(), members.end(),
                                   [&](const shard::InitialMember& m) { return m.name == options.name; });
    Listeners listeners;
    for (const auto& [urls, cls] : {std::pair(&options.listen_client_urls, env::ConnectionClass::client),
                                    std::pair(&options.listen_peer_urls, env::ConnectionClass::peer)}) {
        if (const auto listening = listeners.add(*urls, cls); !listening) {
            return refuse(log, listening.error());
        }
    }
    auto directory = uring::DataDirectory::open(
        {.path = options.data_dir,
         .cluster = shard::initial_cluster_id(members, options.initial_cluster_token),
         .node = self->id,
         .shard_count = options.shards,
         .shard_count_fresh = usable_cores(),
         .fresh_allowed = options.initial_cluster_state == ClusterState::fresh,
         .on_wait = [&](const std::string& sentence) { log.write(LogLevel::warning, "", sentence); }});
    if (!directory) {
        return refuse(log, directory.error());
    }
    const auto measured = uring::measure_recipes(directory->fd(), options.data_dir);
    if (!measured) {
        return refuse(log, measured.error());
    }
    log.write(LogLevel::info, "", fmt::format("disk: {} us for a dsync write, {} us for a write and a sync",
                                              measured->dsync.count() / 1000, measured->write_then_sync.count() / 1000));
    NodeOptions node;
    node.world.seed = uring::random_number();
    node.world.disk = {.directory = directory->fd(), .measured = *measured};
    node.world.lock_fd = directory->lock_fd();
    if (const auto ended = move_shards(options.shards, *directory, node, log)) {
        return *ended;
    }
    if (const auto removed = directory->remove_retired_shards(); !removed) {
        return refuse(log, removed.error());
    }
    const shard::NodeConfig config = node_config(options, std::move(members), *directory);
    node.shard_count = config.shard_count;
    node.shard_cpus = options.shard_cpus;
    node.loop.poll = options.poll;
    node.listening = listeners.sockets();
    log.write(LogLevel::info, "", fmt::format("ringfort {}: member {:016x} '{}' of cluster {:016x}, {} shards", version,
                                              config.self.value, config.name, config.cluster_id.value,
                                              config.shard_count));
    return Node(node, log, [&](env::World& world, ShardId shard) -> std::unique_ptr<ShardDriver> {
               shard::NodeConfig own = config;
               own.shard = shard;
               return std::make_unique<ShardOfNode>(world, own);
           }).run();
}

}  // namespace ringfort::server
