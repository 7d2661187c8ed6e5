// Clients that ask for much, take nothing, break the protocol or come at a bad time: a clear answer for them, bounded
// memory for the node, nothing for the others. Every scenario ends with all judges.
#include "raw_client.h"
#include "scenario.h"

namespace ringfort::sim {
namespace {

constexpr std::string_view zero_byte{"\0", 1};

RunOptions without_load(std::size_t nodes = 3) {
    RunOptions out = scenario_options(nodes);
    out.workload.think = 3600s;
    return out;
}

// The cluster is there, and has a leader.
testing::AssertionResult form_quietly(Scenario& s) {
    if (!s.simulation.form() || !s.simulation.run_until(10s, "nobody leads", [&] { return s.leader() < s.nodes(); })) {
        return testing::AssertionFailure() << s.simulation.problem();
    }
    return s.simulation.run_for(1s) ? testing::AssertionSuccess() : testing::AssertionFailure() << s.simulation.problem();
}

std::string fill_key(int number) { return "d00/f" + std::to_string(1000 + number); }

const RecordedOperation* put(Scenario& s, const std::string& key, std::size_t bytes) {
    return s.simulation.ask(0, operation_of({StepKind::put, key, {}, key + std::string(bytes, 'x'), false, 0, 0}), 20s);
}

testing::AssertionResult fill(Scenario& s, int keys, std::size_t bytes) {
    for (int i = 0; i < keys; i++) {
        const auto* asked = put(s, fill_key(i), bytes);
        if (asked->outcome != Outcome::ok) {
            return testing::AssertionFailure() << describe(*asked);
        }
    }
    return testing::AssertionSuccess();
}

api::RangeRequest everything() {
    api::RangeRequest out;
    out.key = zero_byte;
    out.range_end = zero_byte;
    return out;
}

api::RangeRequest own_copy_of(std::string_view key) {
    api::RangeRequest out;
    out.key = key;
    out.serializable = true;
    return out;
}

}  // namespace

TEST(Clients, one_that_breaks_the_protocol_is_told_so_behind_its_answers_and_heard_no_more) {
    Scenario s(without_load());
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill(s, 20, 100'000));
    RawClient client(s.cluster(), s.leader());
    client.greet();
    s.simulation.run_for(15s);   // the time for its hello is long over
    client.stop_reading();
    client.ask(1, everything());
    s.simulation.run_for(100ms);
    std::string wrong(24, '\0');
    wrong[0] = 24;
    wrong[4] = static_cast<char>(wire::ClientKind::put);
    wrong[8] = 2;
    client.say(wrong + std::string(100'000, 'x'));
    s.simulation.run_for(3s);
    EXPECT_FALSE(client.closed()) << "it has not been told why";
    client.go_on_reading();
    s.simulation.run_for(1s);
    EXPECT_EQ(client.answer(2).error, api::Errc::malformed_request);
    EXPECT_TRUE(client.closed());
    s.expect_good_end();
}

TEST(Clients, one_that_breaks_the_protocol_and_takes_nothing_is_closed_after_seconds) {
    Scenario s(without_load());
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill(s, 20, 100'000));
    RawClient client(s.cluster(), s.leader());
    client.greet();
    client.stop_reading();
    client.ask(1, everything());
    s.simulation.run_for(100ms);
    client.say(std::string(16 * mib, 'x'));
    s.simulation.run_for(3s);
    EXPECT_GT(client.unsent(), 8 * mib) << "it is still read";
    EXPECT_LT(s.node(s.leader()).held().requests, 1 * mib);
    s.simulation.run_for(4s);
    EXPECT_EQ(s.node(s.leader()).held().replies, 0u);
    s.expect_good_end();
}

TEST(Clients, on_a_full_disk_reads_and_status_go_on_and_what_needs_the_log_is_refused) {
    Scenario s(without_load());
    ASSERT_TRUE(form_quietly(s));
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).media().profile().capacity_bytes = s.node(i).media().used_bytes();
    }
    const RecordedOperation* last = nullptr;
    for (int i = 0; i < 200 && (last == nullptr || last->outcome == Outcome::ok); i++) {
        last = put(s, fill_key(i), 100'000);
    }
    ASSERT_EQ(last->error, api::Errc::no_space);
    // Removals use what was set aside for them up, too.
    do {
        last = s.simulation.ask(1, operation_of({StepKind::remove, "d00/x", {}, {}, false, 0, 0}), 20s);
    } while (last->outcome == Outcome::ok);
    ASSERT_EQ(last->error, api::Errc::no_space);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        RawClient client(s.cluster(), i);
        client.greet();
        const std::string key = fill_key(0);
        client.ask(1, own_copy_of(key));
        api::RangeRequest current = own_copy_of(key);
        current.serializable = false;
        client.ask(2, current);
        client.ask(3, api::StatusRequest{});
        client.ask(4, api::PutRequest{.key = "d00/x", .value = "y"});
        s.simulation.run_for(1s);
        EXPECT_EQ(client.answer(1).pairs, 1u) << "node " << i;
        EXPECT_EQ(client.answer(2).pairs, 1u) << "node " << i;
        EXPECT_TRUE(client.answer(3).ended && client.answer(3).error == api::Errc::ok) << "node " << i;
        EXPECT_EQ(client.answer(4).error, api::Errc::no_space) << "node " << i;
    }
    s.expect_good_end();
}

}  // namespace ringfort::sim
