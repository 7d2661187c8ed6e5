// Watches of the core: when their server is asked whether it lives, where they go on, and what they count as.
#include "client/watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "core_script.h"

namespace ringfort::client::test {
namespace {

class ClientWatch : public testing::Test {
  protected:
    // Asks for a watch, and returns its request.
    Seen watch(Link& link, std::string_view key = "k") {
        start(key);
        return script.only(link);
    }
    void start(std::string_view key = "k") {
        watches.push_back(std::make_unique<Watch>(*script.core, api::WatchRequest{.key = key, .range_end = {}}, std::nullopt,
                                                  &ClientWatch::on_news, this));
        watches.back()->start();
    }
    void create(const Seen& seen, api::Revision revision) {
        api::WatchResponse watch;
        watch.created = true;
        frame(seen, revision, watch);
    }
    void tell(const Seen& seen, api::Revision revision) {
        api::Event event;
        event.kv = {.key = "k", .mod_revision = revision, .value = "v"};
        api::WatchResponse watch;
        watch.events = {&event, 1};
        frame(seen, revision, watch);
    }
    // Its last frame.
    void cancel(const Seen& seen, std::string_view reason) {
        api::WatchResponse watch;
        watch.canceled = true;
        watch.cancel_reason = reason;
        frame(seen, 9, watch, false);
    }
    void answer_ping(const Seen& ping) {
        ASSERT_EQ(ping.kind, wire::ClientKind::status);
        api::Response status;
        status.body = api::Result(api::StatusResponse{});
        script.reply(ping, status);
    }
    // Answers what is asked in that time, on the newest link that is there.
    void serve(Link*& link, Duration time, const std::function<void(const Seen&)>& answer) {
        for (; time > 0ns; time -= 20ms) {
            script.pass(20ms);
            if (link->closed && !script.network.link(script.network.link_count() - 1).closed) {
                link = &script.greet_quietly();
            }
            for (const Seen& seen : script.arrived(*link)) {
                if (seen.kind == wire::ClientKind::watch) {
                    answer(seen);
                }
            }
        }
    }
    static api::Revision asked_from(const Seen& seen) {
        return seen.request ? std::get<api::WatchRequest>(seen.request->op).start_revision : -1;
    }

    CoreScript script;
    std::vector<std::unique_ptr<Watch>> watches;   // go before their core
    std::vector<WatchNews::Kind> news;
    std::vector<api::Revision> told;

  private:
    void frame(const Seen& seen, api::Revision revision, const api::WatchResponse& watch, bool more_frames = true) {
        api::Response response;
        response.header.revision = revision;
        response.body = api::Result(watch);
        response.more_frames = more_frames;
        script.reply(seen, response);
    }
    static void on_news(void* context, const WatchNews& news) {
        auto& self = *static_cast<ClientWatch*>(context);
        self.news.push_back(news.kind);
        if (news.kind == WatchNews::Kind::revision) {
            self.told.push_back(news.revision);
        }
    }
};

using Kind = WatchNews::Kind;

TEST_F(ClientWatch, whose_server_is_silent_goes_on_elsewhere_behind_what_it_was_told) {
    Link& link = script.greet();
    const Seen first = watch(link);
    create(first, 5);
    tell(first, 7);
    script.pass(3100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    EXPECT_FALSE(link.closed);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
    Link& next = script.greet_quietly();
    EXPECT_EQ(next.address.host, "b");
    const Seen again = script.only(next);
    EXPECT_EQ(asked_from(again), 8);
    create(again, 9);
    tell(again, 9);
    EXPECT_EQ(told, (std::vector<api::Revision>{7, 9}));
    EXPECT_EQ(news, (std::vector{Kind::created, Kind::revision, Kind::resumed, Kind::revision}));
}

TEST_F(ClientWatch, that_has_nothing_to_tell_stays_where_the_server_answers) {
    Link& link = script.greet();
    create(watch(link), 5);
    std::size_t pings = 0;
    for (int i = 0; i < 100; i++) {
        script.pass(300ms);
        for (const Seen& ping : script.arrived(link)) {
            answer_ping(ping);
            pings++;
        }
    }
    EXPECT_FALSE(link.closed);
    EXPECT_GE(pings, 8U);
    EXPECT_LE(pings, 10U) << "one in three periods";
}

TEST_F(ClientWatch, beside_a_request_that_is_owed_is_left_as_soon_as_any) {
    Link& link = script.greet();
    create(watch(link), 5);
    script.pass(1500ms);
    script.put("k", "v", 60s);
    script.arrived(link);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
}

TEST_F(ClientWatch, that_was_never_answered_is_asked_elsewhere_before_its_deadline) {
    Link& link = script.greet();
    EXPECT_EQ(asked_from(watch(link)), 0);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
    Link& next = script.greet_quietly();
    EXPECT_EQ(asked_from(script.only(next)), 0);
}

TEST_F(ClientWatch, whose_server_has_no_leader_goes_on_elsewhere_behind_what_it_was_told) {
    Link& link = script.greet();
    const Seen first = watch(link);
    create(first, 5);
    tell(first, 7);
    script.reply_error(first, api::Errc::no_leader);
    script.turn(2);
    const Seen same = script.only(link);
    EXPECT_EQ(asked_from(same), 8);
    script.reply_error(same, api::Errc::no_leader);
    script.pass(1s);
    EXPECT_TRUE(link.closed);
    Link& next = script.greet_quietly();
    EXPECT_NE(next.address.host, "a");
    const Seen again = script.only(next);
    EXPECT_EQ(asked_from(again), 8);
    create(again, 9);
    tell(again, 9);
    EXPECT_EQ(told, (std::vector<api::Revision>{7, 9}));
    EXPECT_EQ(news, (std::vector{Kind::created, Kind::revision, Kind::resumed, Kind::revision}));
}

TEST_F(ClientWatch, s_of_one_client_are_no_burden_where_no_server_has_a_leader_and_go_on_soon_after) {
    constexpr std::size_t count = 1000;
    Link* link = &script.greet();
    for (std::size_t i = 0; i < count; i++) {
        start();
    }
    const auto first = script.arrived(*link);
    ASSERT_EQ(first.size(), count);
    for (const Seen& seen : first) {
        create(seen, 5);
    }
    for (const Seen& seen : first) {
        script.reply_error(seen, api::Errc::no_leader);
    }
    const std::size_t links = script.network.link_count();
    std::size_t asked = 0;
    serve(link, 10s, [&](const Seen& seen) {
        ASSERT_EQ(asked_from(seen), 6);
        script.reply_error(seen, api::Errc::no_leader);
        asked++;
    });
    EXPECT_GT(asked, 5 * count);
    EXPECT_LT(asked, 15 * count);
    EXPECT_LT(script.network.link_count() - links, 20U) << "each is a connection made anew";
    EXPECT_EQ(news, std::vector<Kind>(count, Kind::created));
    serve(link, 2s, [&](const Seen& seen) { create(seen, 5); });
    EXPECT_EQ(news.size(), 2 * count) << "all went on";
    EXPECT_EQ(std::ranges::count(news, Kind::resumed), count);
}

TEST_F(ClientWatch, that_an_older_node_cancels_for_want_of_a_leader_goes_on) {
    Link& link = script.greet();
    const Seen first = watch(link);
    create(first, 5);
    tell(first, 7);
    cancel(first, "etcdserver: no leader");
    const Seen again = script.only(link);
    EXPECT_EQ(asked_from(again), 8);
    create(again, 9);
    cancel(again, "etcdserver: something else");
    EXPECT_EQ(news, (std::vector{Kind::created, Kind::revision, Kind::resumed, Kind::ended}));
    EXPECT_TRUE(script.arrived(link).empty());
}

wire::ClientHelloReply three_requests() { return {.requests_max = 3, .server_version = {}}; }

TEST_F(ClientWatch, takes_one_of_the_servers_places_until_its_first_frame) {
    Link& link = script.greet(three_requests());
    const Seen one = watch(link, "one");
    const Seen two = watch(link, "two");
    script.put("waits", "v", 60s);
    EXPECT_TRUE(script.arrived(link).empty()) << "the last place is the question's";
    create(one, 5);
    EXPECT_EQ(script.only(link).key(), "waits");
    script.put("waits too", "v", 60s);
    tell(one, 6);
    EXPECT_TRUE(script.arrived(link).empty()) << "its place is free already";
    script.reply_error(two, api::Errc::too_many_requests);
    EXPECT_EQ(script.only(link).key(), "waits too");
}

TEST_F(ClientWatch, that_nobody_waits_for_any_more_holds_its_place_until_its_first_frame) {
    Link& link = script.greet(three_requests());
    const Seen left = watch(link, "left");
    const Seen there = watch(link, "there");
    watches.front()->stop();
    script.put("waits", "v", 60s);
    EXPECT_TRUE(script.arrived(link).empty());
    create(left, 5);
    const auto seen = script.arrived(link);
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[0].kind, wire::ClientKind::cancel);
    EXPECT_EQ(seen[1].key(), "waits");
    script.put("waits too", "v", 60s);
    tell(left, 6);
    EXPECT_TRUE(script.arrived(link).empty()) << "its place is free already";
    create(there, 6);
    EXPECT_EQ(script.only(link).key(), "waits too");
}

}  // namespace
}  // namespace ringfort::client::test
