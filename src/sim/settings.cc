#include "sim/settings.h"

#include <charconv>
#include <concepts>
#include <cstdint>
#include <utility>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

// Calls visit(name, field) for every option that has a name. Faults by kind are named by FaultKind instead.
template <class Options, class Visit>
void each_setting(Options& o, Visit visit) {
    visit("nodes", o.nodes);
    visit("shards", o.shards);
    visit("domains", o.domains);
    visit("duration", o.duration);
    visit("heartbeat", o.heartbeat_interval);
    visit("election", o.election_timeout);
    visit("segment", o.segment_bytes);
    visit("request", o.request_bytes);
    visit("window", o.log_window_bytes);
    visit("checkpoint", o.checkpoint_log_bytes);
    visit("checkpoint-slack", o.checkpoint_slack_bytes);
    visit("scrub", o.scrub_interval);
    visit("log-goal", o.log_bytes_goal);
    visit("quota", o.memory_quota_bytes);
    visit("compaction-period", o.auto_compaction_period);
    visit("compaction-revisions", o.auto_compaction_revisions);
    visit("watch-progress", o.watch_progress_interval);
    visit("turn-cost", o.turn_cost);
    visit("invariants", o.invariants_one_in);
    visit("drift", o.drift_ppm_max);
    visit("fault-interval", o.fault_interval);
    visit("repair-max", o.repair_max);
    visit("keep", o.keep_per_million);
    visit("shard-changes", o.shard_changes);
    visit("nodes-lost", o.nodes_lost);
    visit("mailbox", o.mailbox_capacity);
    visit("connections", o.connections_max);
    visit("beyond-budget", o.beyond_budget);

    visit("clients", o.workload.clients);
    visit("in-flight", o.workload.in_flight_max);
    visit("think", o.workload.think);
    visit("keys", o.workload.keys);
    visit("value", o.workload.value_bytes_max);
    visit("uniform", o.workload.uniform);
    visit("bulk", o.workload.bulk_keys);
    visit("txn-ops", o.workload.txn_ops);
    visit("burst", o.workload.burst_requests);
    visit("burst-interval", o.workload.burst_interval);
    visit("timeout", o.workload.request_timeout);
    visit("operations", o.workload.operations_max);
    visit("puts", o.workload.puts);
    visit("gets", o.workload.gets);
    visit("stale-gets", o.workload.stale_gets);
    visit("past-gets", o.workload.past_gets);
    visit("ranges", o.workload.ranges);
    visit("pages", o.workload.pages);
    visit("removes", o.workload.removes);
    visit("range-removes", o.workload.range_removes);
    visit("transactions", o.workload.transactions);
    visit("compactions", o.workload.compactions);
    visit("leases", o.workload.leases);
    visit("lease-keys", o.workload.lease_keys);
    visit("hashes", o.workload.hashes);
    visit("disarms", o.workload.disarms);
    visit("cancel", o.workload.cancel_one_in);
    visit("hurry", o.workload.hurry_one_in);
    visit("keeps", o.workload.keeps_one_in);
    visit("watches", o.workload.watches);
    visit("locks", o.workload.locks);
    visit("reply-credit", o.workload.reply_credit_bytes);

    visit("bound-requests", o.bounds.connection_requests);
    visit("bound-backlog", o.bounds.reply_backlog_bytes);
    visit("bound-backlog-reads", o.bounds.reply_backlog_reads_bytes);
    visit("bound-backlog-end", o.bounds.reply_backlog_end_bytes);
    visit("bound-replies", o.bounds.session_replies_bytes);
    visit("bound-connection-watches", o.bounds.connection_watches);
    visit("bound-watches", o.bounds.watches);
    visit("bound-connection-watch-keys", o.bounds.connection_watch_key_bytes);
    visit("bound-watch-keys", o.bounds.watch_key_bytes);
    visit("bound-watch-lag", o.bounds.watch_lag_changes);
    visit("bound-watch-backlog", o.bounds.watch_backlog_bytes);
    visit("bound-waiting-mail", o.bounds.waiting_mail);
    visit("bound-streams", o.bounds.streams);
    visit("bound-unopened", o.bounds.unopened_streams);
    visit("bound-held-reads", o.bounds.held_reads);
    visit("bound-held-read-bytes", o.bounds.held_read_bytes);
    visit("bound-hashes", o.bounds.hash_walks);
    visit("bound-sort", o.bounds.sort_bytes);
    visit("bound-round-reads", o.bounds.round_reads);
    visit("bound-round-bytes", o.bounds.round_bytes);
    visit("bound-follower-reads", o.bounds.follower_reads);
    visit("bound-follower-bytes", o.bounds.follower_read_bytes);
    visit("bound-forwards", o.bounds.forwards);
    visit("bound-forward-bytes", o.bounds.forward_bytes);
    visit("bound-append-credit", o.bounds.link_credit_bytes[1]);
    visit("bound-forward-credit", o.bounds.link_credit_bytes[2]);
    visit("bound-snapshot-credit", o.bounds.link_credit_bytes[3]);
    visit("bound-deferred", o.bounds.deferred_appends);
    visit("bound-incoming", o.bounds.incoming_peers);
    visit("bound-writes", o.bounds.pending_writes);
    visit("bound-compactions", o.bounds.physical_compactions);
    visit("bound-jobs", o.bounds.node_jobs);
    visit("bound-keep-alives", o.bounds.keep_alives);
    visit("bound-keep-alive-ids", o.bounds.keep_alive_ids);

    visit("disk-read", o.disk.read_latency);
    visit("disk-write", o.disk.write_latency);
    visit("disk-sync", o.disk.sync_latency);
    visit("disk-metadata", o.disk.metadata_latency);
    visit("disk-tail", o.disk.tail_per_million);
    visit("disk-tail-max", o.disk.tail_max);
    visit("disk-byte", o.disk.byte_latency_per_mib);
    visit("disk-drain", o.disk.drain_bytes_per_second);
    visit("disk-cache", o.disk.cache_bytes);
    visit("disk-capacity", o.disk.capacity_bytes);
    visit("disk-dsync", o.disk.preferred);
    visit("disk-read-errors", o.disk.read_error_per_million);
    visit("disk-list-errors", o.disk.list_error_per_million);
    visit("disk-write-errors", o.disk.write_error_per_million);
    visit("disk-sync-errors", o.disk.sync_error_per_million);

    visit("net", o.network.latency);
    visit("net-jitter", o.network.jitter);
    visit("net-tail", o.network.tail_per_million);
    visit("net-tail-max", o.network.tail_max);
    visit("net-loss", o.network.loss_per_million);
    visit("net-rate", o.network.bytes_per_second);
    visit("net-socket", o.network.socket_buffer_bytes);
    visit("net-split", o.network.split_per_million);
    visit("net-misaligned", o.network.misaligned_per_million);
    visit("net-reset", o.network.reset_per_million);
    visit("net-ghosts", o.network.ghosts_per_million);
    visit("net-connect", o.network.connect_timeout);
}

// The whole of `text`, or nothing.
bool parse_number(std::string_view text, std::int64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

template <std::integral T>
bool parse_setting(std::string_view text, T& out) {
    std::int64_t number = 0;
    bool fits = parse_number(text, number);
    if constexpr (std::same_as<T, bool>) {
        fits = fits && (number == 0 || number == 1);
    } else {
        fits = fits && std::in_range<T>(number);
    }
    out = fits ? static_cast<T>(number) : out;
    return fits;
}

bool parse_setting(std::string_view text, env::Durability& out) {
    bool dsync = false;
    const bool good = parse_setting(text, dsync);
    out = !good ? out : dsync ? env::Durability::dsync : env::Durability::none;
    return good;
}

bool parse_setting(std::string_view text, Duration& out) {
    const std::size_t digits = text.find_first_not_of("0123456789");
    std::int64_t number = 0;
    if (digits == std::string_view::npos || !parse_number(text.substr(0, digits), number)) {
        return false;
    }
    const std::string_view unit = text.substr(digits);
    const std::int64_t factor = unit == "s" ? 1'000'000'000 : unit == "ms" ? 1'000'000 : unit == "us" ? 1000 : 1;
    if ((factor == 1 && unit != "ns") || number > INT64_MAX / factor) {
        return false;
    }
    out = Duration(number * factor);
    return true;
}

template <std::integral T>
std::string setting_text(T value) {
    return std::to_string(value);
}

std::string setting_text(env::Durability value) { return value == env::Durability::dsync ? "1" : "0"; }

std::string setting_text(Duration value) {
    const std::int64_t ns = value.count();
    return ns % 1'000'000'000 == 0 ? std::to_string(ns / 1'000'000'000) + "s"
           : ns % 1'000'000 == 0   ? std::to_string(ns / 1'000'000) + "ms"
           : ns % 1000 == 0        ? std::to_string(ns / 1000) + "us"
                                   : std::to_string(ns) + "ns";
}

}  // namespace

bool apply_setting(RunOptions& options, std::string_view name, std::string_view value) {
    bool good = false;
    each_setting(options, [&](std::string_view known, auto& field) {
        good = good || (known == name && parse_setting(value, field));
    });
    return good;
}

bool apply_setting(RunOptions& options, std::string_view setting) {
    const std::size_t equals = setting.find('=');
    return equals != std::string_view::npos &&
           apply_setting(options, setting.substr(0, equals), setting.substr(equals + 1));
}

std::vector<std::string> settings_that_differ(const RunOptions& options, const RunOptions& base) {
    std::vector<std::string> all;
    each_setting(options, [&](std::string_view name, const auto& field) {
        all.push_back(std::string(name) + "=" + setting_text(field));
    });
    std::vector<std::string> out;
    std::size_t at = 0;
    each_setting(base, [&](std::string_view name, const auto& field) {
        if (all[at] != std::string(name) + "=" + setting_text(field)) {
            out.push_back(all[at]);
        }
        at++;
    });
    ASSERT(at == all.size());
    return out;
}

std::vector<std::string_view> setting_names() {
    std::vector<std::string_view> out;
    const RunOptions options;
    each_setting(options, [&](std::string_view name, const auto&) { out.push_back(name); });
    return out;
}

}  // namespace ringfort::sim
