// ringctl: a Ringfort cluster from the command line, in etcdctl's words.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "commands.h"
#include "ringfort/client.h"
#include "uring/standard_files.h"

namespace {

using namespace ringctl;

void add_globals(CLI::App& app, Globals& globals) {
    app.add_option("--endpoints", globals.endpoints, "nodes, separated by commas; host:port or http://host:port")
        ->delimiter(',')
        ->allow_extra_args(false)   // the word behind it is not another endpoint
        ->envname("RINGCTL_ENDPOINTS")
        ->default_str("127.0.0.1:2379");
    app.add_option("--dial-timeout", globals.dial_timeout, "for one connect")
        ->envname("RINGCTL_DIAL_TIMEOUT")
        ->capture_default_str();
    app.add_option("--command-timeout", globals.command_timeout, "for the whole command")
        ->envname("RINGCTL_COMMAND_TIMEOUT")
        ->capture_default_str();
    app.add_option("-w,--write-out", globals.write_out, "output: simple, table, json or fields")
        ->envname("RINGCTL_WRITE_OUT")
        ->capture_default_str();
    app.add_flag("--insecure-transport", globals.insecure_transport, "without TLS, which this version does not speak")
        ->envname("RINGCTL_INSECURE_TRANSPORT")
        ->default_str("true");
    app.add_flag("--hex", globals.hex, "print byte strings as hex encoded strings")->envname("RINGCTL_HEX");
    app.add_flag("--debug", globals.debug, "say on standard error what is asked whom")->envname("RINGCTL_DEBUG");
}

// "-w=json" is usual with etcdctl: the short flag with an equals sign.
std::vector<std::string> arguments_of(int argc, char** argv) {
    std::vector<std::string> arguments;
    bool literal = false;
    for (int i = 1; i < argc; i++) {
        std::string one = argv[i];
        literal = literal || one == "--";
        arguments.push_back(!literal && one.starts_with("-w=") ? "--write-out=" + one.substr(3) : std::move(one));
    }
    return arguments;
}

// Whether this word is a flag of one of them whose value is the word behind it.
bool wants_value(const CLI::App& app, const CLI::App& command, const std::string& word) {
    const CLI::Option* option = command.get_option_no_throw(word);
    option = option != nullptr ? option : app.get_option_no_throw(word);
    return option != nullptr && option->get_items_expected_min() > 0;
}

// Where the program begins in `watch KEY -- PROGRAM...` and `lock NAME [--] PROGRAM...`: its words are no business of the
// command line's. Another command may well have a key of that name.
std::size_t program_of(const CLI::App& app, const std::vector<std::string>& words, std::size_t& end) {
    end = words.size();
    const CLI::App* command = nullptr;
    bool named = false;
    for (std::size_t i = 0; i < words.size(); i++) {
        const std::string& word = words[i];
        if (word == "--") {
            end = i;
            return command != nullptr ? i + 1 : words.size();
        }
        if (command == nullptr) {
            const auto all = app.get_subcommands([](const CLI::App*) { return true; });
            const auto found = std::ranges::find(all, word, &CLI::App::get_name);
            command = found != all.end() ? *found : nullptr;
            if (command != nullptr && word != "watch" && word != "lock") {
                return words.size();
            }
        } else if (word.size() > 1 && word.front() == '-') {
            i += wants_value(app, *command, word) ? 1U : 0U;
        } else if (named && command->get_name() == "lock") {
            end = i;
            return i;
        } else {
            named = true;
        }
    }
    return words.size();
}

// Takes the program away from the words, and turns them back to front, as CLI11 takes them.
std::vector<std::string> cut_program(const CLI::App& app, std::vector<std::string> words, Globals& globals) {
    std::size_t end = words.size();
    const std::size_t begin = program_of(app, words, end);
    const auto at = [&words](std::size_t i) { return words.begin() + static_cast<std::ptrdiff_t>(i); };
    if (begin < words.size()) {
        globals.program.assign(at(begin), words.end());
        words.erase(at(end), words.end());
    }
    std::ranges::reverse(words);
    return words;
}

// What etcdctl has and this version has not: told apart from what nobody has.
const char* not_served(const std::string& word) {
    static constexpr std::string_view commands[] = {"auth", "user", "role", "defrag", "snapshot", "downgrade"};
    static constexpr std::string_view tls[] = {"--cacert", "--cert", "--key", "--insecure-skip-tls-verify",
                                               "--dest-cacert", "--dest-cert", "--dest-key"};
    static constexpr std::string_view users[] = {"--user", "--password", "--auth-jwt-token", "--dest-user",
                                                 "--dest-password"};
    if (std::ranges::count(commands, word) > 0) {
        return "a command of etcdctl that this version does not serve";
    }
    if (std::ranges::count(tls, word.substr(0, word.find('='))) > 0) {
        return "this version speaks no TLS";
    }
    return std::ranges::count(users, word.substr(0, word.find('='))) > 0 ? "this version has no users" : nullptr;
}

// The innermost command that was named.
const CLI::App* named_command(const CLI::App& app) {
    const std::vector<CLI::App*> below = app.get_subcommands();
    return below.empty() ? &app : named_command(*below.front());
}

// In one sentence what is wrong with the command line.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
    const CLI::App* command = named_command(app);
    const std::string name = command == &app ? "ringctl" : "ringctl " + command->get_display_name();
    const std::vector<std::string> left = app.remaining(true);
    if (!left.empty()) {
        const std::string& word = left.front();
        const bool wants_command = !command->get_subcommands([](const CLI::App*) { return true; }).empty();
        const char* const what = word.starts_with("-") ? "flag" : wants_command ? "command" : "argument";
        const char* const why = not_served(word);
        return std::string(why == nullptr ? "unknown " : "") + what + " \"" + word + "\" of " + name +
               (why == nullptr ? "" : std::string(": ") + why);
    }
    return command == &app ? error.what() : name + ": " + error.what();
}

}  // namespace

int main(int argc, char** argv) {
    if (!ringfort::uring::hold_standard_files()) {
        fail(Exit::error, "standard output is closed: nobody would see the answer");
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);   // ignored by whoever started this, no child's end could be met
    CLI::App app{"ringctl: a command line client for Ringfort, in etcdctl's words", "ringctl"};
    Globals globals;
    Commands commands;
    add_globals(app, globals);
    app.require_subcommand(0, 1);
    app.footer("Examples:\n  ringctl put hello world\n  ringctl get hello\n  ringctl get app/ --prefix -w json\n"
               "  ringctl --endpoints 10.0.0.1:2379,10.0.0.2:2379 endpoint status --cluster -w table\n\n"
               "Every flag is also read from the environment: RINGCTL_ENDPOINTS, RINGCTL_COMMAND_TIMEOUT, ...\n"
               "\"ringctl COMMAND --help\" tells more of each.\n"
               "Exit codes: 0 done, 1 error, 3 wrong input, 4 not supported, 5 a watch is over, 128 wrong usage.");
    add_key_commands(app, commands);
    add_txn_command(app, commands);
    add_watch_command(app, commands);
    add_lock_commands(app, commands);
    add_check_commands(app, commands);
    add_mirror_command(app, commands);
    add_endpoint_commands(app, commands);
    add_alarm_commands(app, commands);
    add_member_commands(app, commands);
    add_lease_commands(app, commands);
    add_log_commands(app, commands);
    CLI::App* version = app.add_subcommand("version", "Prints the version of ringctl");
    commands.push_back({version, [](Session&) {
                            print("ringctl version: " + std::string(ringfort::version()) + "\nAPI version: 3.5\n");
                        }});
    for (CLI::App* command : app.get_subcommands({})) {
        command->fallthrough();
    }
    try {
        app.parse(cut_program(app, arguments_of(argc, argv), globals));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {
            return app.exit(error);
        }
        std::fprintf(stderr, "Error: %s\nRun ringctl --help, or ringctl COMMAND --help.\n", explain(app, error).c_str());
        return static_cast<int>(Exit::bad_arguments);
    }
    for (const Command& command : commands) {
        if (command.app->parsed()) {
            Session session(globals);
            command.action(session);
            return 0;
        }
    }
    const CLI::App* command = named_command(app);
    std::fprintf(stderr, "Error: %s needs a command\nRun ringctl --help, or ringctl COMMAND --help.\n",
                 command == &app ? "ringctl" : ("ringctl " + command->get_display_name()).c_str());
    return static_cast<int>(Exit::bad_arguments);
}
