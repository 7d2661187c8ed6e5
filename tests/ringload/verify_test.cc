// What a history leads one to expect, and what of it counts as lost.
#include "verify.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "cluster.h"
#include "keys.h"
#include "options.h"

namespace ringload {
namespace {

std::string value_of(std::uint64_t sequence) {
    std::string value(32, '.');
    write_sequence(sequence, value.data(), value.size());
    return value;
}

History history_of(std::vector<Write> writes) {
    return {.keys = 10, .key_bytes = 8, .value_bytes = 32, .prefix = "k", .writes = std::move(writes)};
}
Write acknowledged(std::uint64_t key, std::int64_t revision) {
    return {.key = key, .sequence = 100 + static_cast<std::uint64_t>(revision), .outcome = WriteOutcome::ok,
            .revision = revision, .domain = 1};
}

TEST(Verify, what_stands_where_it_was_acknowledged_or_was_overwritten_later_is_not_lost) {
    const History history = history_of({acknowledged(1, 5), acknowledged(1, 7), acknowledged(2, 6)});
    Expectation expectation(history);
    expectation.see_current(1, 7, value_of(107));
    expectation.see_current(2, 900, "of another run");
    expectation.finish_current();
    EXPECT_EQ(expectation.verdict().lost, 0U);
    EXPECT_EQ(expectation.verdict().keys_checked, 2U);
    EXPECT_EQ(expectation.verdict().acknowledged, 3U);
}

TEST(Verify, every_acknowledged_write_behind_what_a_key_shows_is_lost) {
    const History history = history_of({acknowledged(1, 5), acknowledged(1, 7), acknowledged(1, 9), acknowledged(2, 6),
                                        acknowledged(2, 8), acknowledged(3, 10)});
    Expectation expectation(history);
    expectation.see_current(1, 5, value_of(105));      // 7 and 9 are gone
    expectation.see_current(3, 10, value_of(111));     // another value
    expectation.finish_current();                      // 6 and 8 are gone with their key
    EXPECT_EQ(expectation.verdict().lost, 5U);
}

TEST(Verify, a_reading_that_broke_off_and_began_anew_counts_once) {
    Write refused = acknowledged(3, 0);
    refused.outcome = WriteOutcome::definite;
    const History history = history_of({acknowledged(1, 5), acknowledged(2, 5), acknowledged(2, 6), refused});
    Expectation expectation(history);
    expectation.see_current(1, 4, "an old one");
    expectation.see_current(3, 8, value_of(refused.sequence));
    expectation.forget_current();
    expectation.see_current(1, 5, value_of(105));
    expectation.finish_current();
    EXPECT_EQ(expectation.verdict().lost, 1U + 2U) << "revision 5 for two writes, and both of the key that was not seen";
    EXPECT_EQ(expectation.verdict().refused_but_done, 0U);
    EXPECT_EQ(expectation.verdict().keys_checked, 2U);
}

TEST(Verify, a_revision_given_to_two_writes_is_a_loss_in_one_domain_only) {
    Write other = acknowledged(2, 5);
    {
        const History history = history_of({acknowledged(1, 5), other});
        EXPECT_EQ(Expectation(history).verdict().lost, 1U);
    }
    other.domain = 2;
    const History history = history_of({acknowledged(1, 5), other});
    EXPECT_EQ(Expectation(history).verdict().lost, 0U);
}

TEST(Verify, a_refused_write_that_stands_is_told_and_an_indefinite_one_is_not) {
    for (const WriteOutcome outcome : {WriteOutcome::definite, WriteOutcome::redirect, WriteOutcome::indefinite}) {
        const History history = history_of({acknowledged(1, 5), {.key = 1, .sequence = 77, .outcome = outcome}});
        Expectation expectation(history);
        expectation.see_current(1, 6, value_of(77));
        expectation.finish_current();
        EXPECT_EQ(expectation.verdict().lost, 0U);
        EXPECT_EQ(expectation.verdict().refused_but_done, outcome == WriteOutcome::indefinite ? 0U : 1U);
    }
}

TEST(Verify, a_key_that_only_refused_writes_touched_tells_them_too) {
    const History history = history_of({{.key = 4, .sequence = 77, .outcome = WriteOutcome::definite}});
    Expectation expectation(history);
    expectation.see_current(4, 6, value_of(77));
    expectation.finish_current();
    EXPECT_EQ(expectation.verdict().refused_but_done, 1U);
}

TEST(Verify, a_sample_is_spread_over_the_whole_run_and_no_larger_than_asked_for) {
    for (const std::uint64_t total : {1U, 9U, 10U, 11U, 15U, 19U, 20U, 21U, 1000U, 1009U}) {
        std::vector<Write> writes;
        for (std::uint64_t i = 0; i < total; i++) {
            writes.push_back(acknowledged(i % 10, static_cast<std::int64_t>(i + 1)));
        }
        const History history = history_of(std::move(writes));
        const Expectation expectation(history);
        const auto sample = expectation.sample(10);
        EXPECT_EQ(sample.size(), std::min<std::uint64_t>(total, 10)) << total;
        // From any piece of the run that is a tenth of it, or one write, there is one.
        std::int64_t former = 0;
        for (const Write* write : sample) {
            EXPECT_LE(write->revision - former, static_cast<std::int64_t>(total / 10 + 1)) << total;
            former = write->revision;
        }
        EXPECT_LE(static_cast<std::int64_t>(total) - former, static_cast<std::int64_t>(total / 10 + 1)) << total;
    }
    const History history = history_of({acknowledged(1, 5)});
    EXPECT_TRUE(Expectation(history).sample(0).empty());
}

TEST(History, is_read_as_it_was_written_and_a_torn_last_line_is_dropped) {
    Options options;
    options.history = testing::TempDir() + "/ringload_history";
    options.prefix = " two words ";
    options.keys = 10;
    options.key_bytes = 20;
    {
        HistoryWriter writer;
        ASSERT_TRUE(writer.open(options));
        writer.record(acknowledged(9, INT64_MAX));
        writer.record({.key = 0, .sequence = UINT64_MAX, .outcome = WriteOutcome::redirect});
        ASSERT_TRUE(writer.finish());
    }
    std::ofstream(options.history, std::ios::app) << "3 12 ok 4";
    std::string problem;
    const auto history = read_history(options.history, problem);
    ASSERT_TRUE(history) << problem;
    EXPECT_EQ(history->prefix, options.prefix);
    EXPECT_EQ(history->keys, 10U);
    ASSERT_EQ(history->writes.size(), 2U);
    EXPECT_EQ(history->writes[0].revision, INT64_MAX);
    EXPECT_EQ(history->writes[1].sequence, UINT64_MAX);
    EXPECT_EQ(history->writes[1].outcome, WriteOutcome::redirect);
    std::remove(options.history.c_str());
}

// Nobody listens on port 1: a hundred thousand keys would otherwise each wait for their deadline before it is said.
TEST(Prefill, ends_with_its_first_failure) {
    Options options;
    options.endpoints = {{"127.0.0.1", 1}};
    options.op = "get";
    options.prefill = Prefill::always;
    options.keys = 100'000;
    options.timeout_ms = 20;
    options.seed = 1;
    const ringfort::client::SystemClock clock;
    const ringfort::Instant begin = clock.now();
    volatile std::sig_atomic_t interrupted = 0;
    EXPECT_NE(prefill(options, interrupted), "");
    EXPECT_LT(clock.now() - begin, std::chrono::seconds(3));
}

TEST(Prefill, ends_when_it_is_interrupted) {
    Options options;
    options.endpoints = {{"127.0.0.1", 1}};
    options.prefill = Prefill::always;
    options.timeout_ms = 3'600'000;
    options.seed = 1;
    volatile std::sig_atomic_t interrupted = 1;
    EXPECT_NE(prefill(options, interrupted), "");
}

}  // namespace
}  // namespace ringload
