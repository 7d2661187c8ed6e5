// What scripts read: the names in the JSON form, what stands behind them, and their units.
#include "report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ringload {
namespace {

using namespace std::chrono_literals;
using nlohmann::ordered_json;

struct Measured {
    Measured() {
        options.op = "mixed";
        options.rate = 500;
        options.concurrent = 7;
        timeline.begin(Instant{5'000'000'000});
        const auto at = [](ringfort::Duration time) { return Instant{5'000'000'000} + time; };
        timeline.acknowledged(at(10ms), 1'000'000);
        timeline.acknowledged(at(20ms), 2'000'000);
        timeline.failed(at(30ms), ringfort::api::Errc::no_space);
        timeline.failed(at(31ms), ringfort::api::Errc::timed_out);
        timeline.failed(at(32ms), ringfort::api::Errc::not_leader);
        timeline.acknowledged(at(320ms), 300'000'000);
        timeline.end(at(500ms));
        report.options = &options;
        report.timeline = &timeline;
        report.client.retries = 11;
        report.client.connects = 12;
        report.client.connections_lost = 13;
        report.answered_in_all = 6;
        report.client_cpu_us = 600;
        report.unanswered = 3;
        report.backlog = 4;
        report.servers = {.nodes = 3, .nodes_asked = 3,
                          .sum = {.answered = true, .log_flushes = 21, .log_bytes_written = 22, .log_entry_bytes = 23,
                                  .cpu_us = 1200}};
        reads.record(1'000'000);
        writes.record(2'000'000);
        writes.record(300'000'000);
        report.reads = &reads;
        report.writes = &writes;
        report.first_failure = "etcdserver: mvcc: database space exceeded";
    }
    ordered_json json() const { return ordered_json::parse(as_json(report), nullptr, false); }

    Options options;
    Timeline timeline;
    Histogram reads, writes;
    Report report;
};

TEST(Report, as_json_has_these_fields_and_no_others) {
    const ordered_json json = Measured().json();
    ASSERT_TRUE(json.is_object());
    std::vector<std::string> names;
    for (const auto& item : json.items()) {
        names.push_back(item.key());
    }
    const std::vector<std::string> expected{
        "op", "requests", "failed", "per_second", "p50_us", "p99_us", "p999_us", "max_us", "mean_us", "reads",
        "writes", "longest_gap_ms", "longest_gap_at_s",
        "gaps_ms", "began_monotonic_s", "seconds", "failed_definite", "failed_indefinite",
        "failed_redirect", "failures", "unanswered", "backlog", "connections", "in_flight", "rate", "keys", "key_bytes",
        "value_bytes", "target", "retries", "connects", "connections_lost", "client_cpu_us", "nodes_counted",
        "log_flushes", "log_bytes_written", "log_entry_bytes", "server_cpu_us", "interrupted"};
    EXPECT_EQ(names, expected);
}

TEST(Report, as_json_says_what_was_measured_in_the_units_of_the_names) {
    const ordered_json json = Measured().json();
    EXPECT_EQ(json["op"], "mixed");
    EXPECT_EQ(json["requests"], 6) << "answered, well or not";
    EXPECT_EQ(json["failed"], 3);
    EXPECT_EQ(json["per_second"], 6.0) << "acknowledged";
    EXPECT_NEAR(json["p50_us"].get<double>(), 2000, 2);
    EXPECT_EQ(json["max_us"], 300'000.0);
    EXPECT_EQ(json["mean_us"], 101'000.0);
    EXPECT_EQ(json["longest_gap_ms"], 300.0);
    EXPECT_EQ(json["longest_gap_at_s"], 0.02);
    EXPECT_EQ(json["gaps_ms"], ordered_json::parse("[[20.0, 300.0], [320.0, 180.0]]"));
    EXPECT_EQ(json["began_monotonic_s"], 5.0);
    EXPECT_EQ(json["seconds"], 0.5);
    EXPECT_EQ(json["failed_definite"], 1);
    EXPECT_EQ(json["failed_indefinite"], 1);
    EXPECT_EQ(json["failed_redirect"], 1);
    EXPECT_EQ(json["failures"], "no_space: 1, not_leader: 1, timed_out: 1");
    EXPECT_EQ(json["unanswered"], 3);
    EXPECT_EQ(json["backlog"], 4);
    EXPECT_EQ(json["in_flight"], 7);
    EXPECT_EQ(json["rate"], 500.0);
    EXPECT_EQ(json["target"], "all");
    EXPECT_EQ(json["retries"], 11);
    EXPECT_EQ(json["connects"], 12);
    EXPECT_EQ(json["connections_lost"], 13);
    EXPECT_EQ(json["client_cpu_us"], 100.0) << "per request";
    EXPECT_EQ(json["nodes_counted"], 3);
    EXPECT_EQ(json["log_flushes"], 21);
    EXPECT_EQ(json["log_bytes_written"], 22);
    EXPECT_EQ(json["log_entry_bytes"], 23);
    EXPECT_EQ(json["server_cpu_us"], 200.0) << "per request";
    EXPECT_EQ(json["interrupted"], false);
}

// The counters are read before the warm-up: what they tell is divided by the warm-up's requests too.
TEST(Report, after_a_warm_up_divides_the_cpu_by_all_requests_it_was_spent_on) {
    Measured measured;
    measured.report.answered_in_all = 60;
    EXPECT_EQ(measured.json()["client_cpu_us"], 10.0);
    EXPECT_EQ(measured.json()["server_cpu_us"], 20.0);
    EXPECT_EQ(measured.json()["requests"], 6);
    EXPECT_NE(as_table(measured.report).find("10.00 us of CPU per request"), std::string::npos);
    EXPECT_NE(as_table(measured.report).find("20.0 us of CPU per request"), std::string::npos);
}

TEST(Report, of_a_mixed_load_tells_reads_and_writes_apart) {
    const ordered_json json = Measured().json();
    EXPECT_EQ(json["reads"]["count"], 1);
    EXPECT_EQ(json["reads"]["p99_us"], 1000.0);
    EXPECT_EQ(json["writes"]["count"], 2);
    EXPECT_EQ(json["writes"]["p99_us"], 300'000.0);
    EXPECT_NE(as_table(Measured().report).find("  reads "), std::string::npos);
}

TEST(Report, of_a_run_without_any_answer_is_whole_and_divides_by_nothing) {
    Measured run;
    run.timeline.begin(Instant{0});
    run.timeline.end(Instant{0});
    const ordered_json json = run.json();
    EXPECT_EQ(json["requests"], 0);
    EXPECT_EQ(json["per_second"], 0.0);
    EXPECT_EQ(json["p99_us"], 0.0);
    EXPECT_TRUE(json["gaps_ms"].empty());
}

TEST(Report, as_a_table_names_failures_gaps_and_what_never_started) {
    const std::string table = as_table(Measured().report);
    for (const std::string_view words : {"open loop at 500", "timed_out: 1", "database space exceeded",
                                         "300.0 ms without an acknowledgement", "due, never started", "21 flushes"}) {
        EXPECT_NE(table.find(words), std::string::npos) << words << " is missing in\n" << table;
    }
}

TEST(Report, as_a_page_takes_nothing_from_elsewhere) {
    const std::string page = as_html(Measured().report);
    EXPECT_TRUE(page.starts_with("<!DOCTYPE html>") || page.starts_with("<!doctype html>")) << page.substr(0, 40);
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find("<link"), std::string::npos);
    EXPECT_EQ(page.find(" src="), std::string::npos);
}

}  // namespace
}  // namespace ringload
