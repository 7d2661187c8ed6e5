#include "server/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "base/assertion.h"
#include "base/bounds.h"
#include "server/flags.h"
#include "server/url.h"

namespace ringfort::server {
namespace {

template <class T>
using Checked = Result<T, OptionsFault>;

// Reads flags by name, with the table's fallback for those nobody set.
class Reader {
  public:
    explicit Reader(const FlagValues& values) : values_(values) {}

    bool set(std::string_view flag) const {
        const auto found = values_.find(flag);
        return found != values_.end() && !found->second.empty();
    }
    std::string_view text(std::string_view flag) const {
        const Flag* known = find_flag(flag);
        ASSERT(known != nullptr);
        return set(flag) ? std::string_view(values_.find(flag)->second) : known->fallback;
    }
    template <class T>
    Checked<T> number(std::string_view flag, std::type_identity_t<T> least, std::type_identity_t<T> most) const {
        const std::string_view value = text(flag);
        T parsed{};
        const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
        if (error != std::errc() || stop != value.data() + value.size() || parsed < least || parsed > most) {
            return failure(OptionsFault{
                fmt::format("--{} must be a whole number from {} to {}, not '{}'", flag, least, most, value)});
        }
        return parsed;
    }
    Checked<std::vector<Url>> urls(std::string_view flag) const {
        auto parsed = parse_urls(text(flag));
        if (!parsed) {
            return failure(OptionsFault{fmt::format("--{}: {}", flag, parsed.error())});
        }
        return *parsed;
    }

  private:
    const FlagValues& values_;
};

OptionsFault fault(std::string sentence) {
    return {std::move(sentence)};
}

std::string joined(const std::vector<Url>& urls) {
    std::string text;
    for (const Url& url : urls) {
        text += text.empty() ? url.text : "," + url.text;
    }
    return text;
}

// Advertised URLs default to the listening ones, which must then be reachable from elsewhere.
Checked<std::vector<Url>> advertised(const Reader& reader, std::string_view flag, std::string_view listen_flag,
                                     const std::vector<Url>& listening) {
    if (reader.set(flag)) {
        return reader.urls(flag);
    }
    if (std::any_of(listening.begin(), listening.end(), is_wildcard)) {
        return failure(fault(fmt::format("--{} is needed: nobody can reach this member at {} from --{}", flag,
                                         joined(listening), listen_flag)));
    }
    return listening;
}

Checked<std::vector<MemberUrl>> read_cluster(std::string_view text) {
    std::vector<MemberUrl> members;
    for (const std::string_view part : split_list(text)) {
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return failure(fault(fmt::format("--initial-cluster: '{}' is not of the form NAME=URL", part)));
        }
        const std::string name(part.substr(0, equals));
        auto url = parse_url(part.substr(equals + 1));
        if (!url) {
            return failure(fault(fmt::format("--initial-cluster: {}", url.error())));
        }
        for (const MemberUrl& member : members) {
            if (member.name == name) {
                return failure(fault(fmt::format("--initial-cluster names two peer URLs for '{}': a member has one", name)));
            }
            if (member.peer_url == *url) {
                return failure(fault(fmt::format("--initial-cluster names {} twice", url->text)));
            }
        }
        members.push_back({.name = name, .peer_url = std::move(*url)});
    }
    if (members.size() > limits::members_max) {
        return failure(fault(fmt::format("--initial-cluster names {} members; {} are the most", members.size(),
                                         limits::members_max)));
    }
    return members;
}

// How this member is known to its peers, if the flags say it elsewhere than in --initial-cluster.
Checked<Url> advertised_peer_url(const Reader& reader, const std::vector<Url>& listening) {
    constexpr std::string_view flag = "initial-advertise-peer-urls";
    TRY_ASSIGN(std::vector<Url> urls, advertised(reader, flag, "listen-peer-urls", listening));
    if (urls.size() > 1) {
        return failure(fault(fmt::format("--{} must be one URL, by which the others know this member, not {}", flag,
                                         joined(urls))));
    }
    return std::move(urls.front());
}

Checked<bool> read_clustering(const Reader& reader, Options& options) {
    TRY_ASSIGN(options.initial_cluster, read_cluster(reader.text("initial-cluster")));
    const auto self = std::find_if(options.initial_cluster.begin(), options.initial_cluster.end(),
                                   [&](const MemberUrl& m) { return m.name == options.name; });
    if (!options.initial_cluster.empty() && self == options.initial_cluster.end()) {
        return failure(fault(fmt::format("--initial-cluster does not name this member: --name is '{}'", options.name)));
    }
    if (options.initial_cluster.empty() || reader.set("initial-advertise-peer-urls")) {
        TRY_ASSIGN(options.initial_advertise_peer_url, advertised_peer_url(reader, options.listen_peer_urls));
    } else {
        options.initial_advertise_peer_url = self->peer_url;
    }
    if (options.initial_cluster.empty()) {
        options.initial_cluster.push_back({.name = options.name, .peer_url = options.initial_advertise_peer_url});
    } else if (self->peer_url != options.initial_advertise_peer_url) {
        return failure(fault(fmt::format(
            "--initial-cluster says {} for '{}', but --initial-advertise-peer-urls says {}", self->peer_url.text,
            options.name, options.initial_advertise_peer_url.text)));
    }
    for (const MemberUrl& member : options.initial_cluster) {
        if (is_wildcard(member.peer_url)) {
            return failure(fault(fmt::format("--initial-cluster: nobody can reach '{}' at {}", member.name,
                                             member.peer_url.text)));
        }
    }
    options.initial_cluster_token = reader.text("initial-cluster-token");
    const std::string_view state = reader.text("initial-cluster-state");
    if (state != "new" && state != "existing") {
        return failure(fault(fmt::format("--initial-cluster-state must be 'new' or 'existing', not '{}'", state)));
    }
    options.initial_cluster_state = state == "new" ? ClusterState::fresh : ClusterState::existing;
    return true;
}

Checked<bool> read_domains(const Reader& reader, Options& options) {
    for (const std::string_view key : split_list(reader.text("initial-domains"))) {
        if (key.empty()) {
            return failure(fault("--initial-domains has an empty key: the first domain begins at the empty key anyway"));
        }
        options.initial_domains.emplace_back(key);
    }
    std::sort(options.initial_domains.begin(), options.initial_domains.end());
    const auto twice = std::adjacent_find(options.initial_domains.begin(), options.initial_domains.end());
    if (twice != options.initial_domains.end()) {
        return failure(fault(fmt::format("--initial-domains names the key '{}' twice", *twice)));
    }
    if (options.initial_domains.size() + 1 > limits::domains_max) {
        return failure(fault(fmt::format("--initial-domains makes {} domains; {} are the most",
                                         options.initial_domains.size() + 1, limits::domains_max)));
    }
    return true;
}

Checked<bool> read_timing(const Reader& reader, Options& options) {
    TRY_ASSIGN(const std::int64_t heartbeat, reader.number<std::int64_t>("heartbeat-interval", 1, 10'000));
    TRY_ASSIGN(const std::int64_t election, reader.number<std::int64_t>("election-timeout", 10, 50'000));
    if (election < 5 * heartbeat) {
        return failure(fault(fmt::format("--election-timeout ({} ms) must be at least 5 times --heartbeat-interval "
                                         "({} ms)", election, heartbeat)));
    }
    options.heartbeat_interval = std::chrono::milliseconds(heartbeat);
    options.election_timeout = std::chrono::milliseconds(election);
    return true;
}

// etcd's least.
constexpr Duration watch_progress_interval_min = 100ms;
// "ms" before "m".
constexpr std::array<std::pair<std::string_view, Duration>, 4> duration_units{
    {{"h", 1h}, {"ms", 1ms}, {"m", 1min}, {"s", 1s}}};

// "1h30m", "300s", "500ms"; a bare number is so many of `bare_unit`, if there is one.
std::optional<Duration> parse_duration(std::string_view text, std::optional<Duration> bare_unit) {
    Duration total{0};
    bool bare = true;
    while (!text.empty()) {
        std::int64_t count = 0;
        const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (error != std::errc() || count < 0 || count > 1'000'000) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
        if (text.empty()) {
            return bare && bare_unit ? std::optional<Duration>(count * *bare_unit) : std::nullopt;
        }
        const auto is_unit = [text](const auto& unit) { return text.starts_with(unit.first); };
        const auto unit = std::find_if(duration_units.begin(), duration_units.end(), is_unit);
        if (unit == duration_units.end()) {
            return std::nullopt;
        }
        total += count * unit->second;
        text.remove_prefix(unit->first.size());
        bare = false;
    }
    return bare ? std::nullopt : std::optional<Duration>(total);
}


Checked<bool> read_compaction(const Reader& reader, Options& options) {
    const std::string_view mode = reader.text("auto-compaction-mode");
    const std::string_view retention = reader.text("auto-compaction-retention");
    if (mode == "revision") {
        TRY_ASSIGN(options.auto_compaction_revisions,
                   reader.number<std::int64_t>("auto-compaction-retention", 0, std::numeric_limits<std::int64_t>::max()));
        options.auto_compaction_mode =
            options.auto_compaction_revisions > 0 ? CompactionMode::revision : CompactionMode::off;
        return true;
    }
    if (mode != "periodic") {
        return failure(fault(fmt::format("--auto-compaction-mode must be 'periodic' or 'revision', not '{}'", mode)));
    }
    const auto period = parse_duration(retention, 1h);
    if (!period) {
        return failure(fault(fmt::format("--auto-compaction-retention must be a number of hours or a duration such as "
                                         "'30m', not '{}'", retention)));
    }
    options.auto_compaction_period = *period;
    options.auto_compaction_mode = *period > 0ns ? CompactionMode::periodic : CompactionMode::off;
    return true;
}

Checked<bool> read_watches(const Reader& reader, Options& options) {
    const std::string_view text = reader.text("watch-progress-notify-interval");
    const auto interval = parse_duration(text, std::nullopt);
    if (!interval || *interval < watch_progress_interval_min) {
        return failure(fault(fmt::format("--watch-progress-notify-interval must be a duration of 100ms or more such as "
                                         "'10m', not '{}'", text)));
    }
    options.watch_progress_interval = *interval;
    return true;
}

Checked<bool> read_limits(const Reader& reader, const Machine& machine, Options& options) {
    constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
    TRY_ASSIGN(const std::int64_t quota, reader.number<std::int64_t>("quota-backend-bytes", -largest, largest));
    if (quota >= 0) {
        options.quota_backend_bytes = quota > 0 ? static_cast<std::uint64_t>(quota) : machine.memory_bytes / 4;
    }
    TRY_ASSIGN(options.max_request_bytes,
               reader.number<std::uint32_t>("max-request-bytes", 1, limits::request_bytes_max));
    TRY_ASSIGN(options.max_txn_ops, reader.number<std::uint32_t>("max-txn-ops", 1, limits::txn_ops_max));
    return true;
}

Checked<std::vector<unsigned>> read_cpus(std::string_view text) {
    std::vector<unsigned> cpus;
    for (const std::string_view part : split_list(text)) {
        unsigned first = 0;
        unsigned last = 0;
        const char* end = part.data() + part.size();
        auto [stop, error] = std::from_chars(part.data(), end, first);
        last = first;
        if (error == std::errc() && stop != end && *stop == '-') {
            const auto second = std::from_chars(stop + 1, end, last);
            stop = second.ptr;
            error = second.ec;
        }
        if (error != std::errc() || stop != end || last < first || last >= 4096) {
            return failure(fault(fmt::format("--shard-cpus: '{}' is no CPU and no range of CPUs", part)));
        }
        for (unsigned cpu = first; cpu <= last; cpu++) {
            cpus.push_back(cpu);
        }
    }
    return cpus;
}

Checked<bool> read_machine(const Reader& reader, Options& options) {
    if (reader.set("shards")) {
        TRY_ASSIGN(options.shards, reader.number<std::uint32_t>("shards", 1, limits::shards_max));
    }
    TRY_ASSIGN(options.shard_cpus, read_cpus(reader.text("shard-cpus")));
    if (!options.shard_cpus.empty() && options.shards == 0) {
        options.shards = static_cast<std::uint32_t>(options.shard_cpus.size());
    }
    if (!options.shard_cpus.empty() && options.shard_cpus.size() != options.shards) {
        return failure(fault(fmt::format("--shard-cpus names {} CPUs for --shards {}: one for each shard is needed",
                                         options.shard_cpus.size(), options.shards)));
    }
    TRY_ASSIGN(const std::int64_t poll_us, reader.number<std::int64_t>("poll-us", 0, 10'000));
    options.poll = std::chrono::microseconds(poll_us);
    const std::string_view level = reader.text("log-level");
    if (level == "debug") {
        options.log_level = env::LogLevel::debug;
    } else if (level == "info") {
        options.log_level = env::LogLevel::info;
    } else if (level == "warn" || level == "warning") {
        options.log_level = env::LogLevel::warning;
    } else if (level == "error") {
        options.log_level = env::LogLevel::error;
    } else {
        return failure(fault(fmt::format("--log-level must be debug, info, warn or error, not '{}'", level)));
    }
    return true;
}

// The same address for two listeners is found here, not when the second bind fails.
Checked<bool> check_listeners(const Options& options) {
    for (const Url& client : options.listen_client_urls) {
        for (const Url& peer : options.listen_peer_urls) {
            if (client.address == peer.address) {
                return failure(fault(fmt::format("--listen-client-urls and --listen-peer-urls both name {}: clients "
                                                 "and peers need a port each", client.text)));
            }
        }
    }
    return true;
}

}  // namespace

Result<Options, OptionsFault> interpret(const FlagValues& values, const Machine& machine) {
    const Reader reader(values);
    Options options;
    options.name = reader.text("name");
    options.data_dir = reader.set("data-dir") ? std::string(reader.text("data-dir")) : options.name + ".ringfort";
    TRY_ASSIGN(options.listen_client_urls, reader.urls("listen-client-urls"));
    TRY_ASSIGN(options.listen_peer_urls, reader.urls("listen-peer-urls"));
    TRY(check_listeners(options));
    TRY_ASSIGN(options.advertise_client_urls,
               advertised(reader, "advertise-client-urls", "listen-client-urls", options.listen_client_urls));
    if (std::any_of(options.advertise_client_urls.begin(), options.advertise_client_urls.end(), is_wildcard)) {
        return failure(fault(fmt::format("--advertise-client-urls: nobody can reach this member at {}",
                                         joined(options.advertise_client_urls))));
    }
    TRY(read_clustering(reader, options));
    TRY(read_domains(reader, options));
    TRY(read_timing(reader, options));
    TRY(read_compaction(reader, options));
    TRY(read_watches(reader, options));
    TRY(read_limits(reader, machine, options));
    TRY(read_machine(reader, options));
    return options;
}

}  // namespace ringfort::server
