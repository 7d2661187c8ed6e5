#include "sim/simulation.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/assertion.h"
#include "sim/checkers/serializability.h"
#include "sim/cluster.h"
#include "sim/faults.h"

namespace ringfort::sim {

namespace {

constexpr Duration step = 10ms;               // between looks at the whole cluster
constexpr Duration form_max = 30s;
constexpr Duration settle_max = 60s;          // from the healing to the last pending answer, and to equal replicas

class Run {
  public:
    explicit Run(const RunOptions& options) : cluster_(options), faults_(cluster_, cluster_.prng().next()) {}

    Verdict run() {
        if (form() && work() && settle()) {
            judge_histories();
        }
        return finish();
    }

  private:
    bool form();
    bool work();
    bool settle();
    bool read_everything();
    void judge_histories();
    Verdict finish();

    bool wrong(VerdictKind kind, std::string text) {
        verdict_.kind = kind;
        verdict_.text = std::move(text);
        return false;
    }
    // Runs until `done` holds; false if a judge objected, or at the end of the time without it.
    template <class Done>
    bool run_until(Duration at_most, Done done, bool& in_time);
    void advance(Instant until) {
        while (cluster_.violation().empty() && cluster_.queue().run_one(until)) {
        }
    }

    Cluster cluster_;
    FaultScheduler faults_;
    Verdict verdict_;
};

template <class Done>
bool Run::run_until(Duration at_most, Done done, bool& in_time) {
    const Instant end = cluster_.queue().now() + at_most;
    in_time = false;
    while (cluster_.queue().now() < end) {
        advance(std::min(end, cluster_.queue().now() + step));
        if (!cluster_.violation().empty()) {
            return wrong(VerdictKind::safety, cluster_.violation());
        }
        faults_.restart_halted();
        if (done()) {
            in_time = true;
            return true;
        }
    }
    return true;
}

bool Run::form() {
    for (std::size_t i = 0; i < cluster_.node_count(); i++) {
        cluster_.node(i).start();
    }
    for (auto& client : cluster_.clients()) {
        client->start();
    }
    // Some clusters have trouble from their first moment on.
    if (cluster_.prng().one_in(4)) {
        return true;
    }
    bool in_time = false;
    if (!run_until(form_max, [&] { return cluster_.all_ready(); }, in_time)) {
        return false;
    }
    if (in_time) {
        return true;
    }
    cluster_.describe();
    return wrong(VerdictKind::liveness, "the cluster did not form");
}

bool Run::work() {
    faults_.start();
    bool in_time = false;
    return run_until(cluster_.options().duration, [] { return false; }, in_time);
}

bool Run::settle() {
    faults_.heal();
    // The load goes on for a while over the healed cluster.
    bool in_time = false;
    if (!run_until(5s, [] { return false; }, in_time)) {
        return false;
    }
    for (auto& client : cluster_.clients()) {
        client->stop();
    }
    const auto quiet = [&] {
        return cluster_.all_ready() && std::all_of(cluster_.clients().begin(), cluster_.clients().end(),
                                                   [](const auto& client) { return client->pending() == 0; });
    };
    if (!run_until(settle_max, quiet, in_time)) {
        return false;
    }
    if (!in_time) {
        cluster_.describe();
        return wrong(VerdictKind::liveness, cluster_.all_ready() ? "requests are pending long after the healing"
                                                                 : "a node is not ready long after the healing");
    }
    if (!read_everything()) {
        return false;
    }
    if (!run_until(settle_max, [&] { return cluster_.difference().empty(); }, in_time)) {
        return false;
    }
    return in_time || wrong(VerdictKind::liveness, "replicas do not converge: " + cluster_.difference());
}

// A linearizable read of every domain, by every client: the healed cluster answers, and the judge learns the final state.
bool Run::read_everything() {
    for (std::uint32_t domain = 0; domain < cluster_.options().domains; domain++) {
        RecordedOperation all;
        all.domain = domain;
        all.success.push_back({StepKind::range, domain_prefix(domain), domain_prefix(domain) + "\xff", {}, false, 0, 0});
        bool answered = false;
        const Instant end = cluster_.queue().now() + settle_max;
        while (!answered && cluster_.queue().now() < end) {
            SimClient& client = *cluster_.clients()[cluster_.prng().below(cluster_.clients().size())];
            const std::uint64_t number = client.ask(all);
            bool in_time = false;
            if (!run_until(settle_max, [&] { return client.pending() == 0; }, in_time)) {
                return false;
            }
            answered = in_time && cluster_.history()[number].outcome == Outcome::ok;
        }
        if (!answered) {
            cluster_.describe();
            return wrong(VerdictKind::liveness, "the healed cluster does not answer a read of " + domain_prefix(domain));
        }
    }
    return true;
}

void Run::judge_histories() {
    std::map<std::uint32_t, std::vector<const RecordedOperation*>> by_domain;
    std::map<std::uint32_t, DomainId> ids;
    for (const auto& operation : cluster_.history().operations()) {
        by_domain[operation.domain].push_back(&operation);
        if (operation.outcome == Outcome::ok) {
            const auto [found, added] = ids.emplace(operation.domain, operation.header.domain);
            if (!added && found->second != operation.header.domain) {
                wrong(VerdictKind::safety, "an answer names another domain than others did:\n  " + describe(operation));
                return;
            }
        }
    }
    for (const auto& [domain, operations] : by_domain) {
        const auto report = check_serializability(operations);
        verdict_.inconclusive = verdict_.inconclusive || report.inconclusive;
        if (!report.violation.empty()) {
            wrong(VerdictKind::safety, "domain " + std::to_string(domain) + ": " + report.violation);
            return;
        }
    }
}

Verdict Run::finish() {
    verdict_.simulated = cluster_.queue().now() - Instant{0};
    verdict_.hash = cluster_.queue().hash();
    verdict_.events = cluster_.queue().events();
    verdict_.faults = faults_.injected();
    verdict_.leaders = cluster_.leaders_seen();
    for (std::size_t i = 0; i < cluster_.node_count(); i++) {
        verdict_.turns += cluster_.node(i).turns();
    }
    for (const auto& operation : cluster_.history().operations()) {
        verdict_.operations++;
        verdict_.acknowledged += operation.outcome == Outcome::ok ? 1u : 0u;
        verdict_.failed += operation.outcome == Outcome::failed ? 1u : 0u;
        verdict_.unknown += operation.outcome == Outcome::unknown ? 1u : 0u;
    }
    return verdict_;
}

}  // namespace

Verdict simulate(const RunOptions& options) { return Run(options).run(); }

std::string describe(const Verdict& v) {
    return "operations " + std::to_string(v.operations) + " (ok " + std::to_string(v.acknowledged) + ", failed " +
           std::to_string(v.failed) + ", unknown " + std::to_string(v.unknown) + ") faults " + std::to_string(v.faults) +
           " leaders " + std::to_string(v.leaders) + " turns " + std::to_string(v.turns) + " events " +
           std::to_string(v.events) + (v.inconclusive ? " (search for unknown writes gave up)" : "");
}

}  // namespace ringfort::sim
