// Asks a real cluster for whatever the simulator's workload asks, from several clients at once, and judges what they were
// told: strict serializability, by the checker that judges simulated histories. Nobody else may write meanwhile.
//
//   historian ENDPOINT,... SECONDS     SIGINT ends it earlier; exit code 0: the history is good, 1: it is not,
//                                      3: too many writes of unknown outcome to tell
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

std::atomic<bool> stopping{false};

WorkloadOptions workload_options() {
    WorkloadOptions out;
    out.in_flight_max = 1;   // each may be of unknown outcome when a node dies, and they make the search long
    out.think = 3ms;
    out.compactions = 0;   // so that no past revision is refused
    out.request_timeout = 3s;
    return out;
}

class HistoryClient {
  public:
    HistoryClient(std::uint32_t number, const std::vector<env::Address>& endpoints)
        : workload_(options_, 1, number, seed + number), random_(seed ^ number),
          core_(network_, clock_, seed + number, core_options(number, endpoints)) {}

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
        core_.submit(request, &HistoryClient::on_response, calls_.back().get());
        shorten(recorded);
    }
    static void on_response(void* context, std::uint64_t, const api::Response& response) {
        const Call& call = *static_cast<Call*>(context);
        HistoryClient& self = *call.client;
        RecordedOperation& operation = self.history_[call.number];
        if (record_response(operation, response, self.clock_.now())) {
            self.workload_.learn(operation);
            self.pending_--;
        }
    }

    const WorkloadOptions options_{workload_options()};
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

int judge(const std::vector<std::unique_ptr<HistoryClient>>& all) {
    std::vector<const RecordedOperation*> operations;
    std::size_t answered = 0;
    for (const auto& client : all) {
        for (const RecordedOperation& operation : client->history().operations()) {
            operations.push_back(&operation);
            answered += operation.outcome == Outcome::ok ? 1u : 0u;
        }
    }
    const SerializabilityReport report = check_serializability(operations, search_steps);
    std::printf("operations: %zu, answered: %zu, writes: %llu, reads: %llu, unknown: %llu, of them found: %llu\n",
                operations.size(), answered, static_cast<unsigned long long>(report.writes),
                static_cast<unsigned long long>(report.reads), static_cast<unsigned long long>(report.unknown),
                static_cast<unsigned long long>(report.unknown_placed));
    if (!report.violation.empty()) {
        std::printf("%s\n", report.violation.c_str());
        return 1;
    }
    std::printf("%s\n", report.inconclusive ? "the search gave up" : "strictly serializable");
    return report.inconclusive ? 3 : 0;
}

int run(const std::vector<env::Address>& endpoints, Duration duration) {
    std::signal(SIGINT, [](int) { stopping.store(true); });
    std::vector<std::unique_ptr<HistoryClient>> all;
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < clients; i++) {
        all.push_back(std::make_unique<HistoryClient>(i + 1, endpoints));
        threads.emplace_back([client = all.back().get()] { client->run(); });
    }
    const client::SystemClock clock;
    for (const Instant end = clock.now() + duration; !stopping.load() && clock.now() < end;) {
        std::this_thread::sleep_for(20ms);
    }
    stopping.store(true);
    for (std::thread& thread : threads) {
        thread.join();
    }
    return judge(all);
}

}  // namespace
}  // namespace ringfort::sim

int main(int argc, char** argv) {
    const auto endpoints = argc == 3 ? ringfort::sim::addresses_of(argv[1]) : std::vector<ringfort::env::Address>();
    const long long seconds = argc == 3 ? std::atoll(argv[2]) : 0;
    if (endpoints.empty() || seconds <= 0) {
        std::fprintf(stderr, "usage: historian HOST:PORT,... SECONDS\n");
        return 2;
    }
    return ringfort::sim::run(endpoints, std::chrono::seconds(seconds));
}
