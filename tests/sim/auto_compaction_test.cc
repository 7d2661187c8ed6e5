// Compaction without being asked keeps what it was told to keep, on every replica, and no more than it needs for that.
#include <map>

#include "quiet_cluster.h"

namespace ringfort::sim {
namespace {

constexpr Duration period = 10s;
constexpr Duration look = period / 10;   // between samples

class AutoCompaction : public QuietCluster {
  protected:
    // The first write of a store makes revision 2, and there is one key.
    testing::AssertionResult write() {
        const auto done = put(s->leader(), "value");
        written[s->simulation.now()] = ++revision;
        return done;
    }
    // The newest revision at that moment.
    api::Revision current_at(Instant at) const { return std::prev(written.upper_bound(at))->second; }
    // What that node's own copy says to a read of the past.
    api::Errc read(std::size_t node, api::Revision at) {
        api::RangeRequest past = newest(key);
        past.revision = at;
        past.serializable = true;
        clients[node]->ask(++id, past, 5s);
        EXPECT_TRUE(answered(node, id));
        return answer(node, id).error;
    }
    void expect_oldest_kept(api::Revision oldest) {
        for (std::size_t node = 0; node < s->nodes(); node++) {
            EXPECT_EQ(read(node, oldest), api::Errc::ok) << "node " << node << ", revision " << oldest;
            EXPECT_EQ(read(node, oldest - 1), api::Errc::compacted) << "node " << node << ", revision " << oldest - 1;
        }
    }

    api::Revision revision{2};   // begin() wrote once
    std::map<Instant, api::Revision> written;
};

TEST_F(AutoCompaction, by_revisions_keeps_as_many_behind_the_newest_every_five_minutes) {
    RunOptions options = no_load_nor_tails();
    options.auto_compaction_revisions = 10;
    ASSERT_TRUE(begin(options));
    for (int i = 0; i < 30; i++) {
        ASSERT_TRUE(write());
    }
    s->simulation.run_for(290s);
    EXPECT_EQ(read(s->leader(), 2), api::Errc::ok) << "before the first look";
    s->simulation.run_for(15s);
    expect_oldest_kept(revision - 10);
    ASSERT_TRUE(write());
    s->simulation.run_for(300s);
    expect_oldest_kept(revision - 10);
    // What was compacted to once is not asked for again.
    const LogIndex applied = s->view(s->leader()).applied;
    s->simulation.run_for(300s);
    EXPECT_EQ(s->view(s->leader()).applied, applied);
    good_end();
}

TEST_F(AutoCompaction, by_revisions_leaves_a_young_store_alone) {
    RunOptions options = no_load_nor_tails();
    options.auto_compaction_revisions = 10;
    ASSERT_TRUE(begin(options));
    while (revision < 11) {
        ASSERT_TRUE(write());
    }
    const LogIndex applied = s->view(s->leader()).applied;
    s->simulation.run_for(305s);
    EXPECT_EQ(s->view(s->leader()).applied, applied) << "revision 1 is the empty store: there is nothing before it";
    EXPECT_EQ(read(s->leader(), 2), api::Errc::ok);
    good_end();
}

TEST_F(AutoCompaction, by_time_keeps_the_period_and_at_most_as_long_again) {
    RunOptions options = no_load_nor_tails();
    options.auto_compaction_period = period;
    ASSERT_TRUE(begin(options));
    ASSERT_TRUE(write());
    const Instant first = written.begin()->first;
    for (int i = 0; i < 60; i++) {
        s->simulation.run_for(500ms);
        ASSERT_TRUE(write());
        const Instant now = s->simulation.now();
        if (now - period >= first) {
            EXPECT_EQ(read(s->leader(), current_at(now - period)), api::Errc::ok) << i << ": younger than the period";
        }
        // Compacted once a period, to what a sample then showed.
        const Instant oldest = now - 2 * period - 2 * look;
        if (oldest >= first) {
            EXPECT_EQ(read(s->leader(), current_at(oldest)), api::Errc::compacted) << i;
        }
    }
    good_end();
}

TEST_F(AutoCompaction, by_time_is_never_sooner_for_a_change_of_leaders) {
    RunOptions options = no_load_nor_tails();
    options.auto_compaction_period = period;
    ASSERT_TRUE(begin(options));
    ASSERT_TRUE(write());
    s->simulation.run_for(8s);
    const std::size_t old_leader = s->leader();
    ASSERT_TRUE(s->kill_quietly(old_leader));
    ASSERT_TRUE(s->run_until(5s, "nobody leads", [&] {
        return s->leader() < s->nodes() && s->leader() != old_leader;
    }));
    const Instant led_since = s->simulation.now();
    ASSERT_TRUE(write());
    s->simulation.run_for(led_since + period - 100ms - s->simulation.now());
    EXPECT_EQ(read(s->leader(), revision - 1), api::Errc::ok) << "what the former leader saw is forgotten";
    s->simulation.run_for(period + 2 * look);
    EXPECT_EQ(read(s->leader(), revision - 1), api::Errc::compacted);
    EXPECT_EQ(read(s->leader(), revision), api::Errc::ok);
    s->node(old_leader).start();
    good_end();
}

}  // namespace
}  // namespace ringfort::sim
