// Clients that route themselves: redirects followed, leaders learned, connections moved.
#include <gtest/gtest.h>

#include "core_script.h"

namespace ringfort::client::test {
namespace {

CoreOptions following(std::size_t connections = 1) {
    CoreOptions options = CoreScript::three();
    options.follow_leader = true;
    options.connections = connections;
    return options;
}

Link* link_to(CoreScript& script, const std::string& host) {
    for (std::size_t i = script.network.link_count(); i > 0; i--) {
        Link& link = script.network.link(i - 1);
        if (link.address.host == host && !link.closed) {
            return &link;
        }
    }
    return nullptr;
}

TEST(ClientRedirects, only_a_client_that_follows_asks_for_redirects) {
    for (const bool follow : {false, true}) {
        CoreOptions options = CoreScript::three();
        options.follow_leader = follow;
        CoreScript script(options);
        Link& link = script.greet();
        script.put("k");
        EXPECT_EQ(script.only(link).request->redirect, follow);
    }
}

TEST(ClientRedirects, a_redirect_goes_to_the_connection_that_leads_there) {
    CoreScript script(following(3));
    script.turn();
    for (std::size_t i = 0; i < 3; i++) {
        script.greet(script.network.link(i), {});
    }
    const std::uint64_t token = script.put("k");
    script.turn(2);
    Link* first = nullptr;
    for (std::size_t i = 0; i < 3; i++) {
        first = script.network.link(i).sends.size() > 1 ? &script.network.link(i) : first;
    }
    ASSERT_NE(first, nullptr);
    Link& leader = *link_to(script, first->address.host == "c" ? "b" : "c");
    const std::string address = leader.address.host + ":" + std::to_string(leader.address.port);
    script.reply_error(script.only(*first), api::Errc::not_leader, address);
    const Seen again = script.only(leader);
    EXPECT_TRUE(again.request->redirect);
    script.reply_put(again, 4);
    EXPECT_EQ(script.answer(token).revision, 4);
    EXPECT_EQ(script.core->counters().redirects, 1U);
}

TEST(ClientRedirects, without_a_connection_there_the_servers_forward_and_the_connection_moves_when_it_owes_nothing) {
    CoreScript script(following());
    Link& first = script.greet();
    const std::uint64_t token = script.put("k");
    script.reply_error(script.only(first), api::Errc::not_leader, "c:3");
    const Seen again = script.only(first);
    EXPECT_FALSE(again.request->redirect);
    const std::uint64_t later = script.put("later");   // takes the new road
    EXPECT_TRUE(script.arrived(first).empty());
    script.reply_put(again, 4);
    EXPECT_EQ(script.answer(token).revision, 4);
    script.turn(2);
    EXPECT_TRUE(first.closed);
    Link* moved = link_to(script, "c");
    ASSERT_NE(moved, nullptr);
    script.network.accept(*moved);
    script.arrived(*moved);
    wire::OutBuffer out;
    wire::encode_client_hello_reply({}, out);
    script.network.deliver(*moved, {out.at(0), out.pending_bytes()});
    script.turn();
    script.reply_put(script.only(*moved), 5);
    EXPECT_EQ(script.answer(later).revision, 5);
    EXPECT_EQ(script.core->counters().connections_lost, 0U) << "a move is no loss";
}

TEST(ClientRedirects, a_leader_that_was_not_among_the_endpoints_is_learned) {
    CoreScript script(following());
    Link& first = script.greet();
    script.put("k");
    script.reply_error(script.only(first), api::Errc::not_leader, "[fd00::7]:2379");
    script.reply_put(script.only(first), 4);
    script.turn(2);
    EXPECT_EQ(script.network.newest().address, (env::Address{"fd00::7", 2379}));
}

TEST(ClientRedirects, a_redirect_without_an_address_or_with_garbage_is_tried_again) {
    for (const char* address : {"", "nowhere", ":1", "host:0", "host:99999", "::1:5"}) {
        CoreScript script(following());
        Link& link = script.greet();
        const std::uint64_t token = script.put("k");
        script.reply_error(script.only(link), api::Errc::not_leader, address);
        script.reply_put(script.only(link), 4);
        EXPECT_EQ(script.answer(token).revision, 4) << address;
        EXPECT_EQ(script.network.link_count(), 1U) << address;
    }
}

// Two nodes that each name the other: the request is not sent to and fro without end or pause.
TEST(ClientRedirects, redirects_in_a_circle_are_left_to_the_servers_and_paused) {
    CoreScript script(following(2));
    script.turn();
    script.greet(script.network.link(0), {});
    script.greet(script.network.link(1), {});
    const std::uint64_t token = script.put("k", "v", 1s);
    std::size_t tries = 0;
    std::size_t not_asking = 0;
    while (script.answer(token).count == 0) {
        for (std::size_t i = 0; i < script.network.link_count(); i++) {
            Link& link = script.network.link(i);
            if (link.closed) {
                continue;
            }
            if (!link.connected) {
                script.greet(link, {});
            }
            for (const Seen& seen : script.arrived(link)) {
                tries++;
                not_asking += seen.request->redirect ? 0U : 1U;
                script.reply_error(seen, api::Errc::not_leader, link.address.host == "a" ? "b:2" : "a:1");
            }
        }
        script.pass(1ms);
    }
    EXPECT_EQ(script.answer(token).error, api::Errc::not_leader);
    EXPECT_LT(tries, 40U);
    EXPECT_GT(not_asking, 0U);
}

// Behind address translation clients may not reach what servers advertise: one try, then the servers forward.
TEST(ClientRedirects, a_leader_that_cannot_be_reached_is_not_gone_to_again_for_a_minute) {
    CoreScript script(following());
    std::size_t dials = 0;
    const std::int64_t end = script.clock.now().ns + 50'000'000'000;
    script.turn();
    while (script.clock.now().ns < end) {
        Link& link = script.network.newest();
        if (link.address.host == "nat") {
            dials++;
            script.network.refuse(link);
            script.turn(2);
            continue;
        }
        if (!link.connected) {
            script.greet(link, {});
        }
        const std::uint64_t token = script.put("k");
        for (int i = 0; i < 3; i++) {
            for (const Seen& seen : script.arrived(link)) {
                if (seen.request->redirect) {
                    script.reply_error(seen, api::Errc::not_leader, "nat:9");
                } else {
                    script.reply_put(seen, 1);
                }
            }
        }
        EXPECT_EQ(script.answer(token).count, 1U);
        script.pass(50ms);
    }
    EXPECT_EQ(dials, 1U);
}

TEST(ClientRedirects, a_connection_moves_no_more_than_ten_times_a_second) {
    CoreScript script(following());
    std::size_t moves = 0;
    script.turn();
    const std::int64_t end = script.clock.now().ns + 1'000'000'000;
    while (script.clock.now().ns < end) {
        Link& link = script.network.newest();
        if (!link.connected) {
            script.greet(link, {});
            moves++;
        }
        script.put("k");
        for (int i = 0; i < 3; i++) {
            for (const Seen& seen : script.arrived(link)) {
                if (seen.request->redirect) {
                    script.reply_error(seen, api::Errc::not_leader, link.address.host == "a" ? "b:2" : "a:1");
                } else {
                    script.reply_put(seen, 1);
                }
            }
        }
        script.pass(5ms);
    }
    EXPECT_LE(moves, 13U);
    EXPECT_GE(moves, 4U);
}

}  // namespace
}  // namespace ringfort::client::test
