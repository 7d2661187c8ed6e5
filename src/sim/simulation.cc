// Liveness, in virtual time:
//   - Founding: every node is ready within 30 s of the first start, if nothing goes wrong.
//   - After the faults a random majority is healed, and the load goes on for 5 s. Within 45 s of the healing these nodes,
//     alone, are ready (every range has a leader), have answered every request that was pending, have taken a write and a
//     read of every domain, and are equal.
//   - Then everybody is healed who is not gone for ever, and the load goes on for 5 s: the same within 60 s. Within 30 s
//     more nothing is held any more.
//     Everybody who waits for a lock has had his turn by then.
//   - Then every watch is told everything: until it is, some watch comes further at least every 10 s.
//   - If all nodes are there, one replica's state goes wrong now and then: within 30 s it is out of service, and within 30 s
//     more right again.
//   - Once nobody keeps them alive, all leases have ended within 12 s: the longest is granted for 5. A node that leads is
//     killed meanwhile and started again.
//   - After a burst every request of it is answered within 20 s, and within 16 s more there are 4 s in which at least half
//     as many requests are served as in 4 s before it. A refusal is no service, but for want of room.
#include "sim/simulation.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "base/assertion.h"
#include "sim/checkers/compaction.h"
#include "sim/checkers/domain.h"
#include "sim/checkers/lease_promises.h"
#include "sim/checkers/locks.h"
#include "sim/checkers/hashes.h"

namespace ringfort::sim {

namespace {

constexpr Duration form_max = 30s;
constexpr Duration majority_max = 45s;
constexpr Duration settle_max = 60s;
constexpr Duration rest_max = 30s;   // from there until nothing is held
constexpr Duration watch_silence_max = 10s;
constexpr Duration ask_max = 16s;   // one attempt
constexpr Duration burst_max = 20s;
constexpr Duration burst_window = 4s;
constexpr int burst_windows = 4;
constexpr Duration leases_max = 12s;
constexpr Duration lease_seconds_max = 5s;
constexpr Duration wrong_state_max = 30s;   // until it is found, and from there until it is right

// What is asked for was done, or there is no room for it.
bool is_served(const RecordedOperation& operation) {
    return operation.outcome == Outcome::ok || operation.error == api::Errc::no_space;
}

// What automatic compaction may take: by time, anything; by revisions, what lies so many below the newest there can be.
api::Revision unasked_below(const RunOptions& options, std::span<const RecordedOperation* const> operations) {
    if (options.auto_compaction_revisions == 0) {
        return options.auto_compaction_period > 0s ? INT64_MAX : 0;
    }
    api::Revision newest = 1;
    api::Revision untold = 0;
    for (const RecordedOperation* operation : operations) {
        const bool answered = operation->outcome == Outcome::ok;
        newest = std::max(newest, answered ? operation->header.revision : 1);
        const bool leases_end = !operation->success.empty() && operation->success[0].kind == StepKind::grant;
        untold += leases_end || (!answered && operation->outcome != Outcome::failed && operation->may_modify()) ? 1 : 0;
    }
    return newest + untold - options.auto_compaction_revisions;
}

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
    cluster_.look();
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
    start_load();
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

void Simulation::start_load(bool bursts) {
    for (auto& client : cluster_.clients()) {
        client->start(bursts);
    }
}

void Simulation::stop_load() {
    for (auto& client : cluster_.clients()) {
        client->stop();
    }
}

bool Simulation::nobody_waits() const {
    return std::ranges::all_of(cluster_.clients(), [](const auto& client) { return client->pending() == 0; });
}

bool Simulation::locks_rest() const {
    return std::ranges::all_of(cluster_.clients(), [](const auto& client) { return client->locks().idle(); });
}

bool Simulation::heal_majority() {
    // A cluster that was never founded whole waits for all of its members.
    if (!cluster_.formed()) {
        return verdict_.kind == VerdictKind::ok;
    }
    const Instant began = now();
    const std::vector<bool> majority = faults_.pick_majority();
    healed_ = majority;
    faults_.heal_some(majority, cluster_.prng().one_in(3));
    if (!run_for(cluster_.options().load_goes_on)) {
        return false;
    }
    stop_load();
    if (!come_to_rest(majority, began + majority_max, "a healed majority")) {
        return false;
    }
    verdict_.majority_took = now() - began;
    start_load();
    return true;
}

bool Simulation::settle() {
    healed_.clear();
    faults_.heal();
    if (!run_for(cluster_.options().load_goes_on) || !bear_burst()) {
        return false;
    }
    const Instant rested = now();
    stop_load();
    const Instant deadline = rested + settle_max - cluster_.options().load_goes_on;
    if (!come_to_rest(cluster_.present(), deadline, "the healed cluster")) {
        return false;
    }
    verdict_.all_took = cluster_.options().load_goes_on + (now() - rested);
    return tell_watches() && tell_locks();
}

bool Simulation::leases_end() {
    if (cluster_.options().workload.leases == 0 && !cluster_.options().workload.locks) {
        return true;
    }
    const Instant deadline = now() + leases_max;
    if (cluster_.node_count() > 1 && run_for(2s)) {
        SimNode& node = cluster_.node(cluster_.leader_node());
        node.kill();
        node.start();
    }
    return run_until(deadline - now(), "a lease outlives its time", [&] { return cluster_.lease_judge().alive() == 0; }) ||
           fail_with_state({});
}

// Where a majority can tell who is in the wrong: the hash of one replica's state becomes another.
bool Simulation::heal_wrong_state() {
    const std::vector<bool> present = cluster_.present();
    const auto there = static_cast<std::size_t>(std::ranges::count(present, true));
    if (there < 3 || there < cluster_.node_count() || !cluster_.prng().one_in(4)) {
        return true;
    }
    const std::size_t node = cluster_.prng().below(there);
    const RangeId range(1 + cluster_.prng().below(cluster_.options().domains));
    const auto out = [&] {
        return std::ranges::any_of(cluster_.node(node).inspect(),
                                   [](const shard::ReplicaView& view) { return view.out_of_service; });
    };
    const bool healed = run_until(5s, "a command does not end", [&] { return cluster_.spoil_state(node, range); }) &&
                        run_until(wrong_state_max, "a wrong state is not found", out) &&
                        run_until(wrong_state_max, "a wrong state is not rebuilt", [&] { return !out(); });
    cluster_.excuse_state(node, false);
    const auto same = [&] { return cluster_.difference().empty(); };
    return (healed && run_until(settle_max, "what was rebuilt differs", same)) || fail_with_state({});
}

bool Simulation::fail_with_state(std::string text) {
    wrong(VerdictKind::liveness, std::move(text));
    cluster_.describe();
    for (const auto& client : cluster_.clients()) {
        if (cluster_.options().workload.locks) {
            std::fprintf(stderr, "%s\n", client->locks().describe().c_str());
        }
    }
    return false;
}

// Ready, no request without an answer, and equal. Requires: the load has stopped.
bool Simulation::come_to_rest(const std::vector<bool>& among, Instant deadline, std::string_view who) {
    const auto in_time = [&](std::string_view what, auto done) {
        return run_until(deadline - now(), std::string(who) + ": " + std::string(what), done) || fail_with_state({});
    };
    if (!in_time("a node is not ready in time", [&] { return cluster_.ready(among); }) ||
        !in_time("somebody waits for a lock for ever", [&] { return locks_rest(); }) ||
        !in_time("requests are not answered in time", [&] { return nobody_waits(); }) || !serve_everything(deadline)) {
        return false;
    }
    if (!in_time("replicas do not converge in time", [&] { return cluster_.difference(among).empty(); })) {
        verdict_.text += ": " + cluster_.difference(among);
        return false;
    }
    return check_rest(among, who);
}

// Nothing is asked for any more: all that was held for somebody is given back, and everything that was ever committed is
// in every replica.
bool Simulation::check_rest(const std::vector<bool>& among, std::string_view who) {
    const auto each = [&](auto&& check) {
        for (std::size_t i = 0; i < cluster_.node_count(); i++) {
            std::string found = among[i] ? check(i) : std::string{};
            if (!found.empty()) {
                return wrong(VerdictKind::safety, std::move(found));
            }
        }
        return true;
    };
    const auto nothing_lost = [&](std::size_t i) { return cluster_.lost_entries(i); };
    const auto disk_reads = [&](std::size_t i) { return cluster_.log_judge().check_disk(i); };
    // An entry may have been committed just now, when a lease ended: it is applied in a moment.
    const auto all_applied = [&] {
        for (std::size_t i = 0; i < cluster_.node_count(); i++) {
            if (among[i] && !cluster_.lost_entries(i).empty()) {
                return false;
            }
        }
        return true;
    };
    for (const Instant end = now() + rest_max; now() < end && !all_applied();) {
        if (!run_for(10ms)) {
            return false;
        }
    }
    if (std::string found = cluster_.hashes_differ(among); !found.empty()) {
        return wrong(VerdictKind::safety, std::move(found));
    }
    if (!each(nothing_lost) || among != cluster_.present()) {
        return verdict_.kind == VerdictKind::ok;   // what a broken node has asked for may be held for it
    }
    if (!run_until(rest_max, std::string(who) + " does not come to rest", [&] { return cluster_.unrest(among).empty(); })) {
        verdict_.text += ": " + cluster_.unrest(among);
        return false;
    }
    return each(disk_reads);
}

bool Simulation::tell_watches() {
    std::vector<api::Revision> newest(cluster_.options().all_domains(), 0);
    for (const auto& operation : cluster_.history().operations()) {
        if (operation.outcome == Outcome::ok) {
            newest[operation.domain] = std::max(newest[operation.domain], operation.header.revision);
        }
    }
    const auto told = [&] {
        bool all = true;
        for (auto& client : cluster_.clients()) {
            all &= client->watches().told_through(newest);
        }
        return all;
    };
    const auto progress = [&] {
        std::uint64_t sum = 0;
        for (const auto& client : cluster_.clients()) {
            sum += client->watches().progress();
        }
        return sum;
    };
    std::uint64_t before = progress();
    while (run_until(watch_silence_max, "no watch is told more, and one is not told everything",
                     [&] { return told() || progress() != before; })) {
        if (progress() == before) {
            return true;
        }
        before = progress();
    }
    for (auto& client : cluster_.clients()) {
        if (const std::string untold = client->watches().describe_untold(); !untold.empty()) {
            verdict_.text += "\n  " + untold;
            break;
        }
    }
    return fail_with_state({});
}

bool Simulation::tell_locks() {
    const shard::ShardBounds usual;
    const shard::ShardBounds& bounds = cluster_.options().bounds;
    // Else others may have the only places there are for watches: then what was told is judged, and no more is waited for.
    const bool room = bounds.watches == usual.watches && bounds.connection_watches == usual.connection_watches &&
                      bounds.watch_key_bytes == usual.watch_key_bytes &&
                      bounds.connection_watch_key_bytes == usual.connection_watch_key_bytes;
    if (!cluster_.options().workload.locks || !room) {
        return true;
    }
    api::Revision newest = 0;
    for (const auto& operation : cluster_.history().operations()) {
        const bool known = operation.outcome == Outcome::ok && operation.domain == cluster_.options().domains;
        newest = std::max(newest, known ? operation.header.revision : 0);
    }
    LockLines lines;
    const auto told = [&] {
        static_cast<void>(lines.read(cluster_.lock_records().account));   // the judge says what is wrong with it
        return std::ranges::all_of(cluster_.clients(),
                                   [&](const auto& client) { return client->locks().told(lines, newest); });
    };
    return run_until(watch_silence_max, "what happened to locks is not told", told) || fail_with_state({});
}

Served Simulation::served_in(Duration duration) {
    const auto count = [&] {
        Served out;
        for (const auto& operation : cluster_.history().operations()) {
            out.all += is_served(operation) ? 1u : 0u;
            out.done += operation.outcome == Outcome::ok ? 1u : 0u;
        }
        return out;
    };
    const Served before = count();
    static_cast<void>(run_for(duration));
    const Served after = count();
    return {after.all - before.all, after.done - before.done};
}

bool Simulation::bear_burst() {
    const std::size_t requests = cluster_.options().workload.burst_requests;
    if (requests == 0) {
        return true;
    }
    stop_load();
    // What an earlier burst left must not count as what is served without one.
    if (!run_until(burst_max, "requests are not answered in time before a burst", [&] { return nobody_waits(); })) {
        return fail_with_state({});
    }
    start_load(false);
    const Served before = served_in(burst_window);
    stop_load();
    for (auto& client : cluster_.clients()) {
        client->burst(requests);
    }
    if (!run_until(burst_max, "requests of a burst are not answered in time", [&] { return nobody_waits(); })) {
        return fail_with_state({});
    }
    start_load(false);
    // What the burst left behind (values to read, connections made anew) may cost a while; who stays slow is what is sought.
    Served after;
    for (int windows = 0; windows < burst_windows && !after.as_much_as_half_of(before); windows++) {
        after = served_in(burst_window);
    }
    if (!after.as_much_as_half_of(before)) {
        return fail_with_state("long after a burst " + std::to_string(after.all) + " requests are served where " +
                               std::to_string(before.all) + " were before it (done: " + std::to_string(after.done) +
                               " where " + std::to_string(before.done) + " were)");
    }
    return verdict_.kind == VerdictKind::ok;
}

// A write and a linearizable read of every domain: the cluster answers, and the judge learns the state.
bool Simulation::serve_everything(Instant deadline) {
    for (std::uint32_t domain = 0; domain < cluster_.options().domains; domain++) {
        RecordedOperation put;
        put.domain = domain;
        const std::string value = "asked at the end " + std::to_string(cluster_.history().operations().size());
        put.success.push_back({StepKind::put, domain_prefix(domain) + "00", {}, value, false, 0, 0});
        RecordedOperation all;
        all.domain = domain;
        all.success.push_back({StepKind::range, domain_prefix(domain), domain_prefix(domain) + "\xff", {}, false, 0, 0});
        if (!ask_until_answered(put, deadline) || !ask_until_answered(all, deadline)) {
            return false;
        }
    }
    return true;
}

// One client after the other, by lot.
bool Simulation::ask_until_answered(const RecordedOperation& operation, Instant deadline) {
    std::string last;
    for (std::size_t attempt = 0; now() < deadline; attempt++) {
        RecordedOperation again = operation;
        if (attempt > 0 && again.success[0].kind == StepKind::put) {
            again.success[0].value += "/" + std::to_string(attempt);   // every value is put once
        }
        const auto* asked = ask(cluster_.prng().below(cluster_.clients().size()), std::move(again), ask_max);
        if (verdict_.kind != VerdictKind::ok) {
            return false;
        }
        if (is_served(*asked)) {
            return true;
        }
        last = sim::describe(*asked);
    }
    return fail_with_state("no answer in time:\n  " + last);
}

void Simulation::judge_histories() {
    std::map<std::uint32_t, std::vector<const RecordedOperation*>> by_domain;
    std::vector<const RecordedOperation*> all;
    std::map<std::uint32_t, DomainId> ids;
    std::map<std::uint32_t, std::vector<const RecordedOperation*>> hashes;
    for (const auto& operation : cluster_.history().operations()) {
        if (is_maintenance(operation)) {
            hashes[operation.domain].push_back(&operation);
        } else {
            by_domain[operation.domain].push_back(&operation);
            all.push_back(&operation);
        }
        if (operation.outcome == Outcome::ok) {
            const auto [found, added] = ids.emplace(operation.domain, operation.header.domain);
            if (!added && found->second != operation.header.domain) {
                wrong(VerdictKind::safety, "an answer names another domain than others did:\n  " + describe(operation));
                return;
            }
        }
    }
    for (const auto& [domain, operations] : hashes) {
        if (std::string found = check_hashes(operations); !found.empty()) {
            wrong(VerdictKind::safety, "domain " + std::to_string(domain) + ": " + found);
            return;
        }
    }
    if (std::string leases = cluster_.lease_judge().check(all); !leases.empty()) {
        wrong(VerdictKind::safety, std::move(leases));
        return;
    }
    const bool leased = cluster_.options().workload.leases > 0;
    const std::vector<LeaseEnd> ends = cluster_.lease_judge().ends();
    const std::span<const LeaseEnd> ended(ends);
    for (const auto& [domain, operations] : by_domain) {
        const bool of_locks = domain == cluster_.options().domains;
        if (of_locks ? !judge_locks() : !judge_domain(domain, operations, leased ? &ended : nullptr)) {
            return;
        }
    }
}

bool Simulation::judge_locks() {
    const LockRecords& records = cluster_.lock_records();
    verdict_.locks_held = records.claims.size();
    const std::int64_t drift_ppm = std::max<std::int64_t>(cluster_.options().drift_ppm_max, 100);
    const std::string wrong_with =
        check_locks(records, cluster_.history().operations(), lease_seconds_max * drift_ppm / 1'000'000);
    return wrong_with.empty() || wrong(VerdictKind::safety, "locks: " + wrong_with);
}

bool Simulation::judge_domain(std::uint32_t domain, std::span<const RecordedOperation* const> operations,
                              const std::span<const LeaseEnd>* lease_ends) {
    const RunOptions& options = cluster_.options();
    std::vector<const RecordedWatch*> watches;
    for (const RecordedWatch& watch : cluster_.watch_records()) {
        if (watch.domain == domain) {
            watches.push_back(&watch);
            verdict_.watches++;
            verdict_.watch_revisions += watch.told.size();
        }
    }
    DomainStory story{operations, watches, lease_ends, false};
    story.compacts_by_itself = options.auto_compaction_period > 0s || options.auto_compaction_revisions > 0;
    std::string wrong_with = check_compaction(operations, unasked_below(options, operations));
    if (wrong_with.empty()) {
        DomainReport report = check_domain(story);
        verdict_.inconclusive = verdict_.inconclusive || report.inconclusive;
        wrong_with = std::move(report.violation);
    }
    if (wrong_with.empty()) {
        LeaseBounds bounds;
        bounds.drift_ppm_max = std::max<std::int64_t>(options.drift_ppm_max, 100);
        bounds.late = bounds.late_renewed = 1h;   // leases_end() waits for it
        wrong_with = check_lease_promises(operations, watches, bounds).violation;
    }
    return wrong_with.empty() || wrong(VerdictKind::safety, "domain " + std::to_string(domain) + ": " + wrong_with);
}

// Beyond the budget a cluster may halt or not answer, if it says which range it is for.
void Simulation::excuse_silence() {
    if (!cluster_.options().beyond_budget || verdict_.kind != VerdictKind::liveness) {
        return;
    }
    // What is on its way arrives: after it, who differs stays so.
    stop_load();
    verdict_.kind = VerdictKind::ok;
    const std::string silence = std::exchange(verdict_.text, {});
    if (run_for(2s) && !cluster_.harm_is_named(healed_.empty() ? cluster_.present() : healed_)) {
        wrong(VerdictKind::liveness, silence + ", and no line names a harmed range");
    }
}

Verdict Simulation::finish() {
    excuse_silence();
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
        static_cast<void>(run.run_for(options.duration) && run.heal_majority() && run.settle() &&
                          run.heal_wrong_state() && run.leases_end());
    }
    return run.finish();
}

std::string describe(const Figures& v) {
    return "operations " + std::to_string(v.operations) + " (ok " + std::to_string(v.acknowledged) + ", failed " +
           std::to_string(v.failed) + ", unknown " + std::to_string(v.unknown) + ") faults " +
           std::to_string(std::accumulate(v.faults.begin(), v.faults.end(), std::uint64_t{0})) +
           " turns held " + std::to_string(v.locks_held) +
           " watches " + std::to_string(v.watches) + " (told " + std::to_string(v.watch_revisions) + ") leaders " +
           std::to_string(v.leaders) + " turns " + std::to_string(v.turns) + " events " +
           std::to_string(v.events) + " majority " + std::to_string(v.majority_took.count() / 1'000'000) + "ms all " +
           std::to_string(v.all_took.count() / 1'000'000) + "ms" +
           (v.inconclusive ? " (search for unknown writes gave up)" : "");
}

}  // namespace ringfort::sim
