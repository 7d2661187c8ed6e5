// Leases in a cluster: their time over changes of leaders, pauses and cut links; and what keep-alives cost.
#include <vector>

#include "scenario.h"

namespace ringfort::sim {
namespace {

RunOptions quiet(std::size_t nodes = 3) {
    RunOptions out = scenario_options(nodes);
    out.workload.think = 50ms;
    out.workload.removes = out.workload.range_removes = out.workload.transactions = 0;   // nobody else touches the key
    out.workload.leases = 1;   // so that its judges look; what the clients do with theirs is their own
    return out;
}

class Leases : public testing::Test {
  protected:
    explicit Leases(const RunOptions& options = quiet()) : s(options) {}
    static constexpr api::LeaseId id = 77;

    static RecordedOperation about(StepKind kind, std::int64_t ttl = 0) {
        StepRequest step{kind, {}, {}, {}, false, 0, 0};
        step.lease = id;
        step.ttl = ttl;
        return operation_of(std::move(step));
    }
    const RecordedOperation* ask(RecordedOperation operation) { return s.simulation.ask(0, std::move(operation), 20s); }
    void grant(std::int64_t ttl) {
        ASSERT_TRUE(s.form());
        const auto* granted = ask(about(StepKind::grant, ttl));
        ASSERT_EQ(granted->outcome, Outcome::ok) << describe(*granted);
        ASSERT_EQ(granted->results[0].ttl, ttl);
        granted_at = granted->invoked;
        StepRequest put{StepKind::put, "d00/leased", {}, "v", false, 0, 0};
        put.lease = id;
        ASSERT_EQ(ask(operation_of(std::move(put)))->outcome, Outcome::ok);
    }
    bool key_is_there() {
        const auto* got = ask(operation_of({StepKind::range, "d00/leased", {}, {}, false, 0, 0}));
        EXPECT_EQ(got->outcome, Outcome::ok) << describe(*got);
        return got->results[0].count == 1;
    }
    std::int64_t time_to_live() { return ask(about(StepKind::time_to_live))->results[0].ttl; }
    std::int64_t keep_alive() {
        const auto* renewed = ask(about(StepKind::keep_alive));
        EXPECT_EQ(renewed->outcome, Outcome::ok) << describe(*renewed);
        return renewed->results.empty() ? -1 : renewed->results[0].ttl;
    }
    // Since the grant.
    Duration age() { return s.simulation.now() - granted_at; }
    void run_to_age(Duration at) { s.simulation.run_for(at - age()); }
    Duration age_at_end(Duration at_most) {
        EXPECT_TRUE(s.run_until(at_most, "the lease does not end", [&] { return !key_is_there(); }));
        return age();
    }

    Scenario s;
    Instant granted_at{};
};

TEST_F(Leases, end_in_time_with_their_keys) {
    grant(3);
    run_to_age(2900ms);
    EXPECT_TRUE(key_is_there());
    EXPECT_EQ(time_to_live(), 0);
    EXPECT_LE(age_at_end(2s), 3400ms);
    EXPECT_EQ(time_to_live(), -1);
    EXPECT_EQ(keep_alive(), 0);
    s.expect_good_end();
}

TEST_F(Leases, less_than_the_least_time_is_the_least) {
    ASSERT_TRUE(s.form());
    EXPECT_EQ(ask(about(StepKind::grant, -5))->results[0].ttl, 2);   // one and a half election timeouts
    s.expect_good_end();
}

TEST_F(Leases, live_over_the_leaders_end_and_are_not_given_a_new_term) {
    grant(8);
    run_to_age(6s);
    s.node(s.leader()).kill();
    ASSERT_TRUE(s.run_until(5s, "no leader", [&] { return s.leader() < s.nodes(); }));
    EXPECT_TRUE(key_is_there());
    EXPECT_LE(time_to_live(), 3);
    run_to_age(7900ms);
    EXPECT_TRUE(key_is_there());
    EXPECT_LE(age_at_end(5s), 10500ms);   // a second not told to anybody, and what it took to elect another leader
    s.expect_good_end();
}

TEST_F(Leases, are_kept_alive_over_the_leaders_end) {
    grant(3);
    for (int i = 0; i < 8; i++) {
        if (i == 3) {
            s.node(s.leader()).kill();
        }
        EXPECT_EQ(keep_alive(), 3);
        s.simulation.run_for(1s);
    }
    EXPECT_TRUE(key_is_there());
    s.expect_good_end();
}

TEST_F(Leases, kept_alive_elsewhere_are_not_ended_by_a_leader_that_slept) {
    grant(3);
    const std::size_t sleeper = s.leader();
    s.node(sleeper).pause();
    s.simulation.run_for(2s);
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(keep_alive(), 3);
        s.simulation.run_for(1s);
    }
    s.node(sleeper).resume();
    s.simulation.run_for(500ms);
    EXPECT_TRUE(key_is_there());
    EXPECT_NE(s.leader(), sleeper);
    s.expect_good_end();
}

// Nobody else has become leader: what was sent to it meanwhile is heard before anything ends.
TEST_F(Leases, of_a_leader_that_slept_alone_wait_for_what_was_at_its_door) {
    grant(3);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).pause();
    }
    s.simulation.run_for(4s);
    const auto asked = s.cluster().clients()[0]->ask(about(StepKind::keep_alive), 20s);
    s.simulation.run_for(100ms);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).resume();
    }
    ASSERT_TRUE(s.run_until(10s, "no answer", [&] {
        return s.cluster().history()[asked].outcome != Outcome::pending;
    }));
    EXPECT_EQ(s.cluster().history()[asked].results.at(0).ttl, 3) << describe(s.cluster().history()[asked]);
    EXPECT_TRUE(key_is_there());
    s.expect_good_end();
}

TEST_F(Leases, keep_alives_of_a_turn_are_one_entry) {
    grant(20);
    const LogIndex before = s.view(s.leader()).last.index;
    const std::uint64_t first = s.cluster().history().operations().size();
    constexpr std::uint64_t count = 400;
    for (std::uint64_t i = 0; i < count; i++) {
        s.cluster().clients()[0]->ask(about(StepKind::keep_alive), 20s);
    }
    ASSERT_TRUE(s.run_until(10s, "keep-alives are not answered", [&] {
        std::uint64_t answered = 0;
        for (std::uint64_t i = first; i < s.cluster().history().operations().size(); i++) {
            answered += s.cluster().history()[i].outcome == Outcome::ok ? 1u : 0u;
        }
        return answered >= count;
    }));
    EXPECT_LT(distance(before, s.view(s.leader()).last.index), count / 4);
    s.expect_good_end();
}

class LeasesOfFewWrites : public Leases {
  protected:
    LeasesOfFewWrites() : Leases(idle()) {}
    static RunOptions idle() {
        RunOptions out = quiet();
        out.workload.think = 3600s;
        return out;
    }
};

// Its time counts, and what it proposed stands in its log: that is not proposed again each time it looks.
TEST_F(LeasesOfFewWrites, whose_end_cannot_be_committed_are_asked_to_end_once) {
    ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
    ASSERT_TRUE(s.run_until(10s, "nobody leads", [&] { return s.leader() < s.nodes(); }));
    constexpr api::LeaseId leases = 20;
    for (api::LeaseId i = 1; i <= leases; i++) {
        RecordedOperation granted = about(StepKind::grant, 3);
        granted.success[0].lease = i;
        ASSERT_EQ(ask(granted)->outcome, Outcome::ok);
    }
    const std::size_t leader = s.leader();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != leader) {
            s.node(i).media().hang_until(s.simulation.now() + 24s);   // it lives, and has nothing durable
        }
    }
    s.simulation.run_for(4s);
    const LogIndex asked = s.view(leader).last.index;
    s.simulation.run_for(20s);
    EXPECT_EQ(s.view(leader).role, raft::Role::leader);
    EXPECT_EQ(s.view(leader).last.index, asked);
    RecordedOperation last = about(StepKind::time_to_live);
    last.success[0].lease = leases;
    ASSERT_TRUE(s.run_until(20s, "the leases do not end", [&] { return ask(last)->results.at(0).ttl == -1; }));
    s.expect_good_end();
}

class FewKeepAlives : public Leases {
  protected:
    FewKeepAlives() : Leases(bounded()) {}
    static RunOptions bounded() {
        RunOptions out = quiet();
        out.bounds.keep_alives = 2;
        return out;
    }
};

TEST_F(FewKeepAlives, above_the_bound_are_refused_and_hold_up_nothing) {
    grant(20);
    std::vector<std::uint64_t> asked;
    for (int i = 0; i < 10; i++) {
        asked.push_back(s.cluster().clients()[0]->ask(about(StepKind::keep_alive), 20s));
    }
    std::size_t ok = 0;
    ASSERT_TRUE(s.run_until(5s, "keep-alives are not answered", [&] {
        return std::ranges::all_of(asked, [&](auto number) {
            return s.cluster().history()[number].outcome != Outcome::pending;
        });
    }));
    for (const std::uint64_t number : asked) {
        const RecordedOperation& operation = s.cluster().history()[number];
        ok += operation.outcome == Outcome::ok ? 1 : 0;
        EXPECT_TRUE(operation.outcome == Outcome::ok || operation.error == api::Errc::too_many_requests)
            << describe(operation);
    }
    EXPECT_GE(ok, 2u);
    EXPECT_LT(ok, 10u);
    EXPECT_EQ(keep_alive(), 20);
    s.expect_good_end();
}

}  // namespace
}  // namespace ringfort::sim
