// The load against a scripted server and a clock that stands still until it is moved.
#include "load.h"

#include <gtest/gtest.h>

#include "core_script.h"

namespace ringload {
namespace {

using namespace std::chrono_literals;
using ringfort::client::test::CoreScript;
using ringfort::client::test::Link;
using ringfort::client::test::Seen;

Options open_loop(double rate, std::size_t slots) {
    Options options;
    options.rate = rate;
    options.concurrent = slots;
    options.seconds = 10;
    options.seed = 1;
    options.timeout_ms = 60'000;
    return options;
}

class Bench {
  public:
    explicit Bench(const Options& options)
        : options_(options), link_(&script_.greet()), load(options_, *script_.core, script_.clock, history_) {
        load.begin();
    }

    // Starts what is due. Returns what reached the server.
    std::vector<Seen> step() {
        next_step = load.step();
        return script_.arrived(*link_);
    }
    void answer(const std::vector<Seen>& requests) {
        for (const Seen& request : requests) {
            script_.reply_put(request, 1);
        }
    }
    void answer_txns(const std::vector<Seen>& requests) {
        for (const Seen& request : requests) {
            ringfort::api::Response response;
            response.body = ringfort::api::Result(ringfort::api::TxnResponse{});
            script_.reply(request, response);
        }
    }
    void answer_keep_alives(const std::vector<Seen>& requests, std::int64_t ttl) {
        for (const Seen& request : requests) {
            ringfort::api::Response response;
            response.body = ringfort::api::Result(ringfort::api::LeaseKeepAliveResponse{{&ttl, 1}});
            script_.reply(request, response);
        }
    }
    // A server that answers everything at once, and a load that is never late.
    void serve(ringfort::Duration time) {
        const ringfort::Instant end = now() + time;
        while (now() < end) {
            for (std::vector<Seen> seen = step(); !seen.empty(); seen = step()) {
                answer(seen);
            }
            script_.clock.advance(std::min(next_step, end) - now());
        }
    }
    void pass(ringfort::Duration time) { script_.clock.advance(time); }
    ringfort::Instant now() const { return script_.clock.now(); }
    const Histogram& latencies() {
        load.end();
        return load.timeline().latencies();
    }

    ringfort::Instant next_step{};

  private:
    Options options_;
    CoreScript script_;
    Link* link_;
    HistoryWriter history_;

  public:
    Load load;
};

void expect_about(std::int64_t got, std::chrono::microseconds wanted) {
    const std::int64_t ns = std::chrono::nanoseconds(wanted).count();
    EXPECT_GE(got, ns);
    EXPECT_LE(got, ns + ns / 1000 + 1);
}

TEST(OpenLoop, starts_each_request_at_its_time_and_tells_when_the_next_is_due) {
    Bench bench(open_loop(1000, 100));
    EXPECT_EQ(bench.step().size(), 1U) << "the first is due at once";
    for (int i = 1; i < 20; i++) {
        EXPECT_EQ(bench.next_step - bench.now(), 1ms);
        bench.pass(999us);
        EXPECT_TRUE(bench.step().empty());
        bench.pass(1us);
        EXPECT_EQ(bench.step().size(), 1U);
    }
    EXPECT_EQ(bench.load.backlog(), 0U);
}

TEST(OpenLoop, keeps_its_rate_whatever_the_rate_is) {
    for (const double rate : {3.0, 333.3, 7777.7}) {
        Bench bench(open_loop(rate, 64));
        bench.serve(3s);
        const auto started = static_cast<double>(bench.load.started_count());
        EXPECT_NEAR(started, 3 * rate, 1.01) << rate;
        EXPECT_EQ(bench.latencies().max(), 0) << "nobody was late";
    }
}

// What a load generator that waits for answers would not see: all the requests that a stall delayed.
TEST(OpenLoop, counts_latency_from_when_a_request_was_due_not_from_when_it_could_be_sent) {
    Bench bench(open_loop(1000, 2));
    const auto held = bench.step();
    ASSERT_EQ(held.size(), 1U);
    bench.pass(1ms);
    const auto second = bench.step();
    ASSERT_EQ(second.size(), 1U);
    bench.pass(99ms);
    EXPECT_TRUE(bench.step().empty()) << "no slot is free";
    EXPECT_EQ(bench.load.backlog(), 99U);
    EXPECT_EQ(bench.next_step, bench.now() + 9900ms) << "only an answer helps, or the end of the run";
    bench.answer(held);
    bench.answer(second);
    for (std::vector<Seen> seen = bench.step(); !seen.empty(); seen = bench.step()) {
        bench.answer(seen);
    }
    EXPECT_EQ(bench.load.backlog(), 0U);
    const Histogram& latencies = bench.latencies();
    ASSERT_EQ(latencies.count(), 101U) << "one for each millisecond, and the first";
    EXPECT_EQ(latencies.max(), std::chrono::nanoseconds(100ms).count());
    EXPECT_EQ(latencies.min(), 0);
    expect_about(latencies.percentile(0.5), 50ms);
    expect_about(latencies.percentile(0.99), 99ms);
}

TEST(OpenLoop, of_a_late_load_generator_charges_its_own_delay_too) {
    Bench bench(open_loop(1000, 100));
    bench.pass(10ms);
    const auto seen = bench.step();
    EXPECT_EQ(seen.size(), 11U);
    bench.answer(seen);
    const Histogram& latencies = bench.latencies();
    EXPECT_EQ(latencies.max(), std::chrono::nanoseconds(10ms).count());
    EXPECT_EQ(latencies.min(), 0);
}

TEST(OpenLoop, tells_at_the_end_how_many_requests_were_due_and_never_started) {
    Options options = open_loop(1000, 5);
    options.seconds = 1;
    Bench bench(options);
    bench.pass(10ms);
    EXPECT_EQ(bench.step().size(), 5U);
    EXPECT_EQ(bench.load.backlog(), 6U);
    bench.pass(5s);   // nobody looks before the end
    bench.step();
    EXPECT_TRUE(bench.load.stopped());
    EXPECT_FALSE(bench.load.finished());
    EXPECT_EQ(bench.load.backlog(), 1000U - 5U) << "of the second that was measured";
}

TEST(OpenLoop, of_a_given_number_of_requests_starts_that_many_and_owes_nothing) {
    Options options = open_loop(1000, 100);
    options.seconds = 0;
    options.requests = 10;
    Bench bench(options);
    bench.pass(100ms);
    const auto seen = bench.step();
    EXPECT_EQ(seen.size(), 10U);
    EXPECT_EQ(bench.load.backlog(), 0U);
    bench.answer(seen);
    bench.step();
    EXPECT_TRUE(bench.load.finished());
    EXPECT_EQ(bench.load.backlog(), 0U);
    EXPECT_EQ(bench.latencies().count(), 10U);
}

TEST(OpenLoop, forgets_its_warm_up) {
    Options options = open_loop(1000, 100);
    options.warmup_seconds = 0.1;
    options.seconds = 1;
    Bench bench(options);
    bench.serve(50ms);
    EXPECT_FALSE(bench.load.measuring());
    bench.serve(1060ms);
    EXPECT_TRUE(bench.load.finished());
    EXPECT_EQ(bench.load.backlog(), 0U) << "all that was due was started";
    EXPECT_EQ(bench.load.answered_count(), 1100U) << "the warm-up's too";
    EXPECT_EQ(bench.latencies().count(), 1000U);
}

TEST(ClosedLoop, keeps_as_many_requests_under_way_as_it_was_told_to) {
    Options options;
    options.connections = 1;
    options.in_flight = 4;
    options.seconds = 1;
    options.seed = 1;
    Bench bench(options);
    auto under_way = bench.step();
    EXPECT_EQ(under_way.size(), 4U);
    for (int i = 0; i < 20; i++) {
        bench.pass(3ms);
        std::vector<Seen> one;
        one.push_back(std::move(under_way.front()));
        under_way.erase(under_way.begin());
        bench.answer(one);
        for (Seen& started : bench.step()) {
            under_way.push_back(std::move(started));
        }
        EXPECT_EQ(under_way.size(), 4U);
    }
    bench.pass(1s);
    bench.step();
    bench.answer(under_way);
    EXPECT_TRUE(bench.step().empty());
    EXPECT_TRUE(bench.load.finished());
    EXPECT_EQ(bench.latencies().count(), 24U);
}

TEST(ClosedLoop, counts_a_keep_alive_that_finds_no_lease_as_failed) {
    Options options;
    options.connections = 1;
    options.in_flight = 2;
    options.seconds = 10;
    options.seed = 1;
    options.op = "lease-keepalive";
    Bench bench(options);
    bench.answer_keep_alives(bench.step(), 60);
    EXPECT_EQ(bench.load.timeline().failed_count(), 0U);
    bench.answer_keep_alives(bench.step(), 0);
    EXPECT_EQ(bench.load.timeline().failed_count(), 2U);
    EXPECT_EQ(bench.load.first_failure(), "etcdserver: requested lease not found");
}

// A transaction that writes one key, or reads the load's keys; as many of either as asked for.
TEST(ClosedLoop, of_txn_mixed_reads_and_writes_in_their_ratio_and_measures_them_apart) {
    Options options;
    options.connections = 1;
    options.in_flight = 50;
    options.seconds = 10;
    options.seed = 1;
    options.op = "txn-mixed";
    options.rw_ratio = 3;
    options.range_limit = 7;
    Bench bench(options);
    std::size_t reads = 0;
    std::size_t writes = 0;
    for (int round = 0; round < 20; round++) {
        const auto seen = bench.step();
        for (const Seen& one : seen) {
            const auto& txn = std::get<ringfort::api::TxnRequest>(one.request->op);
            ASSERT_EQ(txn.success.size(), 1U);
            EXPECT_TRUE(txn.compare.empty());
            const auto* range = std::get_if<ringfort::api::RangeRequest>(&txn.success[0].op);
            if (range != nullptr) {
                EXPECT_EQ(range->key, "k");
                EXPECT_EQ(range->range_end, "l");
                EXPECT_EQ(range->limit, 7);
            }
            (range != nullptr ? reads : writes)++;
        }
        bench.answer_txns(seen);
    }
    EXPECT_EQ(reads + writes, 1000U);
    EXPECT_NEAR(static_cast<double>(reads), 750, 60);
    EXPECT_EQ(bench.load.read_latencies().count(), reads);
    EXPECT_EQ(bench.load.write_latencies().count(), writes);
}

TEST(Leases, of_two_runs_of_one_seed_are_others) {
    Options first;
    first.seed = 7;
    first.started_us = 1'000'000;
    Options second = first;
    second.started_us++;
    EXPECT_NE(first.lease_of(0), second.lease_of(0));
    EXPECT_NE(first.lease_of(0), first.lease_of(1));
    EXPECT_GT(first.lease_of(0), 0);
}

// The warm-up may take more requests than the run is to measure.
TEST(ClosedLoop, of_a_given_number_of_requests_counts_from_the_end_of_the_warm_up) {
    Options options;
    options.connections = 1;
    options.in_flight = 4;
    options.requests = 10;
    options.warmup_seconds = 0.1;
    options.seed = 1;
    Bench bench(options);
    std::size_t answered = 0;
    for (int ms = 0; ms < 200 && !bench.load.finished(); ms++) {
        const auto seen = bench.step();
        bench.answer(seen);
        answered += seen.size();
        EXPECT_EQ(bench.load.measuring(), ms >= 100);
        bench.pass(1ms);
    }
    EXPECT_TRUE(bench.load.finished());
    EXPECT_GT(answered, 400U);
    // Those under way when the warm-up ended are answered after it.
    EXPECT_EQ(bench.latencies().count(), 14U);
}

}  // namespace
}  // namespace ringload
