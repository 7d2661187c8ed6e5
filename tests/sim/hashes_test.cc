// Hashes of keys and values: by every member for itself, one after the other, and in steps.
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

class Hashes : public QuietCluster {
  protected:
    // So many that a walk takes turns.
    void fill(std::size_t keys = 3000) {
        for (std::size_t first = 0; first < keys; first += 100) {
            std::vector<std::string> names;
            for (std::size_t i = first; i < first + 100; i++) {
                names.push_back("d00/" + std::to_string(100'000 + i));
            }
            std::vector<api::RequestOp> ops;
            for (const std::string& name : names) {
                ops.push_back({api::PutRequest{.key = name, .value = "v"}});
            }
            clients[s->leader()]->ask(++id, api::TxnRequest{{}, ops, {}}, 5s);
            ASSERT_TRUE(answered(s->leader(), id));
        }
        ASSERT_TRUE(s->simulation.run_for(500ms));
    }
    std::uint64_t ask_hash(std::size_t node, api::Revision revision = 0, Duration timeout = 5s) {
        clients[node]->ask(++id, api::HashKvRequest{revision}, timeout);
        return id;
    }
    api::HashKvResponse hash_at(std::size_t node, api::Revision revision = 0) {
        const std::uint64_t asked = ask_hash(node, revision);
        EXPECT_TRUE(answered(node, asked));
        EXPECT_EQ(answer(node, asked).error, api::Errc::ok);
        return answer(node, asked).hash;
    }
};

TEST_F(Hashes, are_the_same_at_every_member_through_any_shard_and_without_a_leader) {
    ASSERT_TRUE(begin());
    fill(100);
    const api::HashKvResponse first = hash_at(0);
    EXPECT_GT(first.hash_revision, 1);
    EXPECT_EQ(hash_at(1, first.hash_revision), first);
    EXPECT_EQ(hash_at(2, first.hash_revision), first);
    for (const std::size_t gone : {0u, 1u}) {
        ASSERT_TRUE(s->kill_quietly(gone));
    }
    for (std::uint64_t shard = 0; shard < 2; shard++) {
        clients.push_back(std::make_unique<RawClient>(s->cluster(), 2));
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = ShardId(shard);
        clients.back()->greet(hello);
        s->simulation.run_for(100ms);
        EXPECT_EQ(hash_at(clients.size() - 1, first.hash_revision), first);
    }
    const std::uint64_t late = ask_hash(2, first.hash_revision + 1);
    ASSERT_TRUE(answered(2, late));
    EXPECT_EQ(answer(2, late).error, api::Errc::future_revision);
    clients.clear();
    for (const std::size_t gone : {0u, 1u}) {
        s->node(gone).start();
    }
    good_end();
}

TEST_F(Hashes, beyond_the_bound_are_refused_and_one_that_is_given_up_makes_room) {
    RunOptions options = no_load_nor_tails();
    options.bounds.hash_walks = 2;
    options.turn_cost = 5ms;
    ASSERT_TRUE(begin(options));
    fill();
    const std::size_t node = s->leader();
    const std::uint64_t first = ask_hash(node), second = ask_hash(node), third = ask_hash(node);
    ASSERT_TRUE(answered_just_now(node, third));
    EXPECT_EQ(answer(node, third).error, api::Errc::too_many_requests);
    EXPECT_FALSE(answer(node, first).ended);
    clients[node]->cancel(first);
    const std::uint64_t fourth = ask_hash(node);
    ASSERT_TRUE(answered(node, fourth));
    EXPECT_EQ(answer(node, first).error, api::Errc::cancelled);
    EXPECT_EQ(answer(node, second).error, api::Errc::ok);
    EXPECT_EQ(answer(node, fourth).error, api::Errc::ok);
    EXPECT_EQ(answer(node, fourth).hash, answer(node, second).hash);
    good_end();
}

TEST_F(Hashes, end_at_their_deadline_and_with_their_connection) {
    ASSERT_TRUE(begin(no_load_nor_tails()));
    fill();
    const std::size_t node = s->leader();
    const std::uint64_t hurried = ask_hash(node, 0, 1us);
    ASSERT_TRUE(answered(node, hurried));
    EXPECT_EQ(answer(node, hurried).error, api::Errc::timed_out);
    ask_hash(node);
    clients[node].reset();
    clients[node] = std::make_unique<RawClient>(s->cluster(), node);
    clients[node]->greet();
    good_end();   // whoever still held something would be found
}

// The last answer that its connection has no room for closes it.
TEST_F(Hashes, of_a_connection_that_is_closed_by_the_answer_take_nobody_elses_with_them) {
    RunOptions options = no_load_nor_tails();
    options.turn_cost = 5ms;
    options.bounds.reply_backlog_end_bytes = 64 * kib;
    options.network.socket_buffer_bytes = 16 * kib;
    ASSERT_TRUE(begin(options));
    fill();
    const std::size_t node = s->leader();
    ASSERT_TRUE(put(node, std::string(100'000, 'x')));
    RawClient lazy(s->cluster(), node);
    lazy.greet();
    s->simulation.run_for(100ms);
    lazy.stop_reading();
    lazy.ask(1, api::PutRequest{.key = key, .value = "y", .prev_kv = true});
    lazy.ask(2, api::HashKvRequest{});
    s->simulation.run_for(10ms);
    const std::uint64_t behind = ask_hash(node);
    ASSERT_TRUE(answered(node, behind));
    EXPECT_EQ(answer(node, behind).error, api::Errc::ok);
    lazy.go_on_reading();
    EXPECT_TRUE(s->run_until(5s, "it is still there", [&] { return lazy.closed(); }));
}

TEST_F(Hashes, that_wait_end_at_their_deadline_and_make_room) {
    RunOptions options = no_load_nor_tails();
    options.turn_cost = 20ms;
    options.bounds.hash_walks = 2;
    ASSERT_TRUE(begin(options));
    fill(9000);
    const std::size_t node = s->leader();
    const std::uint64_t first = ask_hash(node), hurried = ask_hash(node, 0, 50ms);
    ASSERT_TRUE(answered_just_now(node, hurried));
    EXPECT_EQ(answer(node, hurried).error, api::Errc::timed_out);
    EXPECT_FALSE(answer(node, first).ended);
    const std::uint64_t next = ask_hash(node);
    ASSERT_TRUE(answered(node, next));
    EXPECT_EQ(answer(node, next).error, api::Errc::ok);
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
