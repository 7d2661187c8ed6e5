// Asks a real cluster for whatever the simulator's workload asks, from several clients at once, and judges what they were
// told: strict serializability, by the checker that judges simulated histories. Nobody else may write meanwhile.
//
//   historian [--domains N] [--think MS] [--history FILE] [--live] ENDPOINT,... SECONDS
//
// SIGINT ends it earlier. --domains: of how many domains keys are asked, each judged by itself. --think: between two
// requests of a client, on average. --history: writes what was asked and answered, one line each. --live: counts on
// standard error, every second.
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

#include "client/core.h"
#include "client/socket_network.h"
#include "sim/checkers/serializability.h"
#include "sim/workload.h"

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

// Of all clients.
struct Counts {
    std::atomic<std::uint64_t> asked{0};
    std::atomic<std::uint64_t> answered{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> unknown{0};
    std::atomic<std::int64_t> last_answer_ns{0};
    std::atomic<std::int64_t> longest_gap_ns{0};   // between two answers that were none of failure

    void note(Outcome outcome, Instant now) {
        (outcome == Outcome::ok ? answered : outcome == Outcome::failed ? failed : unknown)++;
        if (outcome == Outcome::ok) {
            const std::int64_t gap = now.ns - last_answer_ns.exchange(now.ns);
            std::int64_t longest = longest_gap_ns.load();
            while (gap > longest && !longest_gap_ns.compare_exchange_weak(longest, gap)) {
            }
        }
    }
    void print(std::FILE* out) const {
        std::fprintf(out, "operations: %llu, answered: %llu, failed: %llu, unknown: %llu, longest gap: %lld ms\n",
                     static_cast<unsigned long long>(asked.load()), static_cast<unsigned long long>(answered.load()),
                     static_cast<unsigned long long>(failed.load()), static_cast<unsigned long long>(unknown.load()),
                     static_cast<long long>(longest_gap_ns.load() / 1'000'000));
        std::fflush(out);
    }
};

std::atomic<bool> stopping{false};

WorkloadOptions workload_options(const Settings& settings) {
    WorkloadOptions out;
    out.in_flight_max = 1;   // each may be of unknown outcome when a node dies, and they make the search long
    out.think = settings.think;
    out.compactions = 0;   // so that no past revision is refused
    out.request_timeout = 3s;
    return out;
}

class HistoryClient {
  public:
    HistoryClient(std::uint32_t number, const Settings& settings, Counts& counts)
        : counts_(counts), options_(workload_options(settings)),
          workload_(options_, settings.domains, number, seed + number), random_(seed ^ number),
          core_(network_, clock_, seed + number, core_options(number, settings.endpoints)) {}

    // Until `stopping`, and all that was asked is answered: each request has a deadline.
    void run() {
        Instant next = clock_.now();
        while (!stopping.load() || pending_ > 0) {
            const Instant now = clock_.now();
            if (!stopping.load() && now >= next) {
                if (pending_ < options_.in_flight_max) {
                    ask();
                }
                const auto mean = static_cast<std::uint64_t>(options_.think.count());
                next = now + Duration(static_cast<std::int64_t>(random_.between(1, 2 * mean)));
            }
            const Instant deadline = core_.turn();
            network_.wait(stopping.load() ? deadline : std::min(deadline, next));
        }
    }
    const History& history() const { return history_; }

  private:
    struct Call {
        HistoryClient* client;
        std::uint64_t number;
    };

    static client::CoreOptions core_options(std::uint32_t number, const std::vector<env::Address>& endpoints) {
        client::CoreOptions out;
        out.endpoints = endpoints;
        out.first_endpoint = number % endpoints.size();
        out.follow_leader = number % 3 == 0;
        out.name = "historian " + std::to_string(number);
        return out;
    }
    void ask() {
        RecordedOperation operation = workload_.next();
        operation.invoked = clock_.now();
        RecordedOperation& recorded = history_.add(std::move(operation));
        calls_.push_back(std::make_unique<Call>(Call{this, recorded.number}));
        arena_.reset();
        api::Request request = make_request(recorded, arena_);
        request.timeout = options_.request_timeout;
        pending_++;
        counts_.asked++;
        core_.submit(request, &HistoryClient::on_response, calls_.back().get());
        shorten(recorded);
    }
    static void on_response(void* context, std::uint64_t, const api::Response& response) {
        const Call& call = *static_cast<Call*>(context);
        HistoryClient& self = *call.client;
        RecordedOperation& operation = self.history_[call.number];
        const Instant now = self.clock_.now();
        if (record_response(operation, response, now)) {
            self.counts_.note(operation.outcome, now);
            self.workload_.learn(operation);
            self.pending_--;
        }
    }

    Counts& counts_;
    const WorkloadOptions options_;
    Workload workload_;
    Prng random_;
    client::SystemClock clock_;
    client::SocketNetwork network_;
    client::Core core_;
    Arena arena_;
    History history_;
    std::vector<std::unique_ptr<Call>> calls_;
    std::size_t pending_{0};
};

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

using Clients = std::vector<std::unique_ptr<HistoryClient>>;

SerializabilityReport judge_domain(const Clients& all, std::uint32_t domain) {
    std::vector<const RecordedOperation*> operations;
    for (const auto& client : all) {
        for (const RecordedOperation& operation : client->history().operations()) {
            if (operation.domain == domain) {
                operations.push_back(&operation);
            }
        }
    }
    return check_serializability(operations, search_steps);
}

int judge(const Clients& all, std::uint32_t domains) {
    SerializabilityReport total;
    for (std::uint32_t domain = 0; domain < domains; domain++) {
        const SerializabilityReport report = judge_domain(all, domain);
        total.writes += report.writes;
        total.reads += report.reads;
        total.unknown += report.unknown;
        total.unknown_placed += report.unknown_placed;
        total.inconclusive = total.inconclusive || report.inconclusive;
        if (total.violation.empty()) {
            total.violation = report.violation;
        }
    }
    std::printf("writes: %llu, reads: %llu, writes of unknown outcome: %llu, found: %llu\n",
                static_cast<unsigned long long>(total.writes), static_cast<unsigned long long>(total.reads),
                static_cast<unsigned long long>(total.unknown), static_cast<unsigned long long>(total.unknown_placed));
    if (!total.violation.empty()) {
        std::printf("%s\n", total.violation.c_str());
        return 1;
    }
    std::printf("%s\n", total.inconclusive ? "the search gave up" : "strictly serializable");
    return total.inconclusive ? 3 : 0;
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
    }
    return std::fclose(file) == 0;
}

void wait_for_the_end(const Settings& settings, const Counts& counts) {
    const client::SystemClock clock;
    Instant next_line = clock.now() + 1s;
    for (const Instant end = clock.now() + settings.duration; !stopping.load() && clock.now() < end;) {
        std::this_thread::sleep_for(20ms);
        if (settings.live && clock.now() >= next_line) {
            counts.print(stderr);
            next_line = next_line + 1s;
        }
    }
    stopping.store(true);
}

int run(const Settings& settings) {
    std::signal(SIGINT, [](int) { stopping.store(true); });
    Counts counts;
    counts.last_answer_ns.store(client::SystemClock().now().ns);
    Clients all;
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < clients; i++) {
        all.push_back(std::make_unique<HistoryClient>(i + 1, settings, counts));
        threads.emplace_back([client = all.back().get()] { client->run(); });
    }
    wait_for_the_end(settings, counts);
    for (std::thread& thread : threads) {
        thread.join();
    }
    counts.print(stdout);
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
    if (seconds > 0 && out.domains > 0 && out.domains < 100 && out.think > Duration(0)) {
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
