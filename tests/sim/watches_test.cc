// Watches as a client sees them, frame by frame: what is told, in which order, at the bounds, and to who does not read.
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

using Told = std::vector<std::string>;

class WatchFrames : public QuietCluster {
  protected:
    // Of d00/, from that revision on, through that node.
    std::uint64_t watch(std::size_t node, api::Revision start = 0, bool prev_kv = false) {
        api::WatchRequest request{.key = "d00/", .range_end = "d00/\xff"};
        request.start_revision = start;
        request.prev_kv = prev_kv;
        clients[node]->ask(++id, request);
        return id;
    }
    const Told& told(std::size_t node, std::uint64_t request) { return answer(node, request).told; }
    testing::AssertionResult comes(std::size_t node, std::uint64_t request, const Told& wanted, Duration at_most = 5s) {
        static_cast<void>(s->simulation.run_until(at_most, "", [&] { return told(node, request).size() >= wanted.size(); }));
        s->simulation.run_for(50ms);
        if (told(node, request) == wanted) {
            return testing::AssertionSuccess();
        }
        auto out = testing::AssertionFailure() << "it was told";
        for (const std::string& frame : told(node, request)) {
            out << "\n  " << frame;
        }
        return out;
    }
    // Of all shards of that node.
    testing::AssertionResult wrote(std::size_t node, const api::Operation& op) {
        clients[node]->ask(++id, op, 5s);
        return answered(node, id);
    }
};

// The put of begin() is revision 2.
TEST_F(WatchFrames, tell_what_comes_from_any_node_and_end_when_cancelled) {
    ASSERT_TRUE(begin());
    for (std::size_t node = 0; node < s->nodes(); node++) {
        const std::uint64_t one = watch(node, 0, true);
        ASSERT_TRUE(comes(node, one, {"created at " + std::to_string(2 + 2 * node)}));
        ASSERT_TRUE(put(s->leader(), "v" + std::to_string(node + 1)));
        ASSERT_TRUE(wrote(s->leader(), api::DeleteRangeRequest{.key = "d00/none", .range_end = {}}));
        ASSERT_TRUE(wrote(s->leader(), api::PutRequest{.key = "d00/other", .value = "x"}));
        clients[node]->cancel(one);
        const std::string was = node == 0 ? "v0" : "v" + std::to_string(node);
        const std::string at = std::to_string(3 + 2 * node), next = std::to_string(4 + 2 * node);
        EXPECT_TRUE(comes(node, one, {"created at " + std::to_string(2 + 2 * node),
                                      "put d00/key=v" + std::to_string(node + 1) + " was " + was + " at " + at,
                                      "put d00/other=x" + std::string(node == 0 ? "" : " was x") + " at " + next,
                                      "cancelled"}));
        EXPECT_TRUE(answer(node, one).ended);
    }
    good_end();
}

TEST_F(WatchFrames, begin_in_the_past_or_in_the_future) {
    ASSERT_TRUE(begin());
    ASSERT_TRUE(put(s->leader(), "v1"));
    const std::uint64_t past = watch(0, 2);
    const std::uint64_t future = watch(0, 5);
    EXPECT_TRUE(comes(0, past, {"created at 3", "put d00/key=v0 at 2", "put d00/key=v1 at 3"}));
    ASSERT_TRUE(put(s->leader(), "v2"));
    ASSERT_TRUE(put(s->leader(), "v3"));
    EXPECT_TRUE(comes(0, past, {"created at 3", "put d00/key=v0 at 2", "put d00/key=v1 at 3", "put d00/key=v2 at 4",
                                "put d00/key=v3 at 5"}));
    EXPECT_TRUE(comes(0, future, {"created at 3", "put d00/key=v3 at 5"}));
    good_end();
}

TEST_F(WatchFrames, of_what_is_compacted_are_created_and_then_cancelled) {
    ASSERT_TRUE(begin());
    for (const char* value : {"v1", "v2", "v3"}) {
        ASSERT_TRUE(put(s->leader(), value));
    }
    ASSERT_TRUE(wrote(s->leader(), api::CompactRequest{.revision = 4}));
    s->simulation.run_for(1s);
    const std::uint64_t before = watch(0, 3), at = watch(0, 4);
    EXPECT_TRUE(comes(0, before, {"created at 5", "cancelled compacted 4"}));
    EXPECT_TRUE(answer(0, before).ended);
    EXPECT_TRUE(comes(0, at, {"created at 5", "put d00/key=v2 at 4", "put d00/key=v3 at 5"}));
    good_end();
}

TEST_F(WatchFrames, of_nothing_or_of_before_the_beginning_are_created_and_cancelled_at_once) {
    ASSERT_TRUE(begin());
    clients[0]->ask(++id, api::WatchRequest{.key = "b", .range_end = "a"});
    EXPECT_TRUE(comes(0, id, {"created at 0, cancelled: mvcc: watcher range is empty"}));
    const std::uint64_t negative = watch(0, -1);
    EXPECT_TRUE(comes(0, negative, {"created at 0, cancelled: etcdserver: mvcc: required revision has been compacted"}));
    good_end();
}

TEST_F(WatchFrames, tell_a_revision_of_many_changes_in_parts_that_say_so) {
    ASSERT_TRUE(begin());
    const std::uint64_t all = watch(0), filtered = ++id;
    clients[0]->ask(filtered, api::WatchRequest{.key = "d00/a", .range_end = "d00/c", .no_delete = true});
    ASSERT_TRUE(comes(0, all, {"created at 2"}));
    const api::RequestOp ops[] = {{api::PutRequest{.key = "d00/a", .value = "1"}},
                                  {api::PutRequest{.key = "d00/b", .value = "2"}},
                                  {api::PutRequest{.key = "d00/c", .value = "3"}}};
    ASSERT_TRUE(wrote(s->leader(), api::TxnRequest{{}, ops, {}}));
    ASSERT_TRUE(wrote(s->leader(), api::DeleteRangeRequest{.key = "d00/a", .range_end = "d00/c"}));
    EXPECT_TRUE(comes(0, all, {"created at 2", "put d00/a=1 at 3 ...", "put d00/b=2 at 3 ...", "put d00/c=3 at 3",
                               "removed d00/a at 4 ...", "removed d00/b at 4"}));
    EXPECT_TRUE(comes(0, filtered, {"created at 2", "put d00/a=1 at 3 ...", "put d00/b=2 at 3 ...", "mark 3"}));
    good_end();
}

TEST_F(WatchFrames, give_a_mark_when_asked) {
    ASSERT_TRUE(begin());
    const std::uint64_t one = watch(0);
    ASSERT_TRUE(comes(0, one, {"created at 2"}));
    ASSERT_TRUE(wrote(s->leader(), api::PutRequest{.key = "other", .value = "x"}));
    s->simulation.run_for(500ms);
    clients[0]->ask_mark(one);
    EXPECT_TRUE(comes(0, one, {"created at 2", "mark 3"}));
    good_end();
}

TEST_F(WatchFrames, that_begin_in_the_future_are_given_no_mark_before_that) {
    ASSERT_TRUE(begin());
    const std::uint64_t far = watch(0, 7), near = watch(0, 5), given_up = watch(0, 6);
    clients[0]->ask_mark(far);
    clients[0]->ask_mark(near);
    clients[0]->ask_mark(given_up);
    clients[0]->cancel(given_up);
    EXPECT_TRUE(comes(0, near, {"created at 2"}));
    ASSERT_TRUE(put(s->leader(), "v1"));
    EXPECT_TRUE(comes(0, near, {"created at 2"}));
    ASSERT_TRUE(put(s->leader(), "v2"));
    EXPECT_TRUE(comes(0, near, {"created at 2", "mark 4"})) << "it begins with the next";
    ASSERT_TRUE(put(s->leader(), "v3"));
    EXPECT_TRUE(comes(0, near, {"created at 2", "mark 4", "put d00/key=v3 at 5"}));
    EXPECT_TRUE(comes(0, far, {"created at 2"}));
    good_end();
}

TEST_F(WatchFrames, give_a_mark_now_and_then_if_wanted_and_nothing_else_is_said) {
    RunOptions options = no_load();
    options.watch_progress_interval = 1s;
    ASSERT_TRUE(begin(options));
    clients[0]->ask(++id, api::WatchRequest{.key = "d00/key", .range_end = {}, .progress_notify = true});
    const std::uint64_t marked = id, plain = watch(0);
    s->simulation.run_for(5s);
    EXPECT_GE(told(0, marked).size(), 4u);
    EXPECT_LE(told(0, marked).size(), 6u);
    EXPECT_EQ(told(0, marked).back(), "mark 2");
    EXPECT_TRUE(comes(0, plain, {"created at 2"}));
    good_end();
}

TEST_F(WatchFrames, beyond_the_bounds_are_refused) {
    RunOptions options = no_load();
    options.bounds.connection_watches = 2;
    options.bounds.watches = 3;
    ASSERT_TRUE(begin(options));
    const std::uint64_t first = watch(0);
    watch(0);
    const std::uint64_t third = watch(0);
    ASSERT_TRUE(answered(0, third));
    EXPECT_EQ(answer(0, third).error, api::Errc::too_many_requests);
    RawClient other(s->cluster(), 0);
    other.greet();
    const api::WatchRequest request{.key = "k", .range_end = {}};
    other.ask(1, request);
    other.ask(2, request);
    ASSERT_TRUE(s->run_until(5s, "no answer", [&] { return other.answer(2).ended; }));
    EXPECT_EQ(other.answer(2).error, api::Errc::too_many_requests);
    EXPECT_EQ(other.answer(1).told, Told{"created at 2"});
    clients[0]->cancel(first);
    s->simulation.run_for(100ms);
    other.ask(3, request);
    s->simulation.run_for(100ms);
    EXPECT_EQ(other.answer(3).told, Told{"created at 2"}) << "there is room again";
    good_end();
}

// The key of each takes a block of 8 bytes.
TEST_F(WatchFrames, beyond_the_memory_of_keys_are_refused) {
    RunOptions options = no_load();
    options.bounds.connection_watch_key_bytes = 16;
    options.bounds.watch_key_bytes = 24;
    ASSERT_TRUE(begin(options));
    const std::size_t node = s->leader();
    const api::WatchRequest request{.key = key, .range_end = {}};
    RawClient one(s->cluster(), node), other(s->cluster(), node);
    one.greet();
    other.greet();
    for (std::uint64_t i = 1; i <= 3; i++) {
        one.ask(i, request);
    }
    ASSERT_TRUE(s->run_until(5s, "no answer", [&] { return one.answer(3).ended; }));
    EXPECT_EQ(one.answer(3).error, api::Errc::too_many_requests);
    EXPECT_EQ(one.answer(2).told, Told{"created at 2"});
    EXPECT_EQ(s->node(node).held().watch_keys, 16u);
    other.ask(1, request);
    other.ask(2, request);
    ASSERT_TRUE(s->run_until(5s, "no answer", [&] { return other.answer(2).ended; }));
    EXPECT_EQ(other.answer(2).error, api::Errc::too_many_requests);
    EXPECT_EQ(other.answer(1).told, Told{"created at 2"});
    one.cancel(1);
    s->simulation.run_for(100ms);
    EXPECT_EQ(s->node(node).held().watch_keys, 16u);
    other.ask(3, request);
    s->simulation.run_for(100ms);
    EXPECT_EQ(other.answer(3).told, Told{"created at 2"}) << "there is room again";
    good_end();
}

TEST_F(WatchFrames, of_a_request_id_that_is_in_use_across_shards_cost_the_connection) {
    RunOptions options = no_load();
    options.shards = 2;
    ASSERT_TRUE(begin(options));
    for (std::uint32_t shard = 0; shard < 2; shard++) {
        RawClient client(s->cluster(), 0);
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = ShardId(shard);
        client.greet(hello);
        const api::WatchRequest request{.key = key, .range_end = {}};
        client.ask(1, request);
        s->simulation.run_for(100ms);
        client.cancel(1);
        s->simulation.run_for(100ms);
        client.ask(1, request);
        s->simulation.run_for(100ms);
        EXPECT_EQ(client.answer(1).told, (Told{"created at 2", "cancelled", "created at 2"})) << "the first is no more";
        client.ask(1, request);
        ASSERT_TRUE(s->run_until(5s, "it stays", [&] { return client.closed(); }));
        EXPECT_EQ(client.answer(1).error, api::Errc::malformed_request);
    }
    good_end();
}

// What a client may send at once, and what another shard may have to be told of, is held in its connection.
TEST_F(WatchFrames, are_granted_credit_across_shards_as_fast_as_that_shard_takes_it) {
    RunOptions options = no_load();
    options.shards = 2;
    options.mailbox_capacity = 2;
    options.bounds.waiting_mail = 4;
    ASSERT_TRUE(begin(options));
    for (std::uint32_t shard = 0; shard < 2; shard++) {
        RawClient client(s->cluster(), 0);
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = ShardId(shard);
        client.greet(hello);
        client.ask(1, api::WatchRequest{.key = key, .range_end = {}});
        s->simulation.run_for(100ms);
        for (int i = 0; i < 500; i++) {
            client.credit(1, 1);
            client.credit(2, 1);
            client.cancel(3);
        }
        client.cancel(1);
        std::uint64_t waits = 0;
        for (int i = 0; i < 10'000 && !client.answer(1).ended; i++) {
            s->simulation.run_for(50us);
            waits = std::max(waits, s->held(0, "mail for other shards"));
        }
        EXPECT_EQ(client.answer(1).told, (Told{"created at 2", "cancelled"}));
        EXPECT_LE(waits, 6u);
    }
    good_end();
}

// The connection is on one shard, the range on the other, and between them there is little room.
TEST_F(WatchFrames, asked_for_across_shards_wait_in_the_connection) {
    RunOptions options = no_load();
    options.shards = 2;
    options.mailbox_capacity = 2;
    options.bounds.forward_bytes = 4 * kib;
    ASSERT_TRUE(begin(options));
    constexpr std::uint64_t watches = 300;
    const std::string name = "d00/" + std::string(1000, 'k');
    for (std::uint32_t shard = 0; shard < 2; shard++) {
        RawClient client(s->cluster(), 0);
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = ShardId(shard);
        client.greet(hello);
        s->simulation.run_for(100ms);
        for (std::uint64_t i = 1; i <= watches; i++) {
            client.ask(i, api::WatchRequest{.key = name, .range_end = {}});
        }
        std::uint64_t waits = 0;
        for (int i = 0; i < 10'000 && client.answer(watches).told.empty(); i++) {
            s->simulation.run_for(50us);
            waits = std::max(waits, s->held(0, "mail for other shards"));
        }
        for (std::uint64_t i = 1; i <= watches; i++) {
            ASSERT_EQ(client.answer(i).told, Told{"created at 2"}) << i;
        }
        EXPECT_LE(waits, 8u);
        EXPECT_EQ(s->node(0).held().forwarded, 0u);
    }
    good_end();
}

TEST_F(WatchFrames, of_a_request_id_that_is_in_use_cost_the_connection) {
    ASSERT_TRUE(begin());
    const std::uint64_t one = watch(0);
    ASSERT_TRUE(comes(0, one, {"created at 2"}));
    clients[0]->ask(one, api::WatchRequest{.key = "k", .range_end = {}});
    ASSERT_TRUE(s->run_until(5s, "it stays", [&] { return clients[0]->closed(); }));
    EXPECT_EQ(answer(0, one).error, api::Errc::malformed_request);
    good_end();
}

// Without credit a watch is told nothing, and without a reader a connection; both go on where they were.
TEST_F(WatchFrames, wait_for_credit_and_for_readers_and_miss_nothing) {
    RunOptions options = no_load_nor_tails();
    options.bounds.watch_backlog_bytes = 4 * kib;
    options.network.socket_buffer_bytes = 64 * kib;
    ASSERT_TRUE(begin(options));
    const std::size_t leader = s->leader();
    wire::ClientHello hello;
    hello.reply_credit_bytes = 2000;
    RawClient poor(s->cluster(), leader), lazy(s->cluster(), leader);
    poor.greet(hello);
    lazy.greet();
    const api::WatchRequest request{.key = "d00/", .range_end = "d00/\xff"};
    poor.ask(1, request);
    lazy.ask(1, request);
    const std::uint64_t other = watch(leader);
    s->simulation.run_for(100ms);
    lazy.stop_reading();
    constexpr std::size_t puts = 300;
    const std::string value(1000, 'v');
    for (std::size_t i = 0; i < puts; i++) {
        ASSERT_TRUE(put(leader, value));
    }
    EXPECT_EQ(told(leader, other).size(), puts + 1) << "others are told everything meanwhile";
    EXPECT_LE(poor.answer(1).told.size(), 4u);
    EXPECT_LT(lazy.answer(1).told.size(), 200u);
    EXPECT_LE(s->node(leader).held().replies, 16 * kib);
    poor.give_credit_as_it_reads();
    poor.credit(1, 10'000);
    lazy.go_on_reading();
    ASSERT_TRUE(s->run_until(10s, "they are not told the rest", [&] {
        return poor.answer(1).told.size() == puts + 1 && lazy.answer(1).told.size() == puts + 1;
    }));
    s->simulation.run_for(500ms);
    EXPECT_EQ(poor.answer(1).told, told(leader, other));
    EXPECT_EQ(lazy.answer(1).told, told(leader, other));
    good_end();
}

// Nobody goes the way over history for a watch that has left.
TEST_F(WatchFrames, far_behind_that_are_told_a_little_at_a_time_cost_as_much_as_they_are_told) {
    RunOptions options = no_load_nor_tails();
    options.turn_cost = 1ms;
    ASSERT_TRUE(begin(options));
    const std::size_t node = s->leader();
    for (int i = 0; i < 600; i++) {
        std::vector<std::string> names;
        for (int k = 0; k < 100; k++) {
            names.push_back("d00/" + std::to_string(k));
        }
        std::vector<api::RequestOp> ops;
        for (const std::string& name : names) {
            ops.push_back({api::PutRequest{.key = name, .value = "v"}});
        }
        clients[node]->ask(++id, api::TxnRequest{{}, ops, {}});
    }
    ASSERT_TRUE(answered(node, id, 60s));
    wire::ClientHello hello;
    hello.reply_credit_bytes = 1;
    RawClient poor(s->cluster(), node);
    poor.greet(hello);
    poor.ask(1, api::WatchRequest{.key = "d00/7", .range_end = {}, .start_revision = 2});
    constexpr std::size_t cycles = 60;
    const Instant begun = s->simulation.now();
    for (std::size_t i = 2; i < cycles; i++) {
        ASSERT_TRUE(s->run_until(5s, "it is told no more", [&] { return poor.answer(1).told.size() >= i; }));
        poor.credit(1, 200);
    }
    EXPECT_LT(s->simulation.now() - begun, cycles * Duration(4ms)) << "30 ms are the way to the end";
    good_end();
}

// The connection is on one shard, the range on the other.
TEST_F(WatchFrames, cross_shards) {
    RunOptions options = no_load();
    options.shards = 2;
    options.bounds.watch_backlog_bytes = 1 * kib;
    ASSERT_TRUE(begin(options));
    std::vector<std::unique_ptr<RawClient>> at;
    for (std::uint32_t shard = 0; shard < 2; shard++) {
        at.push_back(std::make_unique<RawClient>(s->cluster(), 0));
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = ShardId(shard);
        at.back()->greet(hello);
        at.back()->ask(1, api::WatchRequest{.key = "d00/", .range_end = "d00/\xff", .start_revision = 2});
    }
    for (int i = 1; i < 100; i++) {
        ASSERT_TRUE(put(s->leader(), "v" + std::to_string(i)));
    }
    ASSERT_TRUE(s->run_until(5s, "not everything is told", [&] {
        return at[0]->answer(1).told.size() == 101 && at[1]->answer(1).told.size() == 101;
    }));
    EXPECT_EQ(at[0]->answer(1).told.back(), "put d00/key=v99 at 101");
    EXPECT_EQ(at[1]->answer(1).told.back(), "put d00/key=v99 at 101");
    for (auto& client : at) {
        client->ask_mark(1);
        client->cancel(1);
    }
    s->simulation.run_for(500ms);
    EXPECT_TRUE(at[0]->answer(1).ended && at[1]->answer(1).ended);
    EXPECT_EQ(at[1]->answer(1).told.back(), "cancelled");
    EXPECT_EQ(at[0]->answer(1).told[101], "mark 101");
    EXPECT_EQ(at[1]->answer(1).told[101], "mark 101");
    good_end();
}

// Refused, given up and granted more, all at once and for a range of another shard; there has never been a watch.
TEST_F(WatchFrames, that_another_shard_refuses_may_be_cancelled) {
    RunOptions options = no_load();
    options.shards = 2;
    ASSERT_TRUE(begin(options));
    const std::size_t alone = s->follower();
    for (std::size_t i = 0; i < s->nodes(); i++) {
        if (i != alone) {
            s->block_both(alone, i);
        }
    }
    s->simulation.run_for(10s);
    for (std::uint32_t shard = 0; shard < 2; shard++) {
        RawClient client(s->cluster(), alone);
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = ShardId(shard);
        client.greet(hello);
        s->simulation.run_for(100ms);
        client.ask(1, api::WatchRequest{.key = "d00/key", .range_end = {}, .require_leader = true});
        client.cancel(1);
        client.credit(1, 100);
        client.ask_mark(1);
        ASSERT_TRUE(s->run_until(5s, "no answer", [&] { return client.answer(1).ended; }));
        EXPECT_EQ(client.answer(1).error, api::Errc::no_leader);
    }
    good_end();
}

TEST_F(WatchFrames, of_a_closed_connection_go_some_a_turn) {
    ASSERT_TRUE(begin());
    const std::size_t node = s->leader();
    constexpr std::uint64_t watches = 5000;
    std::optional<RawClient> client(std::in_place, s->cluster(), node);
    client->greet();
    for (std::uint64_t i = 1; i <= watches; i++) {
        client->ask(i, api::WatchRequest{.key = "d00/" + std::to_string(i), .range_end = {}});
    }
    ASSERT_TRUE(s->run_until(10s, "not all are created", [&] { return !client->answer(watches).told.empty(); }));
    ASSERT_EQ(s->held(node, "watches"), watches);
    client.reset();
    std::uint64_t there = watches, least = watches;
    for (int i = 0; i < 100'000 && there > 0; i++) {
        s->simulation.run_for(10us);
        there = s->held(node, "watches");
        least = there > 0 ? std::min(least, there) : least;
    }
    EXPECT_EQ(there, 0u);
    EXPECT_LT(least, watches) << "all went at once";
    good_end();
}

// Watches that are told nothing of puts, and yet are looked at with each: a revision takes some turns.
class SlowWatches : public WatchFrames {
  protected:
    testing::AssertionResult begin_slow(const RunOptions& options, const api::WatchRequest& wanted) {
        const testing::AssertionResult begun = begin(options);
        if (!begun) {
            return begun;
        }
        many.emplace(s->cluster(), s->leader());
        many->greet();
        for (std::uint64_t i = 1; i <= watches; i++) {
            many->ask(i, wanted);
        }
        return s->run_until(10s, "not all are created", [&] { return !many->answer(watches).told.empty(); });
    }
    // In one transaction each.
    void put_many(std::size_t times) {
        for (std::size_t i = 0; i < times; i++) {
            std::vector<std::string> keys;
            for (std::size_t op = 0; op < puts; op++) {
                keys.push_back("d00/" + std::to_string(op));
            }
            std::vector<api::RequestOp> ops;
            for (const std::string& name : keys) {
                ops.push_back({api::PutRequest{.key = name, .value = "x"}});
            }
            clients[s->leader()]->ask(++id, api::TxnRequest{{}, ops, {}});
        }
    }
    void TearDown() override {
        many.reset();
        WatchFrames::TearDown();
    }

    static constexpr std::uint64_t watches = 3000;
    static constexpr std::size_t puts = 60;
    static constexpr std::string_view kept = "changes kept for the watches of one range";
    const api::WatchRequest removals{.key = "d00/", .range_end = "d00/\xff", .no_put = true};
    std::optional<RawClient> many;
};

TEST_F(SlowWatches, are_told_everything_and_pin_no_more_than_the_bound) {
    RunOptions options = no_load();
    options.bounds.watch_lag_changes = 10;
    ASSERT_TRUE(begin_slow(options, removals));
    const std::uint64_t all = watch(s->leader());
    s->simulation.run_for(100ms);
    put_many(1);
    EXPECT_TRUE(s->run_until(5s, "it is not told", [&] { return told(s->leader(), all).size() == puts + 1; }));
    good_end();
}

TEST_F(SlowWatches, end_when_compaction_overtakes_them) {
    RunOptions options = no_load();
    options.bounds.watch_lag_changes = 10;
    ASSERT_TRUE(begin_slow(options, removals));
    const std::size_t node = s->leader();
    const std::uint64_t all = watch(node);
    s->simulation.run_for(100ms);
    put_many(4);
    clients[node]->ask(++id, api::CompactRequest{.revision = 6, .physical = true});
    ASSERT_TRUE(answered(node, id));
    EXPECT_EQ(answer(node, id).error, api::Errc::ok);
    EXPECT_TRUE(s->run_until(5s, "it goes on", [&] { return answer(node, all).ended; }));
    EXPECT_EQ(told(node, all).back(), "cancelled compacted 6");
    EXPECT_LT(told(node, all).size(), 3 * puts);
    const std::uint64_t next = watch(node);
    s->simulation.run_for(1s);
    ASSERT_TRUE(put(node, "v1"));
    EXPECT_TRUE(comes(node, next, {"created at 6", "put d00/key=v1 at 7"}));
    good_end();
}

TEST_F(SlowWatches, do_not_hold_up_those_of_other_ranges) {
    RunOptions options = no_load_nor_tails();
    options.domains = 2;
    options.shards = 1;
    options.turn_cost = 1ms;
    ASSERT_TRUE(begin_slow(options, removals));
    const std::size_t node = s->leader();
    const std::uint64_t slow = watch(node), other = ++id;
    clients[node]->ask(other, api::WatchRequest{.key = "d01/key", .range_end = {}});
    s->simulation.run_for(100ms);
    put_many(4);
    clients[node]->ask(++id, api::PutRequest{.key = "d01/key", .value = "x"});
    ASSERT_TRUE(s->run_until(5s, "it is not told", [&] { return told(node, other).size() == 2; }));
    EXPECT_LT(told(node, slow).size(), puts) << "the others have much to be told, still";
    good_end();
}

TEST_F(SlowWatches, are_not_those_that_want_neither_puts_nor_removals) {
    api::WatchRequest nothing = removals;
    nothing.no_delete = nothing.progress_notify = true;
    RunOptions options = no_load();
    options.watch_progress_interval = 1s;
    ASSERT_TRUE(begin_slow(options, nothing));
    const std::size_t node = s->leader();
    const std::uint64_t all = watch(node);
    s->simulation.run_for(100ms);
    put_many(1);
    std::uint64_t behind = 0;
    for (int i = 0; i < 100'000 && told(node, all).size() < puts + 1; i++) {
        s->simulation.run_for(20us);
        behind = std::max(behind, s->held(node, kept));
    }
    EXPECT_EQ(told(node, all).size(), puts + 1);
    EXPECT_EQ(behind, 0u);
    s->simulation.run_for(3s);
    EXPECT_EQ(many->answer(1).told.back(), "mark 3");
    good_end();
}

TEST_F(WatchFrames, that_want_a_leader_end_when_there_is_none_for_three_election_timeouts) {
    ASSERT_TRUE(begin());
    const std::size_t alone = s->follower();
    clients[alone]->ask(++id, api::WatchRequest{.key = "d00/key", .range_end = {}, .require_leader = true});
    const std::uint64_t wants = id, patient = watch(alone);
    ASSERT_TRUE(comes(alone, wants, {"created at 2"}));
    for (std::size_t i = 0; i < s->nodes(); i++) {
        if (i != alone) {
            s->block_both(alone, i);
        }
    }
    s->simulation.run_for(2s);
    EXPECT_FALSE(answer(alone, wants).ended);
    ASSERT_TRUE(s->run_until(5s, "it goes on", [&] { return answer(alone, wants).ended; }));
    EXPECT_EQ(answer(alone, wants).error, api::Errc::no_leader);
    EXPECT_EQ(told(alone, wants), Told{"created at 2"});
    clients[alone]->ask(++id, api::WatchRequest{.key = "d00/key", .range_end = {}, .require_leader = true});
    ASSERT_TRUE(answered(alone, id));
    EXPECT_EQ(answer(alone, id).error, api::Errc::no_leader);
    EXPECT_TRUE(comes(alone, patient, {"created at 2"}));
    good_end();
}

// A watch of a simulated client, served by a node that loses the others while its clients still reach it.
class WatchCutOff : public QuietCluster {
  protected:
    void SetUp() override {
        ASSERT_TRUE(begin());
        RecordedWatch wanted;
        wanted.key = "d00/key";
        wanted.require_leader = true;
        watch = &s->cluster().clients()[0]->watches().begin(wanted);
        ASSERT_TRUE(s->run_until(5s, "it is not created", [&] { return !watch->told.empty(); }));
        while (serving < s->nodes() && s->held(serving, "watches") == 0) {
            serving++;
        }
        ASSERT_LT(serving, s->nodes());
    }
    void isolate(std::size_t node) {
        for (std::size_t i = 0; i < s->nodes(); i++) {
            if (i != node) {
                s->block_both(node, i);
            }
        }
    }
    testing::AssertionResult put_there(const std::string& value) {
        const std::size_t other = (serving + 1) % s->nodes();
        const testing::AssertionResult led =
            s->run_until(10s, "nobody leads", [&] { return s->leader() < s->nodes() && s->leader() != serving; });
        return led ? put(other, value) : led;
    }
    testing::AssertionResult is_told(const std::vector<api::Revision>& revisions) {
        const auto all = [&] {
            std::vector<api::Revision> out;
            for (const WatchTold& told : watch->told) {
                if (told.kind == WatchTold::Kind::revision) {
                    out.push_back(told.revision);
                }
            }
            return out;
        };
        return s->run_until(8s, "it is told " + std::to_string(all().size()), [&] { return all() == revisions; });
    }

    RecordedWatch* watch{nullptr};
    std::size_t serving{0};
};

TEST_F(WatchCutOff, goes_on_at_another_node_without_gap_or_repeat) {
    ASSERT_TRUE(put(s->leader(), "v1"));
    ASSERT_TRUE(is_told({3}));
    isolate(serving);
    ASSERT_TRUE(put_there("v2"));
    ASSERT_TRUE(put_there("v3"));
    EXPECT_TRUE(is_told({3, 4, 5}));
    EXPECT_EQ(s->held(serving, "watches"), 0u);
    good_end();
}

TEST_F(WatchCutOff, waits_where_nobody_leads_and_goes_on_when_somebody_does) {
    for (std::size_t i = 0; i < s->nodes(); i++) {
        isolate(i);
    }
    s->simulation.run_for(12s);
    EXPECT_EQ(watch->told.size(), 1u) << "no more than that it is there";
    s->cluster().network().unblock_all();
    serving = s->nodes();   // any may lead
    ASSERT_TRUE(put_there("v1"));
    EXPECT_TRUE(is_told({3}));
    good_end();
}

// 8 MB of history for one watch of a simulated client, over a path that needs less than a client's patience for what a
// watch is told without asking for more.
class WatchBehind : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(s.simulation.form());
        for (int i = 0; i < 400; i++) {
            StepRequest put{StepKind::put, "d00/large", {}, std::to_string(i) + std::string(20'000, 'x'), false, 0, 0};
            ASSERT_EQ(s.simulation.ask(0, operation_of(std::move(put)), 20s)->outcome, Outcome::ok);
        }
        ASSERT_TRUE(s.simulation.settle()) << s.simulation.problem();
        const HostId client = static_cast<HostId>(s.nodes());   // behind the nodes
        for (HostId node = 0; node < s.nodes(); node++) {
            s.cluster().network().set_rate(node, client, 400'000);
        }
        RecordedWatch wanted;
        wanted.key = "d00/large";
        wanted.start_revision = 1;
        s.cluster().clients()[0]->watches().begin(wanted);
        began = s.simulation.now();
    }
    Scenario s{no_load()};
    Instant began{};
};

TEST_F(WatchBehind, is_waited_for_as_long_as_it_is_told_more) {
    EXPECT_TRUE(s.simulation.tell_watches()) << s.simulation.problem();
    EXPECT_GT(s.simulation.now() - began, 15s);
    EXPECT_EQ(s.simulation.finish().text, "");
}

TEST_F(WatchBehind, that_is_told_no_more_is_not_waited_for) {
    s.simulation.run_for(5s);
    for (HostId node = 0; node < s.nodes(); node++) {
        s.cluster().network().block(node, static_cast<HostId>(s.nodes()));
    }
    EXPECT_FALSE(s.simulation.tell_watches());
    EXPECT_NE(s.simulation.problem().find("no watch is told more"), std::string::npos) << s.simulation.problem();
    EXPECT_LT(s.simulation.now() - began, 20s);
}

}  // namespace
}  // namespace ringfort::sim
