// One client machine: the real client core over the simulated network, driven by a workload; every operation and its
// outcome is recorded.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/core.h"
#include "sim/network_port.h"
#include "sim/sim_clock.h"
#include "sim/sim_locks.h"
#include "sim/sim_watches.h"
#include "sim/workload.h"

namespace ringfort::sim {

struct SimClientOptions {
    std::uint32_t number{0};
    std::uint32_t domains{1};
    client::CoreOptions core;
    std::uint64_t seed{0};
    bool trace{false};
};

class SimClient {
  public:
    SimClient(EventQueue& queue, SimNetwork& network, HostId host, const WorkloadOptions& workload,
              const SimClientOptions& options, History& history, WatchRecords& watch_records, LockRecords& lock_records);
    ~SimClient();
    SimClient(const SimClient&) = delete;
    SimClient& operator=(const SimClient&) = delete;

    // Begins, or stops, to ask for something now and then.
    void start(bool bursts = true);
    void stop();
    // Asks for so many things at once.
    void burst(std::size_t requests);
    // Asks for this now. Returns its number in the history.
    // Its number in the history. `timeout`: at least this long, else the workload's.
    std::uint64_t ask(RecordedOperation operation, Duration timeout = {});
    SimWatches& watches() { return watches_; }
    SimLocks& locks() { return locks_; }
    // The core has something to do.
    void wake() { on_wake(this, 0); }
    // Operations without an answer yet.
    std::size_t pending() const { return pending_; }

  private:
    // The context of a request: pooled, so that its address stays while it is in flight.
    struct Call {
        SimClient* client;
        std::uint64_t number;
        std::uint64_t token{0};       // at the core
        std::uint64_t use{0};         // which one of this call; a late cancel finds another
    };
    void schedule_turn(Instant at);
    void think_again();
    static void on_wake(void* context, std::uint64_t);
    static void on_turn(void* context, std::uint64_t token, std::uint64_t);
    static void on_give_up(void* context, std::uint64_t use, std::uint64_t);
    void end(Call& call);
    void tell(const RecordedOperation& operation) const;
    static void on_think(void* context, std::uint64_t load, std::uint64_t);
    static void on_burst(void* context, std::uint64_t load, std::uint64_t);
    void schedule_burst();
    static void on_response(void* context, std::uint64_t token, const api::Response& response);

    EventQueue& queue_;
    const WorkloadOptions& workload_options_;
    History& history_;
    const std::string name_;
    const bool trace_;
    Workload workload_;
    Prng random_;
    SimClock clock_;
    NetworkPort port_;
    client::Core core_;
    SimWatches watches_;
    SimLocks locks_;
    Arena arena_;
    std::vector<std::unique_ptr<Call>> calls_;
    std::vector<Call*> free_;
    std::size_t pending_{0};
    std::uint64_t asked_{0};  // of the workload
    std::uint64_t load_{0};   // one more for each start() and stop(); what a former one scheduled is void
    bool in_turn_{false};
    bool woken_{false};
    Instant scheduled_{never};
    std::uint64_t token_{0};
};

}  // namespace ringfort::sim
