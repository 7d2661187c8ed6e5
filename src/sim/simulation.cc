#include "sim/simulation.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "base/assertion.h"
#include "sim/checkers/compaction.h"
#include "sim/checkers/serializability.h"

namespace ringfort::sim {

namespace {

constexpr Duration form_max = 30s;
constexpr Duration settle_max = 60s;          // from the healing to the last pending answer, and to equal replicas

}  // namespace

bool Simulation::wrong(VerdictKind kind, std::string text) {
    if (verdict_.kind == VerdictKind::ok) {
        verdict_.kind = kind;
        verdict_.text = std::move(text);
    }
    return false;
}

void Simulation::advance(Instant until) {
    while (cluster_.violation().empty() && cluster_.queue().run_one(until)) {
    }
    if (!cluster_.violation().empty()) {
        wrong(VerdictKind::safety, cluster_.violation());
    }
    faults_.restart_halted();
}

bool Simulation::run_for(Duration duration) {
    const Instant end = now() + duration;
    return run_until(duration, "", [&] { return now() >= end; });
}

void Simulation::begin() {
    for (std::size_t i = 0; i < cluster_.node_count(); i++) {
        cluster_.node(i).start();
    }
    for (auto& client : cluster_.clients()) {
        client->start();
    }
}

bool Simulation::form() {
    begin();
    const bool formed = run_until(form_max, "the cluster did not form", [&] { return cluster_.all_ready(); });
    if (!formed) {
        cluster_.describe();
    }
    return formed;
}

const RecordedOperation* Simulation::ask(std::size_t client, RecordedOperation operation, Duration at_most) {
    const std::uint64_t number = cluster_.clients()[client]->ask(std::move(operation), at_most / 4);
    const RecordedOperation& asked = cluster_.history()[number];
    run_until(at_most, "a request is not answered in time", [&] { return asked.outcome != Outcome::pending; });
    return &asked;
}

bool Simulation::settle() {
    faults_.heal();
    // The load goes on for a while over the healed cluster.
    if (!run_for(5s)) {
        return false;
    }
    for (auto& client : cluster_.clients()) {
        client->stop();
    }
    if (!run_until(settle_max, "a node is not ready long after the healing", [&] { return cluster_.all_ready(); })) {
        cluster_.describe();
        return false;
    }
    const auto answered = [&] {
        return std::all_of(cluster_.clients().begin(), cluster_.clients().end(),
                           [](const auto& client) { return client->pending() == 0; });
    };
    if (!run_until(settle_max, "requests are pending long after the healing", answered) || !read_everything()) {
        cluster_.describe();
        return false;
    }
    if (!run_until(settle_max, "replicas do not converge", [&] { return cluster_.difference().empty(); })) {
        verdict_.text += ": " + cluster_.difference();
        cluster_.describe();
        return false;
    }
    return true;
}

// A linearizable read of every domain, by every client: the healed cluster answers, and the judge learns the final state.
bool Simulation::read_everything() {
    for (std::uint32_t domain = 0; domain < cluster_.options().domains; domain++) {
        RecordedOperation all;
        all.domain = domain;
        all.success.push_back({StepKind::range, domain_prefix(domain), domain_prefix(domain) + "\xff", {}, false, 0, 0});
        const Instant end = now() + settle_max;
        bool answered = false;
        std::string last;
        while (!answered && now() < end) {
            const auto* asked = ask(cluster_.prng().below(cluster_.clients().size()), all, settle_max);
            if (verdict_.kind != VerdictKind::ok) {
                return false;
            }
            answered = asked->outcome == Outcome::ok;
            last = sim::describe(*asked);
        }
        if (!answered) {
            cluster_.describe();
            return wrong(VerdictKind::liveness, "the healed cluster does not answer a read of " + domain_prefix(domain) +
                                                   ":\n  " + last);
        }
    }
    return true;
}

void Simulation::judge_histories() {
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
        const std::string compaction = check_compaction(operations);
        if (!compaction.empty()) {
            wrong(VerdictKind::safety, "domain " + std::to_string(domain) + ": " + compaction);
            return;
        }
        const auto report = check_serializability(operations);
        verdict_.inconclusive = verdict_.inconclusive || report.inconclusive;
        if (!report.violation.empty()) {
            wrong(VerdictKind::safety, "domain " + std::to_string(domain) + ": " + report.violation);
            return;
        }
    }
}

Verdict Simulation::finish() {
    if (verdict_.kind == VerdictKind::ok) {
        judge_histories();
    }
    verdict_.simulated = cluster_.queue().now() - Instant{0};
    verdict_.hash = cluster_.queue().hash();
    verdict_.events = cluster_.queue().events();
    verdict_.faults = faults_.injected();
    verdict_.faults_drawn = faults_.drawn();
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

Verdict simulate(const RunOptions& options) {
    Simulation run(options);
    // Some clusters have trouble from their first moment on.
    bool good = true;
    if (run.cluster().prng().one_in(4)) {
        run.begin();
    } else {
        good = run.form();
    }
    if (good) {
        run.faults().start();
        static_cast<void>(run.run_for(options.duration) && run.settle());
    }
    return run.finish();
}

std::string describe(const Figures& v) {
    return "operations " + std::to_string(v.operations) + " (ok " + std::to_string(v.acknowledged) + ", failed " +
           std::to_string(v.failed) + ", unknown " + std::to_string(v.unknown) + ") faults " +
           std::to_string(std::accumulate(v.faults.begin(), v.faults.end(), std::uint64_t{0})) +
           " leaders " + std::to_string(v.leaders) + " turns " + std::to_string(v.turns) + " events " +
           std::to_string(v.events) + (v.inconclusive ? " (search for unknown writes gave up)" : "");
}

}  // namespace ringfort::sim
