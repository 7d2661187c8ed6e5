// What scripts read of watches: the names in the JSON form, and what stands behind them.
#include "watch_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core_script.h"

namespace ringload {
namespace {

using namespace std::chrono_literals;
using nlohmann::ordered_json;

// Two watches; two puts of which one is told to both of them, one to none.
struct Watched {
    Watched() {
        options.op = "watch";
        options.connections = 1;
        options.watches_per_connection = 2;
        options.keys = 1;
        watches.emplace(options, *script.core, script.clock);
        puts.emplace(options, *script.core, script.clock, none);
        auto& link = script.greet();
        watches->step();
        const auto asked = script.arrived(link);
        watches->on_write_started(1, script.clock.now());
        watches->on_write_started(2, script.clock.now());
        watches->on_write_acknowledged(1, 0, script.clock.now());
        watches->on_write_acknowledged(2, 0, script.clock.now());
        for (const auto& seen : asked) {
            ringfort::api::WatchResponse watch;
            watch.created = true;
            reply(seen, watch);
            std::string value(16, '0');
            write_sequence(1, value.data(), value.size());
            ringfort::api::Event event;
            event.kv = {.key = "k", .mod_revision = 2, .value = value};
            watch.created = false;
            watch.events = {&event, 1};
            reply(seen, watch);
        }
        watches->end();
        report.options = &options;
        report.watches = &*watches;
        report.puts = &*puts;
        report.creation = {.nodes = 1, .nodes_asked = 1, .sum = {.answered = true, .cpu_us = 14, .resident_bytes = 300}};
        report.servers = {.nodes = 1, .nodes_asked = 1, .sum = {.answered = true, .cpu_us = 50}};
        report.received = watches->received_count();
        report.seconds = 4;
        report.client_cpu_us = 6;
    }
    void reply(const ringfort::client::test::Seen& seen, const ringfort::api::WatchResponse& watch) {
        ringfort::api::Response response;
        response.header.revision = 2;
        response.body = ringfort::api::Result(watch);
        response.more_frames = true;
        script.reply(seen, response);
    }
    ordered_json json() const { return ordered_json::parse(as_json(report), nullptr, false); }

    Options options;
    ringfort::client::test::CoreScript script;
    HistoryWriter none;
    std::optional<WatchLoad> watches;
    std::optional<Load> puts;
    WatchReport report;
};

TEST(WatchReport, as_json_has_these_fields_and_no_others) {
    const ordered_json json = Watched().json();
    ASSERT_TRUE(json.is_object());
    std::vector<std::string> names;
    for (const auto& item : json.items()) {
        names.push_back(item.key());
    }
    EXPECT_EQ(names, (std::vector<std::string>{
                         "op", "requests", "failed", "per_second", "p50_us", "p99_us", "p999_us", "max_us",
                         "longest_gap_ms", "watches", "resumed", "ended", "last_end", "created_seconds", "created_cpu_us",
                         "watch_bytes", "nodes_grew_bytes", "seconds", "events", "missing", "events_per_second", "puts",
                         "puts_per_second", "puts_failed", "since_acknowledged", "since_due", "connections",
                         "watches_per_connection", "rate", "keys", "key_bytes", "value_bytes", "retries",
                         "connections_lost", "client_cpu_seconds", "client_cpu_us", "nodes_counted",
                         "server_cpu_seconds", "server_cpu_us", "events_per_cpu_second", "interrupted"}));
}

TEST(WatchReport, divides_by_watches_and_events_and_tells_what_is_missing) {
    const Watched watched;
    const ordered_json json = watched.json();
    EXPECT_EQ(json["requests"], 4) << "an event that is missing is a request that failed";
    EXPECT_EQ(json["failed"], 2);
    EXPECT_EQ(json["per_second"], 0.5);
    EXPECT_EQ(json["p99_us"], json["since_acknowledged"]["p99_us"]);
    EXPECT_EQ(json["watches"], 2);
    EXPECT_EQ(json["watch_bytes"], 150.0);
    EXPECT_EQ(json["created_cpu_us"], 7.0);
    EXPECT_EQ(json["events"], 2);
    EXPECT_EQ(json["missing"], 2);
    EXPECT_EQ(json["events_per_second"], 0.5);
    EXPECT_EQ(json["since_acknowledged"]["count"], 2);
    EXPECT_EQ(json["client_cpu_us"], 3.0) << "per event";
    EXPECT_EQ(json["server_cpu_us"], 25.0) << "per event";
    EXPECT_EQ(json["events_per_cpu_second"], 40'000.0);
    const std::string table = as_table(watched.report);
    for (const std::string_view words : {"2 open", "150 B", "2 missing", "25.00 us of it per event"}) {
        EXPECT_NE(table.find(words), std::string::npos) << words << " is missing in\n" << table;
    }
}

TEST(WatchReport, of_idle_watches_speaks_of_no_events) {
    Watched watched;
    watched.report.puts = nullptr;
    watched.report.received = 0;
    EXPECT_FALSE(watched.json().contains("puts"));
    EXPECT_EQ(watched.json()["server_cpu_us"], 0.0);
    EXPECT_EQ(as_table(watched.report).find("event"), std::string::npos) << as_table(watched.report);
}

}  // namespace
}  // namespace ringload
