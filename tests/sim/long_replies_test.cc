// Replies of several frames, from the shard that has the client's connection and from another one: whatever the pairs'
// sizes are, they go on for as long as the client gives back what it takes.
#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

const api::RangeRequest whole_domain{.key = "d00/", .range_end = "d00/\xff"};

class LongReplies : public QuietCluster {
  protected:
    // Asks every shard of every node for everything.
    void expect_everything(std::size_t pairs) {
        for (std::size_t node = 0; node < s->nodes(); node++) {
            for (std::uint32_t shard = 0; shard < s->node(node).shard_count(); shard++) {
                RawClient client(s->cluster(), node);
                wire::ClientHello hello;
                hello.has_shard = true;
                hello.shard = ShardId(shard);
                client.greet(hello);
                client.give_credit_as_it_reads();
                client.ask(1, whole_domain, 10s);
                ASSERT_TRUE(s->run_until(10s, "a reply does not go on", [&] { return client.answer(1).ended; }))
                    << "node " << node << " shard " << shard;
                EXPECT_EQ(client.answer(1).error, api::Errc::ok);
                EXPECT_EQ(client.answer(1).pairs, pairs);
                EXPECT_GT(client.answer(1).frames, 1u);
            }
        }
    }
};

// A piece may overdraw its credit by more than a reply's whole window: what it took is owed, and the window comes back.
TEST_F(LongReplies, of_values_larger_than_their_credit_go_on) {
    RunOptions options = no_load_nor_tails();
    options.shards = 2;
    options.request_bytes = limits::request_bytes_default;
    options.log_window_bytes = options.segment_bytes = 16 * mib;
    ASSERT_TRUE(begin(options));
    constexpr std::size_t count = 4;
    for (std::size_t i = 0; i < count; i++) {
        const std::string name = "d00/large" + std::to_string(i);
        clients[s->leader()]->ask(++id, api::PutRequest{.key = name, .value = std::string(1'500'000, 'x')}, 5s);
        ASSERT_TRUE(answered(s->leader(), id));
    }
    expect_everything(count + 1);
    good_end();
}

TEST_F(LongReplies, from_elsewhere_go_on_at_their_least_bound) {
    RunOptions options = no_load_nor_tails();
    options.shards = 2;
    options.bounds.session_replies_bytes = shard::ShardBounds::session_replies_bytes_min;
    ASSERT_TRUE(begin(options));
    constexpr std::size_t count = 12;
    for (std::size_t i = 0; i < count; i++) {
        const std::string name = "d00/long" + std::to_string(i);
        clients[s->leader()]->ask(++id, api::PutRequest{.key = name, .value = std::string(60'000, 'x')}, 5s);
        ASSERT_TRUE(answered(s->leader(), id));
    }
    expect_everything(count + 1);
    good_end();
}

// What a pair costs is what its bytes give back: were it more, the credit would be used up after some ten thousand pairs.
using LargeLongReplies = LongReplies;
TEST_F(LargeLongReplies, of_many_small_pairs_go_on) {
    RunOptions options = no_load_nor_tails();
    options.shards = 2;
    ASSERT_TRUE(begin(options));
    constexpr std::size_t per_transaction = 128;
    constexpr std::size_t transactions = 2500;
    const std::string value(64, 'v');
    for (std::size_t i = 0; i < transactions; i++) {
        std::vector<std::string> names;
        for (std::size_t k = 0; k < per_transaction; k++) {
            names.push_back("d00/small" + std::to_string(1'000'000 + i * per_transaction + k));
        }
        std::vector<api::RequestOp> puts(per_transaction);
        for (std::size_t k = 0; k < per_transaction; k++) {
            puts[k].op = api::PutRequest{.key = names[k], .value = value};
        }
        clients[s->leader()]->ask(++id, api::TxnRequest{{}, puts, {}}, 5s);
        if (i % 100 == 99) {
            ASSERT_TRUE(answered(s->leader(), id));
        }
    }
    expect_everything(transactions * per_transaction + 1);
    good_end();
}

// A reader that takes a piece now and then, and so never stops, while everything is written anew and compacted.
class SlowReader : public LongReplies {
  protected:
    void fill() {
        for (std::size_t i = 0; i < count; i++) {
            const std::string name = "d00/slow" + std::to_string(i);
            clients[s->leader()]->ask(++id, api::PutRequest{.key = name, .value = value}, 5s);
            ASSERT_TRUE(answered(s->leader(), id));
            revision++;
        }
    }
    void compact() {
        clients[s->leader()]->ask(++id, api::CompactRequest{.revision = revision}, 5s);
        ASSERT_TRUE(answered(s->leader(), id));
        ASSERT_EQ(answer(s->leader(), id).error, api::Errc::ok);
    }
    // Asks for everything, and gives back some of it every second.
    void begin_reading() {
        reader.emplace(s->cluster(), s->leader());
        reader->greet();
        reader->ask(1, whole_domain, 60s);
        s->simulation.run_for(100ms);
    }
    void read_for(int seconds) {
        for (; seconds > 0 && !reader->answer(1).ended; seconds--) {
            reader->credit(1, 60'000);
            s->simulation.run_for(1s);
        }
    }
    void TearDown() override {
        reader.reset();
        QuietCluster::TearDown();
    }

    static constexpr std::size_t count = 40;
    const std::string value = std::string(60'000, 'x');
    api::Revision revision{2};   // of the key every test begins with
    std::optional<RawClient> reader;
};

TEST_F(SlowReader, is_ended_as_compacted_when_compaction_has_waited_for_it) {
    RunOptions options = no_load_nor_tails();
    options.bounds.stream_pin_time = 5s;
    ASSERT_TRUE(begin(options));
    ASSERT_NO_FATAL_FAILURE(fill());
    begin_reading();
    read_for(7);
    EXPECT_FALSE(reader->answer(1).ended) << "nothing waits for it";
    const auto once = s->view(s->leader()).live_bytes;
    ASSERT_NO_FATAL_FAILURE(fill());
    ASSERT_NO_FATAL_FAILURE(compact());
    read_for(4);
    EXPECT_FALSE(reader->answer(1).ended);
    EXPECT_GT(s->view(s->leader()).live_bytes, once * 3 / 2) << "what it reads is kept";
    read_for(3);
    EXPECT_TRUE(reader->answer(1).ended);
    EXPECT_EQ(reader->answer(1).error, api::Errc::compacted);
    EXPECT_LT(s->view(s->leader()).live_bytes, once * 5 / 4);
    good_end();
}

TEST_F(SlowReader, is_ended_as_compacted_when_much_was_written_behind_it) {
    RunOptions options = no_load_nor_tails();
    options.bounds.stream_pin_bytes = count * value.size() * 3 / 2;
    ASSERT_TRUE(begin(options));
    ASSERT_NO_FATAL_FAILURE(fill());
    begin_reading();
    ASSERT_NO_FATAL_FAILURE(fill());
    ASSERT_NO_FATAL_FAILURE(compact());
    read_for(2);
    EXPECT_FALSE(reader->answer(1).ended) << "as much again is not too much";
    ASSERT_NO_FATAL_FAILURE(fill());
    ASSERT_NO_FATAL_FAILURE(compact());
    read_for(1);
    EXPECT_TRUE(reader->answer(1).ended);
    EXPECT_EQ(reader->answer(1).error, api::Errc::compacted);
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
