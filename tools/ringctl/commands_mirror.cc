#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "mirror.h"
#include "number_option.h"

namespace ringctl {

namespace {

struct MirrorFlags {
    std::vector<std::string> destinations;
    std::string destination_prefix;
    bool no_destination_prefix{false};
    bool insecure_transport{true};
    MirrorOptions options;
};

// Every so often it says how many pairs and changes it has copied, as etcdctl does.
constexpr std::chrono::seconds report_interval{30};

void run_mirror(Session& session, MirrorFlags& flags) {
    if (!flags.insecure_transport) {
        fail(Exit::bad_feature, "`--dest-insecure-transport=false`: this version speaks no TLS");
    }
    if (flags.no_destination_prefix && !flags.destination_prefix.empty()) {
        fail(Exit::bad_arguments, "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one");
    }
    for (const std::string& destination : flags.destinations) {
        if (!ringfort::normalize_endpoint(destination)) {
            fail(Exit::bad_arguments, "not an endpoint: \"" + destination + "\"; host:port or http://host:port is one");
        }
    }
    MirrorOptions& options = flags.options;
    const bool same = !flags.no_destination_prefix && flags.destination_prefix.empty();
    options.destination_prefix = same ? options.prefix : flags.destination_prefix;
    // The source's thread hands its pieces to the destination's, and its watch is kept while that writes them.
    ringfort::Client destination = session.background_client_of(flags.destinations);
    ringfort::Client source = session.watching_client();
    auto report_at = std::chrono::steady_clock::now() + report_interval;
    const ringfort::Error error = mirror(source, destination, options, [&report_at](std::uint64_t count) {
        if (const auto now = std::chrono::steady_clock::now(); now >= report_at) {
            report_at = now + report_interval;
            print(std::to_string(count) + "\n");
        }
        return false;
    });
    fail(error, Effect::read);
}

}  // namespace

void add_mirror_command(CLI::App& app, Commands& commands) {
    auto flags = std::make_shared<MirrorFlags>();
    CLI::App* command = app.add_subcommand("make-mirror", "Makes a mirror at the destination cluster");
    command->add_option("destination", flags->destinations, "endpoints of the destination, separated by commas")
        ->required()
        ->delimiter(',')
        ->type_name("");
    command->add_option("--prefix", flags->options.prefix, "mirror the keys that begin with this");
    command->add_option("--dest-prefix", flags->destination_prefix, "what they begin with at the destination instead");
    command->add_flag("--no-dest-prefix", flags->no_destination_prefix, "there they begin with what is behind the prefix");
    command->add_flag("--dest-insecure-transport", flags->insecure_transport, "likewise, to the destination")
        ->default_str("true");
    ringfort::tools::add_number(*command, "--rev", flags->options.revision,
                                "mirror the changes from this revision on, and nothing older (0: all)", 0);
    ringfort::tools::add_number(*command, "--max-txn-ops", flags->options.txn_ops_max,
                                "operations the destination takes in a transaction", 1, 1'000'000);
    command->footer("First copies all there is, at one revision, then follows. Both go on by themselves over lost nodes of\n"
                    "both clusters. Of a revision the destination gets all changes in one transaction, if they are no more\n"
                    "than --max-txn-ops. What is there and not in the source stays. While it follows it prints every 30\n"
                    "seconds how many it copied. Ends, with exit code 1, when the source compacted what comes next, or the\n"
                    "destination refuses a write.\n\n"
                    "Example:\n  ringctl --endpoints a:2379,b:2379 make-mirror --prefix app/ --dest-prefix copy/ z:2379");
    commands.push_back({command, [flags](Session& session) { run_mirror(session, *flags); }});
}

}  // namespace ringctl
