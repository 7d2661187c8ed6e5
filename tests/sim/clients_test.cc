// Clients that ask for much, take nothing, break the protocol or come at a bad time: a clear answer for them, bounded
// memory for the node, nothing for the others.
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

// For writes that the history does not know: the judges of histories are not asked.
void expect_equal_replicas(Scenario& s) {
    EXPECT_TRUE(s.simulation.settle()) << s.simulation.problem();
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

constexpr std::string_view small_prefix = "d00/s";
constexpr std::string_view small_end = "d00/t";

// Many keys with next to nothing in them.
testing::AssertionResult fill_small(Scenario& s, int keys) {
    RawClient client(s.cluster(), s.leader());
    client.greet();
    std::uint64_t asked = 0;
    for (int first = 0; first < keys; first += 100) {
        std::vector<std::string> names;
        std::vector<api::RequestOp> ops;
        for (int i = first; i < first + 100; i++) {
            names.push_back(std::string(small_prefix) + std::to_string(100'000 + i));
        }
        for (const std::string& name : names) {
            ops.push_back({api::PutRequest{.key = name, .value = "v"}});
        }
        client.ask(++asked, api::TxnRequest{.compare = {}, .success = ops, .failure = {}}, 60s);
    }
    if (!s.simulation.run_until(60s, "small keys are not put", [&] { return client.answered() == asked; })) {
        return testing::AssertionFailure() << s.simulation.problem();
    }
    return client.failed() == 0 ? testing::AssertionSuccess() : testing::AssertionFailure() << "a put failed";
}

// A walk over all of them that finds the last.
api::RangeRequest walk() {
    api::RangeRequest out;
    out.key = small_prefix;
    out.range_end = small_end;
    out.limit = 1;
    out.sort_order = api::SortOrder::descend;
    out.sort_target = api::SortTarget::mod;
    out.min_mod_revision = 1;
    return out;
}

api::RangeRequest own_copy_of(std::string_view key) {
    api::RangeRequest out;
    out.key = key;
    out.serializable = true;
    return out;
}

// Everything, often, with much credit, and read only later; where every byte comes from another place.
void ask_for_everything_and_read_nothing(bool at_a_follower, ShardId shard) {
    constexpr std::uint64_t requests = 40;
    Scenario s(without_load());
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill(s, 30, 100'000));
    const std::size_t node = at_a_follower ? s.follower() : s.leader();
    RawClient client(s.cluster(), node);
    wire::ClientHello hello;
    hello.has_shard = true;
    hello.shard = shard;
    hello.reply_credit_bytes = 16 * mib;
    client.greet(hello);
    s.simulation.run_for(100ms);
    client.stop_reading();
    for (std::uint64_t id = 1; id <= requests; id++) {
        client.ask(id, everything(), 30s);
        client.credit(id, 64 * mib);
    }
    std::size_t most = 0;
    for (int i = 0; i < 200; i++) {
        s.simulation.run_for(10ms);
        most = std::max(most, s.node(node).held().replies);
    }
    EXPECT_GT(most, 1 * mib);
    EXPECT_LT(most, 12 * mib);
    client.go_on_reading();
    ASSERT_TRUE(s.run_until(20s, "not every reply ends", [&] { return client.answered() == requests; }));
    for (std::uint64_t id = 1; id <= requests; id++) {
        EXPECT_EQ(client.answer(id).error, api::Errc::ok);
        EXPECT_EQ(client.answer(id).pairs, 30u);
    }
    s.expect_good_end();
}

}  // namespace

TEST(Clients, that_ask_the_leader_for_everything_and_read_nothing_are_held_at_their_bound) {
    ask_for_everything_and_read_nothing(false, right_shard);
}
TEST(Clients, that_ask_another_shard_for_everything_and_read_nothing_are_held_at_their_bound) {
    ask_for_everything_and_read_nothing(false, wrong_shard);
}
TEST(Clients, that_ask_a_follower_for_everything_and_read_nothing_are_held_at_their_bound) {
    ask_for_everything_and_read_nothing(true, right_shard);
}
TEST(Clients, that_ask_another_shard_of_a_follower_for_everything_and_read_nothing_are_held_at_their_bound) {
    ask_for_everything_and_read_nothing(true, wrong_shard);
}

TEST(Clients, that_ask_for_large_values_one_by_one_and_read_nothing_are_refused_beyond_their_bound) {
    constexpr std::uint64_t requests = 800;
    enum class Place : std::uint8_t { leader, follower, another_shard };
    for (const Place place : {Place::leader, Place::follower, Place::another_shard}) {
        Scenario s(without_load());
        ASSERT_TRUE(form_quietly(s));
        ASSERT_TRUE(fill(s, 1, 120'000));
        const std::size_t node = place == Place::follower ? s.follower() : s.leader();
        RawClient client(s.cluster(), node);
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = place == Place::another_shard ? wrong_shard : right_shard;
        client.greet(hello);
        s.simulation.run_for(100ms);
        client.stop_reading();
        const std::string key = fill_key(0);
        api::RangeRequest read = own_copy_of(key);
        read.serializable = false;
        for (std::uint64_t id = 1; id <= requests; id++) {
            client.ask(id, read, 60s);
        }
        std::size_t most = 0;
        for (int i = 0; i < 100; i++) {
            s.simulation.run_for(10ms);
            most = std::max(most, s.node(node).held().replies);
        }
        EXPECT_LT(most, place == Place::another_shard ? 34 * mib : 6 * mib);
        client.go_on_reading();
        ASSERT_TRUE(s.run_until(20s, "not every reply ends", [&] { return client.answered() == requests; }));
        for (std::uint64_t id = 1; id <= requests; id++) {
            const auto& answer = client.answer(id);
            EXPECT_TRUE(answer.pairs == 1 || answer.error == api::Errc::too_many_requests) << id;
        }
        EXPECT_EQ(client.failed() > 0, place == Place::another_shard) << "where the state is, it waits for its reader";
        s.expect_good_end();
    }
}

TEST(Clients, whose_reads_walk_far_share_the_work_of_a_turn) {
    RunOptions options = without_load();
    options.turn_cost = 1ms;
    Scenario s(options);
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill_small(s, 500));
    constexpr std::uint64_t requests = 400;
    RawClient client(s.cluster(), s.leader());
    client.greet();
    for (std::uint64_t id = 1; id <= requests; id++) {
        client.ask(id, walk());
    }
    ASSERT_TRUE(s.run_until(20s, "not every read is answered", [&] { return client.answered() == requests; }));
    EXPECT_EQ(client.failed(), 0u);
    Instant first = never;
    Instant last{};
    for (std::uint64_t id = 1; id <= requests; id++) {
        first = std::min(first, client.answer(id).at);
        last = std::max(last, client.answer(id).at);
        EXPECT_EQ(client.answer(id).pairs, 1u);
    }
    EXPECT_GT(last - first, Duration(150ms)) << "two are the work of a turn";
    expect_equal_replicas(s);
}

TEST(Clients, whose_reads_wait_for_the_node_and_not_for_them_are_not_called_idle) {
    RunOptions options = without_load();
    options.turn_cost = 10ms;
    Scenario s(options);
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill_small(s, 10'000));
    constexpr std::uint64_t requests = 900;
    RawClient client(s.cluster(), s.leader());
    client.greet();
    const Instant asked = s.simulation.now();
    for (std::uint64_t id = 1; id <= requests; id++) {
        client.ask(id, walk(), 300s);
    }
    ASSERT_TRUE(s.run_until(300s, "not every read is answered", [&] { return client.answered() == requests; }));
    EXPECT_EQ(client.failed(), 0u);
    EXPECT_GT(s.simulation.now() - asked, Duration(40s)) << "they do not take longer than a client may be idle";
    expect_equal_replicas(s);
}

// How many of a hundred large values, asked for by one who reads nothing for a while, are refused.
std::size_t refused_gets(const shard::ShardBounds& bounds) {
    constexpr std::uint64_t requests = 100;
    RunOptions options = without_load();
    options.bounds = bounds;
    Scenario s(options);
    EXPECT_TRUE(form_quietly(s));
    EXPECT_TRUE(fill(s, 1, 120'000));
    RawClient client(s.cluster(), s.leader());
    wire::ClientHello hello;
    hello.has_shard = true;
    hello.shard = right_shard;
    client.greet(hello);
    s.simulation.run_for(100ms);
    client.stop_reading();
    const std::string key = fill_key(0);
    api::RangeRequest read;
    read.key = key;
    for (std::uint64_t id = 1; id <= requests; id++) {
        client.ask(id, read, 60s);
    }
    s.simulation.run_for(1s);
    client.go_on_reading();
    EXPECT_TRUE(s.run_until(20s, "not every reply ends", [&] { return client.answered() == requests; }));
    for (std::uint64_t id = 1; id <= requests; id++) {
        EXPECT_TRUE(client.answer(id).pairs == 1 || client.answer(id).error == api::Errc::too_many_requests) << id;
    }
    s.expect_good_end();
    return client.failed();
}

TEST(Clients, whose_answers_wait_for_them_are_refused_beyond_the_bounds_of_what_is_held) {
    shard::ShardBounds bounds;
    EXPECT_EQ(refused_gets(bounds), 0u);
    bounds.held_read_bytes = 1;
    const std::size_t none_held = refused_gets(bounds);
    EXPECT_GT(none_held, 6u);
    bounds = {};
    bounds.held_reads = 5;
    EXPECT_EQ(refused_gets(bounds), none_held - 5);
    bounds.held_reads = 6;
    EXPECT_EQ(refused_gets(bounds), none_held - 6);
}

TEST(Clients, that_let_much_be_sorted_share_the_memory_for_it) {
    Scenario s(without_load());
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill_small(s, 10'000));
    constexpr std::uint64_t requests = 400;
    RawClient client(s.cluster(), s.leader());
    client.greet();
    client.stop_reading();
    api::RangeRequest sorted = everything();
    sorted.sort_target = api::SortTarget::value;
    for (std::uint64_t id = 1; id <= requests; id++) {
        client.ask(id, sorted, 5s);
    }
    s.simulation.run_for(2s);
    EXPECT_GT(s.node(s.leader()).held().sorted, 48 * mib);
    EXPECT_LE(s.node(s.leader()).held().sorted, 64 * mib);
    client.give_credit_as_it_reads();
    client.go_on_reading();
    ASSERT_TRUE(s.run_until(60s, "not every read is answered", [&] { return client.answered() == requests; }));
    EXPECT_GT(client.failed(), 80u);
    EXPECT_LT(client.failed(), requests);
    EXPECT_EQ(s.node(s.leader()).held().sorted, 0u);
    expect_equal_replicas(s);
}

TEST(Clients, that_take_a_long_reply_slowly_get_all_of_it_whatever_the_deadline) {
    for (const bool at_a_follower : {false, true}) {
        Scenario s(without_load());
        ASSERT_TRUE(form_quietly(s));
        ASSERT_TRUE(fill(s, 60, 100'000));
        RawClient client(s.cluster(), at_a_follower ? s.follower() : s.leader());
        client.greet();
        client.give_credit_as_it_reads();
        client.ask(1, everything(), 2s);
        ASSERT_TRUE(s.run_until(2s, "no piece", [&] { return client.answer(1).frames > 0; }));
        client.stop_reading();
        s.simulation.run_for(5s);
        ASSERT_FALSE(client.answer(1).ended);
        client.go_on_reading();
        ASSERT_TRUE(s.run_until(20s, "the reply does not end", [&] { return client.answered() == 1; }));
        EXPECT_EQ(client.answer(1).error, api::Errc::ok);
        EXPECT_EQ(client.answer(1).pairs, 60u);
        s.expect_good_end();
    }
}

TEST(Clients, whose_long_replies_cannot_begin_before_the_deadline_are_told_so) {
    for (const bool at_a_follower : {false, true}) {
        constexpr std::uint64_t requests = 40;
        Scenario s(without_load());
        ASSERT_TRUE(form_quietly(s));
        ASSERT_TRUE(fill(s, 30, 100'000));
        RawClient client(s.cluster(), at_a_follower ? s.follower() : s.leader());
        client.greet();
        client.give_credit_as_it_reads();
        s.simulation.run_for(100ms);
        client.stop_reading();
        for (std::uint64_t id = 1; id <= requests; id++) {
            client.ask(id, everything(), 2s);
        }
        s.simulation.run_for(4s);
        client.go_on_reading();
        ASSERT_TRUE(s.run_until(20s, "the replies do not end", [&] { return client.answered() == requests; }));
        std::uint64_t late = 0;
        for (std::uint64_t id = 1; id <= requests; id++) {
            const auto& answer = client.answer(id);
            EXPECT_TRUE(answer.error == api::Errc::ok ? answer.pairs == 30 : answer.frames == 1) << id;
            late += answer.error == api::Errc::timed_out ? 1u : 0u;
        }
        EXPECT_EQ(late, client.failed());
        EXPECT_GT(late, 5u);
        EXPECT_LT(late, requests);
        s.expect_good_end();
    }
}

TEST(LargeClients, whose_writes_wait_for_a_leader_are_held_at_a_bound_and_others_are_served) {
    RunOptions options = without_load();
    options.election_timeout = 3s;   // so long they wait before they hear that there is no leader
    Scenario s(options);
    ASSERT_TRUE(form_quietly(s));
    const std::size_t node = s.follower();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != node) {
            s.node(i).kill();
        }
    }
    s.simulation.run_for(100ms);
    constexpr std::uint64_t requests = 250;
    const std::string value(100'000, 'x');
    std::vector<std::unique_ptr<RawClient>> writers;
    for (int i = 0; i < 3; i++) {
        writers.push_back(std::make_unique<RawClient>(s.cluster(), node));
        writers.back()->greet();
        for (std::uint64_t id = 1; id <= requests; id++) {
            const std::string key = "d00/w" + std::to_string(id);
            writers.back()->ask(id, api::PutRequest{.key = key, .value = value}, 100s);
        }
    }
    s.simulation.run_for(1500ms);
    EXPECT_GT(s.node(node).held().forwarded, 60 * mib);
    EXPECT_LT(s.node(node).held().forwarded, 66 * mib);
    RawClient other(s.cluster(), node);
    other.greet();
    other.ask(1, api::StatusRequest{});
    other.ask(2, own_copy_of("d00/x"));
    s.simulation.run_for(200ms);
    EXPECT_TRUE(other.answer(1).ended);
    EXPECT_TRUE(other.answer(2).ended);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != node) {
            s.node(i).start();
        }
    }
    for (const auto& writer : writers) {
        ASSERT_TRUE(s.run_until(60s, "not every put is answered", [&] { return writer->answered() == requests; }));
        EXPECT_EQ(writer->failed(), 0u);
    }
    expect_equal_replicas(s);
}

TEST(Clients, whose_large_puts_come_over_every_node_and_shard_at_once_wait_and_are_not_refused) {
    constexpr std::uint64_t requests = 30;
    RunOptions options = without_load();
    options.disk.write_latency = 30ms;   // the log is what is slow
    Scenario s(options);
    ASSERT_TRUE(form_quietly(s));
    const std::string value(120'000, 'x');
    std::vector<std::unique_ptr<RawClient>> writers;
    for (std::size_t i = 0; i < 6 * s.nodes(); i++) {
        writers.push_back(std::make_unique<RawClient>(s.cluster(), i % s.nodes()));
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = i % 2 == 0 ? right_shard : wrong_shard;
        writers.back()->greet(hello);
        for (std::uint64_t id = 1; id <= requests; id++) {
            const std::string key = "d00/w" + std::to_string(i);
            writers.back()->ask(id, api::PutRequest{.key = key, .value = value}, 60s);
        }
    }
    for (const auto& writer : writers) {
        ASSERT_TRUE(s.run_until(60s, "not every put is answered", [&] { return writer->answered() == requests; }));
        EXPECT_EQ(writer->failed(), 0u);
    }
    expect_equal_replicas(s);
}

// Whose requests nobody can serve, and whose deadlines are over together.
void come_late_by_the_thousand(bool at_the_leader, const api::Operation& op) {
    constexpr std::uint64_t requests = 1000;
    RunOptions options = without_load();
    options.turn_cost = 4ms;
    Scenario s(options);
    ASSERT_TRUE(form_quietly(s));
    const std::size_t node = at_the_leader ? s.leader() : s.follower();
    if (!at_the_leader) {
        s.node(s.leader()).kill();
    }
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != node) {
            s.block_both(node, i);
        }
    }
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 10; i++) {
        clients.push_back(std::make_unique<RawClient>(s.cluster(), node));
        clients.back()->greet();
        for (std::uint64_t id = 1; id <= requests; id++) {
            clients.back()->ask(id, op, 500ms);
        }
    }
    const auto answered = [&] {
        std::size_t sum = 0;
        for (const auto& client : clients) {
            sum += client->answered();
        }
        return sum;
    };
    std::size_t before = 0;
    std::size_t most_at_a_time = 0;
    for (int i = 0; i < 1000 && before < 10 * requests; i++) {
        s.simulation.run_for(2ms);
        most_at_a_time = std::max(most_at_a_time, answered() - before);
        before = answered();
    }
    EXPECT_EQ(before, 10 * requests);
    EXPECT_LT(most_at_a_time, 4 * requests) << "of one turn";
    if (!at_the_leader) {
        for (std::size_t i = 0; i < s.nodes(); i++) {
            if (!s.node(i).running()) {
                s.node(i).start();
            }
        }
    }
    expect_equal_replicas(s);
}

TEST(Clients, who_read_are_served_while_writes_wait_for_room_in_the_log) {
    RunOptions options = without_load();
    options.log_window_bytes = 4 * mib;
    options.segment_bytes = 16 * mib;
    Scenario s(options);
    ASSERT_TRUE(form_quietly(s));
    ASSERT_TRUE(fill(s, 1, 100));
    const std::size_t node = s.leader();
    RawClient writer(s.cluster(), node);
    RawClient reader(s.cluster(), node);
    writer.greet();
    reader.greet();
    s.simulation.run_for(100ms);
    for (std::size_t i = 0; i < 3; i++) {   // at once: nobody is faster, and the leader stays
        s.node(i).media().hang_until(s.simulation.now() + 800ms);
    }
    constexpr std::uint64_t puts = 100;
    const std::string value(100'000, 'v');
    for (std::uint64_t id = 1; id <= puts; id++) {
        writer.ask(id, api::PutRequest{.key = "other", .value = value}, 60s);
    }
    s.simulation.run_for(300ms);
    ASSERT_GT(s.node(node).held().requests, 0u) << "no writes wait";
    const std::string key = fill_key(0);
    api::RangeRequest read = own_copy_of(key);
    reader.ask(1, read, 5s);
    ASSERT_TRUE(s.run_until(50ms, "the read waits too", [&] { return reader.answer(1).ended; }));
    EXPECT_EQ(reader.answer(1).pairs, 1u);
    ASSERT_TRUE(s.run_until(20s, "not every put ends", [&] { return writer.answered() == puts; }));
    EXPECT_EQ(writer.failed(), 0u);
    expect_equal_replicas(s);
}

TEST(Clients, whose_reads_are_late_by_the_thousand_are_told_so_some_a_turn) {
    come_late_by_the_thousand(true, api::RangeRequest{.key = "d00/x", .range_end = {}});
}
TEST(Clients, whose_writes_are_late_by_the_thousand_are_told_so_some_a_turn) {
    come_late_by_the_thousand(true, api::PutRequest{.key = "d00/x", .value = "y"});
}
TEST(Clients, who_wait_in_vain_for_a_leader_by_the_thousand_are_told_so_some_a_turn) {
    come_late_by_the_thousand(false, api::PutRequest{.key = "d00/x", .value = "y"});
}

TEST(Clients, whose_reads_ask_no_quorum_leave_nothing_in_a_round_that_waits_for_one) {
    Scenario s(without_load());
    ASSERT_TRUE(form_quietly(s));
    const std::size_t leader = s.leader();
    for (std::size_t i = 0; i < s.nodes(); i++) {
        if (i != leader) {
            s.block_both(leader, i);
        }
    }
    RawClient client(s.cluster(), leader);
    client.greet();
    std::uint64_t asked = 0;
    api::RangeRequest current = own_copy_of("d00/x");
    current.serializable = false;
    for (int i = 0; i < 10; i++) {
        client.ask(++asked, current);
        s.simulation.run_for(5ms);
    }
    const std::string key(50'000, 'k');
    for (int i = 0; i < 500; i++) {
        client.ask(++asked, own_copy_of(key));
    }
    s.simulation.run_for(300ms);
    EXPECT_EQ(client.answered(), 500u);
    EXPECT_LT(s.node(leader).held().reads, 64 * kib);
    s.expect_good_end();
}

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

TEST(Clients, on_a_full_disk_removals_and_compaction_go_on_for_long_and_reads_and_status_for_ever) {
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
    // What frees space goes on.
    const auto* removed = s.simulation.ask(1, operation_of({StepKind::remove, fill_key(1), {}, {}, false, 0, 0}), 20s);
    ASSERT_EQ(removed->outcome, Outcome::ok);
    EXPECT_EQ(removed->results[0].count, 1);
    const StepRequest compaction{StepKind::compact, {}, {}, {}, false, 0, removed->header.revision};
    EXPECT_EQ(s.simulation.ask(1, operation_of(compaction), 20s)->outcome, Outcome::ok);
    EXPECT_EQ(put(s, fill_key(1), 10)->error, api::Errc::no_space);
    // Removals use what was set aside for them up, too: here, or at the followers, who then take no entries.
    int removals = 0;
    do {
        last = s.simulation.ask(1, operation_of({StepKind::remove, "d00/x", {}, {}, false, 0, 0}), 20s);
        removals++;
    } while (last->outcome == Outcome::ok);
    EXPECT_GT(removals, 100);
    ASSERT_TRUE(last->error == api::Errc::no_space || last->error == api::Errc::timed_out);
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
    expect_equal_replicas(s);
}

}  // namespace ringfort::sim
