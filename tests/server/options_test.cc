#include "server/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/bounds.h"
#include "server/flags.h"
#include "server/machine.h"
#include "server/url.h"

namespace ringfort::server {
namespace {

constexpr Machine machine{.memory_bytes = 8 * gib};

Options accepted(const FlagValues& values) {
    const auto options = interpret(values, machine);
    EXPECT_TRUE(options) << (options ? "" : options.error().sentence);
    return options ? *options : Options{};
}

// The sentence of the refusal; it names the flag.
void expect_refused(const FlagValues& values, std::string_view flag) {
    const auto options = interpret(values, machine);
    ASSERT_FALSE(options) << flag;
    EXPECT_NE(std::string::npos, options.error().sentence.find(flag)) << options.error().sentence;
    EXPECT_EQ(std::string::npos, options.error().sentence.find('\n'));
}

TEST(Options, without_flags_one_member_serves_on_localhost) {
    const Options options = accepted({});
    EXPECT_EQ("default", options.name);
    EXPECT_EQ("default.ringfort", options.data_dir);
    EXPECT_EQ("http://localhost:2379", options.listen_client_urls.at(0).text);
    EXPECT_EQ("http://localhost:2380", options.initial_cluster.at(0).peer_url.text);
    EXPECT_EQ(2 * gib, options.quota_backend_bytes) << "a quarter of the memory";
    EXPECT_EQ(limits::request_bytes_default, options.max_request_bytes);
    EXPECT_EQ(limits::txn_ops_default, options.max_txn_ops);
    EXPECT_EQ(CompactionMode::off, options.auto_compaction_mode);
    EXPECT_EQ(200us, options.poll);
}

TEST(Options, the_own_peer_url_comes_from_the_initial_cluster) {
    const Options options = accepted({{"name", "b"},
                                      {"listen-peer-urls", "http://0.0.0.0:2380"},
                                      {"initial-cluster", "a=http://h1:2380,b=http://h2:2380"}});
    EXPECT_EQ("http://h2:2380", options.initial_advertise_peer_url.text);
    EXPECT_EQ(2U, options.initial_cluster.size());
}

TEST(Options, a_member_may_listen_for_its_peers_at_several_urls_and_is_known_to_them_by_one) {
    const FlagValues several{{"listen-peer-urls", "http://h1:1,http://h2:1"}};
    expect_refused(several, "--initial-advertise-peer-urls");
    FlagValues named = several;
    named["initial-advertise-peer-urls"] = "http://h2:1";
    const Options options = accepted(named);
    EXPECT_EQ(2U, options.listen_peer_urls.size());
    EXPECT_EQ("http://h2:1", options.initial_cluster.at(0).peer_url.text);
    named["initial-advertise-peer-urls"] = "http://h1:1,http://h2:1";
    expect_refused(named, "--initial-advertise-peer-urls");
    expect_refused({{"initial-cluster", "default=http://h1:1,default=http://h2:1"}}, "--initial-cluster");
    expect_refused({{"initial-cluster", "b=http://h1:1,default=http://h2:1,b=http://h3:1"}}, "'b'");
}

TEST(Options, bounds_are_accepted_and_one_beyond_refused) {
    const std::tuple<const char*, const char*, const char*> table[] = {
        {"max-request-bytes", "6291456", "6291457"}, {"max-txn-ops", "4096", "4097"}, {"max-txn-ops", "1", "0"},
        {"shards", "256", "257"},                    {"shards", "1", "0"},            {"poll-us", "10000", "10001"},
        {"poll-us", "0", "-1"},                      {"election-timeout", "50000", "50001"},
        {"election-timeout", "500", "499"},
    };
    for (const auto& [flag, good, bad] : table) {
        accepted({{flag, good}});
        expect_refused({{flag, bad}}, flag);
        expect_refused({{flag, "1x"}}, flag);
    }
}

TEST(Options, wrong_combinations_are_refused_by_flag) {
    const std::pair<FlagValues, const char*> table[] = {
        {{{"listen-client-urls", "https://h:1"}}, "--listen-client-urls"},
        {{{"listen-client-urls", "unix://x"}}, "--listen-client-urls"},
        {{{"listen-client-urls", "http://h"}}, "--listen-client-urls"},
        {{{"listen-client-urls", "http://h:0"}}, "--listen-client-urls"},
        {{{"listen-client-urls", "http://h:65536"}}, "--listen-client-urls"},
        {{{"listen-client-urls", ","}}, "--listen-client-urls"},
        {{{"listen-client-urls", "http://0.0.0.0:2379"}}, "--advertise-client-urls"},
        {{{"advertise-client-urls", "http://[::]:2379"}}, "--advertise-client-urls"},
        {{{"listen-client-urls", "http://h:1"}, {"listen-peer-urls", "http://h:1"}}, "--listen-peer-urls"},
        {{{"listen-peer-urls", "http://0.0.0.0:2380"}}, "--initial-advertise-peer-urls"},
        {{{"initial-cluster", "a=http://h:1"}}, "--initial-cluster"},
        {{{"initial-cluster", "http://h:1"}}, "--initial-cluster"},
        {{{"initial-cluster", "default=http://h:1,b=http://h:1"}}, "--initial-cluster"},
        {{{"initial-cluster", "default=http://0.0.0.0:1"}}, "--initial-cluster"},
        {{{"initial-cluster", "default=http://h:1"}, {"initial-advertise-peer-urls", "http://g:1"}},
         "--initial-advertise-peer-urls"},
        {{{"initial-cluster-state", "old"}}, "--initial-cluster-state"},
        {{{"initial-domains", "a,,b"}}, "--initial-domains"},
        {{{"initial-domains", "a,b,a"}}, "--initial-domains"},
        {{{"heartbeat-interval", "201"}}, "--heartbeat-interval"},
        {{{"auto-compaction-mode", "often"}}, "--auto-compaction-mode"},
        {{{"auto-compaction-retention", "1d"}}, "--auto-compaction-retention"},
        {{{"watch-progress-notify-interval", "10"}}, "--watch-progress-notify-interval"},
        {{{"watch-progress-notify-interval", "99ms"}}, "--watch-progress-notify-interval"},
        {{{"auto-compaction-mode", "revision"}, {"auto-compaction-retention", "1h"}}, "--auto-compaction-retention"},
        {{{"shards", "2"}, {"shard-cpus", "0"}}, "--shard-cpus"},
        {{{"shard-cpus", "3-1"}}, "--shard-cpus"},
        {{{"log-level", "loud"}}, "--log-level"},
    };
    for (const auto& [values, flag] : table) {
        expect_refused(values, flag);
    }
}

TEST(Options, values_mean_what_etcd_means) {
    EXPECT_EQ(Duration(2h), accepted({{"auto-compaction-retention", "2"}}).auto_compaction_period);
    EXPECT_EQ(Duration(10min), accepted({}).watch_progress_interval);
    EXPECT_EQ(Duration(1500ms), accepted({{"watch-progress-notify-interval", "1s500ms"}}).watch_progress_interval);
    EXPECT_EQ(Duration(90min), accepted({{"auto-compaction-retention", "1h30m"}}).auto_compaction_period);
    const Options revisions = accepted({{"auto-compaction-mode", "revision"}, {"auto-compaction-retention", "1000"}});
    EXPECT_EQ(1000, revisions.auto_compaction_revisions);
    EXPECT_EQ(CompactionMode::revision, revisions.auto_compaction_mode);
    EXPECT_EQ(0U, accepted({{"quota-backend-bytes", "-1"}}).quota_backend_bytes) << "negative: no limit";
    EXPECT_EQ((std::vector<unsigned>{0, 2, 3, 4}), accepted({{"shard-cpus", "0,2-4"}}).shard_cpus);
    EXPECT_EQ(4U, accepted({{"shard-cpus", "0,2-4"}}).shards);
    EXPECT_EQ((std::vector<std::string>{"a", "m", "t"}), accepted({{"initial-domains", "t,a,m"}}).initial_domains);
}

TEST(CommandLine, a_flag_beats_the_environment_and_that_the_file) {
    const std::string path = "options_test_" + std::to_string(getpid()) + ".yaml";
    std::ofstream(path) << "name: from-file\ndata-dir: from-file\nlog-level: debug\nlisten-client-urls: "
                           "[\"http://a:1\", \"http://b:2\"]\n";
    const auto line = read_command_line({"--name", "from-flag", "--config-file=" + path},
                                        {"RINGFORT_NAME=from-env", "RINGFORT_DATA_DIR=from-env", "HOME=/",
                                         "RINGFORT_SERVICE_HOST=10.0.0.1"});
    unlink(path.c_str());
    ASSERT_TRUE(line) << line.error().sentence;
    EXPECT_EQ("from-flag", line->values.at("name"));
    EXPECT_EQ("from-env", line->values.at("data-dir"));
    EXPECT_EQ("debug", line->values.at("log-level"));
    EXPECT_EQ("http://a:1,http://b:2", line->values.at("listen-client-urls"));
    EXPECT_EQ(1U, line->warnings.size());
}

TEST(CommandLine, help_names_every_flag_and_version_the_version) {
    const auto help = read_command_line({"--help"}, {});
    ASSERT_TRUE(help);
    EXPECT_EQ(Errand::print_and_exit, help->errand);
    for (const Flag& flag : flags()) {
        EXPECT_NE(std::string::npos, help->text.find("--" + std::string(flag.name))) << flag.name;
    }
    const auto version = read_command_line({"--version"}, {});
    ASSERT_TRUE(version);
    EXPECT_TRUE(version->text.starts_with("ringfort version: ")) << version->text;
}

TEST(CommandLine, unknown_flags_stray_words_and_bad_files_are_refused) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--nme", "x"}, {"--cert-file=x"}, {"serve"}, {"--name"}, {"--name", "a", "--name", "b"},
          {"--config-file", "no-such-file.yaml"}}) {
        EXPECT_FALSE(read_command_line(arguments, {})) << arguments.front();
    }
    const auto refused = read_command_line({"--wal-dir", "x"}, {});
    ASSERT_FALSE(refused);
    EXPECT_NE(std::string::npos, refused.error().sentence.find("--wal-dir")) << refused.error().sentence;
}

TEST(CommandLine, a_config_file_that_is_a_directory_or_names_a_flag_twice_is_refused) {
    const auto directory = read_command_line({"--config-file", "."}, {});
    ASSERT_FALSE(directory);
    EXPECT_EQ("--config-file . cannot be read", directory.error().sentence);
    const std::string path = "options_test_twice_" + std::to_string(getpid()) + ".yaml";
    std::ofstream(path) << "data-dir: old\ndata-dir: new\n";
    const auto twice = read_command_line({"--config-file", path}, {});
    unlink(path.c_str());
    ASSERT_FALSE(twice);
    EXPECT_EQ("--config-file " + path + ": data-dir is set twice", twice.error().sentence);
}

TEST(Flags, no_flag_of_ours_is_refused_as_one_of_etcd) {
    for (const Flag& flag : flags()) {
        EXPECT_TRUE(refusal_of(flag.name).empty()) << flag.name;
    }
    for (const char* name : {"cert-file", "peer-auto-tls", "discovery-srv", "snapshot-count", "unsafe-no-fsync",
                             "experimental-initial-corrupt-check", "enable-grpc-gateway"}) {
        EXPECT_FALSE(refusal_of(name).empty()) << name;
    }
}

TEST(Machine, reads_what_the_kernel_says) {
    EXPECT_EQ(24 * kib, memory_total("MemFree: 1 kB\nMemTotal:       24 kB\n").value_or(0));
    EXPECT_FALSE(memory_total("nothing"));
    EXPECT_EQ(1048576U, cgroup_limit("1048576\n").value_or(0));
    EXPECT_FALSE(cgroup_limit("max\n"));
    EXPECT_EQ(2U, cgroup_cores("150000 100000\n").value_or(0));
    EXPECT_EQ(1U, cgroup_cores("5000 100000\n").value_or(0));
    EXPECT_FALSE(cgroup_cores("max 100000\n"));
    EXPECT_EQ("/a/b", cgroup_path("1:cpu:/x\n0::/a/b\n"));
    EXPECT_EQ("", cgroup_path("1:cpu:/x\n"));
    EXPECT_GE(usable_cores(), 1U);
    EXPECT_GT(usable_memory_bytes(), mib);
}

}  // namespace
}  // namespace ringfort::server
