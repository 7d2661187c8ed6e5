// Questions about leases, and keep-alives in numbers: as many as somebody likes, from where somebody likes, and what a node
// holds meanwhile.
#include "raw_client.h"
#include "scenario.h"

namespace ringfort::sim {
namespace {

constexpr api::LeaseId lease = 7;
constexpr std::size_t key_bytes = 1000;

api::LeaseTimeToLiveRequest time_to_live(api::LeaseId id) {
    return {.id = id, .keys = false, .from_key = {}};
}

std::string key(std::size_t number) {
    std::string out = "d00/" + std::to_string(100'000 + number);
    return out + std::string(key_bytes - out.size(), 'k');
}

class LeaseReads : public testing::Test {
  protected:
    explicit LeaseReads(const RunOptions& options = without_load()) : s(options) {}
    static RunOptions without_load() {
        RunOptions out = scenario_options();
        out.workload.think = 3600s;
        return out;
    }
    void SetUp() override {
        ASSERT_TRUE(s.simulation.form()) << s.simulation.problem();
        ASSERT_TRUE(s.run_until(10s, "nobody leads", [&] { return s.leader() < s.nodes(); }));
        s.simulation.run_for(1s);
        talk(s.leader());
    }
    void talk(std::size_t node, ShardId shard = right_shard) {
        clients.push_back(std::make_unique<RawClient>(s.cluster(), node));
        wire::ClientHello hello;
        hello.has_shard = true;
        hello.shard = shard;
        client().greet(hello);
        s.simulation.run_for(100ms);
    }
    RawClient& client() { return *clients.back(); }
    const RawClient::Answer& ask(const api::Operation& op) {
        const std::uint64_t id = ++asked;
        client().ask(id, op, 60s);
        EXPECT_TRUE(s.run_until(60s, "no answer", [&] { return client().answer(id).ended; }));
        return client().answer(id);
    }
    // Leases from 1 on.
    void grant(api::LeaseId count, std::int64_t ttl = 3600) {
        for (api::LeaseId id = 1; id <= count; id++) {
            client().ask(++asked, api::LeaseGrantRequest{ttl, id}, 60s);
        }
        ASSERT_TRUE(s.run_until(60s, "not every lease is granted", [&] { return client().answered() == asked; }));
        ASSERT_EQ(client().failed(), 0u);
    }
    // Hangs keys on it, a hundred a transaction.
    void attach(std::size_t keys) {
        ASSERT_EQ(ask(api::LeaseGrantRequest{3600, lease}).error, api::Errc::ok);
        for (std::size_t first = 0; first < keys; first += 100) {
            std::vector<std::string> names;
            for (std::size_t i = first; i < std::min(first + 100, keys); i++) {
                names.push_back(key(i));
            }
            std::vector<api::RequestOp> ops;
            for (const std::string& name : names) {
                ops.push_back({api::PutRequest{.key = name, .value = "v", .lease = lease}});
            }
            ASSERT_EQ(ask(api::TxnRequest{{}, ops, {}}).error, api::Errc::ok);
        }
    }
    static api::LeaseTimeToLiveRequest keys_from(std::string_view from) {
        return {.id = lease, .keys = true, .from_key = from};
    }

    Scenario s;
    std::vector<std::unique_ptr<RawClient>> clients;
    std::uint64_t asked{0};
};

TEST_F(LeaseReads, give_the_keys_of_a_lease_page_by_page) {
    constexpr std::size_t keys = 700;
    attach(keys);
    std::vector<std::string> found;
    std::string from;
    int pages = 0;
    for (bool more = true; more; pages++) {
        const auto& answer = ask(keys_from(from));
        ASSERT_FALSE(answer.keys.empty());
        EXPECT_LE(answer.bytes, limits::lease_list_key_bytes + 16 * kib);
        found.insert(found.end(), answer.keys.begin(), answer.keys.end());
        from = found.back() + '\0';
        more = answer.more;
    }
    EXPECT_EQ(pages, 3);
    ASSERT_EQ(found.size(), keys);
    for (std::size_t i = 0; i < keys; i++) {
        EXPECT_EQ(found[i], key(i));
    }
    EXPECT_TRUE(ask(keys_from(from)).keys.empty());
}

TEST_F(LeaseReads, give_the_leases_page_by_page) {
    constexpr api::LeaseId leases = 2500;
    grant(leases);
    std::vector<std::int64_t> found;
    int pages = 0;
    for (bool more = true; more; pages++) {
        const auto& answer = ask(api::LeaseListRequest{!found.empty(), found.empty() ? 0 : found.back()});
        ASSERT_FALSE(answer.leases.empty());
        EXPECT_LE(answer.leases.size(), limits::lease_list_ids_max);
        found.insert(found.end(), answer.leases.begin(), answer.leases.end());
        more = answer.more;
    }
    EXPECT_EQ(pages, 3);
    ASSERT_EQ(found.size(), static_cast<std::size_t>(leases));
    for (api::LeaseId id = 1; id <= leases; id++) {
        EXPECT_EQ(found[static_cast<std::size_t>(id) - 1], id);
    }
}

// A quarter of a MiB each, for some dozen bytes.
TEST_F(LeaseReads, whose_answers_are_not_taken_are_held_back_wherever_they_are_asked_for) {
    constexpr std::uint64_t requests = 120;
    attach(300);
    struct Place {
        std::size_t node;
        ShardId shard;
    };
    for (const Place place : {Place{s.leader(), right_shard}, Place{s.leader(), wrong_shard},
                              Place{s.follower(), right_shard}, Place{s.follower(), wrong_shard}}) {
        talk(place.node, place.shard);
        client().stop_reading();
        for (std::uint64_t id = 1; id <= requests; id++) {
            client().ask(id, keys_from({}), 60s);
        }
        std::size_t replies = 0;
        for (int i = 0; i < 100; i++) {
            s.simulation.run_for(10ms);
            replies = std::max(replies, s.node(place.node).held().replies);
        }
        EXPECT_LT(replies, 9 * mib);
        client().go_on_reading();
        ASSERT_TRUE(s.run_until(20s, "not every question is answered", [&] { return client().answered() == requests; }));
        EXPECT_EQ(client().failed(), 0u);
        for (std::uint64_t id = 1; id <= requests; id++) {
            EXPECT_EQ(client().answer(id).keys.size(), 263u);
        }
    }
}

class HeldLeaseReads : public LeaseReads {
  protected:
    HeldLeaseReads() : LeaseReads(with_slow_turns()) {}
    static RunOptions with_slow_turns() {
        RunOptions out = without_load();
        out.turn_cost = 10ms;
        out.bounds.held_read_bytes = 64 * kib;
        return out;
    }
};

TEST_F(HeldLeaseReads, share_the_work_of_a_turn) {
    constexpr std::uint64_t requests = 60;
    grant(limits::lease_list_ids_max);
    talk(s.leader());
    for (std::uint64_t id = 1; id <= requests; id++) {
        client().ask(id, api::LeaseListRequest{}, 60s);
    }
    ASSERT_TRUE(s.run_until(20s, "not every question is answered", [&] { return client().answered() == requests; }));
    EXPECT_EQ(client().failed(), 0u);
    Instant first = never;
    Instant last{};
    for (std::uint64_t id = 1; id <= requests; id++) {
        first = std::min(first, client().answer(id).at);
        last = std::max(last, client().answer(id).at);
    }
    EXPECT_GT(last - first, Duration(200ms)) << "two are the work of a turn";
}

// While keys go one by one nobody is told of them.
TEST_F(HeldLeaseReads, wait_for_the_end_of_a_command_that_is_applied_as_many_as_there_is_room_for) {
    attach(12'000);
    constexpr std::uint64_t waves = 60;
    constexpr std::uint64_t requests = waves * 20;
    const std::string from = key(0);
    RawClient& revoking = client();
    talk(s.leader());
    revoking.ask(++asked, api::LeaseRevokeRequest{lease}, 60s);
    std::uint64_t most = 0;
    for (std::uint64_t wave = 0; wave < waves; wave++) {
        for (std::uint64_t id = wave * 20 + 1; id <= wave * 20 + 20; id++) {
            client().ask(id, keys_from(from), 60s);
        }
        s.simulation.run_for(2ms);
        most = std::max(most, s.held(s.leader(), "bytes of reads held back"));
    }
    ASSERT_TRUE(s.run_until(20s, "not every question is answered", [&] { return client().answered() == requests; }));
    EXPECT_GT(most, 60 * kib);
    EXPECT_LE(most, 64 * kib);
    EXPECT_GT(client().failed(), 0u);
    std::uint64_t told = 0;
    for (std::uint64_t id = 1; id <= requests; id++) {
        const auto& answer = client().answer(id);
        if (answer.error == api::Errc::ok) {
            told++;
            EXPECT_TRUE(answer.keys.empty() || answer.keys.size() == 263) << answer.keys.size();
        } else {
            EXPECT_EQ(answer.error, api::Errc::too_many_requests);
        }
    }
    EXPECT_GE(told, 60u) << "a key of a thousand bytes each";
}

class LeasesOfAFullLog : public LeaseReads {
  protected:
    LeasesOfAFullLog() : LeaseReads(with_small_log()) {}
    static RunOptions with_small_log() {
        RunOptions out = without_load();
        out.log_window_bytes = 4 * mib;
        out.segment_bytes = 16 * mib;
        return out;
    }
    // Disks hang, and writes wait for room in the log.
    void fill_log(Duration hang) {
        for (std::size_t i = 0; i < s.nodes(); i++) {   // at once: nobody is faster, and the leader stays
            s.node(i).media().hang_until(s.simulation.now() + hang);
        }
        const std::string value(100'000, 'v');
        for (int i = 0; i < 100; i++) {
            client().ask(++asked, api::PutRequest{.key = "other", .value = value}, 60s);
        }
        s.simulation.run_for(300ms);
        ASSERT_GT(s.node(s.leader()).held().requests, 0u) << "no writes wait";
    }
};

// It waits there for longer than the lease has, together with those writes.
TEST_F(LeasesOfAFullLog, do_not_end_while_a_keep_alive_waits_at_the_door) {
    ASSERT_EQ(ask(api::LeaseGrantRequest{2, lease}).error, api::Errc::ok);
    fill_log(4s);
    talk(s.leader());
    const std::size_t leader = s.leader();
    client().ask(1, api::LeaseKeepAliveRequest{std::span(&lease, 1)}, 60s);
    s.simulation.run_for(3s);
    EXPECT_EQ(client().answered(), 0u);
    ASSERT_TRUE(s.run_until(20s, "the keep-alive is not answered", [&] { return client().answered() == 1; }));
    EXPECT_EQ(client().answer(1).leases, std::vector<std::int64_t>{2});
    EXPECT_EQ(s.leader(), leader);
    s.simulation.run_for(3s);
    EXPECT_EQ(ask(time_to_live(lease)).leases, std::vector<std::int64_t>{-1}) << "it never ends";
}

TEST_F(LeasesOfAFullLog, tell_each_keep_alive_when_its_own_time_is_over) {
    ASSERT_EQ(ask(api::LeaseGrantRequest{60, lease}).error, api::Errc::ok);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).media().hang_until(s.simulation.now() + 4s);
    }
    const Instant asked_at = s.simulation.now();
    client().ask(asked + 1, api::LeaseKeepAliveRequest{std::span(&lease, 1)}, 1s);
    client().ask(asked + 2, api::LeaseKeepAliveRequest{std::span(&lease, 1)}, 60s);
    ASSERT_TRUE(s.run_until(10s, "no answer", [&] { return client().answer(asked + 1).ended; }));
    EXPECT_EQ(client().answer(asked + 1).error, api::Errc::timed_out);
    EXPECT_LT(s.simulation.now() - asked_at, Duration(1300ms));
    EXPECT_FALSE(client().answer(asked + 2).ended);
    ASSERT_TRUE(s.run_until(10s, "no answer", [&] { return client().answer(asked + 2).ended; }));
    EXPECT_EQ(client().answer(asked + 2).leases, std::vector<std::int64_t>{60});
}

class LeasesOfSmallRequests : public LeaseReads {
  protected:
    LeasesOfSmallRequests() : LeaseReads(small()) {}
    static RunOptions small() {
        RunOptions out = without_load();
        out.request_bytes = 4 * kib;
        out.bounds.keep_alive_ids = 3 * limits::lease_keep_alive_ids_max;
        return out;
    }
};

// Whatever a request may hold otherwise: as many ids as a request may have are taken, and those of a turn that do not go
// together go one after the other.
TEST_F(LeasesOfSmallRequests, are_kept_alive_by_as_many_as_a_request_may_have) {
    ASSERT_EQ(ask(api::LeaseGrantRequest{60, lease}).error, api::Errc::ok);
    std::vector<api::LeaseId> ids(limits::lease_keep_alive_ids_max, lease);
    const LogIndex before = s.view(s.leader()).last.index;
    constexpr std::uint64_t requests = 3;
    for (std::uint64_t id = 1; id <= requests; id++) {
        ids.back() = static_cast<api::LeaseId>(1000 + id);
        client().ask(asked + id, api::LeaseKeepAliveRequest{ids}, 60s);
    }
    ASSERT_TRUE(s.run_until(10s, "no answer", [&] { return client().answered() == asked + requests; }));
    for (std::uint64_t id = 1; id <= requests; id++) {
        const auto& answer = client().answer(asked + id);
        ASSERT_EQ(answer.error, api::Errc::ok);
        ASSERT_EQ(answer.leases.size(), ids.size());
        EXPECT_EQ(answer.leases.front(), 60);
        EXPECT_EQ(answer.leases.back(), 0);
    }
    EXPECT_GE(distance(before, s.view(s.leader()).last.index), requests);
    s.expect_good_end();
}

TEST_F(LeasesOfSmallRequests, are_kept_alive_no_more_at_a_time_than_the_bound_of_ids) {
    ASSERT_EQ(ask(api::LeaseGrantRequest{60, lease}).error, api::Errc::ok);
    for (std::size_t i = 0; i < s.nodes(); i++) {
        s.node(i).media().hang_until(s.simulation.now() + 600ms);
    }
    const std::vector<api::LeaseId> ids(limits::lease_keep_alive_ids_max, lease);
    for (std::uint64_t id = 1; id <= 4; id++) {
        client().ask(asked + id, api::LeaseKeepAliveRequest{ids}, 60s);
    }
    ASSERT_TRUE(s.run_until(10s, "no answer", [&] { return client().answered() == asked + 4; }));
    EXPECT_EQ(client().failed(), 1u);
    EXPECT_EQ(client().answer(asked + 4).error, api::Errc::too_many_requests);
    EXPECT_EQ(ask(api::LeaseKeepAliveRequest{ids}).error, api::Errc::ok);
    s.expect_good_end();
}

// One in a hundred dies among those that are kept alive.
TEST_F(LeaseReads, find_those_that_died_gone_in_time_however_many_are_kept_alive) {
    constexpr api::LeaseId leases = 8000;
    const auto dies = [](api::LeaseId id) { return id % 100 == 0; };
    grant(leases, 5);
    const Instant granted = s.simulation.now();
    s.simulation.run_for(3s);
    std::vector<api::LeaseId> kept;
    for (api::LeaseId id = 1; id <= leases; id++) {
        if (!dies(id)) {
            kept.push_back(id);
        }
        if (kept.size() == limits::lease_keep_alive_ids_max || id == leases) {
            client().ask(++asked, api::LeaseKeepAliveRequest{kept}, 60s);
            kept.clear();
        }
    }
    s.simulation.run_for(granted + 5s + 300ms - s.simulation.now());
    const std::uint64_t first = asked;
    for (api::LeaseId id = 100; id <= leases; id += 100) {
        client().ask(++asked, time_to_live(id), 60s);
    }
    ASSERT_TRUE(s.run_until(10s, "not every question is answered", [&] { return client().answered() == asked; }));
    EXPECT_EQ(client().failed(), 0u);
    for (std::uint64_t question = first + 1; question <= asked; question++) {
        EXPECT_EQ(client().answer(question).leases, std::vector<std::int64_t>{-1}) << question - first;
    }
    EXPECT_EQ(ask(time_to_live(1)).leases, std::vector<std::int64_t>{2});
}

}  // namespace
}  // namespace ringfort::sim
