// Which endpoint is dialled when, what is said first, and how a connection ends.
#include <gtest/gtest.h>

#include <algorithm>

#include "core_script.h"

namespace ringfort::client::test {
namespace {

CoreOptions with_connections(std::size_t count) {
    CoreOptions options = CoreScript::three();
    options.connections = count;
    return options;
}

TEST(ClientConnections, says_preamble_and_hello_with_name_cluster_and_credit) {
    CoreOptions options = CoreScript::three();
    options.name = "a test";
    options.cluster_id = ClusterId(77);
    options.reply_credit_bytes = 12345;
    CoreScript script(options);
    script.turn();
    script.network.accept(script.network.newest());
    const Seen hello = script.only(script.network.newest());
    EXPECT_EQ(hello.kind, wire::ClientKind::hello);
    EXPECT_EQ(hello.id, 0U);
    EXPECT_EQ(hello.hello.client_name, "a test");
    EXPECT_EQ(hello.hello.cluster_id, ClusterId(77));
    EXPECT_EQ(hello.hello.reply_credit_bytes, 12345U);
}

TEST(ClientConnections, requests_wait_for_the_hello_and_then_leave_in_one_send) {
    CoreScript script;
    for (int i = 0; i < 5; i++) {
        script.put("k" + std::to_string(i));
    }
    script.turn();
    Link& link = script.network.newest();
    script.network.accept(link);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::hello);
    EXPECT_FALSE(script.core->connected());
    wire::OutBuffer out;
    wire::encode_client_hello_reply({}, out);
    const std::size_t sends = link.sends.size();
    script.network.deliver(link, {out.at(0), out.pending_bytes()});
    script.turn();
    EXPECT_TRUE(script.core->connected());
    EXPECT_EQ(link.sends.size(), sends + 1);
    const auto seen = script.arrived(link);
    ASSERT_EQ(seen.size(), 5U);
    for (std::size_t i = 0; i < 5; i++) {
        EXPECT_EQ(seen[i].key(), "k" + std::to_string(i));
    }
}

TEST(ClientConnections, endpoints_are_tried_in_order_and_then_again_and_again_without_forgetting_one) {
    CoreScript script;
    std::string tried;
    for (int i = 0; i < 15; i++) {
        const std::size_t before = script.network.link_count();
        for (int ms = 0; ms < 3000 && script.network.link_count() == before; ms++) {
            script.pass(1ms);
        }
        ASSERT_GT(script.network.link_count(), before);
        tried += script.network.newest().address.host;
        script.network.refuse(script.network.newest());
    }
    EXPECT_EQ(tried.substr(0, 3), "abc");
    for (const char host : {'a', 'b', 'c'}) {
        EXPECT_GE(std::ranges::count(tried, host), 4) << tried;
    }
}

TEST(ClientConnections, the_first_endpoint_can_be_chosen) {
    CoreOptions options = CoreScript::three();
    options.first_endpoint = 2;
    CoreScript script(options);
    script.turn();
    EXPECT_EQ(script.network.newest().address.host, "c");
}

TEST(ClientConnections, several_connections_are_spread_over_the_endpoints) {
    CoreScript script(with_connections(4));
    script.turn();
    std::string tried;
    for (std::size_t i = 0; i < script.network.link_count(); i++) {
        tried += script.network.link(i).address.host;
    }
    EXPECT_EQ(tried, "abca");
}

TEST(ClientConnections, the_pause_before_a_dead_endpoint_grows_to_a_second_and_not_beyond) {
    CoreOptions options;
    options.endpoints = {{"a", 1}};
    CoreScript script(options);
    std::vector<std::int64_t> pauses;
    std::int64_t last = 0;
    for (int ms = 0; ms < 20'000 && pauses.size() < 14; ms++) {
        const std::size_t before = script.network.link_count();
        script.pass(1ms);
        if (script.network.link_count() > before) {
            if (last != 0) {
                pauses.push_back((script.clock.now().ns - last) / 1'000'000);
            }
            last = script.clock.now().ns;
            script.network.refuse(script.network.newest());
        }
    }
    ASSERT_EQ(pauses.size(), 14U);
    EXPECT_LE(pauses.front(), 33);            // 20 ms, half to one and a half of it
    EXPECT_GE(pauses.front(), 10);
    for (const std::int64_t pause : pauses) {
        EXPECT_LE(pause, 1503);
    }
    EXPECT_GE(pauses.back(), 500);
}

TEST(ClientConnections, an_endpoint_that_accepts_late_is_left_at_the_dial_timeout) {
    CoreOptions options = CoreScript::three();
    options.dial_timeout = 300ms;
    CoreScript script(options);
    script.turn();
    Link& silent = script.network.newest();
    script.pass(299ms);
    EXPECT_FALSE(silent.closed);
    script.pass(4ms);
    EXPECT_TRUE(silent.closed);
    EXPECT_EQ(script.network.newest().address.host, "b");

    // The same for one that accepts and never greets.
    Link& mute = script.network.newest();
    script.network.accept(mute);
    script.pass(310ms);
    EXPECT_TRUE(mute.closed);
    EXPECT_EQ(script.network.newest().address.host, "c");
}

TEST(ClientConnections, after_a_loss_the_next_endpoint_is_dialled_at_once) {
    CoreScript script;
    Link& first = script.greet();
    script.network.break_off(first);
    script.turn(2);
    EXPECT_EQ(script.network.link_count(), 2U);
    EXPECT_EQ(script.network.newest().address.host, "b");
    EXPECT_EQ(script.core->counters().connections_lost, 1U);
    EXPECT_EQ(script.core->counters().connects, 1U);
}

TEST(ClientConnections, a_recovered_endpoint_starts_with_a_short_pause_again) {
    CoreOptions options;
    options.endpoints = {{"a", 1}};
    CoreScript script(options);
    for (int failures = 0; failures < 8;) {
        const std::size_t before = script.network.link_count();
        script.pass(1ms);
        if (script.network.link_count() > before) {
            script.network.refuse(script.network.newest());
            failures++;
        }
    }
    std::size_t before = script.network.link_count();
    for (int ms = 0; ms < 3000 && script.network.link_count() == before; ms++) {
        script.pass(1ms);
    }
    Link& good = script.greet();
    before = script.network.link_count();
    script.network.break_off(good);
    script.pass(35ms);
    EXPECT_EQ(script.network.link_count(), before + 1);
}

// ---------------------------------------------------------------------------------------------- refusals

TEST(ClientConnections, a_cluster_of_another_id_is_a_definite_error_at_once_when_all_refuse) {
    CoreOptions options = CoreScript::three();
    options.cluster_id = ClusterId(77);
    CoreScript script(options);
    const std::uint64_t token = script.put("k");
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(script.answer(token).count, 0U) << i;
        wire::ClientHelloReply stranger;
        stranger.cluster_id = ClusterId(78);
        script.greet(stranger);
    }
    EXPECT_EQ(script.answer(token).count, 1U);
    EXPECT_EQ(script.answer(token).error, api::Errc::cluster_id_mismatch);
    EXPECT_FALSE(script.core->connected());
}

TEST(ClientConnections, what_a_server_refuses_in_its_hello_is_told) {
    for (const api::Errc code : {api::Errc::cluster_id_mismatch, api::Errc::unsupported_version}) {
        CoreOptions options;
        options.endpoints = {{"a", 1}};
        CoreScript script(options);
        const std::uint64_t token = script.get("k");
        script.turn();
        Link& link = script.network.newest();
        script.network.accept(link);
        script.turn();
        script.refuse_hello(link, code, "because");
        EXPECT_TRUE(link.closed);
        EXPECT_EQ(script.answer(token).error, code);
        EXPECT_NE(script.answer(token).detail.find("a:1: because"), std::string::npos) << script.answer(token).detail;
    }
}

TEST(ClientConnections, one_right_cluster_among_wrong_ones_is_enough) {
    CoreOptions options = CoreScript::three();
    options.cluster_id = ClusterId(77);
    CoreScript script(options);
    const std::uint64_t token = script.put("k");
    wire::ClientHelloReply hello;
    hello.cluster_id = ClusterId(78);
    script.greet(hello);
    hello.cluster_id = ClusterId(77);
    script.turn();
    Link& good = script.network.newest();
    script.network.accept(good);
    script.arrived(good);
    wire::OutBuffer out;
    wire::encode_client_hello_reply(hello, out);
    script.network.deliver(good, {out.at(0), out.pending_bytes()});
    script.turn();
    script.reply_put(script.only(good), 5);
    EXPECT_EQ(script.answer(token).error, api::Errc::ok);
    EXPECT_EQ(script.answer(token).revision, 5);
}

TEST(ClientConnections, a_stopping_node_is_tried_again_later) {
    CoreOptions options;
    options.endpoints = {{"a", 1}};
    CoreScript script(options);
    const std::uint64_t token = script.put("k");
    script.turn();
    Link& link = script.network.newest();
    script.network.accept(link);
    script.turn();
    script.refuse_hello(link, api::Errc::stopped);
    EXPECT_EQ(script.answer(token).count, 0U);
    script.pass(35ms);
    Link& again = script.network.newest();
    script.network.accept(again);
    script.arrived(again);
    wire::OutBuffer out;
    wire::encode_client_hello_reply({}, out);
    script.network.deliver(again, {out.at(0), out.pending_bytes()});
    script.turn();
    script.reply_put(script.only(again), 5);
    EXPECT_EQ(script.answer(token).error, api::Errc::ok);
}

TEST(ClientConnections, a_write_refused_by_a_stopping_node_goes_elsewhere_and_the_node_is_left) {
    CoreScript script(CoreScript::three());
    Link& first = script.greet();
    const std::uint64_t token = script.put("k");
    script.reply_error(script.only(first), api::Errc::stopped);
    script.turn();
    EXPECT_TRUE(first.closed);
    Link& second = script.greet_quietly();
    script.reply_put(script.only(second), 9);
    EXPECT_EQ(script.answer(token).error, api::Errc::ok);
    EXPECT_EQ(script.answer(token).revision, 9);
}

TEST(ClientConnections, after_a_goodbye_answers_are_taken_and_new_requests_go_elsewhere) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t sent = script.put("sent");
    const Seen seen = script.only(link);
    script.refuse_hello(link, api::Errc::stopped);
    EXPECT_FALSE(link.closed);
    const std::uint64_t later = script.put("later");
    EXPECT_TRUE(script.arrived(link).empty());
    script.reply_put(seen, 5);
    EXPECT_EQ(script.answer(sent).revision, 5);
    EXPECT_TRUE(link.closed) << "it owes nothing any more";
    Link& next = script.network.newest();
    EXPECT_EQ(next.address.host, "b");
    script.network.accept(next);
    script.arrived(next);
    wire::OutBuffer out;
    wire::encode_client_hello_reply({}, out);
    script.network.deliver(next, {out.at(0), out.pending_bytes()});
    script.turn();
    script.reply_put(script.only(next), 6);
    EXPECT_EQ(script.answer(later).revision, 6);
    EXPECT_EQ(script.core->counters().protocol_errors, 0U);
}

TEST(ClientConnections, what_is_no_hello_closes_the_connection_and_counts) {
    wire::OutBuffer credit;
    wire::encode_credit(0, 1, credit);
    std::string short_hello(16, '\0');
    short_hello[0] = 16;
    short_hello[4] = 1;
    std::string broken_error = short_hello;
    broken_error[5] = wire::flag_error;
    const std::vector<std::string> strangers{
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        std::string(64, '\0'),
        std::string(64, '\xff'),
        std::string(as_text({credit.at(0), credit.pending_bytes()})),
        short_hello,
        broken_error,
    };
    for (const std::string& bytes : strangers) {
        CoreScript script;
        script.put("k");
        script.turn();
        Link& link = script.network.newest();
        script.network.accept(link);
        script.turn(2);
        script.deliver(link, bytes);
        EXPECT_TRUE(link.closed) << testing::PrintToString(bytes);
        EXPECT_EQ(script.core->counters().protocol_errors, 1U) << testing::PrintToString(bytes);
        EXPECT_EQ(script.network.newest().address.host, "b");
        EXPECT_EQ(script.answered(), 0U);
    }
}

TEST(ClientConnections, a_hello_in_single_bytes_is_a_hello) {
    CoreScript script;
    script.turn();
    Link& link = script.network.newest();
    script.network.accept(link);
    script.turn();
    wire::OutBuffer out;
    wire::encode_client_hello_reply({.server_version = "1.2.3"}, out);
    for (std::size_t i = 0; i < out.pending_bytes(); i++) {
        EXPECT_FALSE(script.core->connected());
        script.deliver(link, as_text({out.at(i), 1}));
    }
    EXPECT_TRUE(script.core->connected());
}

// ---------------------------------------------------------------------------------------------- silence

TEST(ClientConnections, a_silent_server_is_asked_once_and_then_left) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k", "v", 10s);
    script.arrived(link);
    script.pass(1100ms);
    const Seen ping = script.only(link);
    EXPECT_EQ(ping.kind, wire::ClientKind::status);
    EXPECT_FALSE(link.closed);
    script.pass(1100ms);
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
}

// What was asked stands before the question, and a slow network needs its time for it.
TEST(ClientConnections, a_silent_server_is_given_the_time_that_large_requests_take) {
    CoreScript script;
    Link& link = script.greet();
    script.put("k", std::string(1 << 20, 'v'), 10s);
    script.arrived(link);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    script.pass(1900ms);
    EXPECT_FALSE(link.closed);
    script.pass(200ms);
    EXPECT_TRUE(link.closed);
}

// An answer shows that what stood before the question has arrived, and the next one waits behind nothing.
TEST(ClientConnections, a_server_that_stands_still_after_an_answer_is_left_as_soon_as_any) {
    CoreScript script;
    Link& link = script.greet();
    script.put("k", std::string(8 << 20, 'v'), 60s);
    script.arrived(link);
    script.pass(1100ms);
    const Seen ping = script.only(link);
    api::Response status;
    status.body = api::Result(api::StatusResponse{});
    script.reply(ping, status);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    EXPECT_FALSE(link.closed);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
}

TEST(ClientConnections, a_large_request_the_server_has_gives_it_no_more_time) {
    CoreScript script;
    Link& link = script.greet();
    script.put("k", std::string(8 << 20, 'v'), 60s);
    script.arrived(link);
    script.put("k", "v", 60s);
    script.reply_put(script.only(link), 2);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
}

// The answer to the first question says nothing of what was sent behind it, however many were asked since.
TEST(ClientConnections, an_answer_to_an_older_question_carries_nothing_that_was_sent_after_it) {
    CoreScript script;
    Link& link = script.greet();
    script.put("k", "v", 60s);
    const Seen small = script.only(link);
    script.put("k", std::string(4 << 20, 'v'), 60s);
    script.arrived(link);
    script.pass(1100ms);
    const Seen ping = script.only(link);
    script.reply_put(small, 2);
    script.put("k", std::string(8 << 20, 'v'), 60s);
    script.put("k", std::string(8 << 20, 'v'), 60s);
    script.arrived(link);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    api::Response status;
    status.body = api::Result(api::StatusResponse{});
    script.reply(ping, status);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    script.pass(10s);
    EXPECT_FALSE(link.closed) << "16 MiB are on the way";
    script.pass(10s);
    EXPECT_TRUE(link.closed);
}

TEST(ClientConnections, a_silent_server_is_not_given_more_time_than_a_large_request_has_left) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t large = script.put("k", std::string(8 << 20, 'v'), 3s);
    script.arrived(link);
    script.pass(1100ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    const std::uint64_t small = script.put("k", "v", 60s);
    script.pass(2000ms);
    EXPECT_EQ(script.answer(large).error, api::Errc::timed_out);
    EXPECT_FALSE(link.closed);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.answer(small).error, api::Errc::connection_lost);
}

// Counted from its last frame, wherever that stood between two looks of ours.
TEST(ClientConnections, a_server_is_left_two_keepalive_times_after_its_last_frame) {
    CoreScript script;
    Link& link = script.greet();
    script.put("k", "v", 10s);
    script.pass(50ms);
    script.reply_put(script.only(link), 2);
    script.put("k", "v", 10s);
    script.arrived(link);
    script.pass(1050ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status);
    EXPECT_FALSE(link.closed);
    script.pass(1050ms);
    EXPECT_TRUE(link.closed);
}

TEST(ClientConnections, an_answered_ping_keeps_the_connection) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k", "v", 20s);
    const Seen put = script.only(link);
    for (int i = 0; i < 5; i++) {
        script.pass(1500ms);
        for (const Seen& ping : script.arrived(link)) {
            api::Response status;
            status.body = api::Result(api::StatusResponse{});
            script.reply(ping, status);
        }
    }
    EXPECT_FALSE(link.closed);
    script.reply_put(put, 9);
    EXPECT_EQ(script.answer(token).revision, 9);
    EXPECT_EQ(script.answered(), 1U);
}

TEST(ClientConnections, an_idle_connection_is_neither_asked_nor_left) {
    CoreScript script;
    Link& link = script.greet();
    script.pass(10s);
    EXPECT_TRUE(script.arrived(link).empty());
    EXPECT_FALSE(link.closed);
    // Its silence until now does not count against the first request.
    script.put("k");
    script.arrived(link);
    script.pass(900ms);
    EXPECT_TRUE(script.arrived(link).empty());
}

TEST(ClientConnections, a_server_busy_with_all_it_takes_can_still_be_asked_and_is_not_left) {
    CoreScript script;
    Link& link = script.greet({.requests_max = 4, .server_version = {}});
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 10; i++) {
        tokens.push_back(script.put("k", "v", 60s));
    }
    const auto sent = script.arrived(link);
    ASSERT_EQ(sent.size(), 3U) << "the last place is the question's";
    for (int i = 0; i < 5; i++) {
        script.pass(1500ms);
        const auto asked = script.arrived(link);
        ASSERT_LE(asked.size(), 1U);
        for (const Seen& ping : asked) {
            EXPECT_EQ(ping.kind, wire::ClientKind::status);
            api::Response status;
            status.body = api::Result(api::StatusResponse{});
            script.reply(ping, status);
        }
    }
    EXPECT_FALSE(link.closed);
    script.reply_put(sent[0], 1);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::put) << "an answer makes room";
    EXPECT_EQ(script.answered(), 1U);
}

TEST(ClientConnections, a_server_that_takes_one_request_at_a_time_is_not_left_for_its_silence) {
    CoreScript script;
    Link& link = script.greet({.requests_max = 1, .server_version = {}});
    const std::uint64_t token = script.put("k", "v", 60s);
    script.put("next", "v", 60s);
    const Seen sent = script.only(link);
    script.pass(10s);
    EXPECT_TRUE(script.arrived(link).empty());
    EXPECT_FALSE(link.closed);
    script.reply_put(sent, 7);
    EXPECT_EQ(script.answer(token).revision, 7);
    EXPECT_EQ(script.only(link).key(), "next");
}

TEST(ClientConnections, a_request_nobody_waits_for_holds_its_place_until_it_is_answered) {
    CoreScript script;
    Link& link = script.greet({.requests_max = 3, .server_version = {}});
    const std::uint64_t given_up = script.put("given up", "v", 60s);
    script.put("expired", "v", 10ms);
    const auto sent = script.arrived(link);
    ASSERT_EQ(sent.size(), 2U);
    script.core->cancel(given_up);
    script.pass(20ms);
    script.put("next", "v", 60s);
    EXPECT_TRUE(script.arrived(link).empty());
    script.reply_put(sent[1], 1);
    EXPECT_EQ(script.only(link).key(), "next");
}

TEST(ClientConnections, a_silent_server_is_left_also_when_nobody_waits_for_its_answers_any_more) {
    CoreScript script;
    Link& link = script.greet({.requests_max = 3, .server_version = {}});
    script.put("k", "v", 100ms);
    script.put("k", "v", 100ms);
    ASSERT_EQ(script.arrived(link).size(), 2U);
    script.pass(900ms);
    ASSERT_EQ(script.answered(), 2U);
    script.put("next", "v", 60s);
    script.pass(200ms);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::status) << "both places are held";
    EXPECT_FALSE(link.closed);
    script.pass(1000ms);
    EXPECT_TRUE(link.closed);
}

TEST(ClientConnections, a_long_frame_on_its_way_is_no_silence) {
    CoreScript script;
    Link& link = script.greet();
    script.get("k", 60s);
    const Seen get = script.only(link);
    api::Response response;
    const std::string value(1000, 'v');
    const api::KeyValue pair{.key = "k", .mod_revision = 1, .value = value};
    response.body = api::Result(api::RangeResponse{{&pair, 1}, false, 1});
    wire::OutBuffer out;
    ASSERT_TRUE(wire::encode_response(get.id, get.kind, response, out));
    for (std::size_t i = 0; i + 100 < out.pending_bytes(); i += 100) {
        script.network.deliver(link, {out.at(i), 100});
        script.pass(900ms);
        EXPECT_TRUE(script.arrived(link).empty());
    }
    EXPECT_FALSE(link.closed);
}

TEST(ClientConnections, memory_of_a_send_outlives_the_connection_until_the_network_lets_go) {
    CoreScript script;
    Link& link = script.greet();
    link.hold_sends = true;
    script.put("k", std::string(1000, 'x'), 10s);
    script.turn();
    ASSERT_FALSE(link.sending.empty());
    script.pass(2200ms);                     // silent: the core closes
    ASSERT_TRUE(link.closed);
    const Bytes in_kernel = link.sending;
    script.pass(50ms);
    std::string copy(as_text(in_kernel));    // the sanitizer knows whether it is still there
    EXPECT_NE(copy.find(std::string(900, 'x')), std::string::npos);
    link.sending = {};
    script.pass(50ms);
}

}  // namespace
}  // namespace ringfort::client::test
