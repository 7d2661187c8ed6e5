// One client of the historian: asks a real cluster for what the simulator's workload asks, has watches beside it, and
// records what it is told. Each runs on a thread of its own.
//
// When the load ends it sees its leases end, and then, once all clients have, its watches told of all that was acknowledged.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/core.h"
#include "client/socket_network.h"
#include "historian_watches.h"
#include "sim/workload.h"

namespace ringfort::sim {

// Of all clients.
struct Counts {
    std::atomic<std::uint64_t> asked{0};
    std::atomic<std::uint64_t> answered{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> unknown{0};
    std::atomic<std::int64_t> last_answer_ns{0};
    std::atomic<std::int64_t> longest_gap_ns{0};   // between two answers that were none of failure

    void note(const RecordedOperation& operation);
    void print(std::FILE* out) const;
};

constexpr std::uint32_t historian_domains_max = 100;

struct HistorianShared {
    Counts counts;
    std::atomic<bool> stopping{false};
    std::atomic<std::uint32_t> at_rest{0};   // clients that write no more and whose leases are gone
    std::array<std::atomic<api::Revision>, historian_domains_max> newest{};   // acknowledged, by domain
};

struct HistorianClientOptions {
    std::uint32_t number{0};    // from 1 on
    std::uint32_t clients{1};
    std::uint32_t domains{1};
    std::uint64_t seed{0};
    std::vector<env::Address> endpoints;
};

class HistorianClient {
  public:
    // How long it waits for the end of its leases, and then for its watches, when the load has ended.
    static constexpr Duration patience = 60s;

    HistorianClient(const WorkloadOptions& workload, const HistorianClientOptions& options, HistorianShared& shared);

    // Until HistorianShared::stopping, and what follows it is over.
    void run();
    const History& history() const { return history_; }
    const WatchRecords& watch_records() const { return watches_.records(); }
    // What was still to be waited for when patience ended; empty: nothing.
    const std::string& missed() const { return missed_; }

  private:
    struct Call {
        HistorianClient* client;
        std::uint64_t number;
    };
    enum class Phase : std::uint8_t { load, leases, others, watches, over };

    void step(Instant now);
    void ask(RecordedOperation operation);
    void ask_about_a_lease();
    void enter(Phase phase, Instant now);
    static void on_response(void* context, std::uint64_t, const api::Response& response);
    void learn(const RecordedOperation& operation);
    void learn_of_lease(const RecordedOperation& operation);

    const WorkloadOptions& workload_options_;
    const HistorianClientOptions options_;
    HistorianShared& shared_;
    Workload workload_;
    Prng random_;
    client::SystemClock clock_;
    client::SocketNetwork network_;
    client::Core core_;
    HistorianWatches watches_;
    Arena arena_;
    History history_;
    std::vector<std::unique_ptr<Call>> calls_;
    std::size_t pending_{0};
    std::set<std::pair<std::uint32_t, api::LeaseId>> leases_;   // by domain: of those that may be there
    std::pair<std::uint32_t, api::LeaseId> asked_about_{};
    Phase phase_{Phase::load};
    Instant next_{0};
    Instant patient_until_{never};
    std::string missed_;
};

}  // namespace ringfort::sim
