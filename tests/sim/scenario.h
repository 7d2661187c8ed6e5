// What scenario tests share: a cluster with a steady load and no faults but those the test makes by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "sim/simulation.h"

namespace ringfort::sim {

inline constexpr RangeId data_range{1};

inline RunOptions scenario_options(std::size_t nodes = 3) {
    RunOptions out;
    out.seed = 11;
    out.nodes = nodes;
    out.shards = 2;
    out.request_bytes = 128 * kib;
    out.log_window_bytes = 4 * mib;
    out.segment_bytes = 4 * mib;
    out.load_goes_on = 1s;
    out.workload.clients = 6;
    out.workload.think = 10ms;
    out.workload.in_flight_max = 4;
    out.workload.compactions = 0;   // so that no past revision is refused
    return out;
}

class Scenario {
  public:
    explicit Scenario(const RunOptions& options = scenario_options()) : simulation(options) {}

    Cluster& cluster() { return simulation.cluster(); }
    SimNode& node(std::size_t index) { return cluster().node(index); }
    std::size_t nodes() { return cluster().node_count(); }

    // The node that leads the data range in the highest term; node_count() if none does.
    std::size_t leader() {
        std::size_t best = nodes();
        Term term{};
        for (std::size_t i = 0; i < nodes(); i++) {
            const auto found = view(i);
            if (found.role == raft::Role::leader && found.term > term) {
                term = found.term;
                best = i;
            }
        }
        return best;
    }
    std::size_t follower() { return (leader() + 1) % nodes(); }
    // Of the data range on that node; empty if it has none or does not run.
    shard::ReplicaView view(std::size_t index) {
        if (node(index).running()) {
            for (const auto& found : node(index).inspect()) {
                if (found.range == data_range) {
                    return found;
                }
            }
        }
        return {};
    }
    // Of the nodes' first shards, as the first one sees it.
    shard::LinkView link(std::size_t from, std::size_t to) {
        for (const auto& found : node(from).links(ShardId(0))) {
            if (found.node == node(to).id() && found.remote_shard == ShardId(0)) {
                return found;
            }
        }
        return {};
    }
    // Forms, and waits until writes are answered.
    testing::AssertionResult form() {
        if (!simulation.form() ||
            !simulation.run_until(10s, "no write is answered", [&] { return leader() < nodes() && acknowledged() > 20; })) {
            cluster().describe();
            if (!cluster().history().operations().empty()) {
                std::fprintf(stderr, "  last: %s\n", describe(cluster().history().operations().back()).c_str());
            }
            return testing::AssertionFailure() << simulation.problem();
        }
        // Other ranges elect their leaders meanwhile.
        return simulation.run_for(1s) ? testing::AssertionSuccess() : testing::AssertionFailure() << simulation.problem();
    }
    // What a node's shards hold together of what is bounded.
    std::uint64_t held(std::size_t index, std::string_view what) {
        std::uint64_t out = 0;
        for (const Holdings& holdings : node(index).holdings()) {
            for (const shard::PoolView& pool : holdings.pools) {
                out += pool.what == what ? pool.held : 0;
            }
        }
        return out;
    }
    template <class Done>
    testing::AssertionResult run_until(Duration at_most, std::string_view what, Done done) {
        if (!simulation.run_until(at_most, what, done)) {
            return testing::AssertionFailure() << simulation.problem();
        }
        return testing::AssertionSuccess();
    }
    bool kill_quietly(std::size_t index) {
        node(index).kill();
        return simulation.run_until(2s, "a dead process's writes do not end", [&] { return node(index).media().quiet(); });
    }
    bool kill_all_quietly() {
        for (std::size_t i = 0; i < nodes(); i++) {
            if (!kill_quietly(i)) {
                return false;
            }
        }
        return true;
    }
    void start_all() {
        for (std::size_t i = 0; i < nodes(); i++) {
            node(i).start();
        }
    }
    // The longest time without an acknowledged write since `from`.
    Duration longest_gap(Instant from) {
        std::vector<Instant> answers{from, simulation.now()};
        for (const auto& operation : cluster().history().operations()) {
            if (operation.outcome == Outcome::ok && operation.completed >= from && operation.modified()) {
                answers.push_back(operation.completed);
            }
        }
        std::sort(answers.begin(), answers.end());
        Duration longest{0};
        for (std::size_t i = 1; i < answers.size(); i++) {
            longest = std::max(longest, answers[i] - answers[i - 1]);
        }
        return longest;
    }
    std::uint64_t acknowledged() {
        std::uint64_t count = 0;
        for (const auto& operation : cluster().history().operations()) {
            count += operation.outcome == Outcome::ok ? 1u : 0u;
        }
        return count;
    }
    void block_both(std::size_t a, std::size_t b) {
        cluster().network().block(node(a).host(), node(b).host());
        cluster().network().block(node(b).host(), node(a).host());
    }
    // The end of every scenario: heals, lets the cluster converge and asks all judges.
    void expect_good_end() {
        static_cast<void>(simulation.settle());
        const Verdict verdict = simulation.finish();
        EXPECT_EQ(verdict.text, "") << describe(verdict);
        EXPECT_FALSE(verdict.inconclusive);
    }

    Simulation simulation;
};

inline RecordedOperation operation_of(StepRequest step) {
    RecordedOperation out;
    out.success.push_back(std::move(step));
    return out;
}

}  // namespace ringfort::sim
