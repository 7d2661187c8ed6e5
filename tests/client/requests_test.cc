// The way of a request: answered in any order, lost, tried again, expired, refused at a bound.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/prng.h"
#include "core_script.h"

namespace ringfort::client::test {
namespace {

TEST(ClientRequests, answers_out_of_order_reach_their_requests) {
    CoreScript script;
    Link& link = script.greet();
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 200; i++) {
        tokens.push_back(script.put("k" + std::to_string(i)));
    }
    std::vector<Seen> seen = script.arrived(link);
    ASSERT_EQ(seen.size(), 200U);
    Prng prng(3);
    while (!seen.empty()) {
        const std::size_t at = prng.below(seen.size());
        script.reply_put(seen[at], std::stoi(seen[at].key().substr(1)) + 1000);
        seen.erase(seen.begin() + static_cast<std::ptrdiff_t>(at));
    }
    for (std::size_t i = 0; i < tokens.size(); i++) {
        EXPECT_EQ(script.answer(tokens[i]).revision, static_cast<api::Revision>(i) + 1000);
    }
    EXPECT_EQ(script.core->pending(), 0U);
}

TEST(ClientRequests, a_frame_for_nobody_is_ignored) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    Seen seen = script.only(link);
    const std::uint64_t id = seen.id;
    for (const std::uint64_t other : std::initializer_list<std::uint64_t>{id + 1, id + (1ULL << 32), 0, UINT64_MAX}) {
        seen.id = other;
        script.reply_put(seen, 1);
    }
    EXPECT_EQ(script.answer(token).count, 0U);
    seen.id = id;
    script.reply_put(seen, 2);
    script.reply_put(seen, 3);   // twice answered: the second is for nobody
    EXPECT_EQ(script.answer(token).count, 1U);
    EXPECT_EQ(script.answer(token).revision, 2);
    EXPECT_FALSE(link.closed);
}

// ---------------------------------------------------------------------------------------------- lost connections

TEST(ClientRequests, a_write_that_left_is_not_sent_again_when_the_connection_is_lost) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    script.only(link);
    script.network.break_off(link);
    script.turn();
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
    EXPECT_EQ(api::error_class(script.answer(token).error), api::ErrorClass::indefinite);
    Link& next = script.greet();
    EXPECT_TRUE(script.arrived(next).empty());
}

TEST(ClientRequests, a_write_still_in_flight_to_the_kernel_counts_as_left) {
    CoreScript script;
    Link& link = script.greet();
    link.hold_sends = true;
    const std::uint64_t token = script.put("k");
    script.turn();
    EXPECT_FALSE(link.sending.empty());
    script.network.break_off(link);
    script.turn();
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
}

TEST(ClientRequests, a_write_that_never_left_is_sent_elsewhere_when_the_connection_is_lost) {
    CoreScript script;
    Link& link = script.greet();
    link.hold_sends = true;
    const std::uint64_t left = script.put("left");
    script.turn();
    const std::uint64_t waited = script.put("waited");   // behind the send that is not over
    script.turn();
    EXPECT_EQ(link.sends.back(), link.sending.size());
    script.network.break_off(link);
    script.turn();
    EXPECT_EQ(script.answer(left).error, api::Errc::connection_lost);
    EXPECT_EQ(script.answer(waited).count, 0U);
    script.turn();
    Link& next = script.network.newest();
    EXPECT_EQ(next.address.host, "b");
    script.network.accept(next);
    script.arrived(next);
    wire::OutBuffer out;
    wire::encode_client_hello_reply({}, out);
    script.network.deliver(next, {out.at(0), out.pending_bytes()});
    script.turn();
    const Seen again = script.only(next);
    EXPECT_EQ(again.key(), "waited");
    script.reply_put(again, 8);
    EXPECT_EQ(script.answer(waited).revision, 8);
}

TEST(ClientRequests, a_read_that_left_is_sent_again_with_the_time_that_remains) {
    CoreOptions options = CoreScript::three();
    options.connections = 2;
    CoreScript script(options);
    script.turn();
    script.greet(script.network.link(0), {});
    script.greet(script.network.link(1), {});
    const std::uint64_t token = script.get("k", 3s);
    script.turn(2);
    Link& first = script.network.link(0).sends.size() > 1 ? script.network.link(0) : script.network.link(1);
    Link& second = &first == &script.network.link(0) ? script.network.link(1) : script.network.link(0);
    const Seen original = script.only(first);
    EXPECT_EQ(original.request->timeout, 3s);
    script.pass(500ms);
    script.network.break_off(first);
    script.turn();
    const Seen again = script.only(second);
    EXPECT_EQ(again.key(), "k");
    EXPECT_LE(again.request->timeout, 2500ms);
    EXPECT_GE(again.request->timeout, 2490ms);
    script.reply_range(again, {"k"});
    EXPECT_EQ(script.answer(token).keys, std::vector<std::string>{"k"});
    EXPECT_EQ(script.core->counters().retries, 1U);
}

TEST(ClientRequests, a_transaction_is_a_read_only_if_no_branch_can_write) {
    const api::RequestOp range{api::RangeRequest{.key = "k", .range_end = {}}};
    const api::RequestOp put{api::PutRequest{.key = "k", .value = "v"}};
    const api::RequestOp nested_put{api::TxnRequest{.compare = {}, .success = {}, .failure = {&put, 1}}};
    const auto outcome = [](const api::TxnRequest& txn) {
        CoreScript script;
        Link& link = script.greet();
        api::Request request;
        request.op = txn;
        const std::uint64_t token = script.submit(request);
        script.only(link);
        script.network.break_off(link);
        script.turn();
        return script.answer(token).error;
    };
    EXPECT_EQ(outcome({.compare = {}, .success = {&range, 1}, .failure = {&range, 1}}), api::Errc::ok);   // waits
    EXPECT_EQ(outcome({.compare = {}, .success = {&range, 1}, .failure = {&put, 1}}), api::Errc::connection_lost);
    EXPECT_EQ(outcome({.compare = {}, .success = {&range, 1}, .failure = {&nested_put, 1}}),
              api::Errc::connection_lost);
}

// ---------------------------------------------------------------------------------------------- deadlines

TEST(ClientRequests, without_any_connection_the_deadline_brings_a_definite_no_leader_with_reasons) {
    CoreScript script;
    const std::uint64_t token = script.put("k", "v", 200ms);
    for (int ms = 0; ms < 195; ms++) {
        script.pass(1ms);
        if (script.network.link_count() > 0 && !script.network.link(script.network.link_count() - 1).closed) {
            script.network.refuse(script.network.newest());
        }
    }
    EXPECT_EQ(script.answer(token).count, 0U);
    script.pass(10ms);
    EXPECT_EQ(script.answer(token).error, api::Errc::no_leader);
    EXPECT_EQ(api::error_class(api::Errc::no_leader), api::ErrorClass::definite);
    EXPECT_NE(script.answer(token).detail.find("a:1: cannot connect"), std::string::npos)
        << script.answer(token).detail;
}

TEST(ClientRequests, a_request_that_left_expires_as_timed_out_and_its_late_answer_is_dropped) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k", "v", 300ms);
    const Seen seen = script.only(link);
    script.pass(299ms);
    EXPECT_EQ(script.answer(token).count, 0U);
    script.pass(4ms);
    EXPECT_EQ(script.answer(token).error, api::Errc::timed_out);
    EXPECT_EQ(api::error_class(api::Errc::timed_out), api::ErrorClass::indefinite);
    // The place in the table is used again; the late answer is not taken for the new request's.
    const std::uint64_t next = script.put("other");
    const Seen other = script.only(link);
    script.reply_put(seen, 5);
    EXPECT_EQ(script.answer(next).count, 0U);
    script.reply_put(other, 6);
    EXPECT_EQ(script.answer(next).revision, 6);
    EXPECT_FALSE(link.closed);
}

// A reply of any size takes as long as it takes, as long as there is more of it.
TEST(ClientRequests, where_pieces_renew_the_deadline_a_long_reply_outlives_it_and_one_that_stops_does_not) {
    for (const bool renew : {true, false}) {
        CoreOptions options = CoreScript::three();
        options.pieces_renew_deadline = renew;
        CoreScript script(options);
        Link& link = script.greet();
        const std::uint64_t token = script.get("k", 300ms);
        const Seen seen = script.only(link);
        for (int piece = 0; piece < 3; piece++) {
            script.pass(200ms);
            script.reply_range(seen, {"k" + std::to_string(piece)}, true);
        }
        EXPECT_EQ(script.answer(token).pieces, renew ? 3U : 1U);
        EXPECT_EQ(script.answer(token).count, renew ? 0U : 1U);
        script.pass(305ms);
        EXPECT_EQ(script.answer(token).count, 1U);
        EXPECT_EQ(script.answer(token).error, api::Errc::timed_out);
    }
}

TEST(ClientRequests, the_clients_own_timeout_holds_where_the_request_names_none) {
    CoreOptions options = CoreScript::three();
    options.request_timeout = 100ms;
    CoreScript script(options);
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    EXPECT_EQ(script.only(link).request->timeout, 100ms);
    script.pass(105ms);
    EXPECT_EQ(script.answer(token).error, api::Errc::timed_out);
}

TEST(ClientRequests, an_answer_in_the_turn_of_the_deadline_still_counts) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k", "v", 100ms);
    const Seen seen = script.only(link);
    script.clock.advance(10s);
    script.reply_put(seen, 4);
    EXPECT_EQ(script.answer(token).revision, 4);
}

// ---------------------------------------------------------------------------------------------- errors

TEST(ClientRequests, no_leader_is_asked_again_after_a_pause_until_one_answers) {
    CoreOptions options;
    options.endpoints = {{"a", 1}};
    CoreScript script(options);
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    for (int i = 0; i < 4; i++) {
        script.reply_error(script.only(link), api::Errc::no_leader);
        EXPECT_TRUE(script.arrived(link).empty()) << "no pause before try " << i;
        script.pass(155ms);
    }
    script.reply_put(script.only(link), 7);
    EXPECT_EQ(script.answer(token).revision, 7);
    EXPECT_EQ(script.core->counters().retries, 4U);
}

// It may be cut off from the leader alone.
TEST(ClientRequests, a_node_that_knows_no_leader_is_left_for_another) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    script.reply_error(script.only(link), api::Errc::no_leader);
    script.pass(5ms);
    Link& other = script.greet();
    ASSERT_NE(&other, &link);
    EXPECT_TRUE(link.closed);
    script.pass(20ms);
    script.reply_put(script.only(other), 7);
    EXPECT_EQ(script.answer(token).revision, 7);
}

// All others were down a while ago: that keeps nobody at a node that serves nothing.
TEST(ClientRequests, a_node_that_knows_no_leader_is_left_for_one_that_could_not_be_reached_before) {
    CoreOptions options;
    options.endpoints = {{"a", 1}, {"b", 2}};
    CoreScript script(options);
    script.turn();
    while (script.network.newest().address.host != "b") {
        script.network.refuse(script.network.newest());
        script.pass(50ms);
    }
    script.network.refuse(script.network.newest());
    script.pass(50ms);
    Link& link = script.greet();
    ASSERT_EQ(link.address.host, "a");
    script.put("k", "v", 10s);
    const std::size_t before = script.network.link_count();
    for (int tries = 0; tries < 100 && script.network.link_count() == before; tries++) {
        for (const Seen& seen : script.arrived(link)) {
            script.reply_error(seen, api::Errc::no_leader);
        }
        script.pass(20ms);
    }
    ASSERT_GT(script.network.link_count(), before) << "it stays where nobody leads";
    EXPECT_EQ(script.network.newest().address.host, "b");
}

TEST(ClientRequests, no_leader_until_the_deadline_is_answered_as_no_leader) {
    CoreOptions options;
    options.endpoints = {{"a", 1}};
    CoreScript script(options);
    Link& link = script.greet();
    const std::uint64_t token = script.put("k", "v", 400ms);
    while (script.answer(token).count == 0) {
        for (const Seen& seen : script.arrived(link)) {
            script.reply_error(seen, api::Errc::no_leader);
        }
        script.pass(1ms);
    }
    EXPECT_EQ(script.answer(token).error, api::Errc::no_leader);
}

TEST(ClientRequests, a_stopping_node_sends_the_request_to_another_at_once) {
    CoreOptions options = CoreScript::three();
    options.connections = 2;
    CoreScript script(options);
    script.turn();
    script.greet(script.network.link(0), {});
    script.greet(script.network.link(1), {});
    const std::uint64_t token = script.put("k");
    script.turn(2);
    const bool zero = !script.network.link(0).sending.empty() || script.network.link(0).sends.size() > 1;
    Link& first = script.network.link(zero ? 0 : 1);
    Link& second = script.network.link(zero ? 1 : 0);
    script.reply_error(script.only(first), api::Errc::stopped);
    script.reply_put(script.only(second), 7);
    EXPECT_EQ(script.answer(token).revision, 7);
}

TEST(ClientRequests, leader_changed_is_the_callers_for_a_write_and_asked_again_for_a_read) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t write = script.put("k");
    script.reply_error(script.only(link), api::Errc::leader_changed);
    EXPECT_EQ(script.answer(write).error, api::Errc::leader_changed);
    const std::uint64_t read = script.get("k");
    script.reply_error(script.only(link), api::Errc::leader_changed);
    EXPECT_EQ(script.answer(read).count, 0U);
    script.pass(20ms);
    script.reply_range(script.only(link), {"k"});
    EXPECT_EQ(script.answer(read).error, api::Errc::ok);
}

TEST(ClientRequests, what_is_wrong_with_the_request_is_told_once_and_not_tried_again) {
    using enum api::Errc;
    for (const api::Errc code : {empty_key, too_many_ops, duplicate_key, compacted, future_revision, no_space,
                                 too_many_requests, timed_out, unsupported_request, corrupt}) {
        CoreScript script;
        Link& link = script.greet();
        const std::uint64_t token = script.get("k");
        script.reply_error(script.only(link), code, {}, "the detail");
        EXPECT_EQ(script.answer(token).error, code);
        EXPECT_EQ(script.answer(token).detail, "the detail");
        script.pass(300ms);
        EXPECT_TRUE(script.arrived(link).empty());
    }
}

// ---------------------------------------------------------------------------------------------- bounds

TEST(ClientRequests, over_the_bound_in_flight_requests_are_refused_by_the_next_turn_and_room_is_used_again) {
    CoreOptions options = CoreScript::three();
    options.in_flight_max = 4;
    CoreScript script(options);
    Link& link = script.greet();
    for (int i = 0; i < 4; i++) {
        script.put("k");
    }
    const std::uint64_t fifth = script.put("fifth");
    EXPECT_EQ(script.answer(fifth).count, 0U) << "never from inside submit()";
    EXPECT_EQ(script.core->pending(), 5U);
    const auto seen = script.arrived(link);
    EXPECT_EQ(seen.size(), 4U);
    EXPECT_EQ(script.answer(fifth).error, api::Errc::too_many_requests);
    EXPECT_EQ(api::error_class(api::Errc::too_many_requests), api::ErrorClass::definite);
    script.reply_put(seen[2], 1);
    const std::uint64_t sixth = script.put("sixth");
    script.reply_put(script.only(link), 2);
    EXPECT_EQ(script.answer(sixth).revision, 2);
}

TEST(ClientRequests, reserved_places_stand_besides_the_bound_and_take_none_of_it) {
    CoreOptions options = CoreScript::three();
    options.in_flight_max = 2;
    options.reserved_max = 1;
    options.held_bytes_max = 1;
    CoreScript script(options);
    Link& link = script.greet();
    const std::uint64_t reserved = script.submit(CoreScript::put_request("own"), Core::Place::reserved);
    const std::uint64_t first = script.put("first");
    script.turn();
    EXPECT_EQ(script.answer(first).error, api::Errc::too_many_requests) << "of held bytes";
    script.reply_put(script.only(link), 1);
    EXPECT_EQ(script.answer(reserved).revision, 1);
}

TEST(ClientRequests, reserved_places_taken_a_reserved_request_is_like_others) {
    CoreOptions options = CoreScript::three();
    options.in_flight_max = 2;
    options.reserved_max = 1;
    CoreScript script(options);
    Link& link = script.greet();
    const auto reserve = [&script] { return script.submit(CoreScript::put_request("own"), Core::Place::reserved); };
    reserve();
    script.put("first");
    const std::uint64_t like_others = reserve();
    const std::uint64_t refused = script.put("too many");
    const std::uint64_t refused_too = reserve();
    const auto seen = script.arrived(link);
    ASSERT_EQ(seen.size(), 3U);
    EXPECT_EQ(script.answer(like_others).count, 0U);
    EXPECT_EQ(script.answer(refused).error, api::Errc::too_many_requests);
    EXPECT_EQ(script.answer(refused_too).error, api::Errc::too_many_requests);
    script.reply_put(seen[0], 1);
    reserve();
    EXPECT_EQ(script.arrived(link).size(), 1U) << "its place is free again";
}

TEST(ClientRequests, over_the_bound_of_held_bytes_requests_are_refused) {
    CoreOptions options = CoreScript::three();
    options.held_bytes_max = 10'000;
    CoreScript script(options);
    const std::uint64_t first = script.put("a", std::string(9'000, 'x'));
    const std::uint64_t second = script.put("b", std::string(9'000, 'x'));   // the last that begins below the bound
    const std::uint64_t third = script.put("c", "small");
    script.turn();
    EXPECT_EQ(script.answer(first).count + script.answer(second).count, 0U);
    EXPECT_EQ(script.answer(third).error, api::Errc::too_many_requests);
    script.core->cancel(first);
    script.core->cancel(second);
    const std::uint64_t fourth = script.put("d", "small");
    script.turn();
    EXPECT_EQ(script.answer(fourth).count, 0U);
}

TEST(ClientRequests, a_connection_carries_no_more_than_the_server_takes) {
    CoreScript script;
    wire::ClientHelloReply hello;
    hello.requests_max = 4;   // one place is for asking whether it lives
    Link& link = script.greet(hello);
    for (int i = 0; i < 8; i++) {
        script.put("k" + std::to_string(i));
    }
    std::vector<Seen> seen = script.arrived(link);
    ASSERT_EQ(seen.size(), 3U);
    std::size_t answered = 0;
    while (!seen.empty()) {
        EXPECT_EQ(seen.front().key(), "k" + std::to_string(answered));   // first come, first served
        script.reply_put(seen.front(), 1);
        seen.erase(seen.begin());
        answered++;
        for (Seen& more : script.arrived(link)) {
            seen.push_back(std::move(more));
        }
        EXPECT_LE(seen.size(), 3U);
    }
    EXPECT_EQ(answered, 8U);
}

TEST(ClientRequests, with_a_bound_for_each_connection_the_next_request_takes_the_place_of_the_one_answered) {
    CoreOptions options = CoreScript::three();
    options.connections = 2;
    options.requests_per_connection_max = 3;
    CoreScript script(options);
    script.turn();
    Link& a = script.network.link(0);
    Link& b = script.network.link(1);
    for (Link* link : {&a, &b}) {
        script.greet(*link, {});
    }
    script.on_answer = [&](std::uint64_t) { script.put("next"); };   // a closed loop
    for (int i = 0; i < 7; i++) {
        script.put("k" + std::to_string(i));
    }
    std::vector<Seen> at_a = script.arrived(a);
    std::vector<Seen> at_b = script.arrived(b);
    ASSERT_EQ(at_a.size(), 3U);
    ASSERT_EQ(at_b.size(), 3U);
    for (int round = 0; round < 10; round++) {
        for (const Seen& seen : at_b) {
            script.reply_put(seen, 1);
        }
        at_b = script.arrived(b);
        ASSERT_EQ(at_b.size(), 3U);
        ASSERT_TRUE(script.arrived(a).empty());
    }
}

TEST(ClientRequests, a_frame_over_the_servers_bound_is_refused_here_and_the_connection_lives) {
    CoreScript script;
    wire::ClientHelloReply hello;
    hello.frame_bytes_max = 4096;
    Link& link = script.greet(hello);
    const std::uint64_t large = script.put("k", std::string(5000, 'x'));
    const std::uint64_t small = script.put("k", "x");
    const Seen seen = script.only(link);
    script.reply_put(seen, 3);
    EXPECT_EQ(script.answer(large).error, api::Errc::request_too_large);
    EXPECT_EQ(script.answer(small).revision, 3);
    EXPECT_FALSE(link.closed);
}

TEST(ClientRequests, a_frame_of_exactly_the_servers_bound_is_sent_and_one_step_more_is_not) {
    std::size_t length = 0;
    {
        CoreScript script;
        Link& link = script.greet();
        script.put("k", std::string(1000, 'x'));
        length = script.only(link).body.size() + limits::frame_header_bytes;
    }
    for (const std::size_t bound : {length, length - 8}) {
        CoreScript script;
        wire::ClientHelloReply hello;
        hello.frame_bytes_max = static_cast<std::uint32_t>(bound);
        Link& link = script.greet(hello);
        const std::uint64_t token = script.put("k", std::string(1000, 'x'));
        EXPECT_EQ(script.arrived(link).size(), bound == length ? 1U : 0U);
        EXPECT_EQ(script.answer(token).error, bound == length ? api::Errc::ok : api::Errc::request_too_large);
    }
}

TEST(ClientRequests, what_no_frame_can_hold_or_nests_too_deep_is_refused_before_it_is_sent) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t large = script.put("k", std::string(wire::client_frame_bytes_max, 'x'));
    std::vector<api::RequestOp> levels(limits::txn_depth_max + 1);
    for (std::size_t depth = 1; depth < levels.size(); depth++) {
        const std::span<const api::RequestOp> inner(&levels[depth - 1], depth > 1 ? 1U : 0U);
        levels[depth].op = api::TxnRequest{.compare = {}, .success = inner, .failure = {}};
    }
    api::Request request;
    request.op = std::get<api::TxnRequest>(levels[limits::txn_depth_max].op);
    const std::uint64_t fits = script.submit(request);
    const api::RequestOp outermost{std::get<api::TxnRequest>(levels[limits::txn_depth_max].op)};
    request.op = api::TxnRequest{.compare = {}, .success = {&outermost, 1}, .failure = {}};
    const std::uint64_t deep = script.submit(request);
    EXPECT_EQ(script.arrived(link).size(), 1U);
    EXPECT_EQ(script.answer(large).error, api::Errc::request_too_large);
    EXPECT_EQ(script.answer(fits).count, 0U);
    EXPECT_EQ(script.answer(deep).error, api::Errc::too_deep);
}

// ---------------------------------------------------------------------------------------------- callbacks, cancel

TEST(ClientRequests, a_callback_may_submit_and_cancel) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t first = script.put("first");
    const std::uint64_t victim = script.put("victim");
    auto seen = script.arrived(link);
    std::uint64_t second = 0;
    script.on_answer = [&](std::uint64_t token) {
        if (token == first) {
            second = script.put("second");
            script.core->cancel(victim);
        }
    };
    script.reply_put(seen[0], 1);
    const Seen next = script.only(link);
    EXPECT_EQ(next.key(), "second");
    script.reply_put(seen[1], 2);   // the cancelled one's answer
    script.reply_put(next, 3);
    EXPECT_EQ(script.answer(victim).count, 0U);
    EXPECT_EQ(script.answer(second).revision, 3);
    EXPECT_EQ(script.core->pending(), 0U);
}

TEST(ClientRequests, callbacks_of_a_lost_connection_may_cancel_its_other_requests) {
    CoreScript script;
    Link& link = script.greet();
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 10; i++) {
        tokens.push_back(script.put("k"));
    }
    script.arrived(link);
    script.on_answer = [&](std::uint64_t token) {
        if (token == tokens[0]) {
            for (std::size_t i = 1; i < 9; i++) {
                script.core->cancel(tokens[i]);
            }
        }
    };
    script.network.break_off(link);
    script.turn();
    EXPECT_EQ(script.answered(), 2U);   // the first and the last
    EXPECT_EQ(script.answer(tokens[9]).error, api::Errc::connection_lost);
    EXPECT_EQ(script.core->pending(), 0U);
}

TEST(ClientRequests, a_cancelled_refusal_is_not_delivered) {
    CoreOptions options = CoreScript::three();
    options.in_flight_max = 1;
    CoreScript script(options);
    script.put("k");
    const std::uint64_t refused = script.put("k");
    script.core->cancel(refused);
    script.pass(10ms);
    EXPECT_EQ(script.answer(refused).count, 0U);
}

TEST(ClientRequests, a_refusal_cancelled_by_the_callback_of_another_is_not_delivered) {
    CoreOptions options = CoreScript::three();
    options.in_flight_max = 1;
    CoreScript script(options);
    script.put("k");
    const std::uint64_t first = script.put("k");
    const std::uint64_t victim = script.put("k");
    const std::uint64_t third = script.put("k");
    script.on_answer = [&](std::uint64_t token) {
        if (token == first) {
            script.core->cancel(victim);
        }
    };
    script.pass(10ms);
    EXPECT_EQ(script.answer(first).count, 1U);
    EXPECT_EQ(script.answer(victim).count, 0U);
    EXPECT_EQ(script.answer(third).count, 1U);
}

TEST(ClientRequests, cancel_of_what_is_not_there_does_nothing) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    script.core->cancel(token + 1);
    script.core->cancel(token + (1ULL << 32));
    script.core->cancel(0);
    script.reply_put(script.only(link), 3);
    script.core->cancel(token);
    EXPECT_EQ(script.answer(token).revision, 3);
}

}  // namespace
}  // namespace ringfort::client::test
