// The log as a whole has a goal for its size: above it, whoever holds its oldest segment is asked for a checkpoint.
#include <set>

#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

constexpr std::size_t value_bytes = 100'000;
constexpr std::uint64_t goal = 12 * mib;

// Nothing but the log's goal brings a checkpoint.
RunOptions goal_options() {
    RunOptions out = no_load_nor_tails();
    out.shards = 1;
    out.checkpoint_log_bytes = 1 * gib;
    out.log_bytes_goal = goal;
    return out;
}

class LogGoal : public QuietCluster {
  protected:
    testing::AssertionResult write(const std::string& name) {
        clients[0]->ask(++id, api::PutRequest{.key = name, .value = std::string(value_bytes, 'x')}, 20s);
        return done("write");
    }
    testing::AssertionResult compact(DomainId domain, api::Revision revision) {
        clients[0]->ask(++id, api::CompactRequest{.revision = revision, .physical = false}, 20s, false, domain);
        return done("compaction");
    }
    testing::AssertionResult done(std::string_view what) {
        const auto ended = answered_just_now(0, id);
        look();
        if (!ended || answer(0, id).error != api::Errc::ok) {
            return testing::AssertionFailure() << what << " " << id << ": " << api::error_text(answer(0, id).error);
        }
        return testing::AssertionSuccess();
    }
    // What there is of files on each node.
    void look() {
        for (std::size_t node = 0; node < s->nodes(); node++) {
            DiskMedia& media = s->node(node).media();
            std::uint64_t log_bytes = 0;
            for (const std::string& name : media.names()) {
                if (name.find("/log-") != std::string::npos) {
                    log_bytes += media.file(name)->bytes();
                } else if (name.find("/checkpoint-") != std::string::npos && !name.starts_with("shard-0/checkpoint-0-")) {
                    checkpoints[node].insert(name);
                }
            }
            log_bytes_most = std::max(log_bytes_most, log_bytes);
        }
    }

    std::uint64_t log_bytes() {
        log_bytes_most = 0;
        look();
        return log_bytes_most;
    }

    std::uint64_t log_bytes_most{0};   // of any node
    std::set<std::string> checkpoints[3];   // seen so far, but for the directory's
};

TEST_F(LogGoal, is_kept_however_much_is_written) {
    for (const std::uint32_t domains : {1u, 2u}) {
        TearDown();
        log_bytes_most = 0;
        RunOptions options = goal_options();
        options.domains = domains;
        ASSERT_TRUE(begin(options));
        for (int i = 1; i <= 240; i++) {   // twice the goal, of few keys
            for (std::uint32_t domain = 0; domain < domains; domain++) {
                ASSERT_TRUE(write(domain_prefix(domain) + "key" + std::to_string(i % 5)));
                s->simulation.run_for(20ms);
                if (i % 10 == 0) {
                    ASSERT_TRUE(compact(DomainId(domain + 1), i));
                }
            }
        }
        for (std::size_t node = 0; node < s->nodes(); node++) {
            EXPECT_GE(checkpoints[node].size(), domains);
            checkpoints[node].clear();
        }
        EXPECT_GT(log_bytes_most, goal);
        EXPECT_LE(log_bytes_most, goal + 4 * options.segment_bytes);
        good_end();
    }
}

TEST_F(LogGoal, matters_no_more_when_the_log_is_quiet_and_most_of_what_it_holds_was_deleted_and_compacted) {
    RunOptions options = goal_options();
    options.segment_bytes = 4 * mib;
    options.log_bytes_goal = 1 * gib;
    options.checkpoint_slack_bytes = 1 * mib;
    ASSERT_TRUE(begin(options));
    constexpr int keys = 200;
    for (int i = 0; i < keys; i++) {
        ASSERT_TRUE(write("d00/" + std::to_string(i)));
    }
    clients[0]->ask(++id, api::DeleteRangeRequest{.key = "d00/", .range_end = "d01/"}, 20s);
    ASSERT_TRUE(done("removal"));
    ASSERT_TRUE(compact(DomainId(1), 1 + 1 + keys + 1));
    s->simulation.run_for(30s);
    EXPECT_GT(log_bytes(), keys * value_bytes) << "what comes next may need it";
    s->simulation.run_for(60s);
    EXPECT_LE(log_bytes(), 3 * options.segment_bytes) << "one in use, and two that stand ready";
    good_end();
}

// The log asks again when it has grown by some segments; the one that is written frees what it asks for.
TEST_F(LogGoal, asked_for_again_while_a_checkpoint_is_written_brings_no_second_one) {
    RunOptions options = goal_options();
    options.segment_bytes = 2 * mib;
    options.disk.drain_bytes_per_second = 20 * mib;
    ASSERT_TRUE(begin(options));
    std::uint64_t keys = 0;
    while (checkpoints[0].empty() && keys < 800) {
        ASSERT_TRUE(write("d00/key" + std::to_string(keys++)));
    }
    ASSERT_EQ(checkpoints[0].size(), 1u);
    const std::string name = *checkpoints[0].begin();
    const auto is_whole = [&] {
        DiskMedia& media = s->node(0).media();
        return media.file(name) != nullptr && media.durable(name, 0, media.file(name)->bytes());
    };
    for (int i = 0; i < 100; i++) {
        ASSERT_TRUE(write("d00/key" + std::to_string(keys++)));
    }
    ASSERT_FALSE(is_whole()) << "it is over too soon to be asked for again";
    for (int i = 0; i < 500; i++) {
        s->simulation.run_for(10ms);
        look();
    }
    EXPECT_TRUE(is_whole());
    EXPECT_EQ(checkpoints[0].size(), 1u);
    good_end();
}

// Each takes more than a turn and the next one is there already: what goes on between two commands must get its turn.
TEST_F(LogGoal, is_kept_while_one_long_command_follows_the_other) {
    RunOptions options = goal_options();
    options.log_bytes_goal = 4 * mib;
    options.segment_bytes = 1 * mib;
    options.turn_cost = 500us;   // applying is what takes long
    ASSERT_TRUE(begin(options));
    const std::size_t leader = s->leader();
    RawClient& client = *clients[leader];
    for (int i = 0; i < 3000; i += 100) {
        std::vector<std::string> keys;
        for (int k = 0; k < 100; k++) {
            keys.push_back("d00/many" + std::to_string(i + k));
        }
        std::vector<api::RequestOp> puts;
        for (const std::string& many : keys) {
            puts.push_back({api::PutRequest{.key = many, .value = "v"}});
        }
        client.ask(++id, api::TxnRequest{.compare = {}, .success = puts, .failure = {}}, 20s);
        ASSERT_TRUE(answered(leader, id));
    }
    look();
    ASSERT_TRUE(checkpoints[leader].empty());
    const std::string value(value_bytes, 'x');
    const api::Compare all{.result = api::CompareResult::greater, .target = api::CompareTarget::version,
                           .key = "d00/many", .range_end = "d00/manz", .number = 0, .value = {}};
    const std::vector<api::RequestOp> put{{api::PutRequest{.key = key, .value = value}}};
    constexpr int commands = 60;
    for (int i = 0; i < commands; i++) {
        client.ask(++id, api::TxnRequest{.compare = {&all, 1}, .success = put, .failure = {}}, 20s);
    }
    ASSERT_TRUE(s->run_until(10s, "no checkpoint begins", [&] {
        look();
        return !checkpoints[leader].empty() || answer(leader, id).ended;
    }));
    EXPECT_FALSE(answer(leader, id - 5).ended) << "it began when there was nothing else to do";
    ASSERT_TRUE(answered(leader, id));
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
