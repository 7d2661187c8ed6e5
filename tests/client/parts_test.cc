// The client's parts on their own: timers, endpoints, the table of requests, the rule of retries.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "client/endpoint_table.h"
#include "client/pending_table.h"
#include "client/retry_policy.h"
#include "client/timer_wheel.h"

namespace ringfort::client {
namespace {

TEST(ClientTimerWheel, fires_exactly_what_a_sorted_map_would) {
    constexpr std::uint32_t count = 64;
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        Prng prng(seed);
        TimerWheel wheel(count);
        std::map<std::uint32_t, std::int64_t> model;
        std::int64_t now = static_cast<std::int64_t>(prng.below(1'000'000'000'000));
        for (int step = 0; step < 2000; step++) {
            const auto id = static_cast<std::uint32_t>(prng.below(count));
            if (prng.one_in(3)) {
                wheel.clear(id);
                model.erase(id);
            } else {
                // Past times, this very tick, the next turns of the wheel, and far beyond.
                const std::uint64_t span = std::uint64_t{1} << prng.between(0, 36);
                const std::int64_t due = now - 1000 + static_cast<std::int64_t>(prng.below(span));
                wheel.set(id, {due});
                model[id] = due;
            }
            ASSERT_EQ(wheel.count(), model.size());
            if (!model.empty()) {
                const auto first = std::ranges::min_element(model, {}, [](const auto& one) { return one.second; });
                ASSERT_LE(wheel.next_due().ns, std::max(first->second, now) + (2 << 20)) << "sleeps past a timer";
            } else {
                ASSERT_EQ(wheel.next_due(), never);
            }
            now += static_cast<std::int64_t>(prng.below(1ULL << prng.between(0, 33)));
            std::vector<std::uint32_t> due;
            wheel.collect_due({now}, due);
            std::vector<std::uint32_t> expected;
            std::erase_if(model, [&](const auto& one) {
                if (one.second <= now) {
                    expected.push_back(one.first);
                }
                return one.second <= now;
            });
            std::ranges::sort(due);
            ASSERT_EQ(due, expected) << seed << " step " << step;
            for (const std::uint32_t one : due) {
                ASSERT_FALSE(wheel.is_set(one));
            }
        }
    }
}

TEST(ClientTimerWheel, earlier_slots_fire_first_and_setting_order_holds_within_one) {
    TimerWheel wheel(8);
    wheel.collect_due({0}, *std::make_unique<std::vector<std::uint32_t>>());
    wheel.set(3, {50'000'000});
    wheel.set(1, {10'000'000});
    wheel.set(5, {10'000'001});
    wheel.set(0, {10'000'000});
    std::vector<std::uint32_t> due;
    wheel.collect_due({60'000'000}, due);
    EXPECT_EQ(due, (std::vector<std::uint32_t>{1, 5, 0, 3}));
}

TEST(ClientAddress, is_host_and_port_and_nothing_else) {
    EXPECT_EQ(parse_address("localhost:2379"), (env::Address{"localhost", 2379}));
    EXPECT_EQ(parse_address("10.0.0.1:1"), (env::Address{"10.0.0.1", 1}));
    EXPECT_EQ(parse_address("[::1]:65535"), (env::Address{"::1", 65535}));
    for (const char* wrong : {"", "host", "host:", ":2379", "host:0", "host:65536", "host:-1", "host:+1", "host:12x",
                              "host: 12", "::1:2379", "[]:1", "[::1]", "[::1:5", "http://host:1"}) {
        EXPECT_EQ(parse_address(wrong), std::nullopt) << wrong;
    }
}

TEST(ClientEndpoints, the_first_whose_pause_is_over_is_chosen_else_the_one_that_is_over_soonest) {
    EndpointTable table({{"a", 1}, {"b", 2}, {"c", 3}});
    Prng prng(1);
    EXPECT_EQ(table.choose(0, {0}), 0U);
    EXPECT_EQ(table.choose(4, {0}), 1U);
    table.failed(0, {0}, prng, "down");
    EXPECT_EQ(table.choose(0, {0}), 1U);
    table[0].retry_at = {300};
    table[1].retry_at = {200};
    table[2].retry_at = {400};
    EXPECT_EQ(table.choose(0, {0}), 1U);
    EXPECT_EQ(table.choose(2, {500}), 2U);
    table.succeeded(0);
    EXPECT_EQ(table.choose(0, {0}), 0U);
}

TEST(ClientEndpoints, failures_that_come_together_count_once) {
    EndpointTable table({{"a", 1}});
    Prng prng(1);
    for (int i = 0; i < 50; i++) {
        table.failed(0, {1000}, prng, "down");
    }
    EXPECT_EQ(table[0].failures, 1U);
    EXPECT_LE(table[0].retry_at.ns, 1000 + 30'000'000);
}

TEST(ClientEndpoints, leaders_are_learned_up_to_the_bound_and_known_ones_are_not_doubled) {
    EndpointTable table({{"a", 1}});
    EXPECT_EQ(table.learn("a:1"), 0U);
    for (std::uint32_t i = 1; i < EndpointTable::endpoints_max; i++) {
        EXPECT_EQ(table.learn("h:" + std::to_string(i)), i);
    }
    EXPECT_EQ(table.learn("one:2"), std::nullopt);
    EXPECT_EQ(table.learn("h:1"), 1U);
    EXPECT_EQ(table.count(), EndpointTable::endpoints_max);
}

TEST(ClientEndpoints, reasons_name_the_endpoint_and_vanish_with_success) {
    EndpointTable table({{"a", 1}, {"b", 2}});
    Prng prng(1);
    EXPECT_EQ(table.describe(), "");
    table.failed(0, {0}, prng, "connection refused");
    table.failed(1, {0}, prng, "no hello");
    EXPECT_EQ(table.describe(), "a:1: connection refused; b:2: no hello");
    table.succeeded(0);
    EXPECT_EQ(table.describe(), "b:2: no hello");
}

TEST(ClientEndpoints, all_must_refuse_before_the_client_gives_up) {
    EndpointTable table({{"a", 1}, {"b", 2}});
    table[0].refusal = api::Errc::cluster_id_mismatch;
    EXPECT_EQ(table.refused_by_all(), api::Errc::ok);
    table[1].refusal = api::Errc::unsupported_version;
    EXPECT_EQ(table.refused_by_all(), api::Errc::cluster_id_mismatch);
}

TEST(ClientPendingTable, a_token_is_never_zero_and_names_one_use_of_a_slot) {
    PendingTable table(2);
    const auto use = [&table] {
        const std::uint32_t index = table.acquire();
        table[index].callback = [](void*, std::uint64_t, const api::Response&) {};
        return index;
    };
    const std::uint32_t first = use();
    const std::uint32_t second = use();
    EXPECT_TRUE(table.full());
    const std::uint64_t token = table.token_of(first);
    EXPECT_NE(token, 0U);
    EXPECT_EQ(table.find(token), first);
    table.keep_frame(first, as_bytes("12345678"));
    table.keep_frame(second, as_bytes("1234"));
    EXPECT_EQ(table.frame_bytes(), 12U);
    table.release(first);
    EXPECT_EQ(table.frame_bytes(), 4U);
    EXPECT_EQ(table.find(token), no_request);
    const std::uint32_t third = use();
    EXPECT_EQ(third, first);
    EXPECT_EQ(table.find(token), no_request);
    EXPECT_TRUE(table[third].frame.empty());
}

// ---------------------------------------------------------------------------------------------- the rule of retries

TEST(ClientRetryPolicy, no_error_makes_a_write_repeat_unless_its_class_says_that_it_did_not_happen) {
    for (std::uint16_t number = 0; number < 200; number++) {
        const auto code = static_cast<api::Errc>(number);
        const Verdict verdict = after_error(code, {.read = false, .left = true, .handed_out = false});
        const bool indefinite = !api::known_error(number) || api::error_class(code) == api::ErrorClass::indefinite;
        if (indefinite) {
            EXPECT_EQ(verdict, Verdict::give_up) << number;
        }
    }
}

TEST(ClientRetryPolicy, the_table_of_its_header) {
    using enum api::Errc;
    const RetryFacts read{.read = true, .left = true, .handed_out = false};
    const RetryFacts write{.read = false, .left = true, .handed_out = false};
    const std::map<api::Errc, std::pair<Verdict, Verdict>> invited{
        {not_leader, {Verdict::follow, Verdict::follow}},     {stale_route, {Verdict::later, Verdict::later}},
        {no_leader, {Verdict::later, Verdict::later}},        {stopped, {Verdict::elsewhere, Verdict::elsewhere}},
        {unhealthy, {Verdict::elsewhere, Verdict::elsewhere}}, {leader_changed, {Verdict::later, Verdict::give_up}}};
    for (std::uint16_t number = 1; number < 100; number++) {
        const auto found = invited.find(static_cast<api::Errc>(number));
        const auto expected = found == invited.end() ? std::pair(Verdict::give_up, Verdict::give_up) : found->second;
        EXPECT_EQ(after_error(static_cast<api::Errc>(number), read), expected.first) << number;
        EXPECT_EQ(after_error(static_cast<api::Errc>(number), write), expected.second) << number;
        EXPECT_EQ(after_error(static_cast<api::Errc>(number), {.read = true, .left = true, .handed_out = true}),
                  Verdict::give_up);
    }
    EXPECT_EQ(after_connection_lost({.read = false, .left = false, .handed_out = false}), Verdict::elsewhere);
    EXPECT_EQ(after_connection_lost({.read = true, .left = true, .handed_out = false}), Verdict::elsewhere);
    EXPECT_EQ(after_connection_lost({.read = false, .left = true, .handed_out = false}), Verdict::give_up);
    EXPECT_EQ(after_connection_lost({.read = true, .left = true, .handed_out = true}), Verdict::give_up);
}

TEST(ClientRetryPolicy, status_and_member_list_are_reads_and_what_changes_is_not) {
    EXPECT_TRUE(is_read(api::RangeRequest{}));
    EXPECT_TRUE(is_read(api::StatusRequest{}));
    EXPECT_TRUE(is_read(api::MemberListRequest{}));
    EXPECT_TRUE(is_read(api::TxnRequest{}));
    EXPECT_FALSE(is_read(api::PutRequest{}));
    EXPECT_FALSE(is_read(api::DeleteRangeRequest{}));
    EXPECT_FALSE(is_read(api::CompactRequest{}));
    EXPECT_FALSE(is_read(api::MoveLeaderRequest{}));
}

TEST(ClientRetryPolicy, pauses_double_from_the_first_to_the_last_and_are_spread) {
    Prng prng(1);
    for (std::uint32_t attempt = 1; attempt < 2000; attempt += attempt < 20 ? 1 : 333) {
        const Duration full = std::min<Duration>(1s, 10ms * (std::int64_t{1} << std::min(attempt - 1, 20U)));
        Duration least = Duration::max();
        Duration most{0};
        for (int i = 0; i < 200; i++) {
            const Duration pause = pause_before(attempt, 10ms, 1s, prng);
            least = std::min(least, pause);
            most = std::max(most, pause);
        }
        EXPECT_GE(least, full / 2);
        EXPECT_LT(most, full * 3 / 2);
        EXPECT_GT(most - least, full / 2) << "not spread";
    }
}

}  // namespace
}  // namespace ringfort::client
