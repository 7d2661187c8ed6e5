// Replies of several frames: order, credit, end.
#include <gtest/gtest.h>

#include "core_script.h"

namespace ringfort::client::test {
namespace {

CoreOptions with_credit(std::uint32_t bytes) {
    CoreOptions options = CoreScript::three();
    options.reply_credit_bytes = bytes;
    return options;
}

std::uint32_t encoded_bytes(const Seen& seen, const std::vector<std::string>& keys) {
    std::vector<api::KeyValue> kvs;
    for (const std::string& key : keys) {
        kvs.push_back({.key = key, .mod_revision = 1, .value = "v"});
    }
    api::RangeResponse range;
    range.kvs = kvs;
    range.count = static_cast<std::int64_t>(keys.size());
    api::Response response;
    response.body = api::Result(range);
    response.more_frames = true;
    wire::OutBuffer out;
    EXPECT_TRUE(wire::encode_response(seen.id, seen.kind, response, out));
    return static_cast<std::uint32_t>(out.pending_bytes());
}

TEST(ClientPieces, come_in_order_and_end_with_the_last_frame) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.get("a");
    const Seen seen = script.only(link);
    script.reply_range(seen, {"a", "b"}, true);
    script.reply_range(seen, {"c"}, true);
    EXPECT_EQ(script.answer(token).pieces, 2U);
    EXPECT_EQ(script.answer(token).count, 0U);
    script.reply_range(seen, {"d"});
    EXPECT_EQ(script.answer(token).count, 1U);
    EXPECT_EQ(script.answer(token).keys, (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(ClientPieces, frames_of_other_replies_may_come_between) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t one = script.get("1");
    const std::uint64_t two = script.get("2");
    const auto seen = script.arrived(link);
    script.reply_range(seen[0], {"1a"}, true);
    script.reply_range(seen[1], {"2a"}, true);
    script.reply_range(seen[0], {"1b"});
    script.reply_range(seen[1], {"2b"});
    EXPECT_EQ(script.answer(one).keys, (std::vector<std::string>{"1a", "1b"}));
    EXPECT_EQ(script.answer(two).keys, (std::vector<std::string>{"2a", "2b"}));
}

// A server that keeps to the credit never stops for good, and what is under way never exceeds the credit.
TEST(ClientPieces, credit_is_granted_anew_as_frames_are_consumed) {
    constexpr std::uint32_t credit = 2000;
    CoreScript script(with_credit(credit));
    Link& link = script.greet();
    const std::uint64_t token = script.get("a");
    const Seen seen = script.only(link);
    const std::vector<std::string> keys(3, std::string(40, 'k'));
    const std::uint32_t frame_bytes = encoded_bytes(seen, keys);
    ASSERT_LT(frame_bytes, credit / 2);
    std::int64_t left = credit;
    std::size_t sent = 0;
    while (sent < 100) {
        while (left >= frame_bytes && sent < 100) {
            script.reply_range(seen, keys, true);
            left -= frame_bytes;
            sent++;
        }
        const auto frames = script.arrived(link);
        ASSERT_TRUE(!frames.empty() || sent == 100) << "stuck after " << sent;
        for (const Seen& frame : frames) {
            EXPECT_EQ(frame.kind, wire::ClientKind::credit);
            EXPECT_EQ(frame.id, seen.id);
            left += frame.credit_bytes;
            EXPECT_LE(left, std::int64_t{credit});
        }
    }
    script.reply_range(seen, {"end"});
    EXPECT_EQ(script.answer(token).keys.size(), 301U);
}

TEST(ClientPieces, no_credit_is_granted_for_a_short_reply) {
    CoreScript script;
    Link& link = script.greet();
    script.get("a");
    const Seen seen = script.only(link);
    script.reply_range(seen, {"a"}, true);
    script.reply_range(seen, {"b"});
    EXPECT_TRUE(script.arrived(link).empty());
}

TEST(ClientPieces, more_credit_than_a_server_gives_is_asked_for_as_much_as_it_gives) {
    CoreScript script(with_credit(256 << 20));
    script.turn();
    script.network.accept(script.network.newest());
    EXPECT_EQ(script.only(script.network.newest()).hello.reply_credit_bytes, 16U << 20);
}

TEST(ClientPieces, an_error_after_a_piece_is_the_callers_even_if_reads_are_tried_again) {
    for (const api::Errc code : {api::Errc::compacted, api::Errc::leader_changed, api::Errc::no_leader}) {
        CoreScript script;
        Link& link = script.greet();
        const std::uint64_t token = script.get("a");
        const Seen seen = script.only(link);
        script.reply_range(seen, {"a"}, true);
        script.reply_error(seen, code);
        EXPECT_EQ(script.answer(token).error, code);
        script.pass(300ms);
        EXPECT_TRUE(script.arrived(link).empty());
    }
}

TEST(ClientPieces, a_connection_lost_after_a_piece_is_the_callers) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.get("a");
    script.reply_range(script.only(link), {"a"}, true);
    script.network.break_off(link);
    script.turn();
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
}

TEST(ClientPieces, cancel_stops_a_long_reply_at_its_source_and_drops_what_is_under_way) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.get("a");
    const Seen seen = script.only(link);
    script.on_piece = [&](std::uint64_t which) { script.core->cancel(which); };
    script.reply_range(seen, {"a"}, true);
    const Seen cancel = script.only(link);
    EXPECT_EQ(cancel.kind, wire::ClientKind::cancel);
    EXPECT_EQ(cancel.id, seen.id);
    script.reply_range(seen, {"b"}, true);
    script.reply_error(seen, api::Errc::cancelled);
    EXPECT_EQ(script.answer(token).pieces, 1U);
    EXPECT_EQ(script.answer(token).count, 0U);
    EXPECT_FALSE(link.closed);
    EXPECT_EQ(script.core->pending(), 0U);
}

TEST(ClientPieces, a_long_reply_given_up_before_its_first_piece_is_stopped_when_that_comes) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.get("a");
    const Seen seen = script.only(link);
    script.core->cancel(token);
    EXPECT_TRUE(script.arrived(link).empty()) << "it may be answered whole";
    script.reply_range(seen, {"a"}, true);
    const Seen cancel = script.only(link);
    EXPECT_EQ(cancel.kind, wire::ClientKind::cancel);
    EXPECT_EQ(cancel.id, seen.id);
    script.reply_error(seen, api::Errc::cancelled);
    EXPECT_TRUE(script.arrived(link).empty());
}

TEST(ClientPieces, a_cancelled_write_is_not_cancelled_at_the_server) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("a");
    script.only(link);
    script.core->cancel(token);
    EXPECT_TRUE(script.arrived(link).empty());
}

TEST(ClientPieces, an_expired_long_reply_is_stopped_at_its_source) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.get("a", 200ms);
    script.reply_range(script.only(link), {"a"}, true);
    script.pass(205ms);
    EXPECT_EQ(script.answer(token).error, api::Errc::timed_out);
    EXPECT_EQ(script.only(link).kind, wire::ClientKind::cancel);
}

TEST(ClientPieces, pieces_of_a_put_are_a_protocol_error) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("a");
    const Seen seen = script.only(link);
    api::Response response;
    response.body = api::Result(api::PutResponse{});
    wire::OutBuffer out;
    ASSERT_TRUE(wire::encode_response(seen.id, seen.kind, response, out));
    out.at(0)[5] = std::byte{wire::flag_more};
    script.network.deliver(link, {out.at(0), out.pending_bytes()});
    script.turn();
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.core->counters().protocol_errors, 1U);
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
}

}  // namespace
}  // namespace ringfort::client::test
