#include "options.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>

#include <CLI/CLI.hpp>

#include "client/endpoint_table.h"
#include "number_option.h"
#include "ringfort/client.h"

namespace ringload {

namespace {

using ringfort::tools::add_number;

const char* const description =
    "ringload: loads a Ringfort cluster and measures it.\n\n"
    "Closed loop (default): --connections x --in-flight requests are always under way. Open loop (--rate): requests\n"
    "start at their times whatever the cluster does, and latency counts from the intended start, so that a stall is\n"
    "seen by every request it delayed (no coordinated omission).";

const char* const examples =
    "Examples:\n"
    "  ringload --op put --seconds 10\n"
    "  ringload --op get --connections 16 --in-flight 16 --target leader\n"
    "  ringload --op mixed --read-percent 90 --rate 20000 --seconds 30 --html report.html\n"
    "  ringload --op put --requests 100000 --json\n"
    "  ringload --op watch --connections 1000 --watch-per-stream 1000 --keys 1000000 --idle --seconds 30\n"
    "  ringload --op watch-latency --rate 1000 --seconds 10\n"
    "  ringload --op put --seconds 20 --history writes.txt; ringload verify --history writes.txt\n\n"
    "The live line goes to standard error, the result to standard output. Exit code: 0, 1 if nothing could be\n"
    "measured, (watch) an event is missing or a watch ended, or (verify) something was lost, 2 on wrong usage.";

[[noreturn]] void refuse(const std::string& why) {
    std::fprintf(stderr, "ringload: %s\n", why.c_str());
    std::exit(2);
}

std::vector<ringfort::env::Address> read_endpoints(const std::vector<std::string>& texts) {
    std::vector<ringfort::env::Address> endpoints;
    for (const std::string& text : texts) {
        const auto normal = ringfort::normalize_endpoint(text);
        if (!normal) {
            refuse("not an endpoint: \"" + text + "\"; host:port or http://host:port is one");
        }
        endpoints.push_back(*ringfort::client::parse_address(*normal));
    }
    return endpoints;
}

// "10", "10s", "500ms", "2m"
double read_seconds(const std::string& text) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const std::string unit(end);
    static const std::map<std::string, double> units{{"", 1}, {"s", 1}, {"ms", 0.001}, {"m", 60}, {"h", 3600}};
    const auto factor = units.find(unit);
    if (end == text.c_str() || factor == units.end() || !(number >= 0) || number > 1e9) {
        refuse("not a duration: \"" + text + "\"; 10, 10s, 500ms or 2m is one");
    }
    return number * factor->second;
}

void check_watches(const Options& options) {
    if (options.watch_count() == 0 || options.watch_count() > 16'000'000) {
        refuse("between 1 and 16000000 watches may be held");
    }
    if (options.idle && (options.op != "watch" || options.open_loop() || options.requests > 0)) {
        refuse("--idle is of --op watch, without --rate and --requests");
    }
    if (!options.idle && options.value_bytes < sequence_digits) {
        refuse("by their values, of 16 bytes at least, events are known as those of puts");
    }
    if (!options.history.empty() || !options.html.empty()) {
        refuse("--history and --html are not of --op " + options.op);
    }
}

// What etcd's tool takes where nothing is given.
void set_watch_defaults(Options& options, const CLI::App& app) {
    const auto set = [&app](const char* name, auto& value, auto number) {
        if (app.get_option(name)->count() == 0) {
            value = number;
        }
    };
    set("--connections", options.connections, std::size_t{10});
    set("--watch-per-stream", options.watches_per_connection, std::size_t{options.op == "watch" ? 100U : 10U});
    set("--keys", options.keys, std::uint64_t{1});
    set("--key-bytes", options.key_bytes, std::size_t{32});
    set("--value-bytes", options.value_bytes, std::size_t{32});
    if (options.op == "watch-latency") {
        set("--rate", options.rate, 100.0);
    }
}

std::int64_t read_lease(const std::string& text) {
    std::int64_t id = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, id, 16);
    if (parsed.ec != std::errc() || parsed.ptr != end || id <= 0) {
        refuse("bad lease ID (" + text + "), expecting ID in Hex");
    }
    return id;
}

void check(const Options& options, bool concurrent_given, bool in_flight_given) {
    const std::string problem = KeyFormat(options.prefix, options.key_bytes, options.keys).problem();
    if (!problem.empty()) {
        refuse(problem);
    }
    if (options.slots() == 0 || options.slots() > 1'000'000) {
        refuse("between 1 and 1000000 requests may be in flight");
    }
    if (concurrent_given && in_flight_given) {
        refuse("--concurrent and --in-flight say the same thing twice: give one");
    }
    if (options.watches()) {
        check_watches(options);
    } else if (options.idle) {
        refuse("--idle is of --op watch");
    }
    if (options.put_lease != 0 && (!options.writes() || options.watches())) {
        refuse("--lease is for puts: --op " + options.op + " has none, or puts for its watches alone");
    }
    if (!options.history.empty() && !options.verify && !options.writes()) {
        refuse("--history records writes: --op " + options.op + " makes none");
    }
    if (options.requests > 0 && options.seconds > 0) {
        refuse("--requests and --seconds both end the run: give one");
    }
}

}  // namespace

Options read_options(int argc, char** argv) {
    Options options;
    CLI::App app{description};
    app.footer(examples);
    app.set_version_flag("--version", std::string("ringload ") + std::string(ringfort::version()));
    app.option_defaults()->always_capture_default();

    std::vector<std::string> endpoints{"127.0.0.1:2379"};
    std::string seconds;
    std::string warmup = "0";
    std::string target = "all";
    std::string consistency = "l";
    std::string lease;
    app.add_option("--endpoints", endpoints, "nodes, separated by commas")->delimiter(',')->envname("RINGCTL_ENDPOINTS");
    app.add_option("--op", options.op, "what to do")
        ->check(CLI::IsMember(
            {"put", "get", "sget", "mixed", "txn", "txn-mixed", "lease-keepalive", "watch", "watch-latency"}));
    add_number(app, "--read-percent", options.read_percent, "share of gets in --op mixed", 0, 100);
    app.add_option("--rw-ratio", options.rw_ratio, "reads for each write of --op txn-mixed")
        ->check(CLI::Range(0.0, 1e6));
    add_number(app, "--limit", options.range_limit, "keys in a read of --op txn-mixed (0: all)", 0);
    app.add_option("--end-key", options.end_key, "where reads of --op txn-mixed end (default: where the keys do)");
    app.add_option("--consistency", consistency, "of reads of --op txn-mixed, which are log entries: l (linearizable)")
        ->check(CLI::IsMember({"l", "s"}));
    add_number(app, "--watch-per-stream,--watchers-per-stream", options.watches_per_connection,
               "watches of each connection (of --op watch-latency 10)", 1, 1'000'000);
    app.add_flag("--idle", options.idle, "--op watch without puts");
    app.add_flag("--prev-kv,--prevkv", options.prev_kv, "watches want what was there before");
    add_number(app, "--connections,--conns,--streams", options.connections, "connections (of watches 10)", 1, 10000);
    auto* in_flight = add_number(app, "--in-flight", options.in_flight,
                                 "requests in flight per connection; of watch loads all puts in flight", 1, 1'000'000);
    auto* concurrent = add_number(app, "--concurrent", options.concurrent,
                                  "requests in flight in all (0: connections x in-flight; open loop: 16384)", 0, 1'000'000);
    add_number(app, "--requests,--total,--put-total", options.requests, "end after so many requests (0: by time)");
    app.add_option("--seconds,--duration", seconds, "end after so long, 10 or 10s or 500ms (default 10)");
    app.add_option("--warmup", warmup, "run so long before measuring");
    app.add_option("--rate,--put-rate", options.rate,
                   "open loop: requests per second (0: closed loop; of --op watch-latency 100)")
        ->check(CLI::Range(0.0, 1e9));
    add_number(app, "--keys,--key-space-size,--watched-key-total", options.keys,
               "how many keys; of --op lease-keepalive how many leases (of watches 1)", 1,
               (std::uint64_t{1} << 40) - 1);
    add_number(app, "--key-bytes,--key-size", options.key_bytes, "length of a key, prefix included (of watches 32)", 1,
               65536);
    add_number(app, "--value-bytes,--val-size", options.value_bytes, "length of a value (of watches 32)", 0, 1 << 21);
    app.add_option("--lease", lease, "a lease's id (hexadecimal), for keys that are put to hang on");
    app.add_option("--prefix", options.prefix, "what keys begin with");
    const std::map<std::string, Distribution> distributions{
        {"uniform", Distribution::uniform}, {"zipf", Distribution::zipf}, {"sequential", Distribution::sequential}};
    app.add_option("--distribution", options.distribution, "which keys: uniform, zipf or sequential")
        ->transform(CLI::CheckedTransformer(distributions, CLI::ignore_case).description("TEXT"))
        ->type_name("")
        ->default_str("uniform");
    app.add_option("--zipf-exponent", options.zipf_exponent, "of --distribution zipf")->check(CLI::Range(0.01, 10.0));
    app.add_option("--target", target, "all: connections spread over the endpoints; leader: to the leader's node")
        ->check(CLI::IsMember({"all", "leader"}));
    add_number(app, "--timeout-ms", options.timeout_ms, "of one request", 1, 3'600'000);
    add_number(app, "--dial-timeout-ms", options.dial_timeout_ms, "of one connect", 1, 3'600'000);
    add_number(app, "--poll-us", options.poll_us, "poll for so long before sleeping (costs CPU, saves a wake-up)", 0,
               1'000'000);
    add_number(app, "--seed", options.seed, "of keys (0: another one each time)");
    const std::map<std::string, Prefill> prefills{
        {"auto", Prefill::automatic}, {"always", Prefill::always}, {"never", Prefill::never}};
    app.add_option("--prefill", options.prefill,
                   "write every key once before measuring: auto (reads, and keys are missing), always, never")
        ->transform(CLI::CheckedTransformer(prefills, CLI::ignore_case).description("TEXT"))
        ->type_name("")
        ->default_str("auto");
    app.add_flag_function("--no-live", [&options](std::int64_t) { options.live = false; },
                          "no line each second on standard error");
    app.add_flag("--json", options.json, "the result as one JSON object instead of a table");
    app.add_option("--html", options.html, "write a report with plots to this file");
    app.add_option("--history", options.history, "record every write and its outcome in this file");

    CLI::App* verify = app.add_subcommand("verify", "reads the cluster back and counts acknowledged writes that are lost");
    verify->fallthrough();
    add_number(*verify, "--sample", options.sample, "acknowledged writes to read back at their own revision");
    app.require_subcommand(0, 1);

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        std::exit(code == 0 ? 0 : 2);
    }
    options.verify = verify->parsed();
    if (options.verify && options.history.empty()) {
        refuse("verify needs the --history that a run has written");
    }
    options.endpoints = read_endpoints(endpoints);
    options.to_leader = target == "leader";
    if (!lease.empty()) {
        options.put_lease = read_lease(lease);
    }
    if (consistency == "s") {
        refuse("--consistency s: a transaction that only reads is linearizable whatever its ranges ask for; --op sget reads "
               "stale");
    }
    if (options.watches()) {
        set_watch_defaults(options, app);
    }
    options.warmup_seconds = read_seconds(warmup);
    if (!seconds.empty()) {
        options.seconds = read_seconds(seconds);
    }
    check(options, concurrent->count() > 0, in_flight->count() > 0);
    if (options.requests == 0 && options.seconds == 0) {
        options.seconds = 10;
    }
    return options;
}

}  // namespace ringload
