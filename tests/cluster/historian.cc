// Asks a real cluster for whatever the simulator's workload asks, from several clients at once that watch it, too, and
// judges what they were told by the checkers of simulated histories: strict serializability, the promises of watches, and
// those of leases. Nobody else may write, before or meanwhile; when it ends a majority has to be up, for then its leases
// end and its watches are told the rest.
//
//   historian [--domains N] [--think MS] [--history FILE] [--live] ENDPOINT,... SECONDS
//
// SIGINT ends it earlier. --domains: of how many domains keys are asked, each judged by itself; of 1, the whole key space is
// watched. --think: between two requests of a client, on average. --history: writes what was asked, answered and told, one
// line each. --live: counts on standard error, every second.
// Exit code 0: the history is good, 1: it is not, 3: too many writes of unknown outcome to tell.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "historian_client.h"
#include "sim/checkers/domain.h"
#include "sim/checkers/lease_promises.h"

namespace ringfort::sim {
namespace {

constexpr std::uint32_t clients = 6;
constexpr std::uint64_t seed = 1;
constexpr std::uint64_t search_steps = 50'000'000;

struct Settings {
    std::vector<env::Address> endpoints;
    Duration duration{0};
    std::uint32_t domains{1};
    Duration think{3ms};
    std::string history_file;
    bool live{false};
};

std::atomic<bool> interrupted{false};

WorkloadOptions workload_options(const Settings& settings) {
    WorkloadOptions out;
    out.in_flight_max = 1;   // each may be of unknown outcome when a node dies, and they make the search long
    out.think = settings.think;
    out.compactions = 0;   // so that no past revision is refused
    out.leases = 3;        // so many that some are kept alive in time, and others are not
    out.lease_keys = 100;  // so many that leases have keys when they end
    out.request_timeout = 3s;
    return out;
}

std::vector<env::Address> addresses_of(std::string_view text) {
    std::vector<env::Address> out;
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(','));
        const std::size_t colon = one.rfind(':');
        if (colon == std::string_view::npos) {
            return {};
        }
        const int port = std::atoi(std::string(one.substr(colon + 1)).c_str());
        out.push_back({std::string(one.substr(0, colon)), static_cast<std::uint16_t>(port)});
        text.remove_prefix(std::min(text.size(), one.size() + 1));
    }
    return out;
}

using Clients = std::vector<std::unique_ptr<HistorianClient>>;

// Of all domains.
struct Verdict {
    std::uint64_t writes{0}, reads{0}, unknown{0}, unknown_placed{0};
    std::uint64_t watches{0}, revisions_told{0}, events_told{0}, marks{0}, resumptions{0};
    std::uint64_t granted{0}, renewals{0}, expired{0}, revoked{0}, ends_with_keys{0};
    bool inconclusive{false};
    std::vector<std::string> violations;

    void violation(std::uint32_t domain, const std::string& what) {
        if (!what.empty()) {
            violations.push_back("domain " + std::to_string(domain) + ": " + what);
        }
    }
};

void count_told(const RecordedWatch& watch, Verdict& verdict) {
    verdict.watches++;
    for (const WatchTold& told : watch.told) {
        verdict.revisions_told += told.kind == WatchTold::Kind::revision ? 1u : 0u;
        verdict.marks += told.kind == WatchTold::Kind::mark ? 1u : 0u;
        verdict.resumptions += told.kind == WatchTold::Kind::resumed ? 1u : 0u;
        verdict.events_told += told.events.size();
    }
}

void judge_leases(std::uint32_t domain, std::span<const RecordedOperation* const> operations,
                  std::span<const RecordedWatch* const> watches, Verdict& verdict) {
    const LeaseReport report = check_lease_promises(operations, watches);
    verdict.granted += report.granted;
    verdict.renewals += report.renewals;
    verdict.expired += report.expired;
    verdict.revoked += report.revoked;
    verdict.violation(domain, report.violation);
}

void judge_domain(const Clients& all, std::uint32_t domain, Verdict& verdict) {
    std::vector<const RecordedOperation*> operations;
    std::vector<const RecordedWatch*> watches;
    for (const auto& client : all) {
        for (const RecordedOperation& operation : client->history().operations()) {
            if (operation.domain == domain) {
                operations.push_back(&operation);
            }
        }
        for (const RecordedWatch& watch : client->watch_records()) {
            if (watch.domain == domain) {
                watches.push_back(&watch);
                count_told(watch, verdict);
                const bool ended = !watch.told.empty() && watch.told.back().kind == WatchTold::Kind::ended;
                verdict.violation(domain, ended ? "nothing was compacted, and a watch ended: " + describe(watch) : "");
            }
        }
    }
    const DomainReport report = check_domain({.operations = operations, .watches = watches}, search_steps);
    verdict.writes += report.order.writes;
    verdict.reads += report.order.reads;
    verdict.unknown += report.order.unknown;
    verdict.unknown_placed += report.order.unknown_placed;
    verdict.ends_with_keys += report.order.lease_ends;
    verdict.inconclusive = verdict.inconclusive || report.inconclusive;
    verdict.violation(domain, report.violation);
    judge_leases(domain, operations, watches, verdict);
}

void print_figures(const Verdict& verdict) {
    const auto print = [](const char* name, std::uint64_t count, const char* behind = ", ") {
        std::printf("%s: %llu%s", name, static_cast<unsigned long long>(count), behind);
    };
    print("writes", verdict.writes);
    print("reads", verdict.reads);
    print("writes of unknown outcome", verdict.unknown);
    print("found", verdict.unknown_placed, "\n");
    print("watches", verdict.watches);
    print("revisions told", verdict.revisions_told);
    print("events told", verdict.events_told);
    print("marks", verdict.marks);
    print("resumptions", verdict.resumptions, "\n");
    print("leases granted", verdict.granted);
    print("renewals", verdict.renewals);
    print("leases expired", verdict.expired);
    print("leases revoked", verdict.revoked);
    print("lease ends with keys", verdict.ends_with_keys, "\n");
}

int judge(const Clients& all, std::uint32_t domains) {
    Verdict verdict;
    for (const auto& client : all) {
        if (!client->missed().empty()) {
            verdict.violations.push_back("a minute after the load had ended, " + client->missed());
        }
    }
    for (std::uint32_t domain = 0; domain < domains; domain++) {
        judge_domain(all, domain, verdict);
    }
    print_figures(verdict);
    for (const std::string& violation : verdict.violations) {
        std::printf("%s\n", violation.c_str());
    }
    if (!verdict.violations.empty()) {
        return 1;
    }
    std::printf("%s\n", verdict.inconclusive ? "the search gave up"
                                             : "strictly serializable; watches and leases as promised");
    return verdict.inconclusive ? 3 : 0;
}

bool write_history(const Clients& all, const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr) {
        std::perror(path.c_str());
        return false;
    }
    for (const auto& client : all) {
        for (const RecordedOperation& operation : client->history().operations()) {
            std::fprintf(file, "%s\n", describe(operation).c_str());
        }
        for (const RecordedWatch& watch : client->watch_records()) {
            std::fprintf(file, "%s\n", describe(watch).c_str());
        }
    }
    return std::fclose(file) == 0;
}

void wait_for_the_end(const Settings& settings, HistorianShared& shared) {
    const client::SystemClock clock;
    Instant next_line = clock.now() + 1s;
    for (const Instant end = clock.now() + settings.duration; !interrupted.load() && clock.now() < end;) {
        std::this_thread::sleep_for(20ms);
        if (settings.live && clock.now() >= next_line) {
            shared.counts.print(stderr);
            next_line = next_line + 1s;
        }
    }
    shared.stopping.store(true);
}

int run(const Settings& settings) {
    std::signal(SIGINT, [](int) { interrupted.store(true); });
    const WorkloadOptions workload = workload_options(settings);
    HistorianShared shared;
    shared.counts.last_answer_ns.store(client::SystemClock().now().ns);
    Clients all;
    std::vector<std::thread> threads;
    for (std::uint32_t i = 1; i <= clients; i++) {
        const HistorianClientOptions options{i, clients, settings.domains, seed, settings.endpoints};
        all.push_back(std::make_unique<HistorianClient>(workload, options, shared));
        threads.emplace_back([client = all.back().get()] { client->run(); });
    }
    wait_for_the_end(settings, shared);
    for (std::thread& thread : threads) {
        thread.join();
    }
    shared.counts.print(stdout);
    if (!settings.history_file.empty() && !write_history(all, settings.history_file)) {
        return 2;
    }
    return judge(all, settings.domains);
}

// Without endpoints when the command line is not as it must be.
Settings settings_of(const std::vector<std::string_view>& words) {
    Settings out;
    std::size_t at = 0;
    for (; at < words.size() && words[at].starts_with("--"); at++) {
        const bool has_value = at + 1 < words.size();
        if (words[at] == "--live") {
            out.live = true;
        } else if (words[at] == "--think" && has_value) {
            out.think = std::chrono::milliseconds(std::atoi(std::string(words[++at]).c_str()));
        } else if (words[at] == "--history" && has_value) {
            out.history_file = words[++at];
        } else if (words[at] == "--domains" && has_value) {
            out.domains = static_cast<std::uint32_t>(std::atoi(std::string(words[++at]).c_str()));
        } else {
            return {};
        }
    }
    const long long seconds = words.size() == at + 2 ? std::atoll(std::string(words[at + 1]).c_str()) : 0;
    if (seconds > 0 && out.domains > 0 && out.domains <= historian_domains_max && out.think > Duration(0)) {
        out.duration = std::chrono::seconds(seconds);
        out.endpoints = addresses_of(words[at]);
    }
    return out;
}

}  // namespace
}  // namespace ringfort::sim

int main(int argc, char** argv) {
    const auto settings = ringfort::sim::settings_of({argv + 1, argv + argc});
    if (settings.endpoints.empty()) {
        std::fprintf(stderr, "usage: historian [--domains N] [--think MS] [--history FILE] [--live] HOST:PORT,... "
                             "SECONDS\n");
        return 2;
    }
    return ringfort::sim::run(settings);
}
