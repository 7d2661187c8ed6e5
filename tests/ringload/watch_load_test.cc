// Many watches against a scripted server: what is asked, what counts, and where they go on.
#include "watch_load.h"

#include <gtest/gtest.h>

#include "core_script.h"

namespace ringload {
namespace {

using namespace std::chrono_literals;
using ringfort::client::test::CoreScript;
using ringfort::client::test::Link;
using ringfort::client::test::Seen;
namespace api = ringfort::api;

Options three_watches_of_two_keys() {
    Options options;
    options.op = "watch";
    options.connections = 1;
    options.watches_per_connection = 3;
    options.keys = 2;
    options.seed = 1;
    return options;
}

class Watching : public testing::Test {
  protected:
    // Requests for watches that reached the server.
    std::vector<Seen> step(Link& link) {
        load.step();
        return script.arrived(link);
    }
    static api::Revision from(const Seen& seen) { return std::get<api::WatchRequest>(seen.request->op).start_revision; }
    void create(const Seen& seen, api::Revision revision) {
        api::WatchResponse watch;
        watch.created = true;
        frame(seen, revision, watch);
    }
    // A part of a revision goes on.
    void tell(const Seen& seen, api::Revision revision, std::uint64_t sequence, bool goes_on = false) {
        std::string value(20, 'x');
        write_sequence(sequence, value.data(), value.size());
        api::Event event;
        event.kv = {.key = "k", .mod_revision = revision, .value = value};
        api::WatchResponse watch;
        watch.events = {&event, 1};
        watch.goes_on = goes_on;
        frame(seen, revision, watch);
    }
    void frame(const Seen& seen, api::Revision revision, const api::WatchResponse& watch) {
        api::Response response;
        response.header.revision = revision;
        response.body = api::Result(watch);
        response.more_frames = !watch.canceled;
        script.reply(seen, response);
    }

    Options options{three_watches_of_two_keys()};
    CoreScript script;
    WatchLoad load{options, *script.core, script.clock};
};

TEST_F(Watching, asks_for_each_watch_on_the_keys_in_turn_and_settles_when_all_are_there) {
    Link& link = script.greet();
    const auto asked = step(link);
    ASSERT_EQ(asked.size(), 3U);
    EXPECT_EQ(asked[0].key(), "k0000000");
    EXPECT_EQ(asked[1].key(), "k0000001");
    EXPECT_EQ(asked[2].key(), "k0000000");
    create(asked[0], 5);
    create(asked[1], 5);
    EXPECT_FALSE(load.settled());
    create(asked[2], 6);
    EXPECT_TRUE(load.settled());
    EXPECT_EQ(load.open_count(), 3U);
    EXPECT_TRUE(step(link).empty());
}

TEST_F(Watching, of_many_has_a_few_under_way_and_asks_for_the_next_as_they_are_made) {
    options.watches_per_connection = 100;
    WatchLoad many(options, *script.core, script.clock);
    Link& link = script.greet();
    std::size_t made = 0;
    for (int round = 0; round < 4; round++) {
        many.step();
        const auto asked = script.arrived(link);
        EXPECT_EQ(asked.size(), round < 3 ? 32U : 4U);
        for (const Seen& seen : asked) {
            create(seen, 5);
        }
        made += asked.size();
        EXPECT_EQ(many.open_count(), made);
    }
    EXPECT_TRUE(many.settled());
}

TEST_F(Watching, measures_events_from_the_acknowledgement_and_from_when_their_write_was_due) {
    Link& link = script.greet();
    const auto asked = step(link);
    for (const Seen& seen : asked) {
        create(seen, 5);
    }
    load.on_write_started(7, script.clock.now());
    script.pass(10ms);
    tell(asked[0], 6, 7);
    load.on_write_acknowledged(7, 0, script.clock.now());
    EXPECT_EQ(load.expected_count(), 2U) << "two of the three watches are on that key";
    EXPECT_EQ(load.received_count(), 1U);
    script.pass(5ms);
    tell(asked[2], 6, 7);
    load.end();
    EXPECT_EQ(load.received_count(), 2U);
    const Histogram& since = load.events().latencies();
    EXPECT_EQ(since.count(), 2U);
    EXPECT_EQ(since.min(), 0) << "it came before the acknowledgement";
    EXPECT_EQ(since.max(), 5'000'000);
    EXPECT_EQ(load.since_due().min(), 10'000'000);
    EXPECT_EQ(load.since_due().max(), 15'000'000);
}

TEST_F(Watching, of_writes_that_are_not_its_own_counts_events_without_measuring_them) {
    Link& link = script.greet();
    const auto asked = step(link);
    create(asked[0], 5);
    tell(asked[0], 6, 12345);
    load.end();
    EXPECT_EQ(load.received_count(), 1U);
    EXPECT_EQ(load.events().latencies().count(), 0U);
}

TEST_F(Watching, goes_on_behind_the_last_whole_revision_when_its_connection_is_lost) {
    Link& link = script.greet();
    const auto asked = step(link);
    for (const Seen& seen : asked) {
        create(seen, 5);
    }
    tell(asked[0], 8, 1);
    tell(asked[1], 9, 2, true);
    script.network.break_off(link);
    script.turn();
    EXPECT_EQ(load.resumed_count(), 3U);
    EXPECT_EQ(load.open_count(), 0U);
    EXPECT_FALSE(load.settled());
    load.step();
    Link& next = script.greet_quietly();
    std::vector<api::Revision> revisions;
    for (const Seen& seen : script.arrived(next)) {
        revisions.push_back(from(seen));
        create(seen, 20);
    }
    std::ranges::sort(revisions);
    EXPECT_EQ(revisions, (std::vector<api::Revision>{6, 6, 9}));
    EXPECT_TRUE(load.settled());
}

TEST_F(Watching, that_compaction_ended_stays_ended_and_says_why) {
    Link& link = script.greet();
    const auto asked = step(link);
    for (const Seen& seen : asked) {
        create(seen, 5);
    }
    api::WatchResponse last;
    last.canceled = true;
    last.compact_revision = 50;
    frame(asked[1], 60, last);
    EXPECT_EQ(load.ended_count(), 1U);
    EXPECT_EQ(load.open_count(), 2U);
    EXPECT_TRUE(load.settled());
    EXPECT_EQ(load.last_end(), "what it needs next is compacted");
    EXPECT_TRUE(step(link).empty());
}

}  // namespace
}  // namespace ringload
