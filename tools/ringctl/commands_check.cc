#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "commands.h"
#include "number_option.h"

namespace ringctl {

namespace {

using Steady = std::chrono::steady_clock;

struct CheckFlags {
    std::string load{"s"};
    std::string prefix;
    bool auto_compact{false};
    bool auto_defrag{false};
    std::uint64_t seconds{60};
};

// etcdctl's workloads.
struct Workload {
    std::size_t clients;        // each with one put in flight
    double writes_per_second;   // of `perf`
    std::uint64_t keys;         // of `datascale`
};
// Of `perf`: key behind the prefix, and value. Of `datascale` both have half a KiB.
constexpr std::size_t perf_key_bytes = 256, perf_value_bytes = 1024, datascale_bytes = 512;
constexpr double slowest_seconds_max = 0.5, deviation_seconds_max = 0.1, throughput_share_min = 0.9;
constexpr std::int64_t clean_up_timeout_ms = 120'000;

Workload must_workload(const std::string& name) {
    static const std::map<std::string, Workload> workloads{{"s", {50, 150, 10'000}},
                                                           {"m", {200, 1000, 100'000}},
                                                           {"l", {500, 8000, 1'000'000}},
                                                           {"xl", {1000, 15'000, 3'000'000}}};
    static const std::map<std::string, std::string> others{
        {"small", "s"}, {"medium", "m"}, {"large", "l"}, {"xLarge", "xl"}};
    const auto other = others.find(name);
    const auto found = workloads.find(other != others.end() ? other->second : name);
    if (found == workloads.end()) {
        fail(Exit::bad_feature, "unknown load option " + name);
    }
    return found->second;
}

// Puts of random keys, as many under way as there are clients; how long each took.
class Puts {
  public:
    Puts(ringfort::Client& client, const std::string& prefix, std::size_t key_bytes, std::size_t value_bytes)
        : client_(client), prefix_(prefix), key_(key_bytes, '\0'), value_(value_bytes, '\0'),
          random_(std::random_device()()) {}

    std::size_t under_way() const { return under_way_; }
    std::uint64_t count() const { return count_; }
    double slowest() const { return slowest_; }
    double deviation() const { return count_ == 0 ? 0 : std::sqrt(square_distance_ / static_cast<double>(count_)); }
    const std::map<std::string, std::uint64_t>& errors() const { return errors_; }

    void start() {
        std::uint64_t number = random_();
        for (std::size_t i = 0; i < sizeof(number); i++, number >>= 8) {
            key_[i] = static_cast<char>(number & 0xff);
        }
        under_way_++;
        client_.put_async(prefix_ + key_, value_, {}, [this, begin = Steady::now()](const auto& reply) {
            under_way_--;
            if (!reply) {
                errors_[reply.error().text()]++;
                return;
            }
            note(std::chrono::duration<double>(Steady::now() - begin).count());
        });
    }
    // Waits for some of those under way, for as long as that at most.
    void wait(std::chrono::milliseconds most) { client_.poll(most.count()); }
    void wait_for_all() {
        while (under_way_ > 0) {
            wait(std::chrono::milliseconds(100));
        }
    }

  private:
    // Mean and sum of squared distances from it, one value after the other.
    void note(double seconds) {
        count_++;
        const double before = seconds - mean_;
        mean_ += before / static_cast<double>(count_);
        square_distance_ += before * (seconds - mean_);
        slowest_ = std::max(slowest_, seconds);
    }

    ringfort::Client& client_;
    std::string prefix_, key_, value_;
    std::mt19937_64 random_;
    std::size_t under_way_{0};
    std::uint64_t count_{0};
    double mean_{0}, square_distance_{0}, slowest_{0};
    std::map<std::string, std::uint64_t> errors_;
};

void must_be_empty(Session& session, const std::string& prefix) {
    ringfort::GetOptions options = ringfort::prefix(prefix);
    options.limit = 1;
    if (!must(session.client().get(prefix, options)).kvs.empty()) {
        fail(Exit::invalid_input,
             fmt::format("prefix \"{}\" has keys. Delete with ringctl del --prefix {} first", prefix, prefix));
    }
}

void clean_up(Session& session, const CheckFlags& flags) {
    ringfort::DeleteOptions options;
    options.range_end = ringfort::prefix_end(flags.prefix);
    options.timeout_ms = clean_up_timeout_ms;
    const std::int64_t revision = must(session.client().del(flags.prefix, options), Effect::write).header.revision;
    if (flags.auto_compact) {
        print(fmt::format("Compacting with revision {}\n", revision));
        must(session.client().compact(revision), Effect::write);
        print(fmt::format("Compacted with revision {}\n", revision));
    }
    if (flags.auto_defrag) {
        print("Nothing to defragment: space comes back by itself\n");
    }
}

// false: there were some.
bool tell_errors(const Puts& puts) {
    if (puts.errors().empty()) {
        return true;
    }
    print("FAIL: too many errors\n");
    for (const auto& [text, count] : puts.errors()) {
        print(fmt::format("FAIL: ERROR({}) -> {}\n", text, count));
    }
    return false;
}

void tell_progress(std::uint64_t done, std::uint64_t whole) {
    std::fprintf(stderr, "\r %llu / %llu %s", static_cast<unsigned long long>(done), static_cast<unsigned long long>(whole),
                 done == whole ? "\n" : "");
}

double put_at_rate(Puts& puts, const Workload& load, std::uint64_t seconds) {
    const Steady::time_point begin = Steady::now();
    const auto elapsed = [begin] { return std::chrono::duration<double>(Steady::now() - begin).count(); };
    const auto whole = static_cast<double>(seconds);
    std::uint64_t started = 0;
    std::uint64_t told = 0;
    for (double now = 0; now < whole; now = elapsed()) {
        while (static_cast<double>(started) < now * load.writes_per_second && puts.under_way() < load.clients) {
            puts.start();
            started++;
        }
        if (static_cast<double>(told) <= now) {
            tell_progress(told++, seconds);
        }
        puts.wait(std::chrono::milliseconds(1));
    }
    puts.wait_for_all();
    tell_progress(seconds, seconds);
    return static_cast<double>(puts.count()) / elapsed();
}

void run_perf(Session& session, const CheckFlags& flags) {
    const Workload load = must_workload(flags.load);
    must_be_empty(session, flags.prefix);
    ringfort::Client client = session.client_with(load.clients);
    Puts puts(client, flags.prefix, perf_key_bytes, perf_value_bytes);
    const double per_second = put_at_rate(puts, load, flags.seconds);
    clean_up(session, flags);

    bool passed = tell_errors(puts);
    const auto judge = [&passed](bool good, const std::string& pass, const std::string& other) {
        print((good ? "PASS: " + pass : other) + "\n");
        passed &= good;
    };
    const auto writes = static_cast<std::uint64_t>(per_second) + 1;
    judge(per_second / load.writes_per_second > throughput_share_min, fmt::format("Throughput is {} writes/s", writes),
          fmt::format("FAIL: Throughput too low: {} writes/s", writes));
    judge(puts.slowest() <= slowest_seconds_max, fmt::format("Slowest request took {:f}s", puts.slowest()),
          fmt::format("Slowest request took too long: {:f}s", puts.slowest()));
    judge(puts.deviation() <= deviation_seconds_max, fmt::format("Stddev is {:f}s", puts.deviation()),
          fmt::format("Stddev too high: {:f}s", puts.deviation()));
    print(passed ? "PASS\n" : "FAIL\n");
    if (!passed) {
        std::exit(static_cast<int>(Exit::error));
    }
}

// 0: it does not say.
std::uint64_t memory_of_first(const Session& session) {
    const auto status = session.client_of({session.endpoints().front()}).status();
    return status ? status->resident_bytes : 0;
}

void must_be_read(std::uint64_t memory, const char* when) {
    if (memory == 0) {
        print(fmt::format("FAIL: Could not read process_resident_memory_bytes {} the put operations.\n", when));
        std::exit(static_cast<int>(Exit::error));
    }
}

void run_datascale(Session& session, const CheckFlags& flags) {
    const Workload load = must_workload(flags.load);
    must_be_empty(session, flags.prefix);
    const std::uint64_t before = memory_of_first(session);
    must_be_read(before, "before");
    print(fmt::format("Start data scale check for work load [{} key-value pairs, {} bytes per key-value, {} concurrent "
                      "clients].\n",
                      load.keys, 2 * datascale_bytes, load.clients));
    ringfort::Client client = session.client_with(load.clients);
    Puts puts(client, flags.prefix, datascale_bytes, datascale_bytes);
    const std::uint64_t step = load.keys / 10;
    for (std::uint64_t started = 0; started < load.keys; started++) {
        while (puts.under_way() >= load.clients) {
            puts.wait(std::chrono::milliseconds(100));
        }
        puts.start();
        if (started % step == 0) {
            tell_progress(started, load.keys);
        }
    }
    puts.wait_for_all();
    tell_progress(load.keys, load.keys);
    const std::uint64_t after = memory_of_first(session);
    clean_up(session, flags);
    must_be_read(after, "after");
    if (!tell_errors(puts)) {
        std::exit(static_cast<int>(Exit::error));
    }
    const double megabytes = (static_cast<double>(after) - static_cast<double>(before)) / (1024.0 * 1024.0);
    print(fmt::format("PASS: Approximate system memory used : {:.2f} MB.\n", megabytes));
}

CLI::App* add(CLI::App& check, const char* name, const char* what, const std::shared_ptr<CheckFlags>& flags) {
    flags->prefix = std::string("/ringctl-check-") + name + "/";
    CLI::App* command = check.add_subcommand(name, what);
    command->add_option("--load", flags->load, "workload: s(small), m(medium), l(large), xl(xLarge)")->capture_default_str();
    command->add_option("--prefix", flags->prefix, "what its keys begin with")->capture_default_str();
    command->add_flag("--auto-compact", flags->auto_compact, "compact behind the check's last revision afterwards");
    command->add_flag("--auto-defrag", flags->auto_defrag, "taken as etcdctl's: there is nothing to defragment");
    command->fallthrough();
    return command;
}

}  // namespace

void add_check_commands(CLI::App& app, Commands& commands) {
    CLI::App* check = app.add_subcommand("check", "Commands for checking properties of the cluster");
    check->footer("Examples:\n  ringctl check perf --load m --auto-compact\n  ringctl check datascale --load l");
    check->require_subcommand(0, 1);

    auto flags = std::make_shared<CheckFlags>();
    CLI::App* command = add(*check, "perf", "Check the performance of the cluster", flags);
    ringfort::tools::add_number(*command, "--seconds", flags->seconds, "how long", 1, 3600);
    command->footer("Puts at the workload's rate, s 150, m 1000, l 8000, xl 15000 a second, of keys of 256 bytes and\n"
                    "values of 1 KiB. Passes with 90 % of the rate, no request over 500 ms, a standard deviation up to\n"
                    "100 ms and no error. Exit code 1 if it does not. Afterwards it deletes what it wrote.");
    commands.push_back({command, [flags](Session& session) { run_perf(session, *flags); }});

    flags = std::make_shared<CheckFlags>();
    command = add(*check, "datascale", "Check the memory usage of holding data", flags);
    command->footer("Writes s 10000, m 100000, l 1000000, xl 3000000 pairs of 1 KiB, and says by how much the memory of\n"
                    "the first endpoint's process grew. Afterwards it deletes what it wrote.");
    commands.push_back({command, [flags](Session& session) { run_datascale(session, *flags); }});
}

}  // namespace ringctl
