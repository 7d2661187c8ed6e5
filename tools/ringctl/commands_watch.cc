#include <algorithm>
#include <iostream>
#include <memory>
#include <mutex>

#include <sys/wait.h>

#include "commands.h"
#include "kv_flags.h"
#include "program.h"
#include "text.h"

namespace ringctl {

namespace {

using ringfort::Event;
using ringfort::EventType;
using ringfort::Outcome;
using ringfort::WatchReply;

// Ours, and etcdctl's names: programs that it runs can be run by ringctl.
std::vector<std::string> environment_of(const Event& event) {
    return environment_with({
        "ETCD_WATCH_REVISION=" + std::to_string(event.kv.mod_revision),
        "ETCD_WATCH_EVENT_TYPE=" + in_quotes(event.type == EventType::put ? "PUT" : "DELETE"),
        "ETCD_WATCH_KEY=" + in_quotes(event.kv.key),
        "ETCD_WATCH_VALUE=" + in_quotes(event.kv.value),
    });
}

void run_program(const std::vector<std::string>& program, const Event& event) {
    const pid_t child = start_program(program, environment_of(event));
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        fail(Exit::error, program.front() + " cannot be run");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail(Exit::error, program.front() + " failed");
    }
}

// One watch's replies, as they come. Several watches may tell at a time.
class Teller {
  public:
    enum class Alone : std::uint8_t { yes, no };   // no: the others go on when it fails

    Teller(const Session& session, std::vector<std::string> program, Alone alone)
        : printer_(session.printer()), program_(std::move(program)), alone_(alone) {}

    // false: it was the last.
    bool tell(const Outcome<WatchReply>& reply) const {
        if (!reply && alone_ == Alone::yes) {
            fail(reply.error(), Effect::read);
        }
        if (!reply) {
            std::fprintf(stderr, "watch was canceled (%s)\n", reply.error().text().c_str());
            return false;
        }
        if (reply->canceled) {
            tell_end(*reply);
        }
        const std::string text = printer_->watch(*reply);
        if (!text.empty() && (!reply->created || reply->canceled)) {
            print(text);
        }
        for (const Event& event : reply->events) {
            if (!program_.empty()) {
                run_program(program_, event);
            }
        }
        return !reply->canceled;
    }

  private:
    void tell_end(const WatchReply& reply) const {
        std::string why = reply.cancel_reason.empty() ? "etcdserver: watch canceled" : reply.cancel_reason;
        if (reply.compact_revision > 0) {
            why = "etcdserver: mvcc: required revision has been compacted; the first one kept is " +
                  std::to_string(reply.compact_revision);
        }
        std::fprintf(stderr, "watch was canceled (%s)\n", why.c_str());
    }

    std::unique_ptr<Printer> printer_;
    std::vector<std::string> program_;
    const Alone alone_;
};

// What the environment names is watched where the words name nothing. An empty variable counts for none.
std::optional<UsageError> take_environment(WatchFlags& flags) {
    static constexpr const char* names[] = {"RINGCTL_WATCH_KEY", "RINGCTL_WATCH_RANGE_END"};
    std::string values[2];
    for (std::size_t i = 0; i < 2; i++) {
        const char* const value = std::getenv(names[i]);
        values[i] = value != nullptr ? value : "";
    }
    const auto& [key, end] = values;
    if (key.empty() && !end.empty()) {
        return UsageError{"RINGCTL_WATCH_KEY is empty but got RINGCTL_WATCH_RANGE_END=" + in_quotes(end)};
    }
    if (!key.empty() && !flags.arguments.empty()) {
        return UsageError{"bad number of arguments (found conflicting environment key)"};
    }
    if (!key.empty()) {
        flags.arguments.assign(1, key);
        flags.arguments.insert(flags.arguments.end(), end.empty() ? 0 : 1, end);
    }
    return std::nullopt;
}

Parsed<WatchFlags::Watched> watched_by(WatchFlags& flags) {
    if (const auto error = take_environment(flags)) {
        return *error;
    }
    return flags.to_watch();
}

void run_once(Session& session, WatchFlags& flags) {
    auto watched = watched_by(flags);
    if (const auto* error = std::get_if<UsageError>(&watched)) {
        fail(Exit::bad_arguments, error->text);
    }
    const auto& [key, options] = std::get<WatchFlags::Watched>(watched);
    const Teller teller(session, session.globals().program, Teller::Alone::yes);
    auto watcher = session.client().watch(key, options);
    while (teller.tell(watcher.next())) {
    }
    fail(Exit::interrupted, "watch is canceled by the server");
}

// A line is one watch more, or asks all of them for a mark. Returns when there are no more.
void run_interactive(Session& session) {
    std::mutex telling;
    std::vector<std::unique_ptr<Teller>> tellers;
    std::vector<std::uint64_t> ids;
    std::string line;
    ringfort::Client client = session.watching_client();   // goes first: its thread uses the others
    while (std::getline(std::cin, line)) {
        auto words = split_words(line);
        if (!words || words->empty()) {
            continue;
        }
        if (words->front() == "progress") {
            for (const std::uint64_t id : ids) {
                client.request_progress(id);
            }
            continue;
        }
        const auto dashes = std::find(words->begin(), words->end(), "--");
        const std::vector<std::string> program(dashes == words->end() ? dashes : dashes + 1, words->end());
        CLI::App app{"watch"};
        WatchFlags flags;
        flags.add_to(app);
        std::vector<std::string> arguments(words->begin() + 1, dashes);
        std::reverse(arguments.begin(), arguments.end());
        bool good = words->front() == "watch";
        try {
            app.parse(arguments);
        } catch (const CLI::ParseError&) {
            good = false;
        }
        auto watched = watched_by(flags);
        if (const auto* error = std::get_if<UsageError>(&watched); error != nullptr || !good) {
            std::fprintf(stderr, "Invalid command %s (%s)\n", line.c_str(),
                         error != nullptr && good ? error->text.c_str() : "only support watch or progress");
            continue;
        }
        const auto& [key, options] = std::get<WatchFlags::Watched>(watched);
        tellers.push_back(std::make_unique<Teller>(session, program, Teller::Alone::no));
        ids.push_back(client.watch_async(key, options, [&telling, teller = tellers.back().get()](Outcome<WatchReply> reply) {
            const std::lock_guard lock(telling);
            teller->tell(reply);
        }));
    }
}

}  // namespace

void add_watch_command(CLI::App& app, Commands& commands) {
    auto flags = std::make_shared<WatchFlags>();
    CLI::App* command = app.add_subcommand("watch", "Watches events stream on keys or prefixes");
    flags->add_to(*command);
    command->footer("Goes on by itself over nodes that are lost or cut off from the others: no event is left out or told\n"
                    "twice.\n"
                    "Behind \"--\": a program to run for each event; it finds ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE,\n"
                    "ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment.\n"
                    "With -i, lines of standard input: \"watch KEY [END] [flags] [-- PROGRAM...]\", and \"progress\";\n"
                    "it ends with them and exit code 3, and goes on when one of its watches ends. Without -i, exit code 5\n"
                    "if the cluster ends the watch, as for history that was compacted.\n"
                    "Without a key the environment's RINGCTL_WATCH_KEY and RINGCTL_WATCH_RANGE_END are meant.\n\n"
                    "Examples:\n  ringctl watch hello\n  ringctl watch app/ --prefix --rev 7 -w json\n"
                    "  ringctl watch config --prev-kv -- sh -c 'echo \"$ETCD_WATCH_VALUE\" >> log'");
    commands.push_back({command, [flags](Session& session) {
                            must_print_keys(session);
                            if (!flags->interactive) {
                                run_once(session, *flags);
                            }
                            run_interactive(session);
                            fail(Exit::invalid_input, "Error reading watch request line: EOF");
                        }});
}

}  // namespace ringctl
