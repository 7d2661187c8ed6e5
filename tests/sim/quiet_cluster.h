// What tests of single requests share: a cluster without any load but what the test asks for, and a client at every node.
#pragma once

#include "raw_client.h"
#include "scenario.h"

namespace ringfort::sim {

inline RunOptions no_load(std::size_t nodes = 3) {
    RunOptions out = scenario_options(nodes);
    out.workload.think = 3600s;
    return out;
}

// Nothing takes long but what the test makes so.
inline RunOptions no_load_nor_tails(std::size_t nodes = 3) {
    RunOptions out = no_load(nodes);
    out.network.tail_per_million = 0;
    out.disk.tail_per_million = 0;
    return out;
}

inline api::RangeRequest newest(std::string_view key) {
    return {.key = key, .range_end = {}};
}

// No load but what the tests ask for, and a client at every node.
class QuietCluster : public testing::Test {
  protected:
    // The cluster is there, has a leader, and has answered a put of "v0".
    testing::AssertionResult begin(const RunOptions& options = no_load()) {
        s.emplace(options);
        if (!s->simulation.form() ||
            !s->simulation.run_until(10s, "nobody leads", [&] { return s->leader() < s->nodes(); })) {
            return testing::AssertionFailure() << s->simulation.problem();
        }
        s->simulation.run_for(1s);
        for (std::size_t i = 0; i < s->nodes(); i++) {
            clients.push_back(std::make_unique<RawClient>(s->cluster(), i));
            clients.back()->greet();
        }
        s->simulation.run_for(100ms);
        return put(s->leader(), "v0");
    }
    void TearDown() override {
        clients.clear();
        s.reset();
    }
    // The one key, through that node.
    testing::AssertionResult put(std::size_t node, const std::string& value) {
        clients[node]->ask(++id, api::PutRequest{.key = key, .value = value}, 5s);
        return answered(node, id);
    }
    std::uint64_t get(std::size_t node, Duration timeout = 5s) {
        clients[node]->ask(++id, newest(key), timeout);
        return id;
    }
    testing::AssertionResult answered(std::size_t node, std::uint64_t request, Duration at_most = 5s) {
        return s->run_until(at_most, "no answer", [&] { return clients[node]->answer(request).ended; });
    }
    // The same, and no time passes after it.
    testing::AssertionResult answered_just_now(std::size_t node, std::uint64_t request) {
        for (const Instant end = s->simulation.now() + 5s; s->simulation.now() < end && !answer(node, request).ended;) {
            s->simulation.run_for(250us);
        }
        return answer(node, request).ended ? testing::AssertionSuccess() : testing::AssertionFailure() << "no answer";
    }
    const RawClient::Answer& answer(std::size_t node, std::uint64_t request) { return clients[node]->answer(request); }
    shard::FollowerReadsView view(std::size_t node) { return s->node(node).follower_reads(); }
    // The history does not know what these clients wrote: the judges of histories are not asked.
    void good_end() {
        clients.clear();
        EXPECT_TRUE(s->simulation.settle()) << s->simulation.problem();
    }

    static constexpr std::string_view key = "d00/key";
    std::optional<Scenario> s;
    std::vector<std::unique_ptr<RawClient>> clients;
    std::uint64_t id{0};
};

}  // namespace ringfort::sim
