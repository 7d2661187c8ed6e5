// One run from its options to a verdict: the cluster forms, works under faults, is healed in part and then whole, and must
// serve and converge each time. How long it may take for that stands at the head of simulation.cc, what harm to data it
// must bear at the head of damage_budget.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster.h"
#include "sim/faults.h"
#include "sim/run_options.h"

namespace ringfort::sim {

enum class VerdictKind : std::uint8_t { ok, liveness, safety };

// What a run did, in numbers.
struct Figures {
    Duration simulated{0};
    std::uint64_t hash{0};            // of all events: two runs of a seed agree
    std::uint64_t events{0};
    std::uint64_t turns{0};
    std::array<std::uint64_t, fault_kinds> faults{};   // injected, by kind
    std::uint64_t faults_drawn{0};    // the highest number of a fault, left out or not
    std::uint64_t operations{0};
    std::uint64_t acknowledged{0};
    std::uint64_t failed{0};
    std::uint64_t unknown{0};
    std::uint64_t watches{0};         // made
    std::uint64_t watch_revisions{0}; // told, with marks
    std::uint64_t locks_held{0};      // turns of locks and elections
    std::uint64_t leaders{0};         // (range, term) pairs that had one
    Duration majority_took{0};        // from the healing of a majority to its convergence; 0: was not tried
    Duration all_took{0};             // the same of everybody
    bool inconclusive{false};
};

struct Verdict : Figures {
    VerdictKind kind{VerdictKind::ok};
    std::string text;                 // what is wrong; empty if nothing is
};

// Requests served, and those of them that were done. A refusal for want of space takes no time, a large value does: a
// store that was full before a burst and is not after it serves less and does more.
struct Served {
    std::uint64_t all{0};
    std::uint64_t done{0};
    bool as_much_as_half_of(const Served& other) const {
        return all * 2 >= other.all || (done > 0 && done * 2 >= other.done);
    }
};

// A run in its phases. Between them a test may break things by hand: the same judges watch every turn, and settle()
// repairs whatever is still broken. Each phase returns false, for good, once something is wrong; finish() says what.
class Simulation {
  public:
    explicit Simulation(const RunOptions& options) : cluster_(options), faults_(cluster_, cluster_.prng().next()) {}

    Cluster& cluster() { return cluster_; }
    FaultScheduler& faults() { return faults_; }
    Instant now() { return cluster_.queue().now(); }

    // Starts every node and client; the cluster comes up and serves.
    bool form();
    // Starts them and does not wait.
    void begin();
    bool run_for(Duration duration);
    // Runs until `done()`; that it does not hold in time is a liveness violation called `what`.
    template <class Done>
    bool run_until(Duration at_most, std::string_view what, Done done) {
        const Instant end = now() + at_most;
        while (verdict_.kind == VerdictKind::ok && !done()) {
            if (now() >= end) {
                return wrong(VerdictKind::liveness, std::string(what));
            }
            advance(std::min(end, now() + look_interval));
        }
        return verdict_.kind == VerdictKind::ok;
    }
    // Asks this through one client and runs until it is answered, whatever the answer is.
    const RecordedOperation* ask(std::size_t client, RecordedOperation operation, Duration at_most);
    // Heals a random majority; the others stay as they are, or lose their power. It serves, alone, and converges.
    bool heal_majority();
    // Heals everything; the cluster serves, bears a burst if the options have any, and converges. The load ends.
    bool settle();
    // Every watch that is there is told everything. Requires: the load has stopped.
    bool tell_watches();
    // Likewise what was seen of locks and elections.
    bool tell_locks();
    // Nobody keeps leases alive any more: they end, though a leader is lost meanwhile. Requires: settle() was good.
    bool leases_end();
    // Now and then, and where all nodes are there: one replica's state goes wrong, is found and rebuilt. Requires: settle()
    // was good.
    bool heal_wrong_state();
    // Judges the histories if nothing was wrong before. Requires: settle() was called, or a phase failed.
    Verdict finish();

    // What is wrong so far; empty if nothing is.
    const std::string& problem() const { return verdict_.text; }
    bool wrong(VerdictKind kind, std::string text);

  private:
    static constexpr Duration look_interval = 10ms;   // between looks at the whole cluster
    void advance(Instant until);
    bool come_to_rest(const std::vector<bool>& among, Instant deadline, std::string_view who);
    bool check_rest(const std::vector<bool>& among, std::string_view who);
    bool bear_burst();
    bool judge_domain(std::uint32_t domain, std::span<const RecordedOperation* const> operations,
                      const std::span<const LeaseEnd>* lease_ends);
    // Every request has its answer.
    bool nobody_waits() const;
    // Everybody's turn has come, and all sessions are closed.
    bool locks_rest() const;
    bool judge_locks();
    Served served_in(Duration duration);
    bool serve_everything(Instant deadline);
    bool ask_until_answered(const RecordedOperation& operation, Instant deadline);
    bool fail_with_state(std::string text);
    void start_load(bool bursts = true);
    void stop_load();
    void excuse_silence();
    void judge_histories();

    Cluster cluster_;
    FaultScheduler faults_;
    std::vector<bool> healed_;   // who must serve since the last healing; empty: everybody
    Verdict verdict_;
};

// All of it from the options: forms (or not quite), works under the fault scheduler, settles, is judged.
Verdict simulate(const RunOptions& options);
// One line of figures.
std::string describe(const Figures& figures);

}  // namespace ringfort::sim
