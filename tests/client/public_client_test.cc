// The public library over real sockets against a small server: what its headers promise.
#include "ringfort/client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "client/public_convert.h"
#include "loopback_server.h"
#include "ringfort/concurrency.h"
#include "ringfort/recipes.h"

namespace ringfort {
namespace {

using client::test::LoopbackServer;

ClientOptions to(const LoopbackServer& server, Threading threading = Threading::background) {
    ClientOptions options;
    options.endpoints = {server.endpoint()};
    options.threading = threading;
    return options;
}

class BothThreadings : public testing::TestWithParam<Threading> {};
INSTANTIATE_TEST_SUITE_P(Client, BothThreadings, testing::Values(Threading::background, Threading::polled),
                         [](const auto& one) { return one.param == Threading::polled ? "polled" : "background"; });

TEST_P(BothThreadings, every_synchronous_call_brings_its_reply) {
    LoopbackServer server;
    Client client(to(server, GetParam()));
    const auto put = client.put("k", "v1");
    ASSERT_TRUE(put) << put.error().text();
    EXPECT_EQ(put->header.revision, 2);
    EXPECT_EQ(put->header.cluster_id, 11U);
    EXPECT_EQ(put->header.member_id, 22U);
    EXPECT_EQ(put->header.raft_term, 3U);
    EXPECT_FALSE(put->prev_kv);
    const auto again = client.put("k", "v2", {.prev_kv = true});
    ASSERT_TRUE(again && again->prev_kv);
    EXPECT_EQ(again->prev_kv->value, "v1");
    const auto got = client.get("k");
    ASSERT_TRUE(got);
    ASSERT_EQ(got->kvs.size(), 1U);
    EXPECT_EQ(got->kvs[0].value, "v2");
    EXPECT_EQ(got->kvs[0].version, 3);
    EXPECT_EQ(got->count, 1);
    Txn txn;
    txn.compares.push_back({.target = CompareTarget::value, .key = "k", .value = "v2"});
    txn.success.push_back(OpPut{.key = "k2", .value = "new"});
    const auto done = client.txn(txn);
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->succeeded);
    ASSERT_EQ(done->replies.size(), 1U);
    EXPECT_EQ(std::get<PutReply>(done->replies[0]).header.revision, done->header.revision);
    EXPECT_EQ(std::get<PutReply>(done->replies[0]).header.cluster_id, 0U);
    const auto deleted = client.del("k2");
    ASSERT_TRUE(deleted);
    EXPECT_EQ(deleted->deleted, 1);
    EXPECT_TRUE(client.compact(3));
    const auto status = client.status();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->version, "9.9");
    EXPECT_EQ(status->log_flushes, 7U);
    const auto members = client.member_list();
    ASSERT_TRUE(members);
    EXPECT_EQ(members->members.at(0).name, "n1");
    EXPECT_TRUE(client.move_leader(22));
}

TEST_P(BothThreadings, a_long_range_comes_whole_from_get_and_in_parts_from_stream) {
    LoopbackServer server;
    server.habits.piece_keys = 7;
    Client client(to(server, GetParam()));
    const std::string large(20'000, 'x');
    for (int i = 0; i < 250; i++) {   // about 5 MB: several times the credit
        ASSERT_TRUE(client.put("k" + std::to_string(1000 + i), large));
    }
    const auto all = client.get("k", prefix("k"));
    ASSERT_TRUE(all) << all.error().text();
    EXPECT_EQ(all->kvs.size(), 250U);
    EXPECT_EQ(all->count, 250);
    std::vector<std::string> keys;
    std::size_t parts = 0;
    const auto streamed = client.stream("k", prefix("k"), [&](std::vector<KeyValue> kvs) {
        parts++;
        for (const KeyValue& kv : kvs) {
            keys.push_back(kv.key);
        }
        return true;
    });
    ASSERT_TRUE(streamed) << streamed.error().text();
    EXPECT_GT(parts, 10U);
    EXPECT_EQ(keys.size(), 250U);
    EXPECT_TRUE(std::ranges::is_sorted(keys));
    EXPECT_TRUE(streamed->kvs.empty());
    EXPECT_EQ(streamed->count, 250);
    EXPECT_FALSE(streamed->more);
    EXPECT_LE(server.largest_debt_bytes(), 0) << "more was granted than consumed";
}

TEST_P(BothThreadings, a_get_cut_off_in_the_middle_begins_afresh_and_a_stream_does_not) {
    LoopbackServer server;
    server.habits.piece_keys = 7;
    Client client(to(server, GetParam()));
    for (int i = 0; i < 30; i++) {
        ASSERT_TRUE(client.put("k" + std::to_string(10 + i), "v"));
    }
    server.habits.hang_ups_in_reply = 2;
    const auto all = client.get("k", prefix("k"));
    ASSERT_TRUE(all) << all.error().text();
    ASSERT_EQ(all->kvs.size(), 30U) << "every key once";
    EXPECT_EQ(all->kvs[0].key, "k10");
    EXPECT_EQ(server.habits.hang_ups_in_reply, 0);
    server.habits.hang_ups_in_reply = 1;
    std::size_t keys = 0;
    const auto streamed = client.stream("k", prefix("k"), [&](const std::vector<KeyValue>& kvs) {
        keys += kvs.size();
        return true;
    });
    ASSERT_FALSE(streamed);
    EXPECT_EQ(streamed.error().code, ErrorCode::connection_lost);
    EXPECT_EQ(keys, 7U);
}

TEST_P(BothThreadings, a_stream_ends_when_its_reader_has_enough_and_the_connection_serves_on) {
    LoopbackServer server;
    server.habits.piece_keys = 3;
    Client client(to(server, GetParam()));
    for (int i = 0; i < 100; i++) {
        ASSERT_TRUE(client.put("k" + std::to_string(100 + i), std::string(50'000, 'x')));
    }
    std::size_t parts = 0;
    const auto streamed = client.stream("k", prefix("k"), [&](std::vector<KeyValue>) { return ++parts < 2; });
    ASSERT_TRUE(streamed);
    EXPECT_EQ(parts, 2U);
    EXPECT_TRUE(streamed->more);
    const auto got = client.get("k100");
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->kvs.size(), 1U);
    EXPECT_EQ(server.connection_count(), 1U);
}

TEST_P(BothThreadings, errors_say_what_is_known_of_a_write) {
    LoopbackServer server;
    Client client(to(server, GetParam()));
    server.habits.error = static_cast<std::uint16_t>(ErrorCode::no_space);
    auto put = client.put("k", "v");
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().code, ErrorCode::no_space);
    EXPECT_EQ(put.error().error_class, ErrorClass::definite);
    EXPECT_EQ(put.error().text(), "etcdserver: mvcc: database space exceeded (as told)");
    server.habits.error = 0;
    server.habits.mute = true;
    put = client.put("k", "v", {.timeout_ms = 50});
    EXPECT_EQ(put.error().code, ErrorCode::timed_out);
    EXPECT_EQ(put.error().error_class, ErrorClass::indefinite);
    server.habits.mute = false;
    server.habits.hang_up = true;
    put = client.put("k", "v");
    EXPECT_EQ(put.error().code, ErrorCode::connection_lost);
    EXPECT_EQ(put.error().error_class, ErrorClass::indefinite);
    server.habits.hang_up = false;
    put = client.put("k", "v");
    EXPECT_TRUE(put) << "it connects again: " << put.error().text();
    EXPECT_EQ(put.error().code, ErrorCode::ok);
}

TEST_P(BothThreadings, the_next_endpoint_serves_when_one_is_dead) {
    LoopbackServer server;
    std::string dead;
    {
        const LoopbackServer gone;
        dead = gone.endpoint();
    }
    ClientOptions options = to(server, GetParam());
    options.endpoints = {dead, server.endpoint()};
    Client client(options);
    EXPECT_TRUE(client.put("k", "v"));
}

TEST_P(BothThreadings, nobody_there_is_a_definite_error_that_names_who_was_asked) {
    std::string dead;
    {
        const LoopbackServer gone;
        dead = gone.endpoint();
    }
    ClientOptions options;
    options.endpoints = {dead};
    options.threading = GetParam();
    options.request_timeout_ms = 100;
    Client client(options);
    const auto put = client.put("k", "v");
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().code, ErrorCode::no_leader);
    EXPECT_EQ(put.error().error_class, ErrorClass::definite);
    EXPECT_NE(put.error().detail.find(dead), std::string::npos) << put.error().detail;
}

TEST_P(BothThreadings, another_cluster_is_refused_at_once) {
    LoopbackServer server;
    ClientOptions options = to(server, GetParam());
    options.cluster_id = 12;
    Client client(options);
    EXPECT_EQ(client.put("k", "v").error().code, ErrorCode::cluster_id_mismatch);
    options.cluster_id = 11;
    client = Client(options);
    EXPECT_TRUE(client.put("k", "v"));
}

TEST_P(BothThreadings, an_endpoint_that_is_none_is_named_by_every_call) {
    for (const char* wrong : {"nonsense", "https://a:1", "a:b", ""}) {
        ClientOptions options;
        options.endpoints = {"127.0.0.1:1", wrong};
        options.threading = GetParam();
        Client client(options);
        EXPECT_EQ(client.invalid_endpoint(), wrong);
        const auto put = client.put("k", "v");
        EXPECT_EQ(put.error().code, ErrorCode::unsupported_request);
        EXPECT_NE(put.error().message.find(std::string("\"") + wrong + "\""), std::string::npos);
        EXPECT_EQ(client.watch("k").next(0).error().text(), put.error().text());
        client.watch_async("k", {}, [&put](const Outcome<WatchReply>& reply) {
            EXPECT_EQ(reply.error().text(), put.error().text());
        });
        Observer observer(client, "n");
        EXPECT_EQ(observer.next(1000).error().text(), put.error().text());
        EXPECT_EQ(Session::open(client).error().text(), put.error().text());
    }
    ClientOptions none;
    none.endpoints.clear();
    none.threading = GetParam();
    EXPECT_EQ(Client(none).invalid_endpoint(), "");
    ClientOptions many;
    many.threading = GetParam();
    many.endpoints.assign(64, "127.0.0.1:1");
    EXPECT_EQ(Client(many).invalid_endpoint(), std::nullopt);
    many.endpoints.emplace_back("127.0.0.1:2");
    EXPECT_EQ(Client(many).invalid_endpoint(), "127.0.0.1:2");
    EXPECT_EQ(Client(ClientOptions()).invalid_endpoint(), std::nullopt);
}

TEST_P(BothThreadings, a_transaction_refused_without_what_it_had_read_is_an_error) {
    LoopbackServer server;
    server.habits.curt = true;
    Client client(to(server, GetParam()));
    const auto done = run_stm(client, [](Stm& stm) {
        stm.put("k", stm.get("k").value_or("new"));
        return true;
    });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::corrupt);
}

TEST_P(BothThreadings, odd_options_are_brought_into_bounds) {
    LoopbackServer server;
    for (const std::int64_t odd : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN, INT64_MAX}) {
        ClientOptions options = to(server, GetParam());
        options.dial_timeout_ms = odd;
        options.request_timeout_ms = odd;
        options.connections = odd == INT64_MAX ? 2 : 0;
        options.in_flight_max = odd == INT64_MAX ? SIZE_MAX : 0;
        options.poll_us = odd > 0 ? 1 : odd;
        options.name = std::string(5000, 'n');
        Client client(options);
        EXPECT_TRUE(client.put("k", "v", {.timeout_ms = odd})) << odd;
    }
}

TEST_P(BothThreadings, requests_in_flight_at_the_end_are_told_once) {
    LoopbackServer server;
    server.habits.mute = true;
    std::atomic<int> told{0};
    {
        Client client(to(server, GetParam()));
        for (int i = 0; i < 50; i++) {
            client.put_async("k", "v", {}, [&told](const Outcome<PutReply>& outcome) {
                EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
                EXPECT_EQ(outcome.error().error_class, ErrorClass::indefinite);
                told++;
            });
        }
        if (GetParam() == Threading::polled) {
            client.poll(20);
        }
    }
    EXPECT_EQ(told, 50);
}

// ---------------------------------------------------------------------------------------------- watches

// Else a node that is cut off from the others would hold it, and say nothing.
TEST(PublicWatch, requires_a_leader_unless_told_otherwise) {
    Arena arena(256);
    EXPECT_TRUE(client::to_api("k", WatchOptions{}, arena).require_leader);
    EXPECT_TRUE(client::to_api("k", watch_prefix("k"), arena).require_leader);
    WatchOptions stays;
    stays.require_leader = false;
    EXPECT_FALSE(client::to_api("k", stays, arena).require_leader);
}

TEST_P(BothThreadings, a_watch_that_ended_is_freed_without_being_cancelled) {
    LoopbackServer server;
    server.habits.error = static_cast<std::uint16_t>(ErrorCode::no_space);
    Client client(to(server, GetParam()));
    std::atomic<int> told{0};
    std::vector<std::weak_ptr<int>> held;
    for (std::uint64_t i = 0; i < 20; i++) {
        const auto token = std::make_shared<int>();
        held.emplace_back(token);
        const auto on_reply = [token, &told](const Outcome<WatchReply>& reply) {
            EXPECT_EQ(reply.error().code, ErrorCode::no_space);
            told++;
        };
        EXPECT_EQ(client.watch_async("k", {}, on_reply), i);
    }
    const auto gone = [&held] { return std::ranges::all_of(held, [](const auto& one) { return one.expired(); }); };
    for (int i = 0; i < 1000 && !gone(); i++) {
        EXPECT_FALSE(client.status());   // lets it run
    }
    EXPECT_TRUE(gone());
    EXPECT_EQ(told, 20);
}

TEST_P(BothThreadings, a_watcher_waits_as_long_as_it_is_told_to) {
    LoopbackServer server;
    server.habits.error = static_cast<std::uint16_t>(ErrorCode::no_space);
    Client client(to(server, GetParam()));
    EXPECT_EQ(client.watch("k").next(INT64_MAX).error().code, ErrorCode::no_space);
    server.habits.error = 0;
    server.habits.mute = true;
    EXPECT_EQ(client.watch("k").next(20).error().code, ErrorCode::timed_out);
}

// ---------------------------------------------------------------------------------------------- asynchronous

// Sessions and locks end before their client. Whoever waits where they do not is told all the same.
TEST_P(BothThreadings, who_waits_for_a_turn_when_the_client_goes_is_told_and_so_is_who_then_asks_again) {
    LoopbackServer server;
    auto client = std::make_unique<Client>(to(server, GetParam()));
    auto opened = Session::open(*client);
    ASSERT_TRUE(opened) << opened.error().text();
    static auto* const outliving = new std::vector<std::pair<Session, std::optional<Lock>>>();   // never destroyed
    auto& [session, lock] = outliving->emplace_back(std::move(*opened), std::nullopt);
    Lock& waiting = lock.emplace(session, "n");
    server.habits.mute = true;
    std::vector<ErrorCode> told;
    waiting.lock_async([&](const Outcome<Held>& first) {
        told.push_back(first.error().code);
        waiting.lock_async([&told](const Outcome<Held>& second) { told.push_back(second.error().code); });
    });
    client.reset();
    EXPECT_EQ(told, (std::vector<ErrorCode>{ErrorCode::cancelled, ErrorCode::cancelled}));
}

TEST(ClientBackground, every_thread_may_call_and_gets_its_own_answer) {
    LoopbackServer server;
    ClientOptions options = to(server);
    options.connections = 3;
    Client client(options);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) {
        threads.emplace_back([&client, t] {
            for (int i = 0; i < 100; i++) {
                const std::string key = std::to_string(t) + "/" + std::to_string(i);
                ASSERT_TRUE(client.put(key, key));
                const auto got = client.get(key);
                ASSERT_TRUE(got && got->kvs.size() == 1);
                ASSERT_EQ(got->kvs[0].value, key);
            }
        });
    }
    for (std::thread& one : threads) {
        one.join();
    }
    EXPECT_EQ(server.connection_count(), 3U);
}

TEST(ClientBackground, callbacks_run_once_on_the_clients_thread_and_may_start_more) {
    LoopbackServer server;
    Client client(to(server));
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::thread::id> threads;
    int left = 200;
    std::function<void(int)> chain = [&](int rest) {
        client.put_async("k" + std::to_string(rest), "v", {}, [&, rest](const Outcome<PutReply>& outcome) {
            EXPECT_TRUE(outcome);
            if (rest % 10 != 0) {
                chain(rest - 1);
            }
            const std::lock_guard lock(mutex);
            threads.insert(std::this_thread::get_id());
            left--;
            changed.notify_one();
        });
    };
    for (int i = 0; i < 20; i++) {
        chain(10 * i + 9);
    }
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return left == 0; })) << left;
    EXPECT_EQ(threads.size(), 1U);
    EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST(ClientPolled, poll_moves_asynchronous_calls_and_counts_those_in_flight) {
    LoopbackServer server;
    Client client(to(server, Threading::polled));
    int answered = 0;
    for (int i = 0; i < 100; i++) {
        client.put_async("k", "v", {}, [&answered](const Outcome<PutReply>& outcome) { answered += outcome ? 1 : 0; });
    }
    EXPECT_EQ(answered, 0);
    while (client.poll(1000) > 0) {
    }
    EXPECT_EQ(answered, 100);
    EXPECT_EQ(client.poll(0), 0U);
}

TEST(ClientPolled, beyond_its_bound_requests_are_refused_and_the_others_served) {
    LoopbackServer server;
    ClientOptions options = to(server, Threading::polled);
    options.in_flight_max = 5;
    Client client(options);
    int served = 0;
    int refused = 0;
    for (int i = 0; i < 8; i++) {
        client.put_async("k", "v", {}, [&](const Outcome<PutReply>& outcome) {
            (outcome ? served : refused)++;
            EXPECT_TRUE(outcome || outcome.error().code == ErrorCode::too_many_requests);
        });
    }
    while (client.poll(1000) > 0) {
    }
    EXPECT_EQ(served, 5);
    EXPECT_EQ(refused, 3);
}

// Who leads may have granted it long before the answer was here.
TEST(ClientPolled, a_kept_lease_counts_from_before_its_grant_was_sent) {
    LoopbackServer server;
    Client client(to(server, Threading::polled));
    const auto steady_ns = [] { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); };
    std::optional<LeaseGrantReply> lease;
    const std::int64_t before = steady_ns();
    client.lease_grant_async(60, 7, {}, [&lease](const Outcome<LeaseGrantReply>& reply) { lease = *reply; });
    const std::int64_t after = steady_ns();
    while (client.poll(1000) > 0) {
    }
    ASSERT_TRUE(lease);
    EXPECT_GE(lease->asked_ns, before);
    EXPECT_LE(lease->asked_ns, after);
    bool kept_lost = false;
    client.keep_alive(*lease, {}, [&kept_lost] { kept_lost = true; });
    client.poll(0);
    EXPECT_FALSE(kept_lost);
    // An answer that took all of its time.
    bool late_lost = false;
    lease->id = 8;
    lease->asked_ns -= 61'000'000'000;
    client.keep_alive(*lease, {}, [&late_lost] { late_lost = true; });
    client.poll(0);
    EXPECT_TRUE(late_lost);
}

TEST(ClientPolled, a_session_is_lost_by_the_clock_while_nobody_polls) {
    LoopbackServer server;
    Client client(to(server, Threading::polled));
    bool told = false;
    auto session = Session::open(client, {.ttl = 1, .lost = [&told] { told = true; }});
    ASSERT_TRUE(session) << session.error().text();
    EXPECT_FALSE(session->lost());
    std::this_thread::sleep_for(std::chrono::milliseconds(1010));   // it computes
    EXPECT_TRUE(session->lost());
    EXPECT_FALSE(told) << "that takes a call or poll()";
    client.poll(0);
    EXPECT_TRUE(told);
    EXPECT_TRUE(session->lost());
}

TEST(ClientPolled, watches_are_no_requests_in_flight_to_poll) {
    LoopbackServer server;
    server.habits.mute = true;
    Client client(to(server, Threading::polled));
    const Watcher watcher = client.watch("k");
    EXPECT_EQ(client.poll(10), 0U);
    client.put_async("k", "v", {}, [](const Outcome<PutReply>&) {});
    EXPECT_EQ(client.poll(10), 1U);
}

TEST(ClientMoves, a_moved_client_keeps_its_connection) {
    LoopbackServer server;
    Client first(to(server));
    EXPECT_TRUE(first.put("k", "v"));
    Client second(std::move(first));
    EXPECT_TRUE(second.put("k", "v"));
    EXPECT_EQ(server.connection_count(), 1U);
}

// ---------------------------------------------------------------------------------------------- words

TEST(ClientWords, endpoints_as_people_write_them) {
    EXPECT_EQ(normalize_endpoint("a:1"), "a:1");
    EXPECT_EQ(normalize_endpoint("http://a:1"), "a:1");
    EXPECT_EQ(normalize_endpoint("http://a:1/"), "a:1");
    EXPECT_EQ(normalize_endpoint("[::1]:2379"), "[::1]:2379");
    for (const char* wrong : {"", "a", "https://a:1", "http://", "http://a", "http://a:1/path", "ftp://a:1", "a:1:2"}) {
        EXPECT_EQ(normalize_endpoint(wrong), std::nullopt) << wrong;
    }
}

TEST(ClientWords, the_end_of_a_prefix_covers_it_and_nothing_else) {
    EXPECT_EQ(prefix_end("a"), "b");
    EXPECT_EQ(prefix_end("a\xff"), "b");
    EXPECT_EQ(prefix_end("\xff"), from_key_end());
    EXPECT_EQ(prefix_end(""), from_key_end());
    EXPECT_EQ(prefix("app/").range_end, "app0");
}

TEST(ClientWords, errors_have_names) {
    EXPECT_EQ(error_name(ErrorCode::no_leader), "no_leader");
    EXPECT_EQ(error_name(ErrorCode::connection_lost), "connection_lost");
    EXPECT_EQ(error_name(static_cast<ErrorCode>(9999)), "unknown");
    EXPECT_FALSE(version().empty());
}

}  // namespace
}  // namespace ringfort
