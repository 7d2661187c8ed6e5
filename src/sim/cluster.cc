#include "sim/cluster.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>

#include "base/assertion.h"
#include "kv/store_impl.h"
#include "shard/space_alarms.h"
#include "sim/checkers/turn_work.h"

namespace ringfort::sim {

namespace {

constexpr std::string_view token = "simulated";

std::string node_name(std::size_t index) { return "n" + std::to_string(index + 1); }
std::string url(const std::string& host, std::uint16_t port) { return "http://" + host + ":" + std::to_string(port); }

// The members as --initial-cluster would name them to every node.
std::vector<shard::InitialMember> initial_members(std::size_t nodes) {
    std::vector<shard::InitialMember> out;
    for (std::size_t i = 0; i < nodes; i++) {
        shard::InitialMember member;
        member.name = node_name(i);
        member.peer_address = {member.name, peer_port};
        member.peer_urls = {url(member.name, peer_port)};
        member.id = shard::initial_member_id(member.name, member.peer_urls.front(), token);
        out.push_back(std::move(member));
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return out;
}

shard::NodeConfig config_of(const RunOptions& options, const std::vector<shard::InitialMember>& members,
                            const std::string& name) {
    shard::NodeConfig out;
    out.cluster_id = shard::initial_cluster_id(members, token);
    out.name = name;
    out.members = members;
    for (auto& member : out.members) {
        if (member.name == name) {
            out.self = member.id;
            member.client_urls = {url(name, client_port)};
        }
    }
    out.initial_domains = domain_splits(options.all_domains());
    out.shard_count = options.shards;
    out.heartbeat_interval = options.heartbeat_interval;
    out.election_timeout = options.election_timeout;
    out.request_timeout = 5s + 2 * options.election_timeout;
    out.watch_progress_interval = options.watch_progress_interval;
    out.segment_bytes = options.segment_bytes;
    out.log_window_bytes = options.log_window_bytes;
    out.checkpoint_log_bytes = options.checkpoint_log_bytes;
    out.checkpoint_slack_bytes = options.checkpoint_slack_bytes;
    out.scrub_interval = options.scrub_interval;
    out.log_bytes_goal = options.log_bytes_goal;
    out.settings.request_bytes = static_cast<std::uint32_t>(options.request_bytes);
    out.settings.txn_ops = options.workload.txn_ops;
    out.bounds = options.bounds;
    out.connections_max = options.connections_max;
    out.memory_quota_bytes = options.memory_quota_bytes;
    using CompactionMode = shard::NodeConfig::CompactionMode;
    out.auto_compaction_mode = options.auto_compaction_revisions > 0 ? CompactionMode::revision
                               : options.auto_compaction_period > 0s ? CompactionMode::periodic
                                                                     : CompactionMode::off;
    out.auto_compaction_period = options.auto_compaction_period;
    out.auto_compaction_revisions = options.auto_compaction_revisions;
    out.version = "simulated";
    return out;
}

std::string progress(const shard::ReplicaView& view) {
    return std::string(raft::to_string(view.role)) + " of term " + std::to_string(view.term.value) + " following " +
           std::to_string(view.leader.value) + ", applied " + std::to_string(view.applied.value) + " of commit " +
           std::to_string(view.commit.value) + ", last " + std::to_string(view.last.term.value) + "/" +
           std::to_string(view.last.index.value) + (view.in_doubt ? ", in doubt" : "");
}

// Of a sentence that begins with `range N`.
std::optional<RangeId> range_named_in(std::string_view sentence) {
    constexpr std::string_view begin = "range ";
    RangeId out;
    const char* const end = sentence.data() + sentence.size();
    const bool named = sentence.starts_with(begin) &&
                       std::from_chars(sentence.data() + begin.size(), end, out.value).ec == std::errc{};
    return named ? std::optional(out) : std::nullopt;
}

}  // namespace

Cluster::Cluster(const RunOptions& options)
    : options_(options), random_(options.seed ^ 0x5ca1ab1e), log_judge_(options.nodes),
      lease_judge_(std::max<std::int64_t>(options.drift_ppm_max, 100)), expected_halts_(options.nodes, 0),
      lost_(options.nodes, false), ended_for_range_(options.nodes, false) {
    network_ = std::make_unique<SimNetwork>(queue_, random_.next(), options_.network);
    make_nodes();
    make_clients();
}

Cluster::~Cluster() {
    // Ports leave the network before it goes.
    stranger_.reset();
    clients_.clear();
    nodes_.clear();
}

void Cluster::make_nodes() {
    const auto members = initial_members(options_.nodes);
    for (std::size_t i = 0; i < options_.nodes; i++) {
        const HostId host = network_->add_host(node_name(i));
        SimNodeOptions node;
        node.config = config_of(options_, members, node_name(i));
        node.disk = options_.disk;
        const auto drift_max = static_cast<std::uint64_t>(options_.drift_ppm_max);
        node.clock.drift_ppm = static_cast<std::int64_t>(random_.below(2 * drift_max + 1)) - options_.drift_ppm_max;
        node.clock.start = Duration(static_cast<std::int64_t>(random_.below(1'000'000'000'000)));
        node.turn_cost = options_.turn_cost;
        node.mailbox_capacity = options_.mailbox_capacity;
        node.seed = random_.next();
        node.trace = options_.trace;
        nodes_.push_back(std::make_unique<SimNode>(queue_, *network_, host, node, *this));
        log_judge_.watch(i, nodes_.back()->id(), nodes_.back()->media());
    }
}

void Cluster::make_clients() {
    std::vector<HostId> hosts;
    for (std::size_t i = 0; i < options_.workload.clients; i++) {
        hosts.push_back(network_->add_host("c" + std::to_string(i + 1)));
    }
    std::vector<std::string> nodes;
    for (const auto& node : nodes_) {
        nodes.push_back(node->name());
    }
    const HostId strange = network_->add_host("stranger");
    stranger_ = std::make_unique<Stranger>(queue_, *network_, strange, nodes, options_.seed ^ 0xbad);
    for (std::size_t i = 0; i < options_.workload.clients; i++) {
        SimClientOptions client;
        client.number = static_cast<std::uint32_t>(i + 1);
        client.domains = options_.domains;
        for (std::size_t n = 0; n < options_.nodes; n++) {
            client.core.endpoints.push_back({node_name(n), client_port});
        }
        client.core.first_endpoint = i % options_.nodes;
        client.core.connections = random_.between(1, 2);
        client.core.reply_credit_bytes = options_.workload.reply_credit_bytes;
        client.core.name = "c" + std::to_string(i + 1);
        client.seed = random_.next();
        client.trace = options_.trace;
        clients_.push_back(std::make_unique<SimClient>(queue_, *network_, hosts[i], options_.workload, client, history_,
                                                       watch_records_, lock_records_));
    }
}

std::size_t Cluster::index_of(const SimNode& node) const {
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (nodes_[i].get() == &node) {
            return i;
        }
    }
    UNREACHABLE();
}

std::size_t Cluster::leader_node() {
    std::size_t best = random_.below(nodes_.size());
    std::size_t most = 0;
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        std::size_t leads = 0;
        if (nodes_[i]->running()) {
            for (const auto& view : nodes_[i]->inspect()) {
                leads += view.role == raft::Role::leader ? 1u : 0u;
            }
        }
        if (leads > most) {
            most = leads;
            best = i;
        }
    }
    return best;
}

void Cluster::report(std::string violation) {
    if (violation_.empty()) {
        violation_ = std::move(violation);
    }
}

void Cluster::describe() {
    for (const auto& node : nodes_) {
        std::fprintf(stderr, "  %s: %s%s\n", node->name().c_str(), node->running() ? "running" : "not running",
                     node->running() && !node->ready() ? ", not ready" : "");
        if (!node->running()) {
            continue;
        }
        for (const shard::ReplicaView& view : node->inspect()) {
            std::fprintf(stderr, "    range %llu: %s\n", static_cast<unsigned long long>(view.range.value),
                         progress(view).c_str());
        }
    }
}

// Nobody leads them, or a replica of theirs is missing, in doubt, does not apply what is committed, or differs.
std::set<RangeId> Cluster::ranges_in_trouble(const std::vector<bool>& among) {
    std::set<RangeId> led;
    std::map<RangeId, std::vector<shard::ReplicaView>> replicas;
    std::size_t running = 0;
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (!nodes_[i]->running()) {
            continue;
        }
        running += among[i] ? 1u : 0u;
        for (const auto& view : nodes_[i]->inspect()) {
            if (view.role == raft::Role::leader) {
                led.insert(view.range);
            }
            if (among[i]) {
                replicas[view.range].push_back(view);
            }
        }
    }
    std::set<RangeId> out;
    for (const auto& [range, views] : replicas) {
        const auto goes_on = [&](const shard::ReplicaView& view) {
            return !view.in_doubt && view.applied >= view.commit && view.applied == views.front().applied &&
                   view.state_hash == views.front().state_hash;
        };
        if (!led.contains(range) || views.size() < running || !std::ranges::all_of(views, goes_on)) {
            out.insert(range);
        }
    }
    return out;
}

std::set<RangeId> Cluster::ranges_named() const {
    std::set<RangeId> out = named_by_halts_;
    for (const auto& node : nodes_) {
        if (!node->running()) {
            continue;
        }
        for (const SimLogSink::Line& line : node->log_lines()) {
            const auto named = range_named_in(line.text);
            if (line.level == env::LogLevel::error && named) {
                out.insert(*named);
            }
        }
    }
    return out;
}

bool Cluster::harm_is_named(const std::vector<bool>& among) {
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (among[i] && ended_for_range_[i] && !nodes_[i]->ready()) {
            return true;
        }
    }
    const std::set<RangeId> trouble = ranges_in_trouble(among);
    const std::set<RangeId> named = ranges_named();
    const bool directory = trouble.contains(directory_range) && named.contains(directory_range);
    return !trouble.empty() && (directory || std::ranges::includes(named, trouble));
}

std::vector<bool> Cluster::present() const {
    std::vector<bool> out = lost_;
    out.flip();
    return out;
}

bool Cluster::ready(const std::vector<bool>& among) const {
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (among[i] && !nodes_[i]->ready()) {
            return false;
        }
    }
    return true;
}

void Cluster::look() { formed_ = formed_ || all_ready(); }

std::string Cluster::difference(const std::vector<bool>& among) {
    std::map<RangeId, std::pair<const SimNode*, shard::ReplicaView>> first;
    std::map<RangeId, std::size_t> count;
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        SimNode* const node = nodes_[i].get();
        if (!among[i]) {
            continue;
        }
        if (!node->running()) {
            return node->name() + " does not run";
        }
        for (const auto& view : node->inspect()) {
            const auto [found, added] = first.emplace(view.range, std::pair(node, view));
            const auto& other = found->second.second;
            count[view.range]++;
            if (!added && (other.applied != view.applied || other.state_hash != view.state_hash)) {
                return "range " + std::to_string(view.range.value) + ": " + found->second.first->name() + " " +
                       progress(other) + "; " + node->name() + " " + progress(view);
            }
            if (view.in_doubt) {
                return "range " + std::to_string(view.range.value) + ": " + node->name() + " is in doubt";
            }
        }
    }
    for (const auto& [range, replicas] : count) {
        if (replicas != static_cast<std::size_t>(std::count(among.begin(), among.end(), true))) {
            return "range " + std::to_string(range.value) + " has " + std::to_string(replicas) + " replicas";
        }
    }
    return count.size() == options_.all_domains() + 1 ? std::string{} : std::to_string(count.size()) + " ranges exist";
}

std::string Cluster::hashes_differ(const std::vector<bool>& among) {
    std::map<std::pair<RangeId, LogIndex>, std::pair<const SimNode*, api::HashKvResponse>> first;
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        for (const auto& view : among[i] ? nodes_[i]->hashes() : std::vector<shard::HashView>{}) {
            const auto [found, added] =
                first.emplace(std::pair(view.range, view.applied), std::pair(nodes_[i].get(), view.hash));
            const auto& [other, hash] = found->second;
            if (!added && hash != view.hash) {
                return "range " + std::to_string(view.range.value) + ": keys and values of " + other->name() + " and " +
                       nodes_[i]->name() + " differ at entry " + std::to_string(view.applied.value);
            }
        }
    }
    return {};
}

bool Cluster::spoil_state(std::size_t node, RangeId range) {
    kv::Store* store = nodes_[node]->running() ? nodes_[node]->store_of(range) : nullptr;
    if (store == nullptr || store->applying()) {
        return false;
    }
    excuse_state(node, true);
    store->impl().state.hash ^= 1;
    return true;
}

void Cluster::after_turn(SimNode& node, shard::Shard& shard) {
    turns_seen_++;
    if (options_.invariants_one_in != 0 && turns_seen_ % options_.invariants_one_in == 0) {
        shard.check_invariants();
        check_held(node);
    }
    const auto views = shard::inspect(shard);
    if (options_.workload.leases > 0 && has_applied(node, views)) {
        look_at_leases(node, shard);
    }
    for (const auto& view : views) {
        std::string wrong = judge_.observe(node.id(), view);
        if (!wrong.empty()) {
            report(node.name() + " " + wrong);
        }
        if (options_.trace) {
            narrator_.look(node.id(), node.name(), view);
        }
    }
    std::string overdone = check_turn_work(shard::inspect_work(shard), options_.request_bytes);
    if (!overdone.empty()) {
        report(node.name() + " " + overdone);
    }
    std::string wrong = log_judge_.observe(index_of(node), node.id(), views);
    if (!wrong.empty()) {
        report(std::move(wrong));
    }
}

void Cluster::check_held(SimNode& node) {
    for (const Holdings& holdings : node.holdings()) {
        std::string wrong = check_bounds(holdings);
        if (!wrong.empty()) {
            report(std::move(wrong));
        }
    }
}

// A node that leads has taken back what it has the room for. What its shards tell each other of their memory is rough.
std::string Cluster::alarm_stays(SimNode& node) const {
    const std::uint64_t quota = options_.memory_quota_bytes;
    const std::vector<shard::ReplicaView> views = node.inspect();
    std::uint64_t live_bytes = quota / 128 * options_.shards;
    bool raised = false;
    for (const shard::ReplicaView& view : views) {
        live_bytes += view.live_bytes;
        raised = raised || (view.alarms > 0 && view.role == raft::Role::leader);
    }
    const bool room = live_bytes <= shard::SpaceAlarms::clear_level(quota);
    return raised && room ? node.name() + " does not take back an alarm" : std::string{};
}

std::string Cluster::unrest(const std::vector<bool>& among) {
    std::vector<Holdings> all;
    for (std::size_t i = 0; i < nodes_.size(); i++) {
        if (!among[i]) {
            continue;
        }
        SimNode& node = *nodes_[i];
        if (!node.running()) {
            return node.name() + " does not run";
        }
        for (Holdings& holdings : node.holdings()) {
            all.push_back(std::move(holdings));
        }
        auto files = node.files();
        if (files) {
            files->segments_excused = !node.media().sound();
        }
        std::string wrong = files ? check_files(*files) : node.name() + " is at work on a checkpoint";
        wrong = wrong.empty() ? alarm_stays(node) : wrong;
        if (!wrong.empty()) {
            return wrong;
        }
    }
    return check_rest(all);
}

std::string Cluster::lost_entries(std::size_t node) {
    for (const shard::ReplicaView& view : nodes_[node]->inspect()) {
        std::string lost = log_judge_.check_final(node, view);
        if (!lost.empty()) {
            return lost;
        }
    }
    return {};
}

// Since it was asked last.
bool Cluster::has_applied(const SimNode& node, std::span<const shard::ReplicaView> views) {
    bool any = false;
    for (const shard::ReplicaView& view : views) {
        LogIndex& known = leases_seen_at_[{node.id(), view.range}];
        any |= known != view.applied;
        known = view.applied;
    }
    return any;
}

void Cluster::look_at_leases(SimNode& node, shard::Shard& shard) {
    for (const shard::LeasesView& view : shard::inspect_leases(shard)) {
        std::string wrong = lease_judge_.observe(view, queue_.now());
        if (!wrong.empty()) {
            report(node.name() + " " + wrong);
        }
    }
}

void Cluster::on_end(SimNode& node) {
    judge_.forget(node.id());
    log_judge_.forget(index_of(node));
    if (options_.trace) {
        narrator_.on_end(node.id(), node.name());
    }
}

void Cluster::on_halt(SimNode& node, env::Halt how, std::string_view reason) {
    const std::size_t index = index_of(node);
    if ((expected_halts_[index] & (1u << static_cast<unsigned>(how))) == 0) {
        report(node.name() + " halted by itself: " + std::string(reason));
    }
    halted_.push_back({index, how});
    const auto named = range_named_in(reason);
    ended_for_range_[index] = named.has_value();
    if (named) {
        named_by_halts_.insert(*named);
    }
}

}  // namespace ringfort::sim
